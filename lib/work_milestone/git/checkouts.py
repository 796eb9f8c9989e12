"""Checkouts: the worktrees that git knows of a repository, and what stands in one.

Rules:
- Nothing is changed here, not even an index, and any bytes may be in a path.
- What a checkout would not bring in order is told from git's own files: an unfinished operation, bent settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from work_milestone.git.repo import Repo, decode, split

_SPARSE = "info/sparse-checkout"
_UNFINISHED = ("rebase-merge", "rebase-apply", "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG",
               "sequencer", "index.lock", "HEAD.lock", "locked", "modules")  # fmt: skip


class Checkout(NamedTuple):
    """A worktree that git knows: `head` None when unborn, `branch` None when detached."""

    path: Path
    head: str | None
    branch: str | None
    locked: bool
    prunable: bool
    bare: bool


class State(NamedTuple):
    """What `git status` says of a worktree."""

    head: str | None
    branch: str | None
    tracked: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    unmerged: tuple[str, ...] = ()

    @property
    def is_dirty(self) -> bool:
        """Tell whether anything is uncommitted."""
        return bool(self.tracked or self.untracked or self.unmerged)


def find_all(repo: Repo) -> list[Checkout]:
    """List the worktrees of the repository, the main one first."""
    out = decode(repo.call("worktree", "list", "--porcelain", "-z").stdout)
    found = []
    for block in out.split("\0\0"):
        fields = dict([*line.split(" ", 1), ""][:2] for line in block.split("\0") if line)
        if "worktree" in fields:
            branch = fields.get("branch", "").removeprefix("refs/heads/") or None
            found.append(
                Checkout(Path(fields["worktree"]), fields.get("HEAD"), branch, "locked" in fields,
                         "prunable" in fields, "bare" in fields)
            )  # fmt: skip
    return found


def read_state(repo: Repo, cwd: Path, *, untracked: bool = True, env: Mapping[str, str] | None = None) -> State:
    """Return what `git status` says of a worktree."""
    mode = "normal" if untracked else "no"
    done = repo.call("status", "--porcelain=v2", "--branch", "-z", f"--untracked-files={mode}",
                     "--ignore-submodules=none", cwd=cwd, env=env)  # fmt: skip
    return parse_status(decode(done.stdout))


def parse_status(text: str) -> State:
    """Read `git status --porcelain=v2 --branch -z`."""
    head = branch = None
    groups: dict[str, list[str]] = {"tracked": [], "untracked": [], "unmerged": []}
    rows = iter(text.split("\0"))
    for row in rows:
        kind, _, rest = row.partition(" ")
        if kind == "#":
            key, _, value = rest.partition(" ")
            head = value if key == "branch.oid" and value != "(initial)" else head
            branch = value if key == "branch.head" and value != "(detached)" else branch
        elif kind == "1":
            groups["tracked"].append(rest.split(" ", 7)[7])
        elif kind == "2":
            groups["tracked"].append(rest.split(" ", 8)[8])
            next(rows)
        elif kind == "u":
            groups["unmerged"].append(rest.split(" ", 9)[9])
        elif kind == "?":
            groups["untracked"].append(rest)
    tracked, untracked, unmerged = (tuple(groups[key]) for key in ("tracked", "untracked", "unmerged"))
    return State(head, branch, tracked, untracked, unmerged)


def git_dir(path: Path) -> Path | None:
    """Return a linked worktree's own git dir, None when it has none."""
    try:
        mark, _, name = decode((path / ".git").read_bytes()).rstrip("\n").partition(": ")
    except OSError:
        return None
    return Path(name) if mark == "gitdir" and Path(name).is_dir() else None


def find_misplacement(repo: Repo, path: Path, begun: tuple[str, str] | None) -> str:
    """Say how a worktree is not what it should be: itself, on a branch at a commit (None: anywhere); "" when it is."""
    done = repo.call("rev-parse", "--show-toplevel", "HEAD", "--symbolic-full-name", "HEAD", cwd=path, accept=(0, 128))
    told = decode(done.stdout).removesuffix("\n").rsplit("\n", 2)
    if len(told) < 3:
        return f"{path}: no worktree of a repository"
    top, head, ref = told
    if Path(top) != path.resolve():
        return f"{path}: git takes it for a part of {top}"
    if begun is None:
        return ""
    branch, base = begun
    if ref != f"refs/heads/{branch}":
        return f"{path}: on {ref.removeprefix('refs/heads/')}, not on {branch}"
    return "" if head == base else f"{path}: at {head[:10]}, not at {base[:10]}"


def head_of(path: Path) -> str | None:
    """Return what a worktree's HEAD says, a commit when it is detached, without asking git."""
    folder = git_dir(path)
    try:
        return (folder / "HEAD").read_text().strip() if folder else None
    except OSError:
        return None


def is_filled(path: Path) -> bool:
    """Tell whether files were ever checked out into a linked worktree: one made without them has no index."""
    folder = git_dir(path)
    return folder is not None and (folder / "index").exists()


def is_unfinished(path: Path) -> bool:
    """Tell whether a worktree is in the middle of something, or is none."""
    folder = git_dir(path)
    return folder is None or any((folder / name).exists() for name in _UNFINISHED)


def is_bent(repo: Repo, path: Path) -> bool:
    """Tell whether a session has set something for its worktree alone that a checkout would not undo."""
    own = git_dir(path) or path
    if any(_content(own / name) != _content(repo.git_dir / name) for name in ("config.worktree", _SPARSE)):
        return True
    # Only an index of version 3 or more holds entries that git is told not to look at (gitformat-index).
    if (repo.git_dir / _SPARSE).exists() or _index_version(own) <= 2:
        return False
    listed = repo.call("ls-files", "-v", "-z", cwd=path).stdout
    return any(not entry.startswith("H ") for entry in split(listed))


def _index_version(folder: Path) -> int:
    try:
        with (folder / "index").open("rb") as file:
            return int.from_bytes(file.read(8)[4:], "big")
    except OSError:
        return 0


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
