"""An item's session: adopt it, judge it, or begin attempts until one counts.

Rules:
- Judged: a new attempt, for the same line was typed again. Dead without a record: crashed, and tried again.
- `transient`, `timeout` and `turns` alone are tried again by themselves, up to `retries` times. What ended for no
  reason of its own (crashed, or stopped with an earlier run) is begun again once; quota is a state of the run, which
  the breaker waits out: both spend no retry. Who was stopped by hand is not begun again by the run.
- No session starts where nothing is left of its item's budget, or of that of all.
- A renewal of quota that an earlier line was told is waited for by the next one too, unless another agent or
  model is chosen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import Enum, auto

from work_milestone.plan import Item
from work_milestone.run import Run, find_renewal, step
from work_milestone.sessions import places, preparation, results, starts
from work_milestone.sessions.preparation import IDLE
from work_milestone.store import LANDING, RETRIED, WITH_WORK, Kind, Session, records
from work_milestone.supervision import requests
from work_milestone.system import MilestoneError, process, process_table
from work_milestone.text import one_line

UNDECIDED = frozenset({Session.CRASHED, Session.STOPPED})


class Next(Enum):
    """What follows a session's end: nothing, or another attempt: at once, when the quota is renewed, as a retry."""

    END = auto()
    REVIVE = auto()
    RENEW = auto()
    RETRY = auto()


def decide(status: Session, *, given_up: bool, stopping: bool, revived: bool, retries: int) -> Next:
    """Say what follows a session's end; `revived`: one that ended for no reason of its own was begun again. Pure."""
    if given_up:
        return Next.END
    if status in UNDECIDED and not revived and not stopping:
        return Next.REVIVE
    if status is Session.QUOTA:
        return Next.RENEW
    return Next.RETRY if status in RETRIED and retries else Next.END


def is_done(run: Run, item: Item) -> bool:
    """Tell whether no session is needed."""
    return not run.standing(item.issue).needs_session


@step(is_done=is_done, leaves=records.Work)
def work(run: Run, item: Item) -> None:
    """Bring the item's session to a result: adopt, judge, or begin attempts until one counts."""
    if is_done(run, item) or (run.find_attempt(item.issue)[1] in IDLE and run.find_unmet(item)):
        return
    see_through(run, item.issue, lambda: _attempt(run, item), lambda: preparation.begin_anew(run, item))


def _attempt(run: Run, item: Item) -> Session:
    """See the latest attempt to its end, or a new one where it has ended."""
    if run.find_kind(item.issue) is not Kind.WORK:
        starts.take_up(run, item.issue)  # it mended what there is no receipt of any more
    if (status := starts.take_up(run, item.issue)) is not None:
        return status
    number, folder = run.milestone.folder.attempts(item.issue) + 1, run.milestone.folder.item(item.issue)
    taken = run.receipts.load(records.Worktree, item.issue)
    if taken is None or taken.attempt != number or places.is_anothers(run, item.issue):
        preparation.begin_anew(run, item)
    starts.await_end(run, item.issue, number, starts.start(run, item.issue, folder / "prompt.md").wait)
    return results.judge(run, item.issue, number)


def see_through(run: Run, issue: int, attempt: Callable[[], Session], prepare: Callable[[], None]) -> Session:
    """Make attempts until one counts, and return how it ended; `stopped` also where none may start, for its budget.

    `prepare` is called before each but the first.
    """
    retries, revived = run.milestone.settings.retries, False
    while True:
        _, before = run.find_attempt(issue)
        if before in IDLE and not _may_start(run, issue):
            return Session.STOPPED
        status = _dare(run, issue, attempt)
        _note(run, issue, status, outlived=before == "finished")
        follows = decide(status, given_up=_was_given_up(run, issue), stopping=process.stopping.is_set(),
                         revived=revived, retries=retries)  # fmt: skip
        if follows is Next.RETRY:
            retries -= 1
            run.breaker.await_backoff()
        revived = revived or follows is Next.REVIVE
        if follows is Next.END or not _may_start(run, issue):
            return status
        following = run.milestone.folder.attempts(issue) + 1
        run.tell("spawn", "retry", f"{status}; attempt {following} follows", issue=issue)
        prepare()


def _was_given_up(run: Run, issue: int) -> bool:
    """Tell whether a person has stopped the latest session of an item on its own while this run was at work."""
    folder = run.milestone.folder
    return requests.was_asked(folder.attempt(issue, folder.attempts(issue)), process_table.find_name(os.getpid()))


def _dare(run: Run, issue: int, attempt: Callable[[], Session]) -> Session:
    """Make an attempt; what keeps it from being begun is known at the end of the run too."""
    try:
        return attempt()
    except process.Stopped:
        raise
    except MilestoneError as error:
        run.kept_back[issue] = one_line(str(error))
        raise


def _may_start(run: Run, issue: int) -> bool:
    """Wait until a session of an item may start; tell whether one may. Raise Stopped when the run is stopped."""
    limit = run.milestone.settings.total_budget_usd
    if limit is not None and run.spent >= limit:
        run.breaker.halt(f"${run.spent:.2f} are spent, and total_budget_usd is ${limit:g}; raise it to go on")
    agent = run.breaker.await_open(places.find_agents(run, issue), lambda: _was_given_up(run, issue))
    if agent is None:
        return False
    if agent != run.session_settings(issue, run.chosen.get(issue)).agent:
        run.tell("spawn", "fallback", f"{agent} stands in", issue=issue)
    run.chosen[issue] = agent
    if spent := preparation.find_overspent(run, issue):
        run.tell("spawn", "budget", spent, issue=issue)
    return not spent


def _note(run: Run, issue: int, status: Session, *, outlived: bool) -> None:
    """Tell the breaker what a session's end means for the others; `outlived` of one whose run was gone by then."""
    standing = run.standing(issue)
    known = [record for record in (standing.work, standing.mend) if record]
    latest = max(known, key=lambda record: record.attempt, default=None)
    if latest and status is Session.QUOTA:
        until = find_renewal(latest.as_refused, time.time())
        # Else it is renewed by now, or whoever typed the line again may have bought more.
        if not outlived or (until is not None and until > time.time()):
            run.breaker.pause(latest.agent, until, latest.detail)
    elif latest and status is Session.AUTH and not outlived:
        run.breaker.halt(latest.detail)
    elif status in WITH_WORK:
        run.breaker.succeed()


def await_quota(run: Run) -> None:
    """Hold back what an earlier line was told to wait for: whoever types it again is refused again before that."""
    for issue in (*run.dispatch.items, LANDING):
        standing = run.standing(issue)
        known = [record for record in (standing.work, standing.mend) if record]
        held = [record.as_refused for record in known if record.outcome is Session.QUOTA and not standing.settled]
        for refused in (*held, *(record.refused for record in known if record.refused)):
            until, now = find_renewal(refused, time.time()), run.session_settings(issue, refused.agent)
            same = refused.agent in places.find_agents(run, issue) and refused.model == now.model
            if same and until is not None and until > time.time():
                run.breaker.pause(refused.agent, until, refused.detail)
