"""Salvage: what a session left uncommitted, and what nothing else would keep.

Rules:
- Nothing uncommitted is thrown away before it is pinned under a ref.
- A ref that keeps one thing is not set to another.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from work_milestone import checkouts, git


def commit_rest(repo: git.Repo, path: Path, env: Mapping[str, str], subject: str) -> None:
    """Commit all that a session left uncommitted. Hooks do not run: they were the session's to satisfy."""
    _add_all(repo, path, env)
    own = ("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null")
    repo.call(*own, "commit", "-q", "--no-verify", "-m", subject, cwd=path, env=env)


def pin(repo: git.Repo, path: Path, env: Mapping[str, str], ref: str, date: float) -> None:
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
        own = {**env, "GIT_INDEX_FILE": str(index)}
        try:
            _add_all(repo, path, own)
            tree = repo.text("write-tree", cwd=path, env=own)
        finally:
            index.unlink(missing_ok=True)
        commit = repo.commit_tree(tree, [commit], "uncommitted work of a session\n", date)
    keep(repo, ref, commit)


def keep(repo: git.Repo, ref: str, commit: str) -> None:
    """Keep a commit under a ref, or beside it where that keeps another."""
    if (repo.resolve(ref) or commit) != commit:
        ref = f"{ref}-{commit[:12]}"
    repo.move(ref, commit)


def _add_all(repo: git.Repo, path: Path, env: Mapping[str, str]) -> None:
    # What git cannot add (a repository without a commit, a file without the right to read) holds nothing else back.
    repo.call("add", "-A", "--ignore-errors", cwd=path, env=env, accept=range(256))
