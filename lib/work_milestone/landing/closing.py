"""The close of a landed milestone: the backlog says so, and nothing of the run is left in git but what it keeps.

Rules:
- Nothing goes away while a session is still at work.
- Only the run's own branches are deleted, none that is checked out; what was not merged is kept under a ref first.
"""

from __future__ import annotations

import re
import time

from work_milestone.git import checkouts, salvage, worktrees
from work_milestone.landing import landing
from work_milestone.landing.candidate import Candidate
from work_milestone.run import Run, step
from work_milestone.store import LANDING, records
from work_milestone.system import MilestoneError
from work_milestone.text import count, size

_OURS = re.compile(r"refs/heads/work/\d+/\d+(-[^/]*)?")


def is_closed(run: Run) -> bool:
    """Tell whether the milestone is closed and nothing of the run is left in git."""
    record = run.receipts.load(records.Milestone)
    closed = record is not None and record.status == "closed"
    return closed and landing.is_landed(run) and run.repo.resolve(run.history.ref) is None


@step(is_done=is_closed)
def close(run: Run) -> None:
    """Close the milestone: the backlog says so, worktrees and branches go away, the receipts stay."""
    _require_idle(run)
    head, landed = run.repo.resolve(run.history.ref), run.receipts.load(records.Land)
    if head is not None and (landed is None or landed.status != "landed" or landed.head != head):
        # It was landed by somebody else, or by a run that was killed since.
        main = str(run.repo.resolve(run.history.main_ref))
        landing.record(run, Candidate(main, main, head))
    for item in run.dispatch.items.values():
        standing = run.standing(item.issue)
        if standing.merged and standing.parts:
            run.tasks.write_done(item, time.time())
    run.tasks.close()
    taken = run.pool.measure(run.place)
    run.pool.remove_all(run.place)
    _delete_branches(run)
    worktrees.remove_repository_lock(run.repo)
    run.lock.remove()
    run.receipts.write(records.Milestone(status="closed"), durable=True)
    run.reread()
    removed = f"; worktrees of {size(taken)} removed" if taken else ""
    run.tell("milestone", "closed", count(len(run.dispatch.items), "item") + removed)


def _require_idle(run: Run) -> None:
    """Raise MilestoneError while a session is at work, as that of an item which has left the plan may be."""
    if alive := [issue for issue in run.issues if run.is_alive(issue)]:
        names = ", ".join("the landing" if issue == LANDING else f"#{issue}" for issue in alive)
        raise MilestoneError(
            f"sessions of {names} are still at work; when they are done: doit milestone n={run.milestone.number}"
        )


def _delete_branches(run: Run) -> None:
    """Delete the run's own branches; what of a session's work was not merged is kept under a ref first."""
    number, history, folder = run.milestone.number, run.history, run.milestone.folder
    landed = run.receipts.load(records.Land)
    if landed and landed.pushed_branch and history.remote:
        run.repo.call("push", "--quiet", history.remote, "--delete", history.ref, accept=range(256))
    in_use = {f"refs/heads/{found.branch}" for found in checkouts.find_all(run.repo)}
    heads = run.repo.refs(f"refs/heads/work/{number}")
    spent = [*run.repo.refs(f"refs/milestone/{number}/candidate"), history.ref]
    ours = folder.issues() | run.dispatch.items.keys() | {LANDING}
    for ref, head in heads.items():
        issue = int(ref.split("/")[4].partition("-")[0]) if _OURS.fullmatch(ref) else None
        if issue in ours and issue is not None:
            if head not in history.parts.get(issue, {}):
                salvage.keep(run.repo, history.attempt_ref(issue, folder.attempts(issue)), head)
            spent.append(ref)
    run.repo.delete(ref for ref in spent if ref not in in_use)
