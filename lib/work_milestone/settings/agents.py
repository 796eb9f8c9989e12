"""An entry of `agents:` in `milestone.yaml`: what is added to an agent that is known, or a command line of one's own.

Rules: an agent of one's own has `argv`, and needs no code: `result` says how its output is read. Placeholders in
its words are replaced within the word, so that nothing is split: {model} {effort} {budget_usd} {conversation}
{prompt_file}. The prompt comes on stdin in any case.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from work_milestone.plan import Text, fields
from work_milestone.text import shown

BUILT_IN = ("claude", "codex", "gemini", "opencode", "command")
MODELS = {"claude": "sonnet"}  # that are asked for by default; the others are left to the program
PLACEHOLDERS = ("model", "effort", "budget_usd", "conversation", "prompt_file")
NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_BRACES = re.compile(r"\{([a-z_]+)\}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\*?", re.ASCII)


def _words(words: tuple[str, ...]) -> tuple[str, ...]:
    for name in (name for word in words for name in _BRACES.findall(word)):
        if name not in PLACEHOLDERS:
            near = fields.nearest(name, PLACEHOLDERS) or f"; known: {', '.join(PLACEHOLDERS)}"
            raise ValueError(f"{{{name}}} stands for nothing{near}")
    if not words or "{" in words[0]:
        raise ValueError("the program comes first; write it like [mine, run, --model, '{model}']")
    return words


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{shown(text)} is no regular expression: {error}") from error
    return text


def _variable(name: str) -> str:
    if not _VARIABLE.fullmatch(name):
        raise ValueError(f"{shown(name) or '(empty)'} is no name of a variable; write it like DATABASE_URL, or AWS_*")
    return name


def _name(name: str) -> str:
    if name.endswith("*"):
        raise ValueError(f"{shown(name)} stands for many; name the one that is set")
    return _variable(name)


Words = Annotated[tuple[Text, ...], AfterValidator(_words)]
Pattern = Annotated[Text, AfterValidator(_pattern)]
Variable = Annotated[str, AfterValidator(_variable)]
Name = Annotated[str, AfterValidator(_name)]
Variables = tuple[Variable, ...]


class AgentSettings(BaseModel):
    """One agent's own settings; but for `model`, `args` and `pass_env` they describe one that is not built in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Text | None = None
    args: tuple[Text, ...] = ()
    pass_env: Variables = ()
    argv: Words | None = None
    resume: Words | None = None
    result: Literal["text", "json", "jsonl"] = "text"
    text: Text = "result"
    conversation: Text = "session_id"
    cost: Text = "total_cost_usd"
    error: Text = "error"
    transient: Pattern | None = None
    quota: Pattern | None = None
    auth: Pattern | None = None
    own_conversations: Annotated[bool, Field(strict=True)] = False


def find_contradiction(agent: AgentSettings) -> str:
    """Say what of a description can never work: a conversation that nobody is told of; "" when nothing is wrong."""
    begins, goes_on = ("{conversation}" in " ".join(words or ()) for words in (agent.argv, agent.resume))
    if begins and agent.resume is None:
        return "{conversation} is given to those that can go on alone; describe resume: too, or leave it out"
    if begins and agent.own_conversations:
        return "own_conversations means that it makes its own ids; leave {conversation} out of argv"
    if goes_on and agent.own_conversations and agent.result == "text":
        return "own_conversations are told in JSON; write result: json or jsonl, and conversation: where the id stands"
    if goes_on and not (begins or agent.own_conversations):
        return "resume names a conversation that argv did not; name it there, or write own_conversations: true"
    return ""


OWN = frozenset(AgentSettings.model_fields) - {"model", "args", "pass_env"}


def check_agent(name: str, declared: tuple[str, ...] = ()) -> str | None:
    """Say what is wrong with the name of an agent; None when it is known."""
    known = (*BUILT_IN, *declared)
    if name in known:
        return None
    near = fields.nearest(name, known) or "; write one of: " + ", ".join(known)
    return f"agent {shown(name)} is not known{near}, or describe it under agents: in milestone.yaml"
