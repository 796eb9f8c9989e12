"""Trees in the object database: read, merged and edited there, without a checkout.

Rules:
- What is read, merged or written here is the same whatever the user's checkout holds.
- Git reads `.gitattributes` from a checkout all the same: who merges asks `has_attributes`, and provides one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from work_milestone import git
from work_milestone.errors import GitError


@dataclass(frozen=True)
class Merged:
    """A merge in the object database: its tree, and the files that conflict (none when it is clean)."""

    tree: str
    conflicts: tuple[str, ...]
    messages: tuple[str, ...]


def merge(repo: git.Repo, ours: str, theirs: str, cwd: Path) -> Merged:
    """Merge two commits in the object database; `cwd` is where `.gitattributes` are read from."""
    done = repo.call("merge-tree", "--write-tree", "-z", "--messages", ours, theirs, cwd=cwd, accept=(0, 1))
    fields = git.decode(done.stdout).split("\0")
    # An unknown ref exits 1 as a conflict does: it is one only when an object id comes first.
    if len(fields[0]) not in (40, 64):
        raise GitError(f"git merge-tree {ours} {theirs} gave no tree", done.returncode)
    if done.returncode == 0:
        return Merged(fields[0], (), ())
    end = fields.index("", 1)
    paths = dict.fromkeys(entry.partition("\t")[2] for entry in fields[1:end])
    return Merged(fields[0], tuple(paths), _conflict_types(fields[end + 1 :]))


def _conflict_types(fields: list[str]) -> tuple[str, ...]:
    """Pick the stable type strings, `CONFLICT (contents)` and the like, out of merge-tree's messages."""
    found, rest = [], list(fields)
    while len(rest) > 2 and rest[0].isdecimal():
        count = int(rest[0])
        found.append(rest[1 + count])
        rest = rest[3 + count :]
    return tuple(dict.fromkeys(kind for kind in found if kind.startswith("CONFLICT")))


def edit(repo: git.Repo, tree: str, changes: Mapping[str, str | None]) -> str:
    """Return a tree with some files' texts replaced or added, or removed where the text is None."""
    if not changes:
        return tree
    modes = _modes(repo, tree, [path for path, text in changes.items() if text is not None])
    lines = []
    for path, text in changes.items():
        if text is None:
            lines.append(f"0 {'0' * len(tree)}\t{path}\0")
            continue
        blob = git.decode(repo.call("hash-object", "-w", "--stdin", stdin=git.encode(text)).stdout).strip()
        lines.append(f"{modes.get(path, '100644')} {blob}\t{path}\0")
    with tempfile.TemporaryDirectory(prefix="work-milestone-") as folder:
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        repo.call("read-tree", tree, env=env)
        repo.call("update-index", "-z", "--index-info", stdin=git.encode("".join(lines)), env=env)
        return repo.text("write-tree", env=env)


def _modes(repo: git.Repo, tree: str, paths: list[str]) -> dict[str, str]:
    out = git.decode(repo.call("ls-tree", "-z", tree, "--", *paths).stdout) if paths else ""
    return {row.partition("\t")[2]: row[:6] for row in out.split("\0") if row}


def has_path(repo: git.Repo, tree: str, path: str) -> bool:
    """Tell whether a tree holds a path."""
    return bool(repo.call("ls-tree", "-z", "--name-only", tree, "--", path).stdout)


def read_files(repo: git.Repo, rev: str, *paths: str) -> dict[str, bytes]:
    """Read the files at and below some paths of a commit or tree."""
    rows = git.split(repo.call("ls-tree", "-r", "-z", rev, "--", *paths).stdout)
    blobs = [(row.split(None, 3)[2], row.partition("\t")[2]) for row in rows if row.startswith("100")]
    if not blobs:
        return {}
    done = repo.call("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob, _ in blobs).encode())
    found, at = {}, 0
    for _, path in blobs:
        end = done.stdout.index(b"\n", at)
        size = int(done.stdout[at:end].split()[2])
        found[path] = done.stdout[end + 1 : end + 1 + size]
        at = end + size + 2
    return found


def has_attributes(repo: git.Repo, rev: str) -> bool:
    """Tell whether a commit holds `.gitattributes`, which merges must then see checked out."""
    if rev not in repo.attributed:
        names = git.split(repo.call("ls-tree", "-r", "-z", "--name-only", rev).stdout)
        repo.attributed[rev] = any(_is_attributes(name) for name in names)
    return repo.attributed[rev]


def derive_attributes(repo: git.Repo, new: str, old: str, changed: Iterable[str]) -> None:
    """Note that a commit holds `.gitattributes` as another does, unless it changes one."""
    if old in repo.attributed and not any(_is_attributes(name) for name in changed):
        repo.attributed[new] = repo.attributed[old]


def _is_attributes(path: str) -> bool:
    """Tell whether a path is one of the files that git reads attributes from."""
    return path.rpartition("/")[2] == ".gitattributes"
