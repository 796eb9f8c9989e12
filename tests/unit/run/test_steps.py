"""What the graph knows of a step, and where its records lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from work_milestone.plan import Item, Wave
from work_milestone.run import Run, find_place, step
from work_milestone.store import Receipts, RunFolder, records

if TYPE_CHECKING:
    from collections.abc import Callable

ITEM = Item(issue=42, title="It")
WAVE = Wave(wave=2, items=(ITEM,))


class Folder:
    """All that a step's freshness asks of a run."""

    def __init__(self, root: Path) -> None:
        self.receipts = Receipts(RunFolder(root, 7))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return cast("Run", Folder(tmp_path))


def test_records_lie_by_item_by_wave_or_by_themselves() -> None:
    assert (find_place(), find_place(ITEM), find_place(WAVE), find_place("x", 3)) == ((), (42,), (2,), ())


@pytest.mark.parametrize(("record", "place"), [
    (records.Relay(status="written", inputs="x"), (WAVE,)),
    (records.Lock(status="locked", mark="m"), (ITEM,)),
    (records.Milestone(status="complete"), ()),
])  # fmt: skip
def test_a_step_is_done_when_its_record_is_there(run: Run, record: records.Record, place: tuple[Any, ...]) -> None:
    made = step(leaves=type(record))(lambda *_: None)
    assert not made.is_done(run, *place)
    run.receipts.write(record, *find_place(*place))
    assert made.is_done(run, *place)
    run.receipts.remove(type(record), *find_place(*place))
    assert not made.is_done(run, *place)


def test_a_step_that_leaves_nothing_is_never_done(run: Run) -> None:
    assert not step()(lambda *_: None).is_done(run)


def test_what_a_step_says_of_itself_counts_more_than_its_record(run: Run) -> None:
    is_done: Callable[[Run], bool] = lambda _run: False  # noqa: E731
    made = step(is_done=is_done, leaves=records.Milestone)(lambda _run: None)
    run.receipts.write(records.Milestone(status="complete"))
    assert not made.is_done(run)


def test_a_step_is_called_as_the_function_it_is(run: Run) -> None:
    called: list[tuple[Run, Item]] = []
    made = step()(lambda run, item: called.append((run, item)))
    made(run, ITEM)
    assert called == [(run, ITEM)]
