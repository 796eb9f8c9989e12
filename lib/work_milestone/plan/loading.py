"""Reads dispatch plans: `plan/milestone-7-dispatch.yaml`.

Rules: a plan loads whole or not at all, and then every fault is told at once with its line. Keys may be written with
`_` or `-`; a key that is not known is ignored and noted.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from work_milestone.plan import branches, fields, rules
from work_milestone.plan.model import ConflictGroup, Document, Gates, Heading, Item, Plan, Wave
from work_milestone.system import PlanError
from work_milestone.text import shown, yaml_files, yaml_nodes


class PlanSummary(NamedTuple):
    """A plan file as a list shows it."""

    number: int
    title: str
    path: Path


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
    rules.check(tidied, number, positions)
    try:
        document = Document.model_validate(tidied)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            where = detail["loc"]
            positions.blame(where, fields.explain(detail, positions.text(where)))
    if positions.faults():
        raise PlanError(positions.faults())
    milestone = document.milestone
    branch = f"milestone/{number}-{branches.slugify(milestone.title)}".removesuffix("-")
    return Plan(
        number=number,
        title=milestone.title,
        integration_branch=milestone.integration_branch or branch,
        conflict_groups=document.conflict_groups,
        waves=document.waves,
        gates=document.quality_gates,
        path=path,
        notes=(*tidier.notes, *rules.unknown_titles(tidied, positions)),
    )


def list_plans(root: Path) -> list[PlanSummary]:
    """List the plan files under `root` by number, read only as far as the title. Raises nothing."""
    plans = []
    try:
        for path in (root / "plan").iterdir():
            match = re.fullmatch(r"milestone-([1-9][0-9]{0,8})-dispatch\.yaml", path.name)
            if match is not None:
                plans.append(PlanSummary(int(match[1]), _title_of(path) or "(unreadable)", path))
    except OSError:
        pass
    return sorted(plans, key=lambda plan: plan.number)


def _title_of(path: Path) -> str | None:
    """Read `milestone.title` from the parser's events, stopping there."""
    keys: list[str | None] = []  # of the open collections; None where a mapping's next scalar is a key
    try:
        for event in yaml.parse(yaml_files.read_text(path, path.name), Loader=yaml_nodes.LOADER):
            if isinstance(event, yaml.ScalarEvent) and keys == ["milestone", "title"]:
                return str(event.value)
            if isinstance(event, yaml.CollectionStartEvent):
                keys.append(None if isinstance(event, yaml.MappingStartEvent) else "")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                keys.pop()
            if keys and keys[-1] != "":
                keys[-1] = None if keys[-1] else getattr(event, "value", None)
    except (PlanError, OSError, yaml.YAMLError):
        pass
    return None


class _Tidier:
    """Spells every key of a plan with `_`, gives each item its wave, and notes what is not known."""

    def __init__(self, positions: yaml_files.Positions) -> None:
        self.notes: list[str] = []
        self._positions = positions

    def plan(self, data: dict[str, Any]) -> dict[str, Any]:
        """Tidy a whole file; what is not of the right type is left for the validation to refuse."""
        plan: dict[str, Any] = self._mapping(data, Document)
        plan["milestone"] = self._mapping(plan.get("milestone"), Heading, "milestone")
        plan["quality_gates"] = self._mapping(plan.get("quality_gates"), Gates, "quality_gates")
        plan["conflict_groups"] = self._list(plan.get("conflict_groups"), ConflictGroup, "conflict_groups")
        plan["waves"] = self._list(plan.get("waves"), Wave, "waves")
        for index, wave in rules.mappings(plan["waves"]):
            if "items" in wave:
                wave["items"] = self._list(wave["items"], Item, "waves", index, "items")
            for _, item in rules.mappings(wave.get("items")):
                item["wave"] = index + 1
                if isinstance(status := item.get("status"), str):
                    item["status"] = status.replace("_", "-")
        return {key: value for key, value in plan.items() if value is not None}

    def _mapping(self, value: Any, model: type[BaseModel], *path: str | int) -> Any:
        if not isinstance(value, dict):
            return value
        known = _FILE_KEYS[model]
        tidied, unknown = fields.tidy(value, known, path, self._positions)
        for key in unknown:
            what = f"unknown key {shown(key)} is ignored{fields.nearest(key, known)}"
            self.notes.append(f"{self._positions.at((*path, key), key=True)}: {what}")
        return tidied

    def _list(self, value: Any, model: type[BaseModel], *path: str | int) -> Any:
        if not isinstance(value, list):
            return value
        return [self._mapping(element, model, *path, index) for index, element in enumerate(value)]


_FILE_KEYS: dict[type[BaseModel], tuple[str, ...]] = {
    model: tuple(field for field in model.model_fields if (model, field) != (Item, "wave"))
    for model in (Document, Heading, Gates, ConflictGroup, Wave, Item)
}
