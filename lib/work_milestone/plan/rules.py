"""What must hold between the parts of a plan: numbers, names, groups, the order of its items.

Rules: a plan is checked as its file gives it, its keys tidied, so that these faults are told together with
those of its types, which are not told here again. A dependency lies in an earlier wave, never in the same one,
so two items of one conflict group cannot share a parallel wave: nothing could put them in order. (The protocol
would let them when one depends on the other, but refuses that dependence elsewhere.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from work_milestone.plan import branches
from work_milestone.text import shown, yaml_files


def mappings(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the mappings of a list that may yet be anything, with their places in it."""
    if isinstance(value, list):
        yield from ((index, element) for index, element in enumerate(value) if isinstance(element, dict))


def _items(plan: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], dict[str, Any], yaml_files.DocumentPath]]:
    """Give each item as its wave's number by position, its wave, itself, and its path."""
    for index, wave in mappings(plan.get("waves")):
        for place, item in mappings(wave.get("items")):
            yield index + 1, wave, item, ("waves", index, "items", place)


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _name(item: dict[str, Any]) -> str:
    return f"#{shown(item.get('issue'))}"


def check(plan: dict[str, Any], number: int, positions: yaml_files.Positions) -> None:
    """Keep in the positions whatever is wrong between the parts of the plan of milestone `number`."""
    _check_milestone(plan, number, positions)
    _check_waves(plan, positions)
    _check_groups(plan, positions)
    _check_order(plan, positions)


def _check_milestone(plan: dict[str, Any], number: int, positions: yaml_files.Positions) -> None:
    milestone = plan.get("milestone")
    if not isinstance(milestone, dict):
        return
    if _whole(milestone.get("number")) not in (None, number):
        what = f"milestone.number is {shown(milestone['number'])}, but the file's name says {number}"
        positions.blame(("milestone", "number"), f"{what}; correct one of them")
    branch = milestone.get("integration_branch")
    if isinstance(branch, str) and (fault := branches.branch_fault(branch)):
        remedy = f"write milestone/{number}-name, or leave it out"
        positions.blame(("milestone", "integration_branch"), f"{shown(branch)} {fault}; {remedy}")


def _check_waves(plan: dict[str, Any], positions: yaml_files.Positions) -> None:
    """Refuse waves that are not numbered 1, 2, 3 in order, and issues that stand twice."""
    before = 0
    for index, wave in mappings(plan.get("waves")):
        number = _whole(wave.get("wave"))
        if number is not None and number != before + 1:
            what = f"wave {number} stands where wave {before + 1} belongs; number the waves 1, 2, 3 in order"
            positions.blame(("waves", index, "wave"), what)
        before = before + 1 if number is None else number
    first: dict[int, str] = {}
    for _, _, item, path in _items(plan):
        issue = _whole(item.get("issue"))
        if issue in first:
            what = f"issue {issue} stands twice, first at {first[issue]}; remove one"
            positions.blame((*path, "issue"), what)
        elif issue is not None:
            first[issue] = positions.at((*path, "issue")).removeprefix(f"{positions.name}:")


def _check_groups(plan: dict[str, Any], positions: yaml_files.Positions) -> None:
    """Refuse groups that are unknown, stand twice, or have two items in one parallel wave."""
    groups: set[int] = set()
    for index, group in mappings(plan.get("conflict_groups")):
        number = _whole(group.get("group_id"))
        if number in groups:
            what = f"conflict group {number} stands twice; put its items in one"
            positions.blame(("conflict_groups", index, "group_id"), what)
        groups |= set() if number is None else {number}
    sharing: dict[tuple[int, int], dict[str, Any]] = {}
    for wave_number, wave, item, path in _items(plan):
        group_id = _whole(item.get("conflict_group"))
        if group_id is None:
            continue
        if group_id not in groups:
            what = f"conflict group {group_id} is not among conflict_groups; add it there, or write null"
            positions.blame((*path, "conflict_group"), what)
        other = sharing.setdefault((wave_number, group_id), item)
        if wave.get("parallel", True) is True and other is not item:
            what = f"{_name(item)} and {_name(other)} share conflict group {group_id}"
            remedy = "move one to a later wave, or make the wave `parallel: false`"
            positions.blame((*path, "conflict_group"), f"{what} in parallel wave {wave_number}; {remedy}")


def _check_order(plan: dict[str, Any], positions: yaml_files.Positions) -> None:
    """Refuse what an item depends on when it is not in an earlier wave."""
    # Of two items with one issue the first counts.
    waves = {_whole(item.get("issue")): wave_number for wave_number, _, item, _ in reversed([*_items(plan)])}
    for wave_number, _, item, path in _items(plan):
        depends_on = item.get("depends_on")
        for place, needed in enumerate(depends_on if isinstance(depends_on, list) else ()):
            found = waves.get(needed) if _whole(needed) is not None else 0
            what = f"{_name(item)} depends on #{shown(needed)}"
            if found is None:
                fault = f"{what}, which is in no wave; add it to an earlier wave, or remove it here"
            elif needed == item.get("issue"):
                fault = f"{what}, itself; remove it here"
            elif found == wave_number:
                fault = f"{what}, in the same wave; move {_name(item)} to a later one"
            elif found > wave_number:
                fault = f"{what}, in the later wave {found}; move it before wave {wave_number}"
            else:
                continue
            positions.blame((*path, "depends_on", place), fault)


def unknown_titles(plan: dict[str, Any], positions: yaml_files.Positions) -> Iterator[str]:
    """Note the titles in the conflict groups of a valid plan that no item has."""
    titles = {item["title"] for _, _, item, _ in _items(plan)}
    for index, group in mappings(plan.get("conflict_groups")):
        for place, title in enumerate(group.get("items", ())):
            if title not in titles:
                where = positions.at(("conflict_groups", index, "items", place))
                yield f"{where}: conflict group {group['group_id']} names {shown(title)}, which no item has"
