"""Stopping from another terminal: a whole run, or the session of one item.

Rules:
- A run is stopped by its own handler (TERM to the process that holds the run lock): its sessions end politely and have
  their receipts. Who asks waits until it is over.
- Sessions whose run is gone are stopped by their supervisors.
- A session that was stopped on its own is not begun again by the run: that is for the next line. So it is with one
  that waits for a quota.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from work_milestone.run.run import Run
from work_milestone.store.outcomes import Session
from work_milestone.store.receipts import LANDING, KernelLock
from work_milestone.supervision import attempts
from work_milestone.system import process_table
from work_milestone.system.errors import MilestoneError
from work_milestone.text import masking

ASKED = "stop-asked"


def stop(run: Run) -> None:
    """Stop the run that is at work, and the sessions of one that is gone; wait for their end."""
    if run.number is None:
        raise MilestoneError("say which milestone: doit stop n=N")
    holder = run.lock.holder()
    if holder is not None and holder > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder, signal.SIGTERM)
        KernelLock(run.lock.path).await_turn()
    alive = [issue for issue in (*sorted(run.folder.issues()), LANDING) if run.attempt_state(issue) == "alive"]
    for issue in alive:
        _stop_session(run, issue, None)
    if holder is None and not alive:
        raise MilestoneError(f"nothing of milestone {run.number} is at work; doit status n={run.number} shows it")
    told = f"run {holder} is stopped" if holder else f"{len(alive)} sessions are stopped"
    _say(f"milestone {run.number}: {told}; go on: doit milestone n={run.number}")


def stop_item(run: Run, issue: int) -> None:
    """Stop the session of one item; the run, if there is one, goes on with the others."""
    if run.number is None:
        raise MilestoneError(f"say which milestone: doit stop:{issue} n=N")
    holder = run.lock.holder()
    if run.attempt_state(issue) == "alive":
        _stop_session(run, issue, holder)
    elif holder and _waits_for_quota(run, issue):
        _ask(run, issue, holder)
    else:
        raise MilestoneError(f"no session of #{issue} is at work; doit status n={run.number} shows it")
    _say(f"#{issue} is stopped; its session goes on with the next: doit milestone n={run.number}")


def was_asked(run: Run, issue: int) -> bool:
    """Tell whether a person has stopped the latest session of an item on its own while this run was at work."""
    try:
        asked = (run.folder.attempt(issue, run.folder.attempts(issue)) / ASKED).read_text()
    except FileNotFoundError:
        return False
    return asked == process_table.find_name(os.getpid())


def _waits_for_quota(run: Run, issue: int) -> bool:
    number, receipts = run.folder.attempts(issue), (run.result(issue), run.mend(issue))
    return any(one and (one.get("attempt"), one["status"]) == (number, Session.QUOTA) for one in receipts)


def _ask(run: Run, issue: int, holder: int | None) -> Path:
    """Leave word, for the run that is at work where there is one, that a person wants it so; where the session is."""
    attempt = run.folder.attempt(issue, run.folder.attempts(issue))
    (attempt / ASKED).write_text(process_table.find_name(holder) if holder else "")
    return attempt


def _stop_session(run: Run, issue: int, holder: int | None) -> None:
    attempt = _ask(run, issue, holder)
    while attempts.state(attempt) == "alive" and not attempts.stop(attempt):
        time.sleep(0.02)  # its supervisor has just been started, and has not yet said who it is
    attempts.wait(attempt)


def _say(text: str) -> None:
    print(masking.mask(text), file=sys.stderr)  # noqa: T201 - the verb's purpose
