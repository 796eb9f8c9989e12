"""Trees in the object database: read, merged and edited there, without a checkout.

Rules:
- What is read, merged or written here is the same whatever the user's checkout holds.
- Git reads `.gitattributes` from a checkout all the same: who merges asks for `attributes`, and provides one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from work_milestone.git import repo as git
from work_milestone.system.errors import GitError

NOTHING = ("000000", "")  # where a tree, an index or a disk holds nothing at a path
_Rows = dict[bytes, tuple[bytes, str]]  # of a folder: mode and id by name
_FOLDER = b"40000"
_KINDS = {_FOLDER: b"tree", b"160000": b"commit"}


@dataclass(frozen=True)
class Change:
    """A path in which two trees differ, with its mode and object in each: NOTHING where it has none."""

    path: str
    old: tuple[str, str]
    new: tuple[str, str]


@dataclass(frozen=True)
class Stage:
    """One side of a path that conflicts, `number` as in git's index: 1 the base, 2 ours, 3 theirs."""

    mode: str
    blob: str
    number: int
    path: str


@dataclass(frozen=True)
class Merged:
    """A merge in the object database: its tree, and the files that conflict (none when it is clean).

    `messages` are git's types of conflict, each once; `kinds` has them by path; `place` is where attributes were read.
    """

    tree: str
    conflicts: tuple[str, ...]
    messages: tuple[str, ...]
    stages: tuple[Stage, ...] = ()
    kinds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    place: Path | None = None


def merge(repo: git.Repo, ours: str, theirs: str, cwd: Path) -> Merged:
    """Merge two commits in the object database; `cwd` is where `.gitattributes` are read from."""
    done = repo.call("merge-tree", "--write-tree", "-z", "--messages", ours, theirs, cwd=cwd, accept=(0, 1))
    fields = git.decode(done.stdout).split("\0")
    # An unknown ref exits 1 as a conflict does: it is one only when an object id comes first.
    if len(fields[0]) not in (40, 64):
        raise GitError(f"git merge-tree {ours} {theirs} gave no tree", done.returncode)
    if done.returncode == 0:
        return Merged(fields[0], (), (), place=cwd)
    end = fields.index("", 1)
    stages = tuple(map(_read_stage, fields[1:end]))
    kinds = _read_kinds(fields[end + 1 :])
    return Merged(
        fields[0], tuple(dict.fromkeys(stage.path for stage in stages)),
        tuple(dict.fromkeys(kind for kind, _ in kinds)), stages,
        {path: tuple(kind for kind, paths in kinds if path in paths) for _, paths in kinds for path in paths}, cwd,
    )  # fmt: skip


def _read_stage(entry: str) -> Stage:
    words, _, path = entry.partition("\t")
    mode, blob, number = words.split(" ")
    return Stage(mode, blob, int(number), path)


def _read_kinds(fields: list[str]) -> list[tuple[str, list[str]]]:
    """Pick the stable types, `CONFLICT (contents)` and the like, and their paths out of merge-tree's messages."""
    found, at = [], 0
    while at + 2 < len(fields) and fields[at].isdecimal():
        end = at + 1 + int(fields[at])
        found.append((fields[end], fields[at + 1 : end]))
        at = end + 2
    return [(kind, paths) for kind, paths in found if kind.startswith("CONFLICT")]


def edit(repo: git.Repo, tree: str, changes: Mapping[str, str | None]) -> str:
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
            folders[folder].pop(git.encode(name), None)
            continue
        blob = git.decode(repo.call("hash-object", "-w", "--stdin", stdin=git.encode(text)).stdout).strip()
        mode, _ = folders[folder].get(git.encode(name), (_FOLDER, ""))
        folders[folder][git.encode(name)] = (b"100644" if mode == _FOLDER else mode, blob)
    return _write(repo, tree, folders)


def _folders(repo: git.Repo, tree: str, paths: Sequence[str]) -> dict[str, _Rows]:
    """Read the rows of some of a tree's folders, none where there is no such folder."""
    found = _objects(repo, [f"{tree}:{path}" for path in paths])
    return {path: _rows(*one, len(tree) // 2) for path, one in zip(paths, found, strict=True)}


def _objects(repo: git.Repo, names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Read objects, their kinds and contents, both empty for one that there is not."""
    asked = [git.encode(name) for name in names]
    out = repo.call("cat-file", "--batch", "-z", stdin=b"".join(name + b"\0" for name in asked)).stdout
    found, at = [], 0
    for name in asked:
        absent = name + b" missing\n"
        if out.startswith(absent, at):
            found.append((b"", b""))
            at += len(absent)
            continue
        begin = out.index(b"\n", at) + 1
        _, kind, size = out[at:begin].split()
        at = begin + int(size) + 1
        found.append((kind, out[begin : at - 1]))
    return found


def _rows(kind: bytes, raw: bytes, width: int) -> _Rows:
    """Read a tree, whose ids are `width` bytes long; what is none has no rows."""
    rows, at = {}, 0
    while kind == b"tree" and at < len(raw):
        begin, end = raw.index(b" ", at), raw.index(b"\0", at)
        rows[raw[begin + 1 : end]] = (raw[at:begin].lstrip(b"0"), raw[end + 1 : end + 1 + width].hex())
        at = end + 1 + width
    return rows


def _write(repo: git.Repo, tree: str, folders: Mapping[str, _Rows]) -> str:
    """Write the rows of folders, the deepest first; return the tree of the topmost. An empty folder is none."""
    told, lines = [], []
    for path in sorted(folders, key=lambda path: (path != "", path.count("/")), reverse=True):
        rows, (above, _, name) = folders[path], path.rpartition("/")
        if path and not rows:
            if folders[above].get(git.encode(name), (b"",))[0] == _FOLDER:
                del folders[above][git.encode(name)]
            continue
        told.append(_id(rows, len(tree)))
        lines += [b"%s %s %s\t%s\0" % (mode, _KINDS.get(mode, b"blob"), row.encode(), name)
                  for name, (mode, row) in rows.items()] + [b"\0"]  # fmt: skip
        if path:
            folders[above][git.encode(name)] = (_FOLDER, told[-1])
    # One process writes them all, so that each one's id must be known to the one above before it is written.
    made = repo.call("mktree", "-z", "--batch", "--missing", stdin=b"".join(lines)).stdout.decode().split()
    if made != told:
        raise GitError(f"git mktree made {made} and not {told}", 0)
    return made[-1]


def _id(rows: _Rows, width: int) -> str:
    """Return the id that git gives to a tree of these rows (gitformat-pack); `width` tells its hash."""
    ordered = sorted(rows.items(), key=lambda row: row[0] + (b"/" if row[1][0] == _FOLDER else b""))
    raw = b"".join(b"%s %s\0%s" % (mode, name, bytes.fromhex(row)) for name, (mode, row) in ordered)
    head = b"tree %d\0" % len(raw)
    return hashlib.new("sha1" if width == 40 else "sha256", head + raw, usedforsecurity=False).hexdigest()


def diff(repo: git.Repo, old: str, new: str) -> list[Change]:
    """List the paths in which two commits or trees differ."""
    out = git.split(repo.call("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new).stdout)
    found = []
    for row, path in zip(out[::2], out[1::2], strict=True):
        modes = row.removeprefix(":").split(" ")
        before, after = (
            (mode, blob) if mode != NOTHING[0] else NOTHING for mode, blob in zip(modes[:2], modes[2:4], strict=True)
        )
        found.append(Change(path, before, after))
    return found


def has_path(repo: git.Repo, tree: str, path: str) -> bool:
    """Tell whether a tree holds a path."""
    return bool(repo.call("ls-tree", "-z", "--name-only", tree, "--", path, env=git.LITERAL).stdout)


def read_file(repo: git.Repo, tree: str, path: str) -> bytes | None:
    """Read one file of a tree, None where it holds none of that name: a link is no file."""
    folder, _, name = path.rpartition("/")
    above, (_, text) = _objects(repo, [f"{tree}:{folder}", f"{tree}:{path}"])
    mode, _ = _rows(*above, len(tree) // 2).get(git.encode(name), (b"", ""))
    return text if mode.startswith(b"100") else None


def read_files(repo: git.Repo, rev: str, *paths: str) -> dict[str, bytes]:
    """Read the files at and below some paths of a commit or tree."""
    named = paths if len(paths) <= git.MOST_NAMED else ()
    rows = git.split(repo.call("ls-tree", "-r", "-z", rev, "--", *named, env=git.LITERAL).stdout)
    blobs = [(row.split(None, 3)[2], row.partition("\t")[2]) for row in rows if row.startswith("100")]
    if len(paths) > git.MOST_NAMED:
        wanted = set(paths)
        blobs = [(blob, path) for blob, path in blobs if path in wanted]
    if not blobs:
        return {}
    texts = read_blobs(repo, [blob for blob, _ in blobs])
    return {path: texts[blob] for blob, path in blobs}


def read_blobs(repo: git.Repo, blobs: Iterable[str]) -> dict[str, bytes]:
    """Read blobs by their ids."""
    wanted = list(dict.fromkeys(blobs))
    done = repo.call("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in wanted).encode())
    found, at = {}, 0
    for blob in wanted:
        end = done.stdout.index(b"\n", at)
        size = int(done.stdout[at:end].split()[2])
        found[blob] = done.stdout[end + 1 : end + 1 + size]
        at = end + size + 2
    return found


def blob_sizes(repo: git.Repo, blobs: Iterable[str]) -> dict[str, int]:
    """Tell the sizes of blobs in bytes, without reading them."""
    wanted = "".join(f"{blob}\n" for blob in blobs)
    rows = git.decode(repo.call("cat-file", "--batch-check", stdin=wanted.encode()).stdout).splitlines()
    return {row.split()[0]: int(row.split()[2]) for row in rows}


def attributes(repo: git.Repo, rev: str) -> str:
    """Return the rows of a commit's `.gitattributes`, which merges must see checked out, empty where it has none."""
    if rev not in repo.attributes:
        listed = repo.call("ls-tree", "-r", "-z", rev).stdout
        # In most repositories there is none, and the rows of all files take long to look at one by one.
        rows = git.split(listed) if b".gitattributes\0" in listed else []
        repo.attributes[rev] = "\0".join(row for row in rows if is_attributes(row.partition("\t")[2]))
    return repo.attributes[rev]


def derive_attributes(repo: git.Repo, new: str, old: str, changed: Iterable[str]) -> None:
    """Note that a commit holds `.gitattributes` as another does, unless it changes one."""
    if old in repo.attributes and not any(is_attributes(name) for name in changed):
        repo.attributes[new] = repo.attributes[old]


def is_attributes(path: str) -> bool:
    """Tell whether a path is one of the files that git reads attributes from."""
    return path.rpartition("/")[2] == ".gitattributes"
