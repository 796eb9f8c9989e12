"""What the user may choose: `milestone.yaml` at the root, then variables on the command line.

Rules: every key has a default; a name that is not known is refused, with the nearest one that is; every fault
is told at once. Later words win: default, `milestone.yaml`, an item's own keys in the plan, command line.
`agent`, `command` and `model` are chosen together: where a `command` is given without an `agent`, the agent is
"command", and it outranks what stands in the levels below; where a level chooses another agent, the levels below say
nothing of its model. `command` is for the agent of that name alone.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.types import StrictBool

from work_milestone.plan import MAX_NUMBER, Item, Money, Seconds, Text
from work_milestone.plan.branches import branch_fault
from work_milestone.settings.agents import (
    BUILT_IN,
    MODELS,
    NAME,
    OWN,
    AgentSettings,
    Name,
    Variables,
    check_agent,
    find_contradiction,
)
from work_milestone.system import machine
from work_milestone.system.errors import PlanError, SettingsError
from work_milestone.text import fields, yaml_files
from work_milestone.text.lines import shown

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE_NAME = "milestone.yaml"
RUN_VARIABLES = frozenset({"n", "allow_dirty", "branch", "gates"})

_GIB = 1 << 30
_NUMBERS = {
    "retries": int,
    "mends": int,
    "generations": int,
    "max_sessions": int,
    "budget_usd": float,
    "total_budget_usd": float,
}
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def default_max_sessions() -> int:
    """Give the sessions that this machine bears: one for each 2 GiB of memory, at most two a core."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        memory = 4 * _GIB
    memory = min(memory, machine.memory_limit() or memory)
    return max(1, min(memory // (2 * _GIB), 2 * (os.cpu_count() or 1)))


def _strings(value: object) -> object:
    """Split one string at its commas, but not within parentheses: `Bash(git log:*, git diff:*), Read`."""
    if not isinstance(value, str):
        return value
    parts = re.findall(r"(?:\([^()]*\)|[^,])+", value)
    return [part.strip() for part in parts if part.strip()]


def _inside(link: str) -> str:
    parts = [part for part in link.split("/") if part not in ("", ".")]
    if link.startswith("/") or ".." in parts or not parts or parts[0].lower() == ".git":
        raise ValueError(f"{shown(link) or '(empty)'} is no path inside the repository; write one, like .venv")
    return "/".join(parts)


def _branch(name: str) -> str:
    if fault := branch_fault(name):
        raise ValueError(f"{shown(name)} {fault}; write the branch that a milestone lands on")
    return name


def _remote(value: object) -> object:
    """Turn every way to say "never push" into "none"."""
    if value is None or value is False or (isinstance(value, str) and value.lower() in ("none", "false", "no")):
        return "none"
    if isinstance(value, str) and (value.startswith("-") or re.search(r"[\s\x00-\x1f\x7f]|^$", value)):
        raise ValueError(f"{shown(value) or '(empty)'} is no remote; write its name, or none")
    return value


class Settings(BaseModel):
    """The settings of a run. `timeout` and `backoff` are in seconds, `budget_usd` is for each item.

    `remote` is None when nobody has set it, the name of a remote, or "none": then nothing is ever pushed.
    `gates` is None when nobody has set it: as the run had it before, and "all" in the beginning.
    `from_command_line` has the names of the keys that variables have set, which outrank an item's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    agent: Text = "claude"
    command: Text | None = None
    model: Text | None = None
    effort: Text | None = None
    permission_mode: Text = "auto"
    allowed_tools: Annotated[tuple[Text, ...], BeforeValidator(_strings)] = ()
    stream: StrictBool = False
    structured_report: StrictBool = False
    fallback: Annotated[tuple[Text, ...], BeforeValidator(_strings)] = ()
    agents: dict[str, AgentSettings] = {}
    pass_env: Annotated[Variables, BeforeValidator(_strings)] = ()
    set_env: dict[Name, str] = {}
    prove: Text | None = None
    budget_usd: Money | None = None
    timeout: Seconds = 7200.0
    total_budget_usd: Money | None = None
    backoff: Seconds = 2.0
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] = 1
    mends: Annotated[int, Field(strict=True, ge=0, le=10)] = 2
    generations: Annotated[int, Field(strict=True, ge=0, le=10)] = 3
    max_sessions: Annotated[int, Field(strict=True, ge=1, le=1000)] = Field(default_factory=default_max_sessions)
    links: Annotated[tuple[Annotated[str, AfterValidator(_inside)], ...], BeforeValidator(_strings)] = (
        ".venv",
        "node_modules",
    )
    main: Annotated[Text, AfterValidator(_branch)] | None = None
    remote: Annotated[str, BeforeValidator(_remote)] | None = None
    schedule: Literal["waves", "eager"] = "waves"

    allow_dirty: StrictBool = False
    branch: Literal["resume", "recreate"] | None = None
    gates: Literal["all", "baseline"] | None = None
    from_command_line: frozenset[str] = frozenset()

    @field_validator("agent", "fallback")
    @classmethod
    def _known(cls, value: str | tuple[str, ...], info: ValidationInfo) -> str | tuple[str, ...]:
        for name in (value,) if isinstance(value, str) else value:
            if fault := check_agent(name, (info.context or {}).get("agents", ())):
                raise ValueError(fault.removeprefix("agent "))
        return value

    @field_validator("agents")
    @classmethod
    def _described(cls, value: dict[str, AgentSettings]) -> dict[str, AgentSettings]:
        for name, agent in value.items():
            own = sorted(OWN & agent.model_fields_set)
            if not NAME.fullmatch(name):
                raise ValueError(f"{shown(name) or '(empty)'} is no name of an agent; write small letters, digits, - _")
            if name in BUILT_IN and own:
                raise ValueError(f"{name} is built in: {own[0]} cannot be set; describe an agent under another name")
            if name not in BUILT_IN and agent.argv is None:
                raise ValueError(f"{name} is described without argv; write it like argv: [{name}, run]")
            if fault := find_contradiction(agent):
                raise ValueError(f"{name}: {fault}")
        return value


SETTINGS_KEYS = tuple(key for key in Settings.model_fields if key not in {*RUN_VARIABLES, "from_command_line"})
_IN_FILE_ALONE = frozenset({"agents", "set_env"})
_VARIABLES = (*(key for key in SETTINGS_KEYS if key not in _IN_FILE_ALONE), *sorted(RUN_VARIABLES))


@dataclasses.dataclass(frozen=True)
class SessionSettings:
    """What one session is started with. `command` is None but for the agent "command"; seconds, dollars.

    `model` is "" where nobody has chosen one.
    """

    agent: str
    command: str | None
    model: str
    effort: str | None
    permission_mode: str
    allowed_tools: tuple[str, ...]
    budget_usd: float | None
    timeout: float
    stream: bool = False
    structured_report: bool = False
    args: tuple[str, ...] = ()


def load_settings(root: Path, variables: Mapping[str, str]) -> Settings:
    """Read `milestone.yaml` under `root`, if there is one, and the variables. Raises SettingsError."""
    chosen, faults, described = _from_file(root / FILE_NAME)
    given, more = _from_variables(variables, described)
    if faults or more:
        raise SettingsError(faults + more)
    chosen, given = _with_agent(chosen), _with_agent(given)
    names = frozenset(given) - RUN_VARIABLES
    merged = _over(given, chosen) | {"from_command_line": names}
    return Settings.model_validate(merged, context={"agents": described})


def session_settings(settings: Settings, item: Item | None, agent: str | None = None) -> SessionSettings:
    """Put an item's own keys between `milestone.yaml` and the command line; the landing has none of its own.

    `agent` stands in for the one that was chosen, with the model that `agents:` names for it.
    """
    own = _with_agent(item.model_dump(include=set(SETTINGS_KEYS), exclude_none=True)) if item else {}
    free = {key: value for key, value in own.items() if key not in settings.from_command_line}
    chosen = _over(free, {key: getattr(settings, key) for key in SETTINGS_KEYS})
    if agent is not None:
        chosen = _over({"agent": agent}, chosen)
    if chosen["agent"] != "command":
        chosen["command"] = None
    described = settings.agents.get(chosen["agent"], AgentSettings())
    model = chosen.get("model") or described.model or MODELS.get(chosen["agent"], "")
    chosen |= {"model": model, "args": described.args}
    names = [field.name for field in dataclasses.fields(SessionSettings)]
    return SessionSettings(**{name: chosen[name] for name in names})


def parse_number(text: str | None) -> int | None:
    """Read the milestone's number from `n=7`; None when it is not given. Raises SettingsError."""
    if text is None:
        return None
    digits = text.strip()
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", digits):
        what = f"n must be a milestone's number, 1 to {MAX_NUMBER}; write it like n=7"
        raise SettingsError([f"n={shown(text)}: {what}"])
    return int(digits)


def _with_agent(level: dict[str, Any]) -> dict[str, Any]:
    return {"agent": "command", **level} if "command" in level else level


def _over(level: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    """Put a level over the ones below; what they say of the model is for their own agent."""
    other = "agent" in level and level["agent"] != below.get("agent", "claude")
    return {key: value for key, value in below.items() if not (other and key == "model")} | level


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
