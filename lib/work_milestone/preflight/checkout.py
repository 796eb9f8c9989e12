"""What stands in a run's way in the checkout that the user works in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from work_milestone import git
from work_milestone.git import checkouts, worktrees
from work_milestone.run import Run
from work_milestone.sessions import starts
from work_milestone.system import ProcessError

MOST_NAMED = 8  # files
_UNFINISHED = {"MERGE_HEAD": "merge", "rebase-merge": "rebase", "rebase-apply": "rebase", "CHERRY_PICK_HEAD":
               "cherry-pick", "REVERT_HEAD": "revert", "BISECT_LOG": "bisect"}  # fmt: skip


def find_outside(run: Run) -> Iterator[str]:
    """Look for what makes every other question to git pointless."""
    root = run.milestone.root
    try:
        version = git.version()
    except ProcessError:
        yield "git is not on PATH; install git 2.38 or newer"
        return
    if version < git.LEAST_VERSION:
        yield f"git {'.'.join(map(str, version))} is too old: 2.38 or newer is needed (for merge-tree --write-tree)"
        return
    top = run.repo.call("rev-parse", "--show-toplevel", accept=range(256))
    if top.returncode != 0:
        yield f"{root}: not in a work tree of a git repository; begin one: git init && git commit"
    elif git.decode(top.stdout).rstrip("\n") != str(root.resolve()):
        where = git.decode(top.stdout).rstrip("\n")
        yield f"{root}: not the top of its repository; dodo.py and plan/ belong into {where}"
    elif run.repo.resolve("HEAD") is None:
        yield f"{root}: the repository has no commit yet; make the first one"


def find_faults(run: Run) -> Iterator[str]:
    """Look at the checkout that the user works in."""
    root = run.milestone.root
    yield from _find_session(root)
    if (root / ".claude").is_file():
        yield f"{root / '.claude'}: a file; sessions need a folder of that name for their lock file"
    for name in ("items", "waves", "gates", "worktrees", "integration"):
        if (path := run.milestone.folder.path / name).exists() and not path.is_dir():
            yield f"{path}: a file, where the run keeps a folder; move it away"
    folder = run.repo.text("rev-parse", "--path-format=absolute", "--git-dir")
    for name, what in _UNFINISHED.items():
        if (root / folder / name).exists():
            yield f"{root}: a {what} is unfinished; finish it or abort it: git status shows how"
    yield from _find_dirty(run)
    if run.repo.call("var", "GIT_COMMITTER_IDENT", accept=range(256)).returncode != 0:
        yield "git does not know who commits: git config user.name NAME && git config user.email ADDRESS"


def _find_session(root: Path) -> Iterator[str]:
    """Look whether this is a session's own process or worktree: the tool is not started inside one."""
    if starts.depth():
        yield (
            f"this is inside a session (item {os.environ.get('MILESTONE_ITEM', '?')} of milestone "
            f"{os.environ.get('MILESTONE_NUMBER', '?')}), which does not start sessions of its own; who is no agent: "
            f"unset {starts.DEPTH}"
        )
    if (root / worktrees.LOCK_FILE).exists():
        yield (
            f"{root / worktrees.LOCK_FILE}: this is a session's own worktree; the tool is not started inside one (if "
            "no session is at work here, remove the file)"
        )


def _find_dirty(run: Run) -> Iterator[str]:
    """Look for what is modified: no session would see it."""
    root = run.milestone.root
    if run.milestone.settings.allow_dirty or run.is_complete:
        return
    own = {f"plan/milestone-{run.milestone.number}-dispatch.yaml", "milestone.yaml"}
    state = checkouts.read_state(run.repo, root, untracked=False)
    dirty = sorted({*state.tracked, *state.unmerged} - own)
    if dirty:
        more = f" and {len(dirty) - MOST_NAMED} more" if len(dirty) > MOST_NAMED else ""
        yield (
            f"{root}: tracked files are modified and would be missing from every session: "
            f"{', '.join(dirty[:MOST_NAMED])}{more}; commit or stash them, or go on without: allow_dirty=yes"
        )
