"""Sessions that are started, waited for, and taken up where an earlier run has left them.

Rules:
- The latest attempt decides. Alive: it is waited for. Finished and not yet judged: it is judged.
- Two agents never work in one worktree.
- An agent is handed what is left of its item's budget.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from work_milestone import agents
from work_milestone.agents import Call
from work_milestone.run import Run
from work_milestone.sessions import environment, places, progress, results
from work_milestone.settings import SessionSettings
from work_milestone.store import LANDING, Kind, Session, records
from work_milestone.supervision import attempts

DEPTH = "MILESTONE_DEPTH"


def depth() -> int:
    """Tell how many sessions this process is inside of."""
    told = os.environ.get(DEPTH, "0")
    return int(told) if told.isdecimal() else 1


def start(run: Run, issue: int, prompt: Path, *, of: str = "", merged: str = "") -> attempts.Supervised:
    """Start the next attempt in the worktree that was taken for it; whose head it mends, `of`, is kept with it."""
    taken, lock = places.require(run, issue), run.receipts.load(records.Lock, issue)
    mark = lock.mark if lock else taken.mark
    settings, place = _choose_settings(run, issue), Path(taken.path)
    environment.require_place(run, taken)
    agent = agents.find(settings.agent, run.milestone.settings.agents)
    conversation = taken.conversation or (str(uuid.uuid4()) if agent.resumes and agent.names_conversations else "")
    call = Call(settings, conversation, bool(taken.conversation), environment.find_writable(run, place), str(prompt))
    argv = agent.argv(call)
    if "/" in argv[0]:  # as preflight has found it
        argv[0] = str(run.milestone.root / argv[0])
    env = environment.make(run.milestone.settings, settings, agent, run.pool.config())
    environment.require_proof(run, issue, place, env)
    attempt = run.milestone.folder.attempt(issue, taken.attempt)
    attempt.mkdir(parents=True, exist_ok=True)
    started = records.Started(
        status="started", started=time.time(), attempt=taken.attempt, mark=mark, kind=taken.kind, agent=settings.agent,
        argv=tuple(argv), model=settings.model, timeout=settings.timeout, branch=taken.branch, path=taken.path,
        base=taken.base, conversation=conversation, resumed=call.resume, of=of, merged=merged,
    )  # fmt: skip
    run.receipts.write(started, issue, taken.attempt)
    own = _make_variables(run, issue, taken, prompt)
    begun = attempts.start(attempt, argv, cwd=place, env=env | own, stdin=prompt, timeout=settings.timeout, mark=mark)
    told = _describe(settings, taken.attempt) + (", the conversation goes on" if call.resume else "")
    run.tell("spawn" if taken.kind is Kind.WORK else taken.kind.value, "started", told, issue=issue)
    return begun


def _make_variables(run: Run, issue: int, taken: records.Worktree, prompt: Path) -> dict[str, str]:
    """Return what a session's environment says of the session itself."""
    return {
        "MILESTONE_NUMBER": str(run.milestone.number),
        DEPTH: str(depth() + 1),
        "MILESTONE_ITEM": str(issue) if issue != LANDING else "landing",
        "MILESTONE_KIND": taken.kind.value,
        "MILESTONE_TITLE": places.name(run, issue),
        "MILESTONE_ATTEMPT": str(taken.attempt),
        "MILESTONE_PROMPT": str(prompt),
    }


def _choose_settings(run: Run, issue: int) -> SessionSettings:
    """Choose the agent, and leave of a budget what the item has not spent: each session reckons anew."""
    settings = run.session_settings(issue, run.chosen.get(issue))
    if settings.budget_usd is None:
        return settings
    return dataclasses.replace(settings, budget_usd=settings.budget_usd - run.standing(issue).spent)


def _describe(settings: SessionSettings, number: int) -> str:
    words = settings.agent if settings.agent == "command" else f"{settings.agent} {settings.model}".rstrip()
    return words + (f", attempt {number}" if number > 1 else "")


def await_end(run: Run, issue: int, number: int, wait: Callable[[], object]) -> None:
    """Wait for a session's end, and follow what it prints meanwhile where its agent prints as it goes."""
    attempt, started = run.milestone.folder.attempt(issue, number), run.receipts.load(records.Started, issue, number)
    agent = agents.find(started.agent if started else "", run.milestone.settings.agents)
    with progress.watcher.watch(run, issue, attempt, agent) if agent.streams else contextlib.nullcontext():
        wait()


def take_up(run: Run, issue: int) -> Session | None:
    """See an attempt that was begun to its end, and judge it; None when there is none that is not judged."""
    number, state = run.find_attempt(issue)
    if state in ("none", "judged"):
        return None
    if state == "alive":
        attempt, started = (
            run.milestone.folder.attempt(issue, number),
            run.receipts.load(records.Started, issue, number),
        )
        since = max(0.0, time.time() - started.started) if started else 0.0
        run.tell("spawn", "adopted", f"attempt {number} is still at work", issue=issue, elapsed=since)
        await_end(run, issue, number, lambda: attempts.wait(attempt))
    return results.judge(run, issue, number)


def take_stock(run: Run) -> list[int]:
    """Take stock of what earlier runs left, before any worktree is given away; return whose sessions are at work.

    Worktrees of sessions that are alive, or finished and not judged, are kept, whatever the plan says by now. What
    died without a record is judged at once: what it left running is ended, what it left uncommitted is pinned.
    """
    alive = []
    for issue in run.issues:
        number, state = run.find_attempt(issue)
        started = run.receipts.load(records.Started, issue, number)
        if started and state in ("alive", "finished"):
            run.pool.keep(Path(started.path))
            alive += [issue] if state == "alive" else []
        elif state == "dead":
            results.judge(run, issue, number)
        standing = run.standing(issue)
        for record in (standing.work, standing.mend):
            if record and places.is_resumable(record):
                run.pool.keep(Path(record.path))
    return alive
