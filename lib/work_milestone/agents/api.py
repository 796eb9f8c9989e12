"""What an agent's command line is to the rest of the tool: the class to derive from, and what an exit means.

Rules:
- The prompt goes in on stdin, never as an argument: arguments stand in every process list.
- An agent's word is not enough: success is exit 0 AND a result that parses AND no error in it AND no denied
  tool. Whether anything was committed, git is asked later.
- What is not classified is `failed`; only what is classified as passing is tried again by itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

from work_milestone.settings import SessionSettings
from work_milestone.store import Session
from work_milestone.text import last_line

Event = Mapping[str, Any]
MOST_ID = 300  # characters of a conversation's id
_OBJECT = re.compile(r"^[ \t]*\{", re.MULTILINE)


class Call(NamedTuple):
    """What a session is started for. `conversation` is an id, "" where the agent makes one of its own.

    `writable` are the folders outside of its worktree that git writes to when it commits; `prompt` is the file that
    is its stdin.
    """

    settings: SessionSettings
    conversation: str = ""
    resume: bool = False
    writable: tuple[str, ...] = ()
    prompt: str = ""


class Outcome(NamedTuple):
    """What an exit means: `text` is the agent's last message, `detail` the reason in one line, `cost` US dollars.

    A quota's `detail` has the words that say when it is renewed. `conversation` is the id by which the agent goes on,
    "" when it has told none.
    """

    status: Session
    text: str = ""
    detail: str = ""
    cost: float | None = None
    conversation: str = ""


@dataclass
class Progress:
    """How far a session at work is, as far as its agent tells: turns of the model, its last tool, tokens, US dollars.

    `fault` is why there is no sense in its going on, "" when there is.
    """

    turns: int = 0
    tool: str = ""
    tokens: int = 0
    cost: float | None = None
    message: str = ""  # the model's latest, where each part of it is an event of its own
    offline: int = 0  # how often it has said that it reaches nobody
    fault: str = ""


class Agent:
    """One agent's command line. Derive from it, say what differs, and name it in `registry`."""

    resumes = False  # a conversation that was cut short can be gone on with
    names_conversations = False  # by an id that is given to it; else it tells its own
    tells_cost = False  # in US dollars
    sums_cost = True  # over all sessions of a conversation; else it tells what each has cost
    streams = False  # it prints a JSON object a line while it is at work, or may be told to
    passes: tuple[str, ...] = ()  # variables that its sessions are given beside the common ones; `NAME_*` for many
    environment: Mapping[str, str] = MappingProxyType(
        {}
    )  # what they have in any case; what the user has set outranks it

    def argv(self, call: Call) -> list[str]:
        """Return the command line of a session, of a new conversation or one that goes on."""
        raise NotImplementedError

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Say what an exit with this output means."""
        raise NotImplementedError

    def read_event(self, event: Event, progress: Progress) -> None:
        """Take up into `progress` what one line of its output tells."""
        del event, progress

    def find_conversation(self, stdout: str) -> str:
        """Find the id of the conversation in what a session has printed so far, "" when it is not told."""
        del stdout
        return ""

    def find_faults(self, settings: SessionSettings, env: Mapping[str, str]) -> Iterator[str]:
        """Give what can be known to fail before it is started, each with the next step."""
        del settings, env
        yield from ()

    def find_notes(self, settings: SessionSettings, env: Mapping[str, str]) -> Iterator[str]:
        """Give what does not stand in the way and should be known."""
        del env
        if settings.budget_usd is not None and not self.tells_cost:
            yield f"agent {settings.agent} tells no cost: budget_usd does not hold its sessions"


def find_objects(text: str) -> Iterator[dict[str, Any]]:
    """Give the JSON objects that stand on a line of their own; hooks and wrappers print between them."""
    for line in text.split("\n"):  # and nowhere else: JSON may hold what Python too takes for the end of a line
        if line.lstrip().startswith("{"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found


def last_words(stderr: str, stdout: str) -> str:
    """Return the last line that says anything, of what a program that failed has printed."""
    return last_line(stderr) or last_line(stdout) or "no output"


def find_object(text: str) -> dict[str, Any] | None:
    """Return the last JSON object that begins on a line of its own, be it over several lines."""
    decoder, last, at = json.JSONDecoder(), None, 0
    while (begin := _OBJECT.search(text, at)) is not None:
        try:
            last, at = decoder.raw_decode(text, begin.end() - 1)
        except (ValueError, RecursionError):
            at = begin.end()
    return last


def as_id(value: object) -> str:
    """Return what can be handed over as a word that names a conversation, "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    word = str(value)
    return word if word.isprintable() and len(word) <= MOST_ID and not word.startswith("-") else ""


def dollars(value: object) -> float | None:
    """Return a cost, None for what is none."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if sound and isinstance(value, int | float) else None


def number(value: object) -> int:
    """Return a count, 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
