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

from work_milestone import git
from work_milestone.run import Run, step
from work_milestone.store import records
from work_milestone.system import MilestoneError


def is_ready(run: Run) -> bool:
    """Tell whether the branch stands, or is not needed any more."""
    if run.history.made is None:
        return False
    head = run.repo.resolve(run.history.ref)
    return run.is_complete if head is None else not run.is_behind(head)


def is_foreign(run: Run) -> bool:
    """Tell whether a branch of the name exists that this run has not made."""
    return run.history.made is None and run.repo.resolve(run.history.ref) is not None


@step(is_done=is_ready, leaves=records.Branch)
def begin(run: Run) -> None:
    """Make the branch from main, or take up the one that stands."""
    history, made = run.history, run.history.made
    main = run.repo.resolve(history.main_ref)
    if main is None:
        raise MilestoneError(f"branch {history.main} does not exist; name the one to land on: main=NAME")
    old = run.repo.resolve(history.ref)
    follows = old is not None and run.is_behind(old)
    if made is None:
        target = _begin_anew(run, main, old)
    elif follows:
        target = main
    else:
        # A milestone that has landed and got new items starts from main as it is now. One that has not was killed
        # before it made the branch, or the branch was deleted: what was merged is merged again, from sessions' heads.
        target = old or (main if history.parts else made.base)
    if old != target:
        run.repo.move(history.ref, target, old or git.ABSENT)
    if follows:
        _record(run, main)  # after the ref: of a run killed between the two the branch follows main all the same
    history.note_head(target)
    run.tell("branch", "ready", f"{history.branch} at {target[:10]}")


def _begin_anew(run: Run, main: str, old: str | None) -> str:
    """Write down that the branch is this run's; return where it is to stand. `old` is one of that name."""
    resumed = old if run.milestone.settings.branch != "recreate" else None
    if old and not resumed:
        run.repo.move(f"refs/milestone/{run.milestone.number}/replaced/{old[:12]}", old)
    _record(run, (run.repo.merge_base(main, resumed) or main) if resumed else run.history.find_first_base(main))
    return resumed or main


def _record(run: Run, base: str) -> None:
    made = records.Branch(status="made", branch=run.history.branch, base=base, main=run.history.main)
    run.receipts.write(made, durable=True)
    run.reread()
