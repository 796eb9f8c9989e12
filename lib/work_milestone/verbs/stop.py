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
import time

from work_milestone.run import Run
from work_milestone.store import Session
from work_milestone.supervision import attempts, requests
from work_milestone.system import KernelLock, MilestoneError, process_table
from work_milestone.verbs import speech


def stop(run: Run) -> None:
    """Stop the run that is at work, and the sessions of one that is gone; wait for their end."""
    number, holder = speech.require_number(run, "stop"), run.lock.holder()
    if holder is not None and holder > 0:
        with contextlib.suppress(ProcessLookupError):
            os.kill(holder, signal.SIGTERM)
        KernelLock(run.lock.path).await_turn()
    alive = [issue for issue in run.issues if run.is_alive(issue)]
    for issue in alive:
        _stop_session(run, issue, None)
    if holder is None and not alive:
        raise MilestoneError(f"nothing of milestone {number} is at work; doit status n={number} shows it")
    told = f"run {holder} is stopped" if holder else f"{len(alive)} sessions are stopped"
    speech.say(f"milestone {number}: {told}; go on: doit milestone n={number}")


def stop_item(run: Run, issue: int) -> None:
    """Stop the session of one item; the run, if there is one, goes on with the others."""
    number, holder = speech.require_number(run, f"stop:{issue}"), run.lock.holder()
    if run.is_alive(issue):
        _stop_session(run, issue, holder)
    elif holder and _waits_for_quota(run, issue):
        _ask(run, issue, holder)
    else:
        raise MilestoneError(f"no session of #{issue} is at work; doit status n={number} shows it")
    speech.say(f"#{issue} is stopped; its session goes on with the next: doit milestone n={number}")


def _waits_for_quota(run: Run, issue: int) -> bool:
    number, standing = run.milestone.folder.attempts(issue), run.standing(issue)
    return any(record and record.attempt == number and record.outcome is Session.QUOTA
               for record in (standing.work, standing.mend))  # fmt: skip


def _ask(run: Run, issue: int, holder: int | None) -> None:
    """Leave word, for the run that is at work where there is one, that a person wants it so."""
    folder = run.milestone.folder
    attempt = folder.attempt(issue, folder.attempts(issue))
    requests.ask(attempt, process_table.find_name(holder) if holder else "")


def _stop_session(run: Run, issue: int, holder: int | None) -> None:
    _ask(run, issue, holder)
    folder = run.milestone.folder
    attempt = folder.attempt(issue, folder.attempts(issue))
    while attempts.state(attempt) == "alive" and not attempts.stop(attempt):
        time.sleep(0.02)  # its supervisor has just been started, and has not yet said who it is
    attempts.wait(attempt)
