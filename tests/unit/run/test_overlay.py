"""The follow-ups of a run on disk: in the overlay, and with their origins' merges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.plan import MAX_NUMBER, FollowUp, Reason
from work_milestone.run.dispatch import Dispatch
from work_milestone.store import Receipts, RunFolder, records, shapes

HEAD, BASE, ONTO = "a" * 40, "b" * 40, "c" * 64


def follow_up(issue: int, origin: int, generation: int = 1, **keys: Any) -> FollowUp:
    given = {"title": f"Finish: {origin}", "kind": Reason.REST, "head": HEAD, "base": BASE, "onto": ONTO,
             "branch": f"work/7/{origin}", **keys}  # fmt: skip
    return FollowUp(issue=issue, origin=origin, generation=generation, **given)


def by_issue(*found: FollowUp) -> dict[int, FollowUp]:
    return {one.issue: one for one in found}


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    return Receipts(RunFolder(tmp_path, 7))


def load(receipts: Receipts) -> dict[int, FollowUp]:
    return dict(Dispatch(None, receipts, lambda _: False).recorded)


def reopened(receipts: Receipts) -> dict[int, FollowUp]:
    return load(Receipts(receipts.folder))


def write(receipts: Receipts, *items: FollowUp) -> None:
    receipts.write(records.Overlay(status="written", items=items))


FULL = follow_up(8, 1, kind=Reason.CONFLICT, title="\"'#: 🎉 --force", notes="half \udc9f of \ud83d\n\0", files=(
    "caf\udce9.txt", "-x", "a\nb", "🎉"), against=(2, 3))  # fmt: skip


def test_round_trip(receipts: Receipts) -> None:
    assert load(receipts) == {}
    write(receipts, FULL, follow_up(9, 8, 2))
    assert load(receipts) == reopened(receipts) == by_issue(FULL, follow_up(9, 8, 2))
    write(receipts)
    assert reopened(receipts) == {}


@given(st.text(st.characters(), max_size=20), st.lists(st.text(st.characters(), max_size=9), max_size=3))
def test_round_trip_of_any_text(notes: str, files: list[str]) -> None:
    one = follow_up(8, 1, notes=notes, files=tuple(files))
    assert shapes.read(FollowUp, json.loads(json.dumps(shapes.write(one)))) == one


def rows(*found: object) -> str:
    return json.dumps({"version": 1, "step": "overlay", "status": "written", "ended": 1.0, "items": found})


GOOD = shapes.write(follow_up(9, 1))


@pytest.mark.parametrize(
    "text",
    ["", "\0\1", "{", "[]", "null", "[" * 9000, rows(GOOD)[:-9], '{"version": 1, "step": "overlay"}',
     json.dumps({**json.loads(rows(GOOD)), "items": {"9": GOOD}}), json.dumps({**json.loads(rows()), "items": None})],
    ids=range(10),
)  # fmt: skip
def test_a_damaged_file_counts_as_absent_and_is_told(receipts: Receipts, text: str) -> None:
    path = receipts.path(records.Overlay)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert load(receipts) == {}
    assert path in receipts.notes


@pytest.mark.parametrize(
    "wrong",
    [
        None, 7, "x", [], {}, [GOOD],
        {**GOOD, "issue": 0}, {**GOOD, "issue": MAX_NUMBER + 1}, {**GOOD, "issue": "8"}, {**GOOD, "issue": True},
        {**GOOD, "issue": 8.5}, {**GOOD, "origin": -1}, {**GOOD, "generation": 0}, {**GOOD, "generation": None},
        {**GOOD, "kind": "other"}, {**GOOD, "title": " "}, {**GOOD, "title": 7}, {**GOOD, "title": "\udce9"},
        {**GOOD, "head": "--output=x"}, {**GOOD, "base": "HEAD"}, {**GOOD, "onto": HEAD + "\n"}, {**GOOD, "head": "A"},
        {**GOOD, "files": "a"}, {**GOOD, "files": [7]}, {**GOOD, "against": [0]}, {**GOOD, "against": ["1"]},
        {key: value for key, value in GOOD.items() if key != "branch"},
    ],
    ids=range(27),
)  # fmt: skip
def test_a_damaged_row_is_no_row_and_the_others_stay(receipts: Receipts, wrong: object) -> None:
    path = receipts.path(records.Overlay)
    path.parent.mkdir(parents=True)
    path.write_text(rows(wrong, {**GOOD, "issue": 7}, wrong))
    assert load(receipts) == by_issue(follow_up(7, 1))
    with pytest.raises(ValueError):
        shapes.read(FollowUp, wrong)


def test_a_key_that_nobody_knows_says_nothing(receipts: Receipts) -> None:
    path = receipts.path(records.Overlay)
    path.parent.mkdir(parents=True)
    path.write_text(rows({**GOOD, "more": 1}))
    assert load(receipts) == by_issue(follow_up(9, 1))


def test_what_the_file_has_lost_stands_with_its_origin(receipts: Receipts) -> None:
    merge = records.Merge(status="conflict")
    for origin, one in ((1, FULL), (2, follow_up(9, 2))):
        receipts.write(merge.replace(followup=one), origin)
    receipts.write(merge, 3)
    damaged = json.loads(receipts.path(records.Merge, 3).read_text()) | {"followup": {"issue": 1}}
    receipts.path(records.Merge, 3).write_text(json.dumps(damaged))
    receipts.write(merge, 4)
    receipts.path(records.Merge, 6).parent.mkdir()
    receipts.path(records.Merge, 6).write_text("{")
    newer = follow_up(9, 2, notes="newer")
    write(receipts, newer)
    assert reopened(receipts) == by_issue(FULL, newer)
    receipts.path(records.Overlay).write_text("{")
    assert reopened(receipts) == by_issue(FULL, follow_up(9, 2))
    receipts.path(records.Overlay).unlink()
    assert reopened(receipts) == by_issue(FULL, follow_up(9, 2))
    assert Receipts(receipts.folder).load(records.Merge, 3) == merge.replace(**stamps(receipts, 3))


def stamps(receipts: Receipts, issue: int) -> dict[str, Any]:
    """What a receipt says of its own making."""
    found = json.loads(receipts.path(records.Merge, issue).read_text())
    return {"ended": found["ended"], "writer": found["writer"]}
