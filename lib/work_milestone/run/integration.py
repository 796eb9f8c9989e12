"""The integration branch: made from main by this run, moved by nothing but compare and swap.

Rules:
- A branch of that name which this run has not made is foreign: it is resumed or replaced when a person says so,
  and what is replaced stays under a ref.
- The receipt is written before the ref, so that a run killed between the two finds its own branch and not a
  foreign one.
- As long as nothing rests on it, it follows main: who mends main before anything has begun begins with what is mended.
- The branch is checked out nowhere; gates see it in a worktree of their own, detached.
"""

from __future__ import annotations

from pathlib import Path

from work_milestone import git
from work_milestone.run.context import TRAILER
from work_milestone.run.run import Run
from work_milestone.system.errors import MilestoneError


def is_ready(run: Run) -> bool:
    """Tell whether the branch stands, or is not needed any more."""
    if run.branch_receipt is None:
        return False
    head = run.repo.resolve(run.ref)
    return run.complete if head is None else not run.is_behind(head)


def is_foreign(run: Run) -> bool:
    """Tell whether a branch of the name exists that this run has not made."""
    return run.branch_receipt is None and run.repo.resolve(run.ref) is not None


def folder(run: Run) -> Path:
    """The worktree where gates run."""
    return run.folder.path / "integration"


def head(run: Run) -> str:
    """The branch's head, as this run left it. Raise MilestoneError when somebody has taken the branch away.

    Whoever builds on it moves the branch by compare and swap, which tells when it is not there any more.
    """
    if run.head is not None:
        return run.head
    found = run.head = run.repo.resolve(run.ref)
    if found is None:
        raise MilestoneError(
            f"branch {run.branch} is gone; `git reflog` may show where it was; "
            f"`git branch {run.branch} COMMIT` puts it back"
        )
    return found


def begin(run: Run) -> None:
    """Make the branch from main, or take up the one that stands."""
    main = run.repo.resolve(run.main_ref)
    if main is None:
        raise MilestoneError(f"branch {run.main} does not exist; name the one to land on: main=NAME")
    old = run.repo.resolve(run.ref)
    follows = old is not None and run.is_behind(old)
    if run.branch_receipt is None:
        resumed = old is not None and run.settings.branch != "recreate"
        if old and not resumed:
            run.repo.move(f"refs/milestone/{run.number}/replaced/{old[:12]}", old)
        base = (run.repo.merge_base(main, old) or main) if old and resumed else _first_base(run, main)
        target = old if old and resumed else main
        _record(run, base)
    elif follows:
        target = main
    else:
        # A milestone that has landed and got new items starts from main as it is now. One that has not was killed
        # before it made the branch, or the branch was deleted: what was merged is merged again, from sessions' heads.
        target = old or (main if run.parts else str(run.branch_receipt["base"]))
    if old != target:
        run.repo.move(run.ref, target, old or git.ABSENT)
    if follows:
        _record(run, main)  # after the ref: of a run killed between the two the branch follows main all the same
    run.head = target
    run.tell("branch", "ready", f"{run.branch} at {target[:10]}")


def _record(run: Run, base: str) -> None:
    path = run.folder.path / "branch.json"
    run.folder.write(path, "branch", "made", durable=True, branch=run.branch, base=base, main=run.main)
    run.reread()


def _first_base(run: Run, main: str) -> str:
    """The commit from which on this milestone's squash commits are looked for.

    Main's head, unless main bears some of them already, from a run whose folder is gone.
    """
    found = run.repo.trailers(TRAILER, main)
    ours = [commit for commit, trailers in found if trailers[TRAILER] == str(run.number)]
    if not ours:
        return main
    return run.repo.resolve(f"{ours[-1]}^") or main
