"""The dispatch plan: which items a milestone has, in which waves, and what may run beside what.

Rules: a plan loads whole or not at all, and then every fault is told at once with its line. Keys may be
written with `_` or `-`; a key that is not known is ignored and noted. Text that people write (titles) is
data: it is kept as it is, and only `slugify` makes a name of it. A dependency lies in an earlier wave, never
in the same one, so two items of one conflict group cannot share a parallel wave: nothing could put them in
order. (The protocol would let them when one depends on the other, but refuses that dependence elsewhere.)
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.types import StrictBool, StrictInt

from work_milestone import yaml_files
from work_milestone.errors import PlanError
from work_milestone.yaml_files import DocumentPath, Positions, shown

MAX_NUMBER = 999_999_999
MAX_SLUG = 50
MAX_BRANCH_BYTES = 200  # a branch is a file of that name with `.lock` behind it, deep in a folder

Priority = Literal["P0", "P1", "P2", "P3"]
Status = Literal["pending", "in-progress", "complete", "failed", "skipped"]
Number = Annotated[int, Field(strict=True, ge=1, le=MAX_NUMBER)]
Text = Annotated[str, Field(pattern=r"\S")]
Seconds = Annotated[float, BeforeValidator(yaml_files.parse_duration)]
Money = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="never")


class Item(_Model):
    """One item of work. What is None here is decided by the settings; `timeout` is in seconds."""

    title: Text
    issue: Number
    priority: Priority = "P2"
    conflict_group: StrictInt | None = None
    depends_on: tuple[Number, ...] = ()
    status: Status = "pending"
    groomed: StrictBool = True
    agent: Text | None = None
    command: Text | None = None
    model: Text | None = None
    effort: Text | None = None
    timeout: Seconds | None = None
    budget_usd: Money | None = None
    wave: int = 0


class Wave(_Model):
    """Items that start together, or one after another when `parallel` is false."""

    wave: Number
    parallel: StrictBool = True
    items: tuple[Item, ...]


class ConflictGroup(_Model):
    """Items, named by their titles, that touch overlapping files."""

    group_id: StrictInt
    reason: str = ""
    items: tuple[str, ...] = ()


class Gates(_Model):
    """Commands that must pass: before each merge, and once before landing."""

    pre_merge: tuple[Text, ...] = ()
    post_merge: tuple[Text, ...] = ()


class _Milestone(_Model):
    number: Number
    title: Text
    integration_branch: Text | None = None


class _Document(_Model):
    milestone: _Milestone
    conflict_groups: tuple[ConflictGroup, ...] = ()
    waves: tuple[Wave, ...]
    quality_gates: Gates = Gates()


class Plan(_Model):
    """A milestone's waves, valid as a whole. `notes` are lines about what was ignored in the file."""

    number: int
    title: str
    integration_branch: str
    conflict_groups: tuple[ConflictGroup, ...]
    waves: tuple[Wave, ...]
    gates: Gates
    path: Path
    notes: tuple[str, ...] = ()

    @cached_property
    def items(self) -> dict[int, Item]:
        """Every item by its issue, in the order of the plan."""
        return {item.issue: item for wave in self.waves for item in wave.items}

    @property
    def ungroomed(self) -> list[Item]:
        """Items to be dispatched that nobody has groomed."""
        return [i for i in self.items.values() if not i.groomed and i.status not in ("complete", "skipped")]

    def item(self, issue: int) -> Item:
        """Give the item of an issue. Raises PlanError."""
        if issue in self.items:
            return self.items[issue]
        known = ", ".join(f"#{issue}" for issue in self.items)
        raise PlanError([f"#{issue} is in no wave of {self.path}; name one of: {known or 'it has no items'}"])


@dataclass(frozen=True)
class PlanSummary:
    """A plan file as a list shows it."""

    number: int
    title: str
    path: Path


def slugify(title: str) -> str:
    """Make a name for branches: lower case, hyphens, dots; at most 50 characters, perhaps none.

    Source: protocol, `milestone.integration_branch`; what git refuses in a ref's component is dropped too.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9._-]", "", re.sub(r"\s+", "-", plain))
    slug = re.sub(r"\.\.+", ".", re.sub(r"--+", "-", words)).strip(".-")[:MAX_SLUG]
    while (shorter := slug.removesuffix(".lock").strip(".-")) != slug:
        slug = shorter
    return slug


def branch_fault(name: str) -> str | None:
    """Say why git would refuse a name for a branch, else None. Source: git-check-ref-format(1)."""
    if not name or name in ("@", "HEAD") or name.startswith("-"):
        return "is no name for a branch"
    if bad := re.search(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|//|^/|/$|\.$", name):
        return f"has {shown(repr(bad[0]))}, which git refuses in a branch"
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        return "has a part that starts with `.` or ends in `.lock`, which git refuses"
    if len(name.encode()) > MAX_BRANCH_BYTES:
        return f"is longer than {MAX_BRANCH_BYTES} bytes"
    return None


def plan_path(root: Path, number: int) -> Path:
    """Where the plan of a milestone lies."""
    return root / "plan" / f"milestone-{number}-dispatch.yaml"


def load_plan(root: Path, number: int) -> Plan:
    """Read `plan/milestone-{number}-dispatch.yaml` under `root`. Raises PlanError with every fault."""
    path = plan_path(root, number)
    name = path.relative_to(root).as_posix()
    try:
        data, positions = yaml_files.load_yaml(path, name)
    except FileNotFoundError:
        there = ", ".join(f"n={plan.number}" for plan in list_plans(root)) or "none"
        remedy = 'grooming makes one: write it as README shows under "A plan"'
        raise PlanError([f"{name}: there is no such plan (plans here: {there}); {remedy}"]) from None
    tidier = _Tidier(positions)
    tidied = tidier.plan(data)
    document = None
    try:
        document = _Document.model_validate(tidied)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = detail["loc"]
            positions.blame(where, yaml_files.explain(detail, positions.text(where)))
    _check_milestone(tidied, number, positions)
    _check_waves(tidied, positions)
    _check_groups(tidied, positions)
    _check_order(tidied, positions)
    if document is None or positions.faults():
        raise PlanError(positions.faults())
    milestone = document.milestone
    slug = slugify(milestone.title)
    return Plan(
        number=number,
        title=milestone.title,
        integration_branch=milestone.integration_branch
        or (f"milestone/{number}-{slug}" if slug else f"milestone/{number}"),
        conflict_groups=document.conflict_groups,
        waves=document.waves,
        gates=document.quality_gates,
        path=path,
        notes=(*tidier.notes, *_unknown_titles(document, positions)),
    )


def list_plans(root: Path) -> list[PlanSummary]:
    """List the plan files under `root` by number, read only as far as the title. Raises nothing."""
    plans = []
    try:
        for path in (root / "plan").iterdir():
            match = re.fullmatch(r"milestone-([1-9][0-9]{0,8})-dispatch\.yaml", path.name)
            if match is not None:
                title = _title_of(path) or "(unreadable)"
                plans.append(PlanSummary(int(match[1]), title, path))
    except OSError:
        pass
    return sorted(plans, key=lambda plan: plan.number)


def _title_of(path: Path) -> str | None:
    """Read `milestone.title` from the parser's events, stopping there."""
    keys: list[str | None] = []  # of the open collections; None where a mapping's next scalar is a key
    try:
        for event in yaml.parse(yaml_files.read_text(path, path.name), Loader=yaml_files.LOADER):
            if isinstance(event, yaml.ScalarEvent):
                if keys == ["milestone", "title"]:
                    return str(event.value)
                if keys and keys[-1] != "":
                    keys[-1] = None if keys[-1] else event.value
            elif isinstance(event, yaml.CollectionStartEvent):
                keys.append(None if isinstance(event, yaml.MappingStartEvent) else "")
            elif isinstance(event, yaml.CollectionEndEvent | yaml.AliasEvent):
                if isinstance(event, yaml.CollectionEndEvent):
                    keys.pop()
                if keys and keys[-1]:
                    keys[-1] = None
    except (PlanError, OSError, yaml.YAMLError):
        pass
    return None


class _Tidier:
    """Spells every key of a plan with `_`, gives each item its wave, and notes what is not known."""

    def __init__(self, positions: Positions) -> None:
        self.notes: list[str] = []
        self._positions = positions

    def plan(self, data: dict[str, Any]) -> dict[str, Any]:
        """Tidy a whole file; what is not of the right type is left for the validation to refuse."""
        plan: dict[str, Any] = self._mapping(data, _Document)
        plan["milestone"] = self._mapping(plan.get("milestone"), _Milestone, "milestone")
        plan["quality_gates"] = self._mapping(plan.get("quality_gates"), Gates, "quality_gates")
        plan["conflict_groups"] = self._list(plan.get("conflict_groups"), ConflictGroup, "conflict_groups")
        plan["waves"] = self._list(plan.get("waves"), Wave, "waves")
        for index, wave in _mappings(plan["waves"]):
            if "items" in wave:
                wave["items"] = self._list(wave["items"], Item, "waves", index, "items")
            for _, item in _mappings(wave.get("items")):
                item["wave"] = index + 1
                if isinstance(status := item.get("status"), str):
                    item["status"] = status.replace("_", "-")
        return {key: value for key, value in plan.items() if value is not None}

    def _mapping(self, value: Any, model: type[BaseModel], *path: str | int) -> Any:
        if not isinstance(value, dict):
            return value
        known = _FILE_KEYS[model]
        tidied, unknown = yaml_files.tidy(value, known, path, self._positions)
        for key in unknown:
            what = f"unknown key {shown(key)} is ignored{yaml_files.nearest(key, known)}"
            self.notes.append(f"{self._positions.at((*path, key), key=True)}: {what}")
        return tidied

    def _list(self, value: Any, model: type[BaseModel], *path: str | int) -> Any:
        if not isinstance(value, list):
            return value
        return [self._mapping(element, model, *path, index) for index, element in enumerate(value)]


_FILE_KEYS: dict[type[BaseModel], tuple[str, ...]] = {
    model: tuple(field for field in model.model_fields if (model, field) != (Item, "wave"))
    for model in (_Document, _Milestone, Gates, ConflictGroup, Wave, Item)
}


def _mappings(value: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give the mappings of a list that may yet be anything, with their places in it."""
    if isinstance(value, list):
        yield from ((index, element) for index, element in enumerate(value) if isinstance(element, dict))


def _items(plan: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], dict[str, Any], DocumentPath]]:
    """Give each item as its wave's number by position, its wave, itself, and its path."""
    for index, wave in _mappings(plan.get("waves")):
        for place, item in _mappings(wave.get("items")):
            yield index + 1, wave, item, ("waves", index, "items", place)


def _whole(value: Any) -> int | None:
    return value if type(value) is int else None


def _name(item: dict[str, Any]) -> str:
    return f"#{shown(item.get('issue'))}"


def _check_milestone(plan: dict[str, Any], number: int, positions: Positions) -> None:
    milestone = plan.get("milestone")
    if not isinstance(milestone, dict):
        return
    if _whole(milestone.get("number")) not in (None, number):
        what = f"milestone.number is {shown(milestone['number'])}, but the file's name says {number}"
        positions.blame(("milestone", "number"), f"{what}; correct one of them")
    branch = milestone.get("integration_branch")
    if isinstance(branch, str) and (fault := branch_fault(branch)):
        remedy = f"write milestone/{number}-name, or leave it out"
        positions.blame(("milestone", "integration_branch"), f"{shown(branch)} {fault}; {remedy}")


def _check_waves(plan: dict[str, Any], positions: Positions) -> None:
    """Refuse waves that are not numbered 1, 2, 3 in order, and issues that stand twice."""
    before = 0
    for index, wave in _mappings(plan.get("waves")):
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


def _check_groups(plan: dict[str, Any], positions: Positions) -> None:
    """Refuse groups that are unknown, stand twice, or have two items in one parallel wave."""
    groups: set[int] = set()
    for index, group in _mappings(plan.get("conflict_groups")):
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


def _check_order(plan: dict[str, Any], positions: Positions) -> None:
    """Refuse what an item depends on when it is not in an earlier wave."""
    waves: dict[int, int] = {}
    for wave_number, _, item, _ in _items(plan):
        if (issue := _whole(item.get("issue"))) is not None:
            waves.setdefault(issue, wave_number)
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


def _unknown_titles(document: _Document, positions: Positions) -> Iterator[str]:
    """Note the titles in conflict groups that no item has."""
    titles = {item.title for wave in document.waves for item in wave.items}
    for index, group in enumerate(document.conflict_groups):
        for place, title in enumerate(group.items):
            if title not in titles:
                where = positions.at(("conflict_groups", index, "items", place))
                yield f"{where}: conflict group {group.group_id} names {shown(title)}, which no item has"
