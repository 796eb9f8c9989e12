"""What an attempt came to: its exit, its agent's words and what git shows become the record of its item.

Rules:
- The record is written before the worktree is given back.
- A cost that an agent reports for a whole conversation is counted once.
- A session that mends and failed leaves standing what an earlier one had brought.
"""

from __future__ import annotations

import time
from pathlib import Path

from work_milestone import agents
from work_milestone.agents import Agent, Outcome, Report
from work_milestone.git import detached, worktrees
from work_milestone.run import Run
from work_milestone.sessions import exits, keeping, places
from work_milestone.sessions.keeping import Made
from work_milestone.store import Kind, Session, records
from work_milestone.supervision import Exit, record
from work_milestone.system import process_table
from work_milestone.text import count, masking

MOST_TOLD = 1000  # characters of the reason why a session has ended


def judge(run: Run, issue: int, number: int) -> Session:
    """Say how an attempt ended, keep what it made, write the record, free its worktree."""
    attempt, kind = run.milestone.folder.attempt(issue, number), run.find_kind(issue)
    started, end = _find_started(run, issue, number), record.read(attempt)
    if end is None and started:
        process_table.sweep(started.mark)
    worker = agents.find(started.agent if started else "", run.milestone.settings.agents)
    outcome, report = exits.judge(worker, started, end, attempt)
    made = Made()
    if started:
        outcome, made = keeping.keep(run, run.history.attempt_ref(issue, number), kind, started, outcome)
    earlier = run.receipts.load(records.Work if kind is Kind.WORK else records.Mend, issue)
    work = _describe(started, end, outcome, report, made, attempt, earlier, worker)
    if kind is Kind.WORK:
        run.receipts.write(work, issue)
    else:
        work = run.receipts.write(_describe_mend(work, started, earlier, made), issue)
    run.begin(issue)
    if made.head and kind is Kind.WORK:
        run.history.note_commit(made.head)
    if started and not places.is_resumable(work):
        _give_back(run, Path(started.path), started.mark)
    words = work.detail or f"{count(len(made.commits), 'commit')}, {count(len(made.files), 'file')}"
    run.tell("spawn" if kind is Kind.WORK else kind.value, outcome.status.value, words, issue=issue,
             elapsed=work.elapsed, cost=outcome.cost)  # fmt: skip
    return outcome.status


def _describe(
    started: records.Started | None, end: Exit | None, outcome: Outcome, report: Report, made: Made, attempt: Path,
    earlier: records.Work | None, worker: Agent,
) -> records.Work:  # fmt: skip
    """Write down what was said and seen; keys that others must not see are masked."""
    began = started.started if started else time.time()
    cost, spent = _count_cost(outcome.cost, earlier, resumed=bool(started and started.resumed), sums=worker.sums_cost)
    is_refused = end is not None and outcome.status is Session.QUOTA
    return records.Work(
        status=outcome.status.value,
        attempt=int(attempt.name),
        detail=masking.mask(outcome.detail)[:MOST_TOLD],
        conversation=_find_conversation(worker, started, end, outcome, attempt),
        notes=masking.mask(report.notes)[:4000],
        blocker=masking.mask(report.blocker)[:2000],
        until=agents.find_renewal(outcome.detail, end.ended) if end and is_refused else None,
        started=began,
        elapsed=end.elapsed if end else max(0.0, time.time() - began),
        log=str(attempt),
        cost=cost,
        spent=spent,
        branch=made.branch,
        base=made.base,
        head=made.head,
        rooted=made.rooted,
        files=made.files,
        commits=made.commits,
        path=started.path if started else "",
        mark=started.mark if started else "",
        agent=started.agent if started else "",
        model=started.model if started else "",
        refused=_find_refused(started, earlier),
    )


def _count_cost(
    cost: float | None, earlier: records.Work | None, *, resumed: bool, sums: bool
) -> tuple[float | None, float]:
    """Add a session's cost up, in US dollars: that of its conversation, and all that was spent.

    Where its agent `sums`, it holds what the conversation had cost before.
    """
    spent, before = (earlier.spent, earlier.cost or 0.0) if earlier else (0.0, 0.0)
    if not resumed:
        return cost, spent + (cost or 0.0)
    cost = cost if cost is None or sums else before + cost
    return (before if cost is None else cost), spent - before + max(before, cost or 0.0)


def _find_conversation(
    worker: Agent, started: records.Started | None, end: Exit | None, outcome: Outcome, attempt: Path
) -> str:
    """Find the id by which the conversation goes on, "" where its agent has said that nobody knows it any more."""
    if end and outcome.status is Session.CRASHED:
        return ""
    known = started.conversation if started else ""
    return agents.as_id(outcome.conversation or known or exits.find_conversation(worker, attempt))


def _find_refused(started: records.Started | None, earlier: records.Work | None) -> records.Refused | None:
    """Return who was refused before: that is known on, though another stood in."""
    if earlier is None:
        return None
    refused = earlier.as_refused if earlier.outcome is Session.QUOTA else earlier.refused
    return refused if refused and refused.agent != (started.agent if started else "") else None


def _describe_mend(
    work: records.Work, started: records.Started | None, earlier: records.Work | None, made: Made
) -> records.Mend:
    """Say whose work a session has mended, what mends it now, and what did before the fixes that it goes on with."""
    of = started.of if started else ""
    known = earlier if isinstance(earlier, records.Mend) and of and earlier.of == of else None
    before = known.made if known else records.Mended()
    goes_on = started is not None and started.kind is before.kind is Kind.FIX
    now = (
        records.Mended(head=made.head, merged=started.merged, onto=started.base, kind=started.kind)
        if started and made.head
        else before
    )
    return records.Mend.describe(work, of, now, known.before if known and goes_on else before)


def _find_started(run: Run, issue: int, number: int) -> records.Started | None:
    """Read where an attempt works, from what was written for it first where its own receipt is damaged."""
    started, lock = run.receipts.load(records.Started, issue, number), run.receipts.load(records.Lock, issue)
    taken = run.receipts.load(records.Worktree, issue)
    if started is None and lock is not None and taken is not None and taken.attempt == number:
        return records.Started(
            status="started", mark=lock.mark, path=taken.path, branch=taken.branch, base=taken.base, attempt=number,
            kind=taken.kind, started=taken.ended, agent=taken.agent, conversation=taken.conversation,
        )  # fmt: skip
    return started


def _give_back(run: Run, place: Path, mark: str) -> None:
    """Free a worktree that is still this session's, once the result is written."""
    if detached.is_claimed(place, mark):
        (place / worktrees.LOCK_FILE).unlink(missing_ok=True)
        run.pool.free(place)
