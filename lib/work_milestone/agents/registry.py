"""Every agent by its name: those that are built in, and those that `milestone.yaml` describes."""

from __future__ import annotations

from collections.abc import Mapping

from work_milestone.agents.api import Agent, Call
from work_milestone.agents.claude import Claude
from work_milestone.agents.codex import Codex
from work_milestone.agents.described import Command, Described
from work_milestone.agents.gemini import Gemini
from work_milestone.agents.opencode import Opencode
from work_milestone.settings import AgentSettings, SessionSettings

REGISTRY: dict[str, Agent] = {
    "claude": Claude(),
    "codex": Codex(),
    "gemini": Gemini(),
    "opencode": Opencode(),
    "command": Command(),
}


def find(name: str, described: Mapping[str, AgentSettings]) -> Agent:
    """Return an agent; of one that nobody knows any more, its exit code alone is read."""
    description = described.get(name)
    if description and description.argv:
        return Described(description)
    return REGISTRY.get(name, REGISTRY["command"])


def program(settings: SessionSettings, described: Mapping[str, AgentSettings]) -> str | None:
    """Name the program that must be on PATH, None when a shell line names it itself."""
    return None if settings.agent == "command" else find(settings.agent, described).argv(Call(settings))[0]
