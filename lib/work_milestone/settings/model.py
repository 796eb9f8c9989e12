"""What the user may choose: each setting, its type and its default.

Rule: every key has a default.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic.types import StrictBool

from work_milestone.plan import Money, Seconds, Text, branches
from work_milestone.settings.agents import (
    BUILT_IN,
    NAME,
    OWN,
    AgentSettings,
    Name,
    Variables,
    check_agent,
    find_contradiction,
)
from work_milestone.system import machine
from work_milestone.text import shown

RUN_VARIABLES = frozenset({"n", "allow_dirty", "branch", "gates"})

_GIB = 1 << 30


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
    if fault := branches.branch_fault(name):
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
