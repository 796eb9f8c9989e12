"""Reads settings: `milestone.yaml` at the root, then variables on the command line.

Rule: a name that is not known is refused, with the nearest one that is; every fault is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from work_milestone.plan import MAX_NUMBER, fields
from work_milestone.settings.agents import AgentSettings
from work_milestone.settings.levels import lay_over, with_agent
from work_milestone.settings.model import RUN_VARIABLES, SETTINGS_KEYS, Settings
from work_milestone.system import PlanError, SettingsError
from work_milestone.text import shown, yaml_files

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_NAME = "milestone.yaml"
_NUMBERS = {
    "retries": int,
    "mends": int,
    "generations": int,
    "max_sessions": int,
    "budget_usd": float,
    "total_budget_usd": float,
}
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_IN_FILE_ALONE = frozenset({"agents", "set_env"})
_VARIABLES = (*(key for key in SETTINGS_KEYS if key not in _IN_FILE_ALONE), *sorted(RUN_VARIABLES))


def load_settings(root: Path, variables: Mapping[str, str]) -> Settings:
    """Read `milestone.yaml` under `root`, if there is one, and the variables. Raises SettingsError."""
    chosen, faults, described = _from_file(root / FILE_NAME)
    given, more = _from_variables(variables, described)
    if faults or more:
        raise SettingsError(faults + more)
    chosen, given = with_agent(chosen), with_agent(given)
    names = frozenset(given) - RUN_VARIABLES
    merged = lay_over(given, chosen) | {"from_command_line": names}
    return Settings.model_validate(merged, context={"agents": described})


def parse_number(text: str | None) -> int | None:
    """Read the milestone's number from `n=7`; None when it is not given. Raises SettingsError."""
    if text is None:
        return None
    digits = text.strip()
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", digits):
        what = f"n must be a milestone's number, 1 to {MAX_NUMBER}; write it like n=7"
        raise SettingsError([f"n={shown(text)}: {what}"])
    return int(digits)


def _validated(level: dict[str, Any], described: tuple[str, ...]) -> tuple[dict[str, Any], list[ErrorDetails]]:
    """Validate the keys of one level; those that it does not give are left out."""
    try:
        checked = Settings.model_validate(level, context={"agents": described})
    except ValidationError as error:
        return {}, list(error.errors(include_url=False))
    return {key: getattr(checked, key) for key in level}, []


def _from_file(path: Path) -> tuple[dict[str, Any], list[str], tuple[str, ...]]:
    """Read the file's keys, its faults, and the agents that it describes; one that is missing or empty gives none."""
    try:
        data, positions = yaml_files.load_yaml(path, path.name, empty=True)
    except FileNotFoundError:
        return {}, [], ()
    except PlanError as error:
        return {}, error.faults, ()
    level, unknown = fields.tidy(data, SETTINGS_KEYS, (), positions)
    if "remote" in data and data["remote"] is None:
        level["remote"] = "none"
    for key in unknown:
        name = key.replace("-", "_")
        what = f"no such setting{_suggestion(name, SETTINGS_KEYS)}"
        if name in RUN_VARIABLES:
            what = f"belongs on the command line; write it there: doit milestone n=7 {name}=..."
        positions.blame((key,), f"{shown(key)}: {what}", key=True)
    described = tuple(map(str, level["agents"])) if isinstance(level.get("agents"), dict) else ()
    if described:
        level["agents"] = {name: _tidy_agent(name, raw, positions) for name, raw in level["agents"].items()}
    checked, errors = _validated(level, described)
    for wrong in errors:
        positions.blame(wrong["loc"], fields.explain(wrong, positions.text(wrong["loc"])))
    return checked, positions.faults(), described


def _tidy_agent(name: str, raw: object, positions: yaml_files.Positions) -> object:
    """Spell the keys of an agent's description as they are known, and blame those that are not."""
    if not isinstance(raw, dict):
        return raw
    known, path = tuple(AgentSettings.model_fields), ("agents", name)
    tidied, unknown = fields.tidy(raw, known, path, positions)
    for key in unknown:
        positions.blame((*path, key), f"{shown(key)}: no such key of an agent{_suggestion(key, known)}", key=True)
    return tidied


def _from_variables(variables: Mapping[str, str], described: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """Read the variables and their faults; `n` is left to `parse_number`."""
    faults: list[str] = []
    level: dict[str, Any] = {}
    words: dict[str | int, str] = {}
    for key, text in variables.items():
        name = key.replace("-", "_")
        if name not in _VARIABLES:
            faults.append(f"{shown(key)}={shown(text)}: no such variable{_suggestion(name, _VARIABLES)}")
        elif name in words:
            faults.append(f"{shown(key)}={shown(text)}: {name} is given in two spellings; keep one")
        else:
            words[name] = f"{shown(key)}={shown(text)}"
            level[name] = _coerced(name, text)
    level.pop("n", None)
    checked, errors = _validated(level, described)
    faults += [f"{words[wrong['loc'][0]]}: {fields.explain(wrong)}" for wrong in errors]
    return checked, faults


def _suggestion(name: str, known: tuple[str, ...]) -> str:
    return fields.nearest(name, known) or f"; known: {', '.join(known)}"


def _coerced(name: str, text: str) -> object:
    """Turn a variable's text into what YAML would give; what it cannot be stays text, to be refused."""
    if name in ("allow_dirty", "stream", "structured_report"):
        return _YES_NO.get(text.lower(), text)
    if name in _NUMBERS and re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", text.strip()):
        return _NUMBERS[name](text) if "." not in text or name.endswith("budget_usd") else float(text)
    return text
