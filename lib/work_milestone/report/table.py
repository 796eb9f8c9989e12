"""Where the items of a run stand, for people: the table, the summary, the next command.

Rule: told from receipts and git alone, so that it is right at any time and from any terminal, also while a run
is on.
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from work_milestone import agents, gates, landing
from work_milestone.agents import api as agent
from work_milestone.plan import Item, list_plans
from work_milestone.run import integration
from work_milestone.run.run import Run
from work_milestone.sessions import progress
from work_milestone.store.outcomes import Kind
from work_milestone.store.receipts import LANDING
from work_milestone.system import process
from work_milestone.text.lines import one_line, shown, size, span
from work_milestone.text.masking import mask

MOST_ROWS = 200
WIDE = 140
COLORS = {"merged": "32", "complete": "32", "running": "36", "ready": "36", "skipped": "33", "waiting": "33",
          "pending": "2"}  # fmt: skip


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
    tail: list[str]
    next: str


def rows(run: Run) -> list[Row]:
    """Say where each item stands."""
    return [_row(run, item) for item in run.items.values()]


def _row(run: Run, item: Item) -> Row:
    facts, result = run.facts(item.issue), run.result(item.issue) or {}
    merge = run.merge(item.issue) or {}
    elapsed, cost, place = result.get("elapsed"), run.spent_on(item.issue) or None, ""
    state, detail, log = facts.word, facts.reason, ""
    if facts.merged:
        followup = run.followup_of(item.issue)
        detail = f"{str(merge.get('commit', ''))[:10]} {merge.get('reason') or ''}".strip()
        detail = detail if followup is None else f"by #{followup.issue}"
    elif result and not facts.mergeable:
        log = run.folder.name(Path(str(result["log"]))) if result.get("log") else ""
    elif facts.mergeable:
        log = run.folder.name(Path(str(merge["log"]))) if merge.get("log") else ""
    if not facts.settled and run.attempt_state(item.issue) == "alive":
        attempt = run.folder.attempt(item.issue, run.folder.attempts(item.issue))
        session = run.folder.load(attempt / "session.json") or {}
        elapsed = max(0.0, time.time() - float(session.get("started", time.time())))
        kind = "" if session.get("kind") in (None, Kind.WORK) else f"{session['kind']}, "
        worker = agents.find(str(session.get("agent")), run.settings.agents)
        far = _measure(attempt, worker) if worker.streams else ""
        detail = f"{kind}attempt {attempt.name}" + (f", {far}" if far else "")
        state, place = "running", Path(str(session.get("path", ""))).name
    if facts.parts and not facts.merged and state == "partial":
        detail = f"{facts.reason}; left: {one_line(str(result.get('notes', '')))[:200]}"
    said = merge.get("tail") if state == "gate" else None
    tail = [shown(line, WIDE) for line in said] if isinstance(said, list) else []
    return Row(item, state, detail, elapsed, cost, place, log, tail, _next(run, item, state))


def _measure(attempt: Path, worker: agent.Agent) -> str:
    """Say how far a session is, as its agent has told it so far."""
    return progress.describe(progress.measure(gates.read_end(attempt / "stdout", progress.MOST), worker))


def _next(run: Run, item: Item, state: str) -> str:
    """Name the commands that lead on from a state."""
    number, issue = f"n={run.number}", item.issue
    again, skip = f"doit milestone {number}", f"doit skip:{issue} {number}"
    retry, log = f"doit retry:{issue} {number}", f"doit log:{issue} {number}"
    if state in ("merged", "complete", "skipped", "running"):
        return ""
    if run.facts(issue).followed:
        return f"goes on by itself when {', '.join(f'#{one}' for one in run.followers(issue))} is done"
    if state in ("conflict", "gate", "dropped"):
        return f"{retry} (a new session), {again} (merge it again), or {skip}"
    if state == "waiting":
        return f"goes on by itself when what it waits for is merged, or {skip}"
    if state in ("pending", "ready", "stopped", "quota"):
        return again
    return f"{log}, then {again}, or {skip}"


# -- texts


class Page:
    """Writes lines to a terminal or a pipe; what is piped has no terminal's width to heed."""

    def __init__(self, write: Callable[[str], object], *, color: bool, width: int | None = None) -> None:
        self.write = write
        self.color = color
        self.width = width or shutil.get_terminal_size((WIDE, 24)).columns

    def print(self, text: str) -> None:
        """Write a line."""
        self.write(mask(text) + "\n")

    def paint(self, text: str, color: str | None) -> str:
        """Colour a text, where colours are wanted."""
        return f"\x1b[{color}m{text}\x1b[0m" if self.color and color else text


def print_status(run: Run, page: Page) -> None:
    """Print the table of all items, and where the run as a whole stands."""
    if run.number is None or run.plan is None:
        print_plans(run, page)
        return
    lines = rows(run)
    _print_table(page, lines)
    page.print(f"milestone {run.number}: {_tally(run, lines)}; {_standing(run)}")
    holder = run.lock.holder()
    if holder:
        page.print(f"a run is at work: process {holder}")
    for note in (*run.folder.notes.values(),):
        page.print(page.paint(f"note: {note}", "33"))


def print_plans(run: Run, page: Page) -> None:
    """Name the plans that exist."""
    found = list_plans(run.root)
    if not found:
        page.print(f"no plan here: {run.root / 'plan'}/milestone-N-dispatch.yaml is where they are looked for")
    for plan in found:
        page.print(f"n={plan.number}  {one_line(plan.title)}  ({run.folder.name(plan.path)})")


def closing_line(run: Run) -> str:
    """Say in one line how all of it stands."""
    return f"milestone {run.number}: {_tally(run, rows(run))}; {_standing(run)}"


def print_summary(run: Run, page: Page) -> None:
    """Print how the run ended: each item's state, and for what is not merged why and what to do."""
    lines = [_explain(run, row) for row in rows(run)]
    shown = lines if len(lines) <= MOST_ROWS else [row for row in lines if not run.settled(row.item.issue)]
    if shown:
        _print_table(page, shown[:MOST_ROWS])
    for row in [row for row in lines if not run.settled(row.item.issue)][:MOST_ROWS]:
        page.print(f"#{row.item.issue} {row.state}: {row.detail or 'not done'}")
        for line in row.tail:
            page.print(f"    | {line}")
        if row.log:
            page.print(f"    log:  {row.log}")
        if row.next:
            page.print(f"    next: {row.next}")
    taken = run.pool.measure(integration.folder(run)) if not landing.is_landed(run) else 0
    if taken:
        page.print(f"worktrees for the next run take {size(taken)}: {run.folder.name(run.pool.folder)}")
    page.print(f"milestone {run.number}: {_tally(run, lines)}; {_standing(run)}")


def _explain(run: Run, row: Row) -> Row:
    """Say of an item that has not had its turn what kept it from that."""
    if row.item.issue in run.kept_back and not run.settled(row.item.issue):
        return replace(row, detail=f"not started: {run.kept_back[row.item.issue]}")
    why = run.breaker.halted or ("the run was stopped" if process.stopping.is_set() else "")
    return replace(row, detail=f"not started: {why}") if why and row.state == "pending" and not row.detail else row


def _tally(run: Run, lines: list[Row]) -> str:
    counts = Counter(row.state for row in lines)
    spent = sum(row.cost or 0 for row in lines) + run.spent_on(LANDING)
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
    if run.attempt_state(LANDING) == "alive":
        return (
            f"a session mends what keeps {run.main} from it: {run.folder.name(run.folder.item(LANDING) / 'attempts')}"
        )
    if waits.get("status") == "waiting":
        return f"ready to land, but {waits.get('reason')}"
    missing = "" if run.repo.resolve(run.ref) else " (gone)"
    return f"{run.main} is untouched, merged work is on {run.branch}{missing}"


def _print_table(page: Page, lines: list[Row]) -> None:
    """Write a line an item, in columns; the title and what is said of it share what room is left."""
    cells = [("item", "wave", "pri", "state", "time", "cost", "title", "")]
    for row in lines:
        said = f"{row.detail}{f', worktree {row.place}' if row.place else ''}"
        cost = f"${row.cost:.2f}" if row.cost is not None else ""
        cells.append((f"#{row.item.issue}", str(row.item.wave), row.item.priority, row.state, span(row.elapsed), cost,
                      one_line(row.item.title), one_line(said)))  # fmt: skip
    widths = [max(cell_len(line[column]) for line in cells) for column in range(len(cells[0]))]
    room = max(24, page.width - sum(widths[:6]) - 14)
    widths[6] = min(widths[6], max(room - widths[7], room // 2))
    widths[7] = room - widths[6]
    colors: list[tuple[str | None, ...]] = [("1",) * 8]
    colors += [(None,) * 3 + (COLORS.get(row.state, "31"),) + (None,) * 3 + ("2",) for row in lines]
    for line, paints in zip(cells, colors, strict=True):
        page.print(_join((_fit(text, width) for text, width in zip(line, widths, strict=True)), paints, page))


def _fit(text: str, width: int) -> str:
    """Cut or fill a text to a width in cells of a terminal, which some letters take two of."""
    short = text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"
    return set_cell_size(short, width)


def _join(texts: Iterable[str], paints: Iterable[str | None], page: Page) -> str:
    """Paint cells and put them in a row, without blanks at its end."""
    row = list(texts)
    while row and not row[-1].strip():
        row.pop()
    return "  ".join(
        page.paint(text, paint) for text, paint in zip([*row[:-1], row[-1].rstrip()], paints, strict=False)
    )
