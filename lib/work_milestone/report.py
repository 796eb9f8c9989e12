"""Where the items of a run stand, for people: the table, the summary, the next command.

Rule: told from receipts and git alone, so that it is right at any time and from any terminal, also while a run
is on.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from work_milestone import landing
from work_milestone.plan import Item, list_plans
from work_milestone.runs import Run
from work_milestone.texts import one_line, span

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MOST_ROWS = 200
COLORS = {"merged": "green", "complete": "green", "running": "cyan", "ready": "cyan", "skipped": "yellow",
          "waiting": "yellow", "pending": "dim"}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One item's line; `elapsed` in seconds, `cost` in US dollars."""

    item: Item
    state: str
    detail: str
    elapsed: float | None
    cost: float | None
    place: str
    log: str
    next: str


def rows(run: Run) -> list[Row]:
    """Say where each item stands."""
    return [_row(run, item) for item in run.items.values()]


def _row(run: Run, item: Item) -> Row:
    facts, result = run.facts(item.issue), run.result(item.issue) or {}
    merge = run.merge(item.issue) or {}
    elapsed, cost, place = result.get("elapsed"), result.get("spent") or None, ""
    state, detail, log = facts.word, facts.reason, ""
    if facts.merged:
        detail = str(merge.get("commit", ""))[:10]
    elif result and not facts.mergeable:
        log = _name(run, Path(str(result["log"]))) if result.get("log") else ""
    elif facts.mergeable:
        log = _name(run, Path(str(merge["log"]))) if merge.get("log") else ""
    if not facts.settled and run.attempt_state(item.issue) == "alive":
        attempt = run.folder.attempt(item.issue, run.folder.attempts(item.issue))
        session = run.folder.load(attempt / "session.json") or {}
        elapsed = time.time() - float(session.get("started", time.time()))
        state, detail, place = "running", f"attempt {attempt.name}", Path(str(session.get("path", ""))).name
    if facts.parts and not facts.merged and state == "partial":
        detail = "its finished part is merged" + (f"; left: {one_line(str(result.get('notes', '')))[:200]}")
    return Row(item, state, detail, elapsed, cost, place, log, _next(run, item, state))


def _next(run: Run, item: Item, state: str) -> str:
    """Name the commands that lead on from a state."""
    number, issue = f"n={run.number}", item.issue
    again, skip = f"doit milestone {number}", f"doit skip:{issue} {number}"
    retry, log = f"doit retry:{issue} {number}", f"doit log:{issue} {number}"
    if state in ("merged", "complete", "skipped", "running"):
        return ""
    if state in ("conflict", "gate", "dropped"):
        return f"{retry} (a new session), {again} (merge it again), or {skip}"
    if state == "waiting":
        return f"goes on by itself when what it waits for is merged, or {skip}"
    if state in ("pending", "ready", "stopped"):
        return again
    return f"{log}, then {again}, or {skip}"


def _name(run: Run, path: Path) -> str:
    return str(path.relative_to(run.root)) if path.is_relative_to(run.root) else str(path)


# -- texts


def console(stream: TextIO, *, color: bool) -> Console:
    """Make the console that tables are printed on; what is piped has no terminal's width to heed."""
    from rich.console import Console  # 110 ms that a run with nothing to do has no use for

    return Console(
        file=stream,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="auto" if color else None,
        width=None if stream.isatty() else 140,
    )


def print_status(run: Run, console: Console) -> None:
    """Print the table of all items, and where the run as a whole stands."""
    if run.number is None or run.plan is None:
        print_plans(run, console)
        return
    lines = rows(run)
    console.print(_table(lines, console.width))
    console.print(f"milestone {run.number}: {_tally(lines)}; {_standing(run)}")
    holder = run.lock.holder()
    if holder:
        console.print(f"a run is at work: process {holder}")
    for note in (*run.folder.notes.values(),):
        console.print(f"note: {note}", style="yellow")


def print_plans(run: Run, console: Console) -> None:
    """Name the plans that exist."""
    found = list_plans(run.root)
    if not found:
        console.print(f"no plan here: {run.root / 'plan'}/milestone-N-dispatch.yaml is where they are looked for")
    for plan in found:
        console.print(f"n={plan.number}  {one_line(plan.title)}  ({_name(run, plan.path)})")


def closing_line(run: Run) -> str:
    """Say in one line how all of it stands."""
    return f"milestone {run.number}: {_tally(rows(run))}; {_standing(run)}"


def print_summary(run: Run, console: Console) -> None:
    """Print how the run ended: each item's state, and for what is not merged why and what to do."""
    lines = rows(run)
    shown = lines if len(lines) <= MOST_ROWS else [row for row in lines if not run.settled(row.item.issue)]
    if shown:
        console.print(_table(shown[:MOST_ROWS], console.width))
    for row in [row for row in lines if not run.settled(row.item.issue)][:MOST_ROWS]:
        console.print(f"#{row.item.issue} {row.state}: {row.detail or 'not done'}", soft_wrap=True)
        if row.log:
            console.print(f"    log:  {row.log}", soft_wrap=True)
        if row.next:
            console.print(f"    next: {row.next}", soft_wrap=True)
    console.print(f"milestone {run.number}: {_tally(lines)}; {_standing(run)}", soft_wrap=True)


def _tally(lines: list[Row]) -> str:
    counts = Counter(row.state for row in lines)
    spent = sum(row.cost or 0 for row in lines)
    told = ", ".join(f"{count} {state}" for state, count in counts.most_common()) or "no items"
    return told + (f", ${spent:.2f}" if spent else "")


def _standing(run: Run) -> str:
    """Say in words where the milestone as a whole stands."""
    if landing.is_landed(run):
        commit = (run.folder.load(run.folder.path / "land.json") or {}).get("commit")
        return f"landed on {run.main}" + (f" as {str(commit)[:10]}" if commit else "")
    if run.branch_receipt is None:
        return "not begun"
    waits = run.folder.load(run.folder.path / "land.json") or {}
    if waits.get("status") == "waiting":
        return f"ready to land, but {waits.get('reason')}"
    missing = "" if run.repo.resolve(run.ref) else " (gone)"
    return f"{run.main} is untouched, merged work is on {run.branch}{missing}"


def _table(lines: list[Row], width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("item", "wave", "pri", "state", "time", "cost", "title", ""):
        table.add_column(name, no_wrap=True)
    # Rich would shrink every column alike; the narrow ones are what a table is read for.
    title_width = max(12, min(60, (width - 45) * 2 // 3))
    for row in lines:
        where = f"{row.detail}{f', worktree {row.place}' if row.place else ''}"
        title = _cut(one_line(row.item.title), title_width)
        table.add_row(
            f"#{row.item.issue}", str(row.item.wave), row.item.priority, Text(row.state, COLORS.get(row.state, "red")),
            span(row.elapsed), f"${row.cost:.2f}" if row.cost is not None else "", Text(title),
            Text(_cut(one_line(where), max(10, width - 45 - title_width)), "dim"),
        )  # fmt: skip
    return table


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
