"""What one session is started with: the settings of a run, and between their levels the item's own keys.

Rule: `command` is for the agent of that name alone.
"""

from __future__ import annotations

import dataclasses

from work_milestone.plan import Item
from work_milestone.settings.agents import MODELS, AgentSettings
from work_milestone.settings.levels import lay_over, with_agent
from work_milestone.settings.model import SETTINGS_KEYS, Settings


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


def session_settings(settings: Settings, item: Item | None, agent: str | None = None) -> SessionSettings:
    """Put an item's own keys between `milestone.yaml` and the command line; the landing has none of its own.

    `agent` stands in for the one that was chosen, with the model that `agents:` names for it.
    """
    own = with_agent(item.model_dump(include=set(SETTINGS_KEYS), exclude_none=True)) if item else {}
    free = {key: value for key, value in own.items() if key not in settings.from_command_line}
    chosen = lay_over(free, {key: getattr(settings, key) for key in SETTINGS_KEYS})
    if agent is not None:
        chosen = lay_over({"agent": agent}, chosen)
    if chosen["agent"] != "command":
        chosen["command"] = None
    described = settings.agents.get(chosen["agent"], AgentSettings())
    model = chosen.get("model") or described.model or MODELS.get(chosen["agent"], "")
    chosen |= {"model": model, "args": described.args}
    names = [field.name for field in dataclasses.fields(SessionSettings)]
    return SessionSettings(**{name: chosen[name] for name in names})
