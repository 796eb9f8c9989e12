"""Where each item of a run stands, for people: a word, why, and the next command.

Rule: told from receipts and git alone, so that it is right at any time and from any terminal, also while a run
is on.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from work_milestone import agents
from work_milestone.agents import Agent
from work_milestone.plan import Item
from work_milestone.run import Run, Standing
from work_milestone.sessions import progress
from work_milestone.store import Kind, records
from work_milestone.system import files
from work_milestone.text import one_line, shown

WIDE = 140  # characters of a line of a log


class Row(NamedTuple):
    """One item's line; `elapsed` in seconds, `cost` in US dollars."""

    item: Item
    state: str
    detail: str
    elapsed: float | None
    cost: float | None
    place: str
    log: str
    tail: tuple[str, ...]
    next: str
    settled: bool


def gather(run: Run) -> list[Row]:
    """Say where each item stands."""
    return [_describe(run, item) for item in run.dispatch.items.values()]


def _describe(run: Run, item: Item) -> Row:
    standing = run.standing(item.issue)
    number, attempt = run.find_attempt(item.issue) if not standing.settled else (0, "none")
    if attempt == "alive":
        started = run.receipts.load(records.Started, item.issue, number)
        return _describe_running(run, item, standing, number, started)
    state, followup = standing.word, standing.followup
    log = _find_log(standing)
    tail = standing.merge.tail if standing.merge and state == "gate" else ()
    return Row(
        item, state, _explain(standing, followup.issue if followup else None),
        standing.work.elapsed if standing.work else None, standing.spent or None, "",
        run.milestone.folder.name(Path(log)) if log else "", tuple(shown(line, WIDE) for line in tail),
        find_next(run, standing, state), standing.settled,
    )  # fmt: skip


def _describe_running(run: Run, item: Item, standing: Standing, number: int, started: records.Started | None) -> Row:
    """Say how far a session at work is, as its agent has told it so far."""
    worker = agents.find(started.agent if started else "", run.milestone.settings.agents)
    far = _measure(run.milestone.folder.attempt(item.issue, number), worker) if worker.streams else ""
    kind = f"{started.kind}, " if started and started.kind is not Kind.WORK else ""
    detail = f"{kind}attempt {number}" + (f", {far}" if far else "")
    elapsed = max(0.0, time.time() - started.started) if started else 0.0
    place = Path(started.path).name if started else ""
    log = _find_log(standing)
    return Row(item, "running", detail, elapsed, standing.spent or None, place,
               run.milestone.folder.name(Path(log)) if log else "", (), "", settled=False)  # fmt: skip


def _measure(attempt: Path, worker: Agent) -> str:
    return progress.describe(progress.measure(files.read_end(attempt / "stdout", progress.MOST), worker))


def _explain(standing: Standing, followup: int | None) -> str:
    """Say why an item stands as it does, and what it is merged as."""
    work, merge = standing.work, standing.merge
    if standing.merged:
        told = f"{merge.commit[:10]} {merge.reason}".strip() if merge else ""
        return told if followup is None else f"by #{followup}"
    if standing.parts and standing.word == "partial":
        return f"{standing.reason}; left: {one_line(work.notes if work else '')[:200]}"
    return standing.reason


def _find_log(standing: Standing) -> str:
    """Name the log that says why an item is not merged: its session's, or a gate's."""
    if standing.merged:
        return ""
    found = standing.merge if standing.mergeable else standing.work
    return found.log if found else ""


def find_next(run: Run, standing: Standing, state: str) -> str:
    """Name the commands that lead on from a state."""
    number, issue = f"n={run.milestone.number}", standing.issue
    again, skip = f"doit milestone {number}", f"doit skip:{issue} {number}"
    retry, log = f"doit retry:{issue} {number}", f"doit log:{issue} {number}"
    if state in ("merged", "complete", "skipped", "running"):
        return ""
    if standing.followed:
        waits = ", ".join(f"#{one}" for one in run.dispatch.followers(issue))
        return f"goes on by itself when {waits} is done"
    if state in ("conflict", "gate", "dropped"):
        return f"{retry} (a new session), {again} (merge it again), or {skip}"
    if state == "waiting":
        return f"goes on by itself when what it waits for is merged, or {skip}"
    if state in ("pending", "ready", "stopped", "quota"):
        return again
    return f"{log}, then {again}, or {skip}"
