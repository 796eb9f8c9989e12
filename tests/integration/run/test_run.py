"""Where an item stands is gathered anew when something has changed, and only then; what was handed down stays."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from work_milestone.plan import FollowUp, Reason
from work_milestone.run import Run
from work_milestone.store import MergeStatus, Record, records

if TYPE_CHECKING:
    from tests.conftest import Sandbox

WORK = records.Work(status="complete", attempt=1, branch="work/7/41")


@pytest.fixture
def run(sandbox: Sandbox) -> Run:
    sandbox.plan([[{"issue": 41, "title": "First"}, {"issue": 42, "title": "Second"}]])
    run = sandbox.run()
    run.receipts.write(records.Branch(status="made", branch="milestone/7", base=sandbox.base, main="main"))
    run.receipts.write(WORK.replace(head=sandbox.base), 41)
    run.reread()
    return run


def follow(run: Run) -> None:
    head, base = str(run.standing(41).head), "b" * 40
    found = FollowUp(issue=43, origin=41, generation=1, title="Finish", kind=Reason.CONFLICT, head=head, base=base,
                     onto=base, branch="work/7/41")  # fmt: skip
    run.dispatch.add(found)


CHANGES: dict[str, tuple[Callable[[Run], object], Callable[[Run], bool]]] = {
    "a record": (
        lambda run: run.receipts.write(records.Merge(status="skipped"), 41),
        lambda run: run.standing(41).merging is MergeStatus.SKIPPED,
    ),
    "a record taken back": (
        lambda run: run.receipts.remove(records.Work, 41),
        lambda run: run.standing(41).work is None,
    ),
    "a merge": (
        lambda run: run.history.note_part([41], str(run.standing(41).head), whole=True),
        lambda run: run.standing(41).merged,
    ),
    "a follow-up": (follow, lambda run: run.standing(41).followed),
    "an item's first record": (lambda run: run.begin(42), lambda run: run.standing(42).planned == "pending"),
    "whatever another process did": (lambda run: run.reread(), lambda run: run.standing(41).work is not None),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_standing_is_gathered_anew_after(run: Run, what: str) -> None:
    change, is_seen = CHANGES[what]
    before = run.standing(41)
    assert run.standing(41) is before, "nothing has changed"
    change(run)
    assert run.standing(41) is not before
    assert is_seen(run)
    assert run.standing(41) is run.standing(41)


def test_what_was_handed_down_stays_as_it_was(run: Run) -> None:
    run.history.note_part([41], "first", whole=False)
    before = run.standing(41)
    run.history.note_part([41], "second", whole=True)
    assert (dict(before.parts), before.merged) == ({"first": False}, False)
    assert run.standing(41).merged


def test_who_looks_in_the_middle_of_a_change_looks_again_after(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write = run.receipts.write

    def write_and_look(record: Record, *place: int, durable: bool = False) -> Record:
        written = write(record, *place, durable=durable)
        assert not run.standing(41).followed, "another thread looks while the follow-up is being added"
        return written

    monkeypatch.setattr(run.receipts, "write", write_and_look)
    follow(run)
    assert run.standing(41).followed


def test_nobody_is_handed_what_was_before_a_change_that_is_over(run: Run) -> None:
    """Threads that write for different items at once, each of which reads its own at once."""
    wrong: list[tuple[int, int]] = []

    def write(issue: int) -> None:
        for attempt in range(1, 60):
            run.receipts.write(WORK.replace(attempt=attempt), issue)
            run.begin(issue)
            work = run.standing(issue).work
            if work is None or work.attempt != attempt:
                wrong.append((issue, attempt))

    threads = [threading.Thread(target=write, args=(issue,)) for issue in (41, 42)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
