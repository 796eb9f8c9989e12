"""Trees edited in the object database: some files' texts replaced, added or removed.

Rule: only the folders that the files lie in are read and written: an index would be of every file there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from work_milestone.git.repo import Repo, decode, encode
from work_milestone.git.trees import Rows, read_objects, read_rows
from work_milestone.system import GitError

_FOLDER = b"40000"
_KINDS = {_FOLDER: b"tree", b"160000": b"commit"}


def edit(repo: Repo, tree: str, changes: Mapping[str, str | None]) -> str:
    """Return a tree with some files' texts replaced or added, or removed where the text is None.

    Only the folders that the files lie in are read and written: an index would be of every file there is.
    """
    if not changes:
        return tree
    above = {path[:at] for path in changes for at, letter in enumerate(path) if letter == "/"}
    folders = _folders(repo, tree, ["", *sorted(above)])
    for path, text in changes.items():
        folder, _, name = path.rpartition("/")
        if text is None:
            folders[folder].pop(encode(name), None)
            continue
        blob = decode(repo.call("hash-object", "-w", "--stdin", stdin=encode(text)).stdout).strip()
        mode, _ = folders[folder].get(encode(name), (_FOLDER, ""))
        folders[folder][encode(name)] = (b"100644" if mode == _FOLDER else mode, blob)
    return _write(repo, tree, folders)


def _folders(repo: Repo, tree: str, paths: Sequence[str]) -> dict[str, Rows]:
    """Read the rows of some of a tree's folders, none where there is no such folder."""
    found = read_objects(repo, [f"{tree}:{path}" for path in paths])
    return {path: read_rows(*one, len(tree) // 2) for path, one in zip(paths, found, strict=True)}


def _write(repo: Repo, tree: str, folders: Mapping[str, Rows]) -> str:
    """Write the rows of folders, the deepest first; return the tree of the topmost. An empty folder is none."""
    told, lines = [], []
    for path in sorted(folders, key=lambda path: (path != "", path.count("/")), reverse=True):
        rows, (above, _, name) = folders[path], path.rpartition("/")
        if path and not rows:
            if folders[above].get(encode(name), (b"",))[0] == _FOLDER:
                del folders[above][encode(name)]
            continue
        told.append(_id(rows, len(tree)))
        lines += [b"%s %s %s\t%s\0" % (mode, _KINDS.get(mode, b"blob"), row.encode(), name)
                  for name, (mode, row) in rows.items()] + [b"\0"]  # fmt: skip
        if path:
            folders[above][encode(name)] = (_FOLDER, told[-1])
    # One process writes them all, so that each one's id must be known to the one above before it is written.
    made = repo.call("mktree", "-z", "--batch", "--missing", stdin=b"".join(lines)).stdout.decode().split()
    if made != told:
        raise GitError(f"git mktree made {made} and not {told}", 0)
    return made[-1]


def _id(rows: Rows, width: int) -> str:
    """Return the id that git gives to a tree of these rows (gitformat-pack); `width` tells its hash."""
    ordered = sorted(rows.items(), key=lambda row: row[0] + (b"/" if row[1][0] == _FOLDER else b""))
    raw = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(row)) for name, (mode, row) in ordered)
    head = b"tree %d\0" % len(raw)
    return hashlib.new("sha1" if width == 40 else "sha256", head + raw, usedforsecurity=False).hexdigest()
