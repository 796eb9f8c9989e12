"""What each item waits for, and that any valid plan gives a graph without circles."""

from __future__ import annotations

import graphlib
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.plan import Item, Plan, Wave, edges, load_plan
from work_milestone.plan.model import Gates
from work_milestone.system import PlanError


def plan(*waves: Wave) -> Plan:
    return Plan(number=7, title="t", integration_branch="milestone/7-t", conflict_groups=(), waves=waves,
                gates=Gates(), path=Path("plan.yaml"))  # fmt: skip


def wave(number: int, *items: dict[str, Any], parallel: bool = True) -> Wave:
    made = tuple(Item(title=f"item {item['issue']}", wave=number, **item) for item in items)
    return Wave(wave=number, parallel=parallel, items=made)


def two_waves(*, parallel: bool, depends: bool, group: bool) -> Plan:
    """One item before two; the first of the two may depend on it or share its conflict group."""
    shared = 1 if group else None
    return plan(
        wave(1, {"issue": 10, "conflict_group": shared}),
        wave(2, {"issue": 20, "conflict_group": shared, "depends_on": (10,) if depends else ()}, {"issue": 21},
             parallel=parallel),
    )  # fmt: skip


BOOLS = [False, True]


@pytest.mark.parametrize("partial", BOOLS)
@pytest.mark.parametrize("eager", BOOLS)
@pytest.mark.parametrize("parallel", BOOLS)
@pytest.mark.parametrize("depends", BOOLS)
@pytest.mark.parametrize("group", BOOLS)
def test_every_combination(eager: bool, partial: bool, parallel: bool, depends: bool, group: bool) -> None:
    found = edges.find_awaited(
        two_waves(parallel=parallel, depends=depends, group=group).waves, eager=eager, partial=partial
    )
    assert found[10] == ["baseline"]
    barrier = {"relay:1"} if not eager and not partial else set()
    on_the_group = group and eager and not partial
    assert set(found[20]) == {"baseline"} | barrier | ({"mend:10"} if depends or on_the_group else set())
    in_a_row = not parallel and not partial
    assert set(found[21]) == {"baseline"} | barrier | ({"mend:20"} if in_a_row else set())
    assert all(len(names) == len(set(names)) for names in found.values()), "no edge twice"


@pytest.mark.parametrize("parallel", BOOLS)
def test_eager_group_waits_for_its_latest_member_alone(parallel: bool) -> None:
    group = [{"issue": issue, "conflict_group": 4} for issue in (1, 2, 3)]
    found = edges.find_awaited(
        plan(*(wave(at, item, parallel=parallel) for at, item in enumerate(group, 1))).waves, eager=True
    )
    assert found == {1: ["baseline"], 2: ["baseline", "mend:1"], 3: ["baseline", "mend:2"]}


def test_group_skips_waves_without_it() -> None:
    found = edges.find_awaited(
        plan(wave(1, {"issue": 1, "conflict_group": 0}), wave(2, {"issue": 2}),
             wave(3, {"issue": 3, "conflict_group": 0})).waves, eager=True)  # fmt: skip
    assert found == {1: ["baseline"], 2: ["baseline"], 3: ["baseline", "mend:1"]}


def test_group_in_a_wave_that_goes_one_by_one_is_ordered_by_the_wave() -> None:
    pair = [{"issue": 1, "conflict_group": 0}, {"issue": 2, "conflict_group": 0}]
    assert edges.find_awaited(plan(wave(1, *pair, parallel=False)).waves, eager=True)[2] == ["baseline", "mend:1"]
    apart = [pair[0], {"issue": 9}, pair[1]]
    assert edges.find_awaited(plan(wave(1, *apart, parallel=False)).waves, eager=True)[2] == ["baseline", "mend:9"]


def test_partial_keeps_every_dependency() -> None:
    chain = plan(wave(1, {"issue": 1}), wave(2, {"issue": 2, "depends_on": (1,)}),
                 wave(3, {"issue": 3, "depends_on": (1, 2)}))  # fmt: skip
    found = edges.find_awaited(chain.waves, partial=True)
    assert found == {1: ["baseline"], 2: ["baseline", "mend:1"], 3: ["baseline", "mend:1", "mend:2"]}


# any valid plan


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Plans as they stand in files; mostly valid ones."""
    waves: list[dict[str, Any]] = []
    earlier: list[int] = []
    issue = 0
    for number in range(1, draw(st.integers(1, 4)) + 1):
        parallel = draw(st.booleans())
        items: list[dict[str, Any]] = []
        for _ in range(draw(st.integers(1, 5))):
            issue += 1
            taken = {item["conflict_group"] for item in items} if parallel else set()
            group = draw(st.sampled_from([choice for choice in (None, 1, 2) if choice is None or choice not in taken]))
            depends = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=3)) if earlier else []
            items.append({"issue": issue, "title": f"item {issue}", "conflict_group": group, "depends_on": depends,
                          "priority": draw(st.sampled_from(["P0", "P1", "P2", "P3"]))})  # fmt: skip
        waves.append({"wave": number, "parallel": parallel, "items": items})
        earlier += [item["issue"] for item in items]
    groups: list[dict[str, Any]] = [{"group_id": number, "reason": "same files", "items": []} for number in (1, 2)]
    return {"milestone": {"number": 7, "title": "made"}, "conflict_groups": groups, "waves": waves}


def load(document: dict[str, Any]) -> Plan:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan" / "milestone-7-dispatch.yaml"
        path.parent.mkdir()
        path.write_text(json.dumps(document))
        return load_plan(Path(folder), 7)


def graph(made: Plan, *, eager: bool, partial: bool) -> dict[str, set[str]]:
    """The steps of dodo.py that edges lead to and from."""
    before = edges.find_awaited(made.waves, eager=eager, partial=partial)
    found: dict[str, set[str]] = {"branch": set(), "baseline": {"branch"}}
    for each in made.waves:
        for item in each.items:
            found[f"mend:{item.issue}"] = set(before[item.issue])
        found[f"relay:{each.wave}"] = {f"mend:{item.issue}" for item in each.items}
    return found


@given(documents(), st.booleans(), st.booleans())
def test_any_valid_plan_gives_a_graph(document: dict[str, Any], eager: bool, partial: bool) -> None:
    made = load(document)
    found = graph(made, eager=eager, partial=partial)
    assert {name for names in found.values() for name in names} <= found.keys(), "every edge leads to a task"
    order = list(graphlib.TopologicalSorter(found).static_order())
    assert set(order) == found.keys()
    for item in made.items.values():
        assert {f"mend:{issue}" for issue in item.depends_on} <= found[f"mend:{item.issue}"]
        own = len(item.depends_on) + 4  # the branch, a barrier, the group, the one before in the wave
        assert len(found[f"mend:{item.issue}"]) <= own


@given(documents())
def test_members_of_a_group_never_run_beside_each_other(document: dict[str, Any]) -> None:
    """In both schedules one of two members has the other among its ancestors."""
    made = load(document)
    for eager in BOOLS:
        found = graph(made, eager=eager, partial=False)
        members = [item for item in made.items.values() if item.conflict_group is not None]
        for at, later in enumerate(members):
            for earlier in (item for item in members[:at] if item.conflict_group == later.conflict_group):
                assert f"mend:{earlier.issue}" in ancestors(found, f"mend:{later.issue}"), (eager, earlier, later)


def ancestors(found: dict[str, set[str]], name: str) -> set[str]:
    seen: set[str] = set()
    todo = [name]
    while todo:
        fresh = found[todo.pop()] - seen
        seen |= fresh
        todo += fresh
    return seen


@pytest.mark.parametrize("eager", BOOLS)
@pytest.mark.parametrize("parallel", BOOLS)
def test_edges_grow_with_items_and_not_with_their_square(eager: bool, parallel: bool) -> None:
    def count(width: int) -> int:
        waves = [
            wave(at, *({"issue": at * 1000 + n, "conflict_group": n} for n in range(width)), parallel=parallel)
            for at in range(1, 5)
        ]
        return sum(len(names) for names in edges.find_awaited(plan(*waves).waves, eager=eager).values())

    assert count(200) <= 3 * 4 * 200
    assert count(200) == pytest.approx(10 * count(20), rel=0.1)


def test_generator_of_plans_is_not_always_right() -> None:
    """The loader does judge what it is given here."""
    with pytest.raises(PlanError):
        load({"milestone": {"number": 7, "title": "t"}, "waves": [
            {"wave": 1, "items": [{"issue": 1, "title": "a", "depends_on": [1]}]}]})  # fmt: skip
