"""Salvage: what a session left uncommitted, and what nothing else would keep.

Rules:
- Nothing uncommitted is thrown away before it is pinned under a ref.
- A ref that keeps one thing is not set to another.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from work_milestone.git import checkouts
from work_milestone.git.repo import Repo, split
from work_milestone.system import GitError
from work_milestone.text import last_line, shown


def commit_rest(repo: Repo, path: Path, env: Mapping[str, str], subject: str) -> None:
    """Commit all that a session left uncommitted. Hooks do not run: they were the session's to satisfy."""
    _add_all(repo, path, env)
    own = ("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null")
    # Exit code 1: there was nothing that git could add.
    repo.call(*own, "commit", "-q", "--no-verify", "-m", subject, cwd=path, env=env, accept=(0, 1))


def pin(repo: Repo, path: Path, env: Mapping[str, str], ref: str, date: float) -> None:
    """Keep a worktree's head, and what is uncommitted in it, under a ref."""
    state = checkouts.read_state(repo, path, env=env)
    if state.head is None:
        return
    commit = state.head
    if state.is_dirty:
        index = path.parent / f".{path.name}.pin-index"
        current = (checkouts.git_dir(path) or path / ".git") / "index"
        if current.exists():
            shutil.copyfile(current, index)
        commit = _commit_all(repo, path, {**env, "GIT_INDEX_FILE": str(index)}, commit, date)
    keep(repo, ref, commit)


def rescue(repo: Repo, path: Path, env: Mapping[str, str], ref: str, head: str, date: float) -> None:
    """Keep the files of a folder that was a worktree, on top of the commit that its branch stands on."""
    index = path.parent / f".{path.name}.pin-index"
    own = {**env, "GIT_DIR": str(repo.common), "GIT_WORK_TREE": str(path), "GIT_INDEX_FILE": str(index)}
    repo.call("read-tree", head, cwd=path, env=own)
    commit = _commit_all(repo, path, own, head, date)
    if repo.tree_of(commit) != repo.tree_of(head):
        keep(repo, ref, commit)


def _commit_all(repo: Repo, path: Path, env: Mapping[str, str], head: str, date: float) -> str:
    """Commit all files of a folder through an index of its own, which goes away."""
    try:
        _add_all(repo, path, env)
        tree = repo.text("write-tree", cwd=path, env=env)
    finally:
        Path(env["GIT_INDEX_FILE"]).unlink(missing_ok=True)
    return repo.commit_tree(tree, [head], "uncommitted work of a session\n", date)


def keep(repo: Repo, ref: str, commit: str) -> None:
    """Keep a commit under a ref, or beside it where that keeps another without it."""
    kept = repo.resolve(ref)
    if kept and kept != commit:
        if repo.is_ancestor(commit, kept):
            return
        ref = f"{ref}-{commit[:12]}"
    repo.move(ref, commit)


def _add_all(repo: Repo, path: Path, env: Mapping[str, str]) -> None:
    """Add all files to an index. Raise GitError where git has left one out that can be read.

    What cannot be added at all (a repository without a commit, a file without the right to read) holds nothing back.
    """
    own = ("-c", "core.safecrlf=false", "-c", "advice.addEmbeddedRepo=false")
    done = repo.call(*own, "add", "-A", "--ignore-errors", cwd=path, env=env, accept=range(256))
    if done.returncode and (left := _find_left(repo, path, env)):
        words = last_line(done.stderr.decode(errors="replace"))
        raise GitError(f"{path}: git could not take {shown(left)} (exit {done.returncode}): {words}", done.returncode)


def _find_left(repo: Repo, path: Path, env: Mapping[str, str]) -> str:
    """Name a file that can be read and that an index does not hold as it is, "" when there is none."""
    which = ("--others", "--modified", "--exclude-standard")
    for name in split(repo.call("ls-files", "-z", *which, cwd=path, env=env).stdout):
        file = path / name
        if file.is_symlink() or (file.is_file() and os.access(file, os.R_OK)):
            return name
    return ""
