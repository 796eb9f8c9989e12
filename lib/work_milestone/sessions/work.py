"""An item's session: adopt it, judge it, or begin attempts until one counts.

Rules:
- The latest attempt decides. Alive: wait for it. Finished and not yet judged: judge it. Dead without a record:
  crashed, and tried again. Judged: a new attempt, for the same line was typed again.
- Two agents never work in one worktree.
- `transient`, `timeout` and `turns` alone are tried again by themselves, up to `retries` times.
- An agent is handed what is left of its item's budget, and none is started where nothing is left.
- A renewal of quota that an earlier line was told is waited for by the next one too, unless another agent or
  model is chosen.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from work_milestone import agents
from work_milestone.agents.api import Call
from work_milestone.plan import Item
from work_milestone.run.breaker import FARTHEST, RECENT
from work_milestone.run.run import Run
from work_milestone.sessions import environment as session_env
from work_milestone.sessions import halting, preparation, progress, proofs, results
from work_milestone.settings import SessionSettings, session_settings
from work_milestone.store.outcomes import RETRIED, WITH_WORK, Kind, Session
from work_milestone.store.receipts import LANDING, Receipt
from work_milestone.supervision import attempts
from work_milestone.system import process
from work_milestone.system.errors import MilestoneError
from work_milestone.text.lines import one_line

UNDECIDED = frozenset({Session.CRASHED, Session.STOPPED})
DEPTH = "MILESTONE_DEPTH"


def is_done(run: Run, item: Item) -> bool:
    """Tell whether no session is needed."""
    return not run.needs_session(item.issue)


def work(run: Run, item: Item) -> None:
    """Bring the item's session to a result: adopt, judge, or begin attempts until one counts."""
    if is_done(run, item) or (run.unmet(item) and run.attempt_state(item.issue) in ("none", "judged")):
        return
    see_through(run, item.issue, lambda: _attempt(run, item), lambda: preparation.begin_anew(run, item))


def depth() -> int:
    """Tell how many sessions this process is inside of."""
    told = os.environ.get(DEPTH, "0")
    return int(told) if told.isdecimal() else 1


def see_through(run: Run, issue: int, attempt: Callable[[], Session], prepare: Callable[[], None]) -> Session:
    """Make attempts until one counts; `prepare` is called before each but the first."""
    retries, revived = run.settings.retries, False
    while True:
        before = run.attempt_state(issue)
        if before in ("none", "judged") and not _may_start(run, issue):
            return Session.STOPPED
        status = _dare(run, issue, attempt)
        _note(run, issue, status, outlived=before == "finished")
        if halting.was_asked(run, issue):
            return status
        if status in UNDECIDED and not revived and not process.stopping.is_set():
            revived = True  # it ended with an earlier run, and for no reason of its own: that spends no retry
        elif status is Session.QUOTA:
            pass  # a state of the run, which the breaker waits out
        elif status in RETRIED and retries:
            retries -= 1
            run.breaker.await_backoff()
        else:
            return status
        if not _may_start(run, issue):
            return status
        run.tell("spawn", "retry", f"{status}; attempt {run.folder.attempts(issue) + 1} follows", issue=issue or None)
        prepare()


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
    limit = run.settings.total_budget_usd
    if limit is not None and run.spent >= limit:
        run.breaker.halt(f"${run.spent:.2f} are spent, and total_budget_usd is ${limit:g}; raise it to go on")
    agent = run.breaker.await_open(preparation.find_agents(run, issue), lambda: halting.was_asked(run, issue))
    if agent is None:
        return False
    if agent != _settings(run, issue).agent:
        run.tell("spawn", "fallback", f"{agent} stands in", issue=issue or None)
    run.chosen[issue] = agent
    if spent := preparation.find_overspent(run, issue):
        run.tell("spawn", "budget", spent, issue=issue or None)
    return not spent


def _settings(run: Run, issue: int) -> SessionSettings:
    return session_settings(run.settings, run.items.get(issue), run.chosen.get(issue))


def _note(run: Run, issue: int, status: Session, *, outlived: bool) -> None:
    """Tell the breaker what a session's end means for the others; `outlived` of one whose run was gone by then."""
    receipt = max((run.result(issue) or {}, run.mend(issue) or {}), key=lambda found: int(found.get("attempt") or 0))
    if status is Session.QUOTA:
        until = _renewal(receipt)
        # Else it is renewed by now, or whoever typed the line again may have bought more.
        if not outlived or (until is not None and until > time.time()):
            run.breaker.pause(str(receipt.get("agent")), until, str(receipt.get("detail")))
    elif status is Session.AUTH and not outlived:
        run.breaker.halt(str(receipt.get("detail")))
    elif status in WITH_WORK:
        run.breaker.succeed()


def _renewal(receipt: Receipt) -> float | None:
    """Return when a quota is renewed, as it was told at a session's end; None when nobody knows.

    It is never longer until then than it was at that end, whatever the clock has been set to since.
    """
    until, started, elapsed = (float(receipt.get(name) or 0) for name in ("until", "started", "elapsed"))
    ended = started + elapsed
    return min(until, time.time() + until - ended) if ended - RECENT < until <= ended + FARTHEST else None


def await_quota(run: Run) -> None:
    """Hold back what an earlier line was told to wait for: whoever types it again is refused again before that."""
    for issue in (*run.items, LANDING):
        receipts = [receipt for receipt in (run.result(issue), run.mend(issue)) if receipt]
        refused = [receipt["refused"] for receipt in receipts if receipt.get("refused")]
        held = [receipt for receipt in receipts if receipt["status"] == Session.QUOTA and not run.settled(issue)]
        for receipt in (*held, *refused):
            until, agent = _renewal(receipt), str(receipt.get("agent"))
            now = session_settings(run.settings, run.items.get(issue), agent)
            same = agent in preparation.find_agents(run, issue) and receipt.get("model") == now.model
            if same and until is not None and until > time.time():
                run.breaker.pause(agent, until, str(receipt.get("detail")))


def _attempt(run: Run, item: Item) -> Session:
    """See the latest attempt to its end, or a new one where it has ended."""
    if results.kind_of(run, item.issue) is not Kind.WORK:
        take_up(run, item.issue)  # it mended what there is no receipt of any more
    if (status := take_up(run, item.issue)) is not None:
        return status
    number = run.folder.attempts(item.issue) + 1
    worktree = run.folder.load(run.folder.receipt(item.issue, "worktree")) or {}
    if worktree.get("attempt") != number or preparation.is_anothers(run, item.issue):
        preparation.begin_anew(run, item)
    await_end(run, item.issue, number, start(run, item.issue, item, run.folder.item(item.issue) / "prompt.md").wait)
    return results.judge(run, item.issue, number)


def take_up(run: Run, issue: int) -> Session | None:
    """See an attempt that was begun to its end, and judge it; None when there is none that is not judged."""
    number, state = run.folder.attempts(issue), run.attempt_state(issue)
    if state in ("none", "judged"):
        return None
    if state == "alive":
        session = run.folder.load(run.folder.attempt(issue, number) / "session.json") or {}
        since = max(0.0, time.time() - float(session.get("started", time.time())))
        run.tell("spawn", "adopted", f"attempt {number} is still at work", issue=issue or None, elapsed=since)
        await_end(run, issue, number, lambda: attempts.wait(run.folder.attempt(issue, number)))
    return results.judge(run, issue, number)


def await_end(run: Run, issue: int, number: int, wait: Callable[[], object]) -> None:
    """Wait for a session's end, and follow what it prints meanwhile where its agent prints as it goes."""
    attempt = run.folder.attempt(issue, number)
    name = str((run.folder.load(attempt / "session.json") or {}).get("agent"))
    agent = agents.find(name, run.settings.agents)
    with progress.watcher.watch(run, issue, attempt, agent) if agent.streams else contextlib.nullcontext():
        wait()


def start(run: Run, issue: int, item: Item | None, prompt: Path, **fields: Any) -> attempts.Supervised:
    """Start the next attempt in the worktree that was taken for it; `fields` are kept with it."""
    worktree = run.folder.load(run.folder.receipt(issue, "worktree")) or {}
    lock = run.folder.load(run.folder.receipt(issue, "lock")) or {}
    number, kind = int(worktree["attempt"]), Kind(worktree["kind"])
    settings, place = _within_budget(run, issue, _settings(run, issue)), Path(worktree["path"])
    proofs.require_place(run, worktree)
    agent, going_on = agents.find(settings.agent, run.settings.agents), str(worktree.get("conversation") or "")
    conversation = going_on or (str(uuid.uuid4()) if agent.resumes and agent.names_conversations else "")
    argv = agent.argv(Call(settings, conversation, bool(going_on), proofs.find_writable(run, place), str(prompt)))
    if "/" in argv[0]:  # as preflight has found it
        argv[0] = str(run.root / argv[0])
    env = session_env.make(run.settings, settings, agent, run.pool.config())
    proofs.require_proof(run, issue, place, env)
    attempt = run.folder.attempt(issue, number)
    attempt.mkdir(parents=True, exist_ok=True)
    run.folder.write(
        attempt / "session.json", "session", "started", started=time.time(), attempt=number, mark=lock["mark"],
        kind=kind.value, agent=settings.agent, argv=argv, model=settings.model, timeout=settings.timeout,
        branch=worktree["branch"], path=worktree["path"], base=worktree["base"], conversation=conversation,
        resumed=bool(going_on), **fields,
    )  # fmt: skip
    own = {
        "MILESTONE_NUMBER": str(run.number),
        DEPTH: str(depth() + 1),
        "MILESTONE_ITEM": str(issue) if item else "landing",
        "MILESTONE_KIND": kind.value,
        "MILESTONE_TITLE": preparation.title_of(run, item),
        "MILESTONE_ATTEMPT": str(number),
        "MILESTONE_PROMPT": str(prompt),
    }
    begun = attempts.start(
        attempt, argv, cwd=place, env=env | own, stdin=prompt, timeout=settings.timeout, mark=str(lock["mark"]),
    )  # fmt: skip
    told = _describe(settings, number) + (", the conversation goes on" if going_on else "")
    run.tell("spawn" if kind is Kind.WORK else kind.value, "started", told, issue=issue or None)
    return begun


def _within_budget(run: Run, issue: int, settings: SessionSettings) -> SessionSettings:
    """Leave of a budget what the item has not spent: an agent reckons anew each time, also in the same conversation."""
    if settings.budget_usd is None:
        return settings
    return dataclasses.replace(settings, budget_usd=settings.budget_usd - run.spent_on(issue))


def _describe(settings: SessionSettings, number: int) -> str:
    words = settings.agent if settings.agent == "command" else f"{settings.agent} {settings.model}".rstrip()
    return words + (f", attempt {number}" if number > 1 else "")


def adopt(run: Run) -> list[int]:
    """Take stock of what earlier runs left, before any worktree is given away; return whose sessions are at work.

    Worktrees of sessions that are alive, or finished and not judged, are kept, whatever the plan says by now. What
    died without a record is judged at once: what it left running is ended, what it left uncommitted is pinned.
    """
    alive = []
    for issue in (*sorted(run.folder.issues()), LANDING):
        number, state = run.folder.attempts(issue), run.attempt_state(issue)
        session = run.folder.load(run.folder.attempt(issue, number) / "session.json")
        if session and state in ("alive", "finished"):
            run.pool.keep(Path(session["path"]))
            alive += [issue] if state == "alive" else []
        elif state == "dead":
            results.judge(run, issue, number)
        for receipt in (run.result(issue), run.mend(issue)):
            if receipt and preparation.is_resumable(receipt):
                run.pool.keep(Path(str(receipt["path"])))
    return alive
