"""The overlay: how follow-ups are kept, which of them fit a plan, and the waves that they are worked in."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from work_milestone.plan import MAX_NUMBER, Item, Wave
from work_milestone.store import overlay
from work_milestone.store.overlay import FollowUp, Kind
from work_milestone.store.receipts import RunFolder

HEAD, BASE, ONTO = "a" * 40, "b" * 40, "c" * 64


def follow_up(issue: int, origin: int, generation: int = 1, **keys: Any) -> FollowUp:
    given = {"title": f"Finish: {origin}", "kind": Kind.REST, "head": HEAD, "base": BASE, "onto": ONTO,
             "branch": f"work/7/{origin}", **keys}  # fmt: skip
    return FollowUp(issue=issue, origin=origin, generation=generation, **given)


def by_issue(*found: FollowUp) -> dict[int, FollowUp]:
    return {one.issue: one for one in found}


Shape = Sequence[Sequence[int | tuple[int, ...]]]


def waves(*shape: Sequence[int | tuple[int, ...]]) -> list[Wave]:
    """Waves of issues; (4, 1) is item 4, which depends on 1."""
    made = []
    for number, row in enumerate(shape, 1):
        items = [(each, ()) if isinstance(each, int) else (each[0], each[1:]) for each in row]
        made.append(Wave(wave=number, items=tuple(
            Item(title=f"Item {issue}", issue=issue, depends_on=on, wave=number, conflict_group=5, model="opus")
            for issue, on in items)))  # fmt: skip
    return made


def shape(found: Sequence[Wave]) -> list[list[int]]:
    return [[item.issue for item in wave.items] for wave in found]


def arrange(found: Sequence[Wave], followups: Mapping[int, FollowUp], settled: Collection[int] = ()) -> list[Wave]:
    return overlay.arrange(found, followups, lambda issue: issue in settled)


# -- waves


@pytest.mark.parametrize(
    ("planned", "followups", "settled", "wanted"),
    [
        pytest.param([[1, 2]], [], (), [[1, 2]], id="no follow-up"),
        pytest.param([[1, 2]], [(9, 1, 1)], (), [[1, 2], [9]], id="one"),
        pytest.param([[1, 2]], [(9, 1, 1), (8, 2, 1)], (), [[1, 2], [8, 9]], id="two, in order"),
        pytest.param([[1]], [(8, 9, 2), (9, 1, 1)], (), [[1], [9], [8]], id="a follow-up of a follow-up"),
        pytest.param([[1], [(4, 1)]], [(9, 1, 1)], (), [[1], [], [9], [4]], id="a dependent comes after it"),
        pytest.param([[1], [3, (4, 1)]], [(9, 1, 1)], (), [[1], [3], [9], [4]], id="others stay"),
        pytest.param([[1], [(4, 1)], [(5, 4)]], [(9, 1, 1)], (), [[1], [], [], [9], [4], [5]], id="over two items"),
        pytest.param([[1], [(4, 1)], [(5, 4)]], [(9, 1, 1)], (4,), [[1], [4], [5], [9]], id="a settled one holds none"),
        pytest.param([[1], [(4, 1)], [(5, 4)]], [(9, 1, 1)], (5,), [[1], [], [], [9], [4], [5]], id="never before it"),
        pytest.param([[1], [(4, 1)]], [(9, 1, 1)], (1, 9), [[1], [4], [9]], id="a settled origin"),
        pytest.param([[1], [(4, 1)]], [(9, 1, 1), (8, 9, 2)], (), [[1], [], [9], [8], [4]], id="after all generations"),
        pytest.param(
            [[1], [(4, 1)], [(5, 4)]],
            [(9, 1, 1), (8, 5, 1)],
            (),
            [[1], [], [], [8, 9], [4], [5]],
            id="an origin that has come to depend on another",
        ),
        pytest.param([[1, 2], [(4, 1, 2)]], [(9, 2, 1)], (), [[1, 2], [], [9], [4]], id="of the second"),
        pytest.param([[1], [(4, 1)]], [(9, 7, 1)], (), [[1], [4]], id="its origin is gone"),
        pytest.param([[1]], [(9, 7, 1), (8, 9, 2)], (), [[1]], id="its origin's origin is gone"),
        pytest.param([[1, 9], [(4, 1)]], [(9, 1, 1)], (), [[1, 9], [4]], id="its number is in the plan"),
        pytest.param([[1, 9]], [(9, 1, 1), (8, 9, 2)], (), [[1, 9], [8]], id="a further one of it"),
        pytest.param([[1]], [(9, 1, MAX_NUMBER)], (), [[1], [9]], id="a generation beyond all bounds"),
        pytest.param([], [(9, 1, 1)], (), [], id="an empty plan"),
    ],
)
def test_arranged(
    planned: Shape, followups: Sequence[tuple[int, int, int]], settled: Collection[int], wanted: list[list[int]]
) -> None:
    found = arrange(waves(*planned), by_issue(*(follow_up(*one) for one in followups)), settled)
    assert shape(found) == wanted
    assert [wave.wave for wave in found] == list(range(1, len(found) + 1))
    assert all(item.wave == wave.wave for wave in found for item in wave.items)


def test_a_followup_is_worked_as_its_origin_is() -> None:
    origin = Item(title="x", issue=1, priority="P0", conflict_group=3, depends_on=(2,), groomed=False, wave=2,
                  status="in-progress", agent="command", command="true", timeout=5.0, budget_usd=2.0)  # fmt: skip
    planned = [Wave(wave=1, items=(Item(title="y", issue=2, wave=1),)), Wave(wave=2, items=(origin,))]
    (made,) = arrange(planned, by_issue(follow_up(9, 1)))[2].items
    assert made == origin.model_copy(update={"title": "Finish: 1", "issue": 9, "depends_on": (), "wave": 3,
                                             "conflict_group": None, "status": "pending", "groomed": True})  # fmt: skip


def test_a_wave_that_goes_one_after_another_does_so_when_it_is_late() -> None:
    planned = [waves([1])[0], Wave(wave=2, parallel=False, items=waves([], [(4, 1), (5, 1)])[1].items)]
    assert [wave.parallel for wave in arrange(planned, by_issue(follow_up(9, 1)))] == [True, False, True, False]


# -- properties


@st.composite
def milestones(draw: st.DrawFn) -> tuple[list[Wave], dict[int, FollowUp], set[int]]:
    """Plans whose items depend on earlier waves, follow-ups of all kinds of origins, and what is settled."""
    issues = draw(st.permutations(list(range(1, draw(st.integers(1, 12)) + 1))))
    rows: list[list[tuple[int, ...]]] = [[]]
    earlier: list[int] = []
    breaks = draw(st.lists(st.booleans(), min_size=len(issues), max_size=len(issues)))
    for issue, begins in zip(issues, breaks, strict=True):
        if rows[-1] and begins:
            earlier += [each[0] for each in rows[-1]]
            rows.append([])
        chosen = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        rows[-1].append((issue, *chosen))
    found: dict[int, FollowUp] = {}
    for one in draw(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30), st.integers(1, 5)), max_size=8)):
        found[one[0]] = follow_up(*one)
    chain = draw(st.lists(st.integers(31, 60), unique=True, max_size=4))
    for generation, (issue, origin) in enumerate(zip(chain, [issues[0], *chain], strict=False), 1):
        found[issue] = follow_up(issue, origin, generation)
    return waves(*rows), found, draw(st.sets(st.sampled_from([*issues, *found])))


def chain_of(followups: Mapping[int, FollowUp], issue: int) -> list[int]:
    """The follow-ups that settle an item, one after another."""
    found = [one.issue for one in followups.values() if one.origin == issue]
    return found + [more for one in found for more in chain_of(followups, one)]


@given(milestones())
def test_properties_of_waves(drawn: tuple[list[Wave], dict[int, FollowUp], set[int]]) -> None:
    planned, recorded, settled = drawn
    items = {item.issue: item for wave in planned for item in wave.items}
    followups = overlay.fit(recorded, items)
    found = arrange(planned, followups, settled)
    at = {item.issue: wave.wave for wave in found for item in wave.items}
    everything = [issue for row in shape(found) for issue in row]
    assert sorted(everything) == sorted(items.keys() | followups.keys()), "each once, and nothing else"
    assert [wave.wave for wave in found] == list(range(1, len(found) + 1))
    assert all(item.wave == wave.wave for wave in found for item in wave.items)
    added = followups.keys() - items.keys()
    for issue, item in items.items():
        assert all(at[other] < at[issue] for other in item.depends_on)
        if issue in settled and all(at[other] <= len(planned) for other in item.depends_on):
            assert at[issue] == item.wave, "what is settled stays, unless what it depends on is late"
        for other in item.depends_on:
            late = {one for one in chain_of(followups, other) if one in added}
            if late and issue not in settled and other not in settled:
                assert all(at[one] < at[issue] for one in late)
    for one in (followups[issue] for issue in added):
        assert at[one.issue] > len(planned)
        assert one.origin not in added or at[one.origin] < at[one.issue]
    assert arrange(found, followups, settled) == found, "arranged once is arranged"
    assert arrange(planned, followups, settled) == found
    assert arrange(planned, {}, settled) == planned


@given(milestones())
def test_properties_of_what_fits(drawn: tuple[list[Wave], dict[int, FollowUp], set[int]]) -> None:
    planned, recorded, _ = drawn
    items = {item.issue: item for wave in planned for item in wave.items}
    found = overlay.fit(recorded, items)
    assert found.items() <= recorded.items()
    assert overlay.fit(found, items) == found
    origins = [one.origin for one in found.values()]
    assert len(origins) == len(set(origins)), "an origin has one at most"
    for one in found.values():
        assert one.origin in items or one.origin in found
        assert one.issue not in items, "none of these titles is in the plan"
        seen = {one.issue}
        while one.origin in found:
            one = found[one.origin]
            assert one.issue not in seen, "no circle"
            seen.add(one.issue)
        assert one.origin in items


# -- what fits


@pytest.mark.parametrize(
    ("followups", "wanted"),
    [
        pytest.param([follow_up(9, 1)], [9], id="one"),
        pytest.param([follow_up(9, 1), follow_up(8, 9, 2)], [8, 9], id="a chain"),
        pytest.param([follow_up(9, 7)], [], id="the origin is gone"),
        pytest.param([follow_up(9, 7), follow_up(8, 9, 2)], [], id="the origin's origin is gone"),
        pytest.param([follow_up(2, 1)], [], id="the number is another item's"),
        pytest.param([follow_up(2, 1, title="Item  2 ")], [2], id="it was groomed into the plan"),
        pytest.param([follow_up(9, 9)], [], id="of itself"),
        pytest.param([follow_up(8, 9), follow_up(9, 8, 2)], [], id="of each other"),
        pytest.param([follow_up(1, 2, title="Item 1"), follow_up(2, 1, 2, title="Item 2")], [2], id="a circle"),
        pytest.param([follow_up(8, 9, 1), follow_up(9, 1, 1)], [9], id="a generation that is not one more"),
        pytest.param([follow_up(8, 1), follow_up(9, 1)], [8], id="two of one origin"),
        pytest.param([follow_up(2, 1), follow_up(9, 1)], [9], id="two, of which one has lost its number"),
    ],
)
def test_fits(followups: Sequence[FollowUp], wanted: list[int]) -> None:
    items = {item.issue: item for item in waves([1, 2])[0].items}
    assert sorted(overlay.fit(by_issue(*followups), items)) == wanted


# -- the file


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, 7)


def reopened(folder: RunFolder) -> dict[int, FollowUp]:
    return overlay.load(RunFolder(folder.root, 7))


FULL = follow_up(8, 1, kind=Kind.CONFLICT, title="\"'#: 🎉 --force", notes="half \udc9f of \ud83d\n\0", files=(
    "caf\udce9.txt", "-x", "a\nb", "🎉"), against=(2, 3))  # fmt: skip


def test_round_trip(folder: RunFolder) -> None:
    assert overlay.load(folder) == {}
    overlay.write(folder, [FULL, follow_up(9, 8, 2)])
    assert overlay.load(folder) == reopened(folder) == by_issue(FULL, follow_up(9, 8, 2))
    overlay.write(folder, [])
    assert reopened(folder) == {}


@given(st.text(st.characters(), max_size=20), st.lists(st.text(st.characters(), max_size=9), max_size=3))
def test_round_trip_of_any_text(notes: str, files: list[str]) -> None:
    one = follow_up(8, 1, notes=notes, files=tuple(files))
    assert FollowUp.model_validate(json.loads(json.dumps(one.model_dump(mode="json")))) == one


def rows(*found: object) -> str:
    return json.dumps({"version": 1, "step": "overlay", "status": "written", "ended": 1.0, "items": found})


GOOD = follow_up(9, 1).model_dump(mode="json")


@pytest.mark.parametrize(
    "text",
    ["", "\0\1", "{", "[]", "null", "[" * 9000, rows(GOOD)[:-9], '{"version": 1, "step": "overlay"}',
     json.dumps({**json.loads(rows(GOOD)), "items": {"9": GOOD}}), json.dumps({**json.loads(rows()), "items": None})],
    ids=range(10),
)  # fmt: skip
def test_a_damaged_file_counts_as_absent_and_is_told(folder: RunFolder, text: str) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "overlay.json").write_text(text)
    assert overlay.load(folder) == {}
    assert folder.path / "overlay.json" in folder.notes


@pytest.mark.parametrize(
    "wrong",
    [
        None, 7, "x", [], {}, [GOOD],
        {**GOOD, "issue": 0}, {**GOOD, "issue": MAX_NUMBER + 1}, {**GOOD, "issue": "8"}, {**GOOD, "issue": True},
        {**GOOD, "issue": 8.5}, {**GOOD, "origin": -1}, {**GOOD, "generation": 0}, {**GOOD, "generation": None},
        {**GOOD, "kind": "other"}, {**GOOD, "title": " "}, {**GOOD, "title": 7}, {**GOOD, "title": "\udce9"},
        {**GOOD, "head": "--output=x"}, {**GOOD, "base": "HEAD"}, {**GOOD, "onto": HEAD + "\n"}, {**GOOD, "head": "A"},
        {**GOOD, "files": "a"}, {**GOOD, "files": [7]}, {**GOOD, "against": [0]}, {**GOOD, "against": ["1"]},
        {**GOOD, "more": 1}, {key: value for key, value in GOOD.items() if key != "branch"},
    ],
    ids=range(28),
)  # fmt: skip
def test_a_damaged_row_is_no_row_and_the_others_stay(folder: RunFolder, wrong: object) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "overlay.json").write_text(rows(wrong, {**GOOD, "issue": 7}, wrong))
    assert overlay.load(folder) == by_issue(follow_up(7, 1))
    if isinstance(wrong, dict):
        with pytest.raises(ValidationError):
            FollowUp.model_validate(wrong)


def test_what_the_file_has_lost_stands_with_its_origin(folder: RunFolder) -> None:
    for origin, one in ((1, FULL), (2, follow_up(9, 2))):
        folder.write(folder.receipt(origin, "merge"), "merge", "conflict", followup=one.model_dump(mode="json"))
    folder.write(folder.receipt(3, "merge"), "merge", "merged", followup={"issue": 1})
    folder.write(folder.receipt(4, "merge"), "merge", "merged", followup=None)
    folder.write(folder.receipt(5, "merge"), "merge", "merged")
    (folder.path / "items/6").mkdir()
    (folder.path / "items/6/merge.json").write_text("{")
    newer = follow_up(9, 2, notes="newer")
    overlay.write(folder, [newer])
    assert reopened(folder) == by_issue(FULL, newer)
    (folder.path / "overlay.json").write_text("{")
    assert reopened(folder) == by_issue(FULL, follow_up(9, 2))
    (folder.path / "overlay.json").unlink()
    assert reopened(folder) == by_issue(FULL, follow_up(9, 2))
