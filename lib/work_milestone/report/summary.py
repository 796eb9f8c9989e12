"""How a run stands as a whole: the status while it is on, the summary at its end, the line that closes both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from work_milestone.landing import landing
from work_milestone.plan import list_plans
from work_milestone.report.rows import Row, gather
from work_milestone.report.table import Page, print_table
from work_milestone.run import Run
from work_milestone.store import LANDING, records
from work_milestone.system import process
from work_milestone.text import one_line, size

MOST_ROWS = 200


def print_status(run: Run, page: Page) -> None:
    """Print the table of all items, and where the run as a whole stands."""
    if run.milestone.number is None or run.milestone.plan is None:
        print_plans(run, page)
        return
    rows = gather(run)
    print_table(page, rows)
    page.print(_close(run, rows))
    if holder := run.lock.holder():
        page.print(f"a run is at work: process {holder}")
    for note in run.receipts.notes.values():
        page.print(page.paint(f"note: {note}", "33"))


def print_plans(run: Run, page: Page) -> None:
    """Name the plans that exist."""
    root = run.milestone.root
    found = list_plans(root)
    if not found:
        page.print(f"no plan here: {root / 'plan'}/milestone-N-dispatch.yaml is where they are looked for")
    for plan in found:
        page.print(f"n={plan.number}  {one_line(plan.title)}  ({run.milestone.folder.name(plan.path)})")


def describe(run: Run) -> str:
    """Say in one line how all of it stands."""
    return _close(run, gather(run))


def print_summary(run: Run, page: Page) -> None:
    """Print how the run ended: each item's state, and for what is not merged why and what to do."""
    rows = [_explain(run, row) for row in gather(run)]
    unsettled = [row for row in rows if not row.settled]
    shown = rows if len(rows) <= MOST_ROWS else unsettled
    if shown:
        print_table(page, shown[:MOST_ROWS])
    for row in unsettled[:MOST_ROWS]:
        page.print(f"#{row.item.issue} {row.state}: {row.detail or 'not done'}")
        for line in row.tail:
            page.print(f"    | {line}")
        if row.log:
            page.print(f"    log:  {row.log}")
        if row.next:
            page.print(f"    next: {row.next}")
    taken = run.pool.measure(run.place) if not landing.is_landed(run) else 0
    if taken:
        place = run.milestone.folder.name(run.pool.folder)
        page.print(f"worktrees for the next run take {size(taken)}: {place}")
    page.print(_close(run, rows))


def _explain(run: Run, row: Row) -> Row:
    """Say of an item that has not had its turn what kept it from that."""
    if row.item.issue in run.kept_back and not row.settled:
        return row._replace(detail=f"not started: {run.kept_back[row.item.issue]}")
    why = run.breaker.halted or ("the run was stopped" if process.stopping.is_set() else "")
    return row._replace(detail=f"not started: {why}") if why and row.state == "pending" and not row.detail else row


def _close(run: Run, rows: Sequence[Row]) -> str:
    return f"milestone {run.milestone.number}: {_tally(run, rows)}; {_describe(run)}"


def _tally(run: Run, rows: Sequence[Row]) -> str:
    counts = Counter(row.state for row in rows)
    spent = sum(row.cost or 0 for row in rows) + run.standing(LANDING).spent
    told = ", ".join(f"{count} {state}" for state, count in counts.most_common()) or "no items"
    return told + (f", ${spent:.2f}" if spent else "")


def _describe(run: Run) -> str:
    """Say in words where the milestone as a whole stands."""
    history, folder, landed = run.history, run.milestone.folder, run.receipts.load(records.Land)
    if landing.is_landed(run):
        return f"landed on {history.main}" + (f" as {landed.commit[:10]}" if landed and landed.commit else "")
    if history.made is None:
        return "not begun"
    if run.is_alive(LANDING):
        return f"a session mends what keeps {history.main} from it: {folder.name(folder.item(LANDING) / 'attempts')}"
    if landed and landed.status == "waiting":
        return f"ready to land, but {landed.reason}"
    missing = "" if run.repo.resolve(history.ref) else " (gone)"
    return f"{history.main} is untouched, merged work is on {history.branch}{missing}"
