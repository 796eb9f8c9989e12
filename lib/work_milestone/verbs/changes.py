"""What a person decides about an item: `skip` leaves it out, `retry` asks for a new session.

Rule: what changes state refuses while a run is alive, for the run holds what it has read.
"""

from __future__ import annotations

from work_milestone.plan import Item
from work_milestone.run import Run
from work_milestone.store import MergeStatus, records
from work_milestone.system import LockedError, MilestoneError
from work_milestone.verbs import speech


def skip(run: Run, issue: int) -> None:
    """Leave an item out: it counts as settled, what depends on it waits."""
    item = _require_changeable(run, issue, "skip")
    run.receipts.write(records.Merge(status=MergeStatus.SKIPPED, reason="by hand"), issue)
    run.tell("skip", "skipped", "by hand", issue=item.issue)
    left_out = {issue, *run.dispatch.settled_by(issue)}
    held = [f"#{other.issue}" for other in run.dispatch.items.values() if left_out & set(other.depends_on)]
    if held:
        speech.say(f"#{issue} is skipped; {', '.join(held)} depend on it and wait until they are skipped too")
    else:
        speech.say(f"#{issue} is skipped; next: doit milestone n={run.milestone.number}")


def retry(run: Run, issue: int) -> None:
    """Ask for a new session of an item that is not merged, also of one that was skipped."""
    item = _require_changeable(run, issue, "retry")
    earlier = run.standing(issue).work
    run.receipts.remove(records.Merge, issue)
    asked = records.Work(
        status="retry", attempt=run.milestone.folder.attempts(issue), detail="a new session was asked for",
        notes=earlier.notes if earlier else "", spent=earlier.spent if earlier else 0.0,
    )  # fmt: skip
    run.receipts.write(asked, issue)
    run.tell("retry", "asked", "by hand", issue=item.issue)
    speech.say(f"#{issue} gets a new session; next: doit milestone n={run.milestone.number}")


def _require_changeable(run: Run, issue: int, verb: str) -> Item:
    """Raise MilestoneError where a verb would get in the way of a run or of what is merged."""
    item, number = speech.require_item(run, issue, verb), run.milestone.number
    try:
        run.take()
    except LockedError as error:
        raise MilestoneError(
            f"a run of milestone {number} is at work (process {run.lock.holder() or 'unknown'}); stop it, or wait for "
            f"its end, then: doit {verb}:{issue} n={number}"
        ) from error
    run.reread()
    if item.status in ("skipped", "complete"):
        plan = run.milestone.require_plan()
        raise MilestoneError(f"#{issue} is {item.status} in {plan.path}; change that line to {verb} it")
    standing = run.standing(issue)
    if standing.merged:
        raise MilestoneError(f"#{issue} is merged already; there is nothing to {verb}")
    if standing.followed or standing.followup_skipped:
        last = run.dispatch.followers(issue)[-1]
        raise MilestoneError(f"#{issue} is followed up: #{last} has what is left of it; doit {verb}:{last} n={number}")
    if run.is_alive(issue):
        raise MilestoneError(
            f"the session of #{issue} is still at work; doit milestone n={number} waits for it, then: "
            f"doit {verb}:{issue} n={number}"
        )
    return item
