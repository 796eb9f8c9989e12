"""How an attempt ended, before git is asked: by its supervisor's record, its agent's words, and its report.

Rules:
- What the supervisor has seen comes first: what it stopped, or what was out of time, has not failed by itself.
- A report can take a success back, never a failure.
- Where the disk was full, what the agent said last may be missing, and with it that it is not done.
"""

from __future__ import annotations

from pathlib import Path

from work_milestone.agents import Agent, Outcome, Report, parse_report
from work_milestone.sessions import progress
from work_milestone.store import WITH_WORK, Session, records
from work_milestone.supervision import Exit, requests
from work_milestone.system import files
from work_milestone.text import last_line, one_line

MOST_BEFORE = 1_000_000  # bytes before which an agent has told the id of its conversation


def judge(worker: Agent, started: records.Started | None, end: Exit | None, attempt: Path) -> tuple[Outcome, Report]:
    """Say what an attempt has come to, and what it reports."""
    outcome = _judge_end(worker, started, end, attempt)
    report = parse_report(outcome.text)
    if outcome.status is Session.COMPLETE and report.status:
        detail = "" if report.status in WITH_WORK else one_line(report.blocker or f"it reported {report.status}")
        outcome = outcome._replace(status=report.status, detail=detail[:300])
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


def _judge_end(worker: Agent, started: records.Started | None, end: Exit | None, attempt: Path) -> Outcome:
    """Say what the exit of an attempt means, before git is asked."""
    if end is None:
        return Outcome(Session.CRASHED, detail="its supervisor is gone without a record")
    if started is None:
        return Outcome(Session.CRASHED, detail=f"{attempt}: what was known of it is damaged")
    stdout, stderr = (files.read_end(attempt / name, progress.MOST) for name in ("stdout", "stderr"))
    if end.reason == "exited":
        return _judge_words(worker, end, attempt, stdout, stderr)
    told = progress.measure(stdout, worker)
    if end.reason == "stopped" and told.fault:
        return _judge_words(worker, end, attempt, stdout, stderr)
    if end.reason == "timeout":
        return Outcome(Session.TIMEOUT, stdout, f"over its time limit of {started.timeout:g} s", told.cost)
    if end.reason == "stopped":
        who = "by hand" if requests.is_asked(attempt) else "with the run"
        return Outcome(Session.STOPPED, stdout, f"stopped {who}", told.cost)
    if end.reason == "signalled":
        return Outcome(Session.FAILED, stdout, f"ended by signal {end.signal}", told.cost)
    return Outcome(Session.FAILED, "", last_line(stderr) or "the agent could not be started")


def _judge_words(worker: Agent, end: Exit, attempt: Path, stdout: str, stderr: str) -> Outcome:
    """Have the agent say what its exit and its output mean."""
    outcome = worker.judge(1 if end.code is None else end.code, stdout, stderr)
    # What it said last may be missing, and with it that it is not done.
    cut = end.is_cut and outcome.status not in (Session.AUTH, Session.QUOTA)
    return outcome._replace(status=Session.FAILED, detail=f"{attempt}: {end.error}; make room") if cut else outcome
