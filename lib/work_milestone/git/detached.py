"""Worktrees that stand on a commit and no branch, where gates run; and whose a worktree is.

Rules:
- Files are checked out only where somebody needs them.
- Which session a worktree belongs to stands in its git dir, out of an agent's way.
"""

from __future__ import annotations

from pathlib import Path

from work_milestone.git import checkouts
from work_milestone.git.repo import environment
from work_milestone.git.worktrees import Pool, repository_lock, settle
from work_milestone.system import GitError

_OWNER = "work-milestone-session"


def ensure(pool: Pool, path: Path, commit: str) -> None:
    """Have a worktree at `path`; files are checked out only where somebody needs them."""
    if checkouts.is_unfinished(path):
        if path.exists():
            pool.remove(path)
        with repository_lock(pool.repo):
            # Twice forced: git may still know of one there that is missing, and locked since its making was killed.
            pool.repo.call("worktree", "add", "-f", "-f", "-q", "--detach", "--no-checkout", "--", str(path), commit)
        pool.shown[path] = ""


def checkout(pool: Pool, path: Path, commit: str) -> None:
    """Bring the worktree where gates run to a commit, without leftovers of the one before.

    Ignored files stay: build caches are what makes the second gate quick.
    """
    ensure(pool, path, commit)
    pool.shown.pop(path, None)
    settle(pool.repo, path, commit, "checkout", "-q", "-f", "--detach", commit)
    pool.repo.call("clean", "-ffdq", cwd=path, env=environment({}, pool.config()))
    pool.link(path)


def claim(path: Path, mark: str) -> None:
    """Note in a worktree's git dir, out of an agent's way, which session it belongs to."""
    folder = checkouts.git_dir(path)
    if folder is None:
        raise GitError(f"{path}: no worktree of this repository", 1)
    (folder / _OWNER).write_text(mark)


def disown(path: Path) -> None:
    """Take back that a worktree belongs to a session."""
    if folder := checkouts.git_dir(path):
        (folder / _OWNER).unlink(missing_ok=True)


def is_claimed(path: Path, mark: str) -> bool:
    """Tell whether a worktree still belongs to a session, and is one."""
    folder = checkouts.git_dir(path)
    try:
        return folder is not None and (folder / _OWNER).read_text() == mark
    except (OSError, UnicodeDecodeError):
        return False
