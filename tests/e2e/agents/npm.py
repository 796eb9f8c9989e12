"""The agents that come from npm, and what the tests that all of them pass have to know of each.

They lie where `install_agents.sh` puts them, or in the folder that WORK_MILESTONE_AGENTS names.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from work_milestone.agents import Agent, Call
from work_milestone.settings import SessionSettings
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.stubs import Reply, Stub, ToolCall

# Asked for when this is loaded: to the tests, HOME is a folder of their own.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "work-milestone/agents"


@dataclass(frozen=True, kw_only=True)
class NpmProgram(programs.Program):
    """One of them."""

    agent: Agent
    shell: Callable[[str], ToolCall]  # by which tool the model has a shell line run
    called: tuple[str, ...]  # words that stand side by side in its command line
    history: str  # the key of a request's body that has the conversation until then
    refusals: Mapping[str, tuple[Reply, Session, str]]  # what the model replies, what that is, a word of the reason
    gone: str  # a conversation's id that it could have given, and has not
    helps: tuple[tuple[str, ...], ...]  # the commands whose `--help` names its flags
    succeeded: Callable[[Mapping[str, Any]], bool] = bool  # what a tool's result says of its shell line
    conversation: str = ".*"  # a pattern of the ids that it tells
    wrong: str = ""  # a word of the reason where it is called in a way that it does not know
    model: str = ""
    price: float | None = None  # of one reply, in dollars; None where it tells no cost

    def call(self, *, resume: str = "", **chosen: Any) -> Call:
        """A new conversation, or one that goes on, with settings beside those that it has in any case."""
        own = str(uuid.uuid4()) if self.agent.names_conversations else ""
        return Call(self.settings(**chosen), resume or own, resume=bool(resume))

    def settings(self, **chosen: Any) -> SessionSettings:
        return programs.session_settings(self.name, **{"model": self.model, **chosen})

    def make(self, box: harness.Sandbox, *waves: list[dict[str, Any]], **settings: Any) -> None:
        """Commit a plan whose items are this agent's."""
        model = {"model": self.model} if self.model else {}
        box.make(harness.plan(waves), **{"agent": self.name, "command": None, "retries": 0, **model, **settings})

    def script(self, issue: int, *before: Reply) -> list[Reply]:
        return programs.script(issue, self.shell(programs.commit(issue)), *before)

    def cost(self, replies: int) -> Any:
        """What so many replies have cost."""
        return None if self.price is None else pytest.approx(replies * self.price)


def describe(name: str, stub: type[Stub], lead: Callable[[harness.Sandbox, str], None], **told: Any) -> NpmProgram:
    """Describe the program of that name."""

    def find() -> Path | None:
        found = Path(os.environ.get("WORK_MILESTONE_AGENTS") or CACHE) / "node_modules/.bin" / name
        return found if found.exists() else None

    missing = f"{name} is not installed: tests/e2e/agents/install_agents.sh"
    return NpmProgram(name=name, find=find, missing=missing, stub=stub, lead=lead, **told)
