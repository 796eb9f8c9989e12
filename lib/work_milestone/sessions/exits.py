"""How an attempt ended, before git is asked: by its supervisor's record, its agent's words, and its report.

Rules:
- What the supervisor has seen comes first: what it stopped, or what was out of time, has not failed by itself.
- A report can take a success back, never a failure.
- Where the disk was full, what the agent said last may be missing, and with it that it is not done.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from work_milestone import gates
from work_milestone.agents import report as completion
from work_milestone.agents.api import Agent, Outcome
from work_milestone.sessions import halting, progress
from work_milestone.store.outcomes import WITH_WORK, Session
from work_milestone.supervision import supervisor
from work_milestone.text.lines import last_line, one_line

REASONS = ("exited", "signalled", "timeout", "stopped", "not-started")
MOST_BEFORE = 1_000_000  # bytes before which an agent has told the id of its conversation


def read(attempt: Path) -> dict[str, Any] | None:
    """Read the supervisor's record of an attempt, None when there is none."""
    try:
        record = json.loads((attempt / "exit.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("reason") not in REASONS:
        return None
    timed = all(isinstance(record.get(name), int | float) for name in ("started", "ended"))
    return record if timed and isinstance(record.get("code"), int | None) else None


def judge(
    worker: Agent, session: dict[str, Any], record: dict[str, Any] | None, attempt: Path
) -> tuple[Outcome, completion.Report]:
    """Say what an attempt has come to, and what it reports."""
    outcome = _outcome(worker, session, record, attempt)
    report = completion.parse_report(outcome.text)
    if outcome.status is Session.COMPLETE and report.status:
        detail = "" if report.status in WITH_WORK else one_line(report.blocker or f"it reported {report.status}")
        outcome = replace(outcome, status=report.status, detail=detail[:300])
    return outcome, report


def find_conversation(worker: Agent, attempt: Path) -> str:
    """Find the conversation of an agent that makes its own ids, in what it has printed."""
    if not worker.resumes or worker.names_conversations:
        return ""
    try:
        with (attempt / "stdout").open("rb") as file:
            beginning = file.read(MOST_BEFORE).decode(errors="replace")
    except OSError:
        return ""
    return worker.find_conversation(beginning)


def _outcome(worker: Agent, session: dict[str, Any], record: dict[str, Any] | None, attempt: Path) -> Outcome:
    """Say what the exit of an attempt means, before git is asked."""
    if record is None:
        return Outcome(Session.CRASHED, detail="its supervisor is gone without a record")
    if not session:
        return Outcome(Session.CRASHED, detail=f"{attempt}: what was known of it is damaged")
    stdout, stderr = (gates.read_end(attempt / name, progress.MOST) for name in ("stdout", "stderr"))
    reason = record.get("reason")
    if reason == "exited":
        return _judge_words(worker, record, attempt, stdout, stderr)
    told = progress.measure(stdout, worker)
    if reason == "stopped" and told.fault:
        return _judge_words(worker, record, attempt, stdout, stderr)
    if reason == "timeout":
        limit = float(session.get("timeout", 0))
        return Outcome(Session.TIMEOUT, stdout, f"over its time limit of {limit:g} s", told.cost)
    if reason == "stopped":
        by_hand = (attempt / halting.ASKED).exists()
        return Outcome(Session.STOPPED, stdout, f"stopped {'by hand' if by_hand else 'with the run'}", told.cost)
    if reason == "signalled":
        return Outcome(Session.FAILED, stdout, f"ended by signal {record.get('signal')}", told.cost)
    return Outcome(Session.FAILED, "", last_line(stderr) or "the agent could not be started")


def _judge_words(worker: Agent, record: dict[str, Any], attempt: Path, stdout: str, stderr: str) -> Outcome:
    """Have the agent say what its exit and its output mean."""
    code, fault = record.get("code"), str(record.get("error") or "")
    outcome = worker.judge(code if isinstance(code, int) else 1, stdout, stderr)
    # What it said last may be missing, and with it that it is not done.
    cut = fault.endswith(supervisor.CUT) and outcome.status not in (Session.AUTH, Session.QUOTA)
    return replace(outcome, status=Session.FAILED, detail=f"{attempt}: {fault}; make room") if cut else outcome
