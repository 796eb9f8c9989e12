"""An item's session: adopt it, judge it, or begin attempts until one counts.

Rules:
- The latest attempt decides. Alive: wait for it. Finished and not yet judged: judge it. Dead without a record:
  crashed, and tried again. Judged: a new attempt, for the same line was typed again.
- Two agents never work in one worktree.
- `transient` and `timeout` alone are tried again by themselves, up to `retries` times.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path

from work_milestone import agents, attempts, git, preparation, process, results
from work_milestone.plan import Item
from work_milestone.runs import Run
from work_milestone.settings import SessionSettings, session_settings
from work_milestone.states import RETRIED, Session

UNDECIDED = frozenset({Session.CRASHED, Session.STOPPED})
PATIENCE = 15.0  # seconds; a supervisor is done within TERM, 2 s, KILL, and a sweep


def is_done(run: Run, item: Item) -> bool:
    """Tell whether no session is needed."""
    return not run.facts(item.issue).needs_session


def work(run: Run, item: Item) -> None:
    """Bring the item's session to a result: adopt, judge, or begin attempts until one counts."""
    with _at_work:
        _work(run, item)


def await_idle() -> None:
    """Wait until every session that was stopped has its result, as long as ending it may take."""
    _at_work.await_none(PATIENCE)


class _Counter:
    """How many threads are inside a block."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def await_none(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, seconds)


_at_work = _Counter()


def _work(run: Run, item: Item) -> None:
    if is_done(run, item) or (run.unmet(item) and run.attempt_state(item.issue) in ("none", "judged")):
        return
    retries, revived = run.settings.retries, False
    while True:
        status = _attempt(run, item)
        if status in UNDECIDED and not revived and not process.stopping.is_set():
            revived = True  # it ended with an earlier run, and for no reason of its own: that spends no retry
        elif status in RETRIED and retries:
            retries -= 1
        else:
            return
        run.tell("spawn", "retry", f"{status}; attempt {run.folder.attempts(item.issue) + 1} follows", issue=item.issue)
        preparation.begin_anew(run, item)


def _attempt(run: Run, item: Item) -> Session:
    """See the latest attempt to its end, or a new one where it has ended."""
    number, state = run.folder.attempts(item.issue), run.attempt_state(item.issue)
    if state in ("none", "judged"):
        number += 1
        _start(run, item, number).wait()
    elif state == "alive":
        session = run.folder.load(run.folder.attempt(item.issue, number) / "session.json") or {}
        since = time.time() - float(session.get("started", time.time()))
        run.tell("spawn", "adopted", f"attempt {number} is still at work", issue=item.issue, elapsed=since)
        attempts.wait(run.folder.attempt(item.issue, number))
    return results.judge(run, item.issue, number)


def _start(run: Run, item: Item, number: int) -> attempts.Supervised:
    worktree = run.folder.load(run.folder.receipt(item.issue, "worktree")) or {}
    if worktree.get("attempt") != number:
        preparation.begin_anew(run, item)
        worktree = run.folder.load(run.folder.receipt(item.issue, "worktree")) or {}
    lock = run.folder.load(run.folder.receipt(item.issue, "lock")) or {}
    settings = session_settings(run.settings, item)
    argv = agents.REGISTRY[settings.agent].argv(settings)
    attempt, prompt = run.folder.attempt(item.issue, number), run.folder.item(item.issue) / "prompt.md"
    attempt.mkdir(parents=True, exist_ok=True)
    run.folder.write(
        attempt / "session.json", "session", "started", started=time.time(), attempt=number, mark=lock["mark"],
        agent=settings.agent, argv=argv, model=settings.model, timeout=settings.timeout,
        branch=worktree["branch"], path=worktree["path"], base=worktree["base"],
    )  # fmt: skip
    begun = attempts.start(
        attempt, argv, cwd=Path(worktree["path"]), env=_environment(run, item, number, prompt), stdin=prompt,
        timeout=settings.timeout, mark=str(lock["mark"]),
    )  # fmt: skip
    run.tell("spawn", "started", _describe(settings, number), issue=item.issue)
    return begun


def _describe(settings: SessionSettings, number: int) -> str:
    words = settings.agent if settings.agent == "command" else f"{settings.agent} {settings.model}"
    return words + (f", attempt {number}" if number > 1 else "")


def _environment(run: Run, item: Item, number: int, prompt: Path) -> dict[str, str]:
    own = {
        "MILESTONE_NUMBER": str(run.number),
        "MILESTONE_ITEM": str(item.issue),
        "MILESTONE_TITLE": item.title,
        "MILESTONE_ATTEMPT": str(number),
        "MILESTONE_PROMPT": str(prompt),
    }
    return git.environment(own, run.pool.config())


def adopt(run: Run) -> list[int]:
    """Take stock of what earlier runs left, before any worktree is given away; return whose sessions are at work.

    Worktrees of sessions that are alive, or finished and not judged, are kept, whatever the plan says by now. What
    died without a record is judged at once: what it left running is ended, what it left uncommitted is pinned.
    """
    alive = []
    for issue in sorted(run.folder.issues()):
        number, state = run.folder.attempts(issue), run.attempt_state(issue)
        session = run.folder.load(run.folder.attempt(issue, number) / "session.json")
        if session and state in ("alive", "finished"):
            run.pool.keep(Path(session["path"]))
            alive += [issue] if state == "alive" else []
        elif state == "dead":
            results.judge(run, issue, number)
    return alive
