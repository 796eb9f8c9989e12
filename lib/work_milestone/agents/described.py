"""Agents that settings describe: a shell line, and a command line whose output is read as it says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from work_milestone.agents.api import (
    Agent,
    Call,
    Event,
    Outcome,
    Progress,
    as_id,
    dollars,
    find_object,
    find_objects,
    last_words,
)
from work_milestone.settings import AgentSettings
from work_milestone.store import Session
from work_milestone.text import one_line

TRANSIENT_EXIT = 75  # EX_TEMPFAIL of sysexits.h: how a script says "try me again"


class Command(Agent):
    """Any shell line: its stdout is its report, exit 75 asks for another try."""

    def argv(self, call: Call) -> list[str]:
        """Return the shell that runs the line."""
        return ["/bin/sh", "-c", call.settings.command or "exit 127"]

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Judge by the exit code alone; the report is read by the caller."""
        if code == 0:
            return Outcome(Session.COMPLETE, stdout)
        status = Session.TRANSIENT if code == TRANSIENT_EXIT else Session.FAILED
        return Outcome(status, stdout, f"exit {code}: {last_words(stderr, stdout)}")


class Described(Agent):
    """A command line of the user's own, from `agents:` in `milestone.yaml`."""

    def __init__(self, description: AgentSettings) -> None:
        self._is = description
        self.resumes = description.resume is not None
        self.names_conversations = not description.own_conversations
        self.streams = description.result == "jsonl"
        self.tells_cost = description.result != "text"

    def argv(self, call: Call) -> list[str]:
        """Return its words with the placeholders filled in; a word whose placeholder has no value is left out."""
        settings, words = call.settings, (self._is.resume if call.resume else self._is.argv) or ()
        budget = "" if settings.budget_usd is None else f"{settings.budget_usd:g}"
        known = {"model": settings.model, "effort": settings.effort or "", "budget_usd": budget,
                 "conversation": call.conversation, "prompt_file": call.prompt}  # fmt: skip
        return [*_fill(words, known), *settings.args]

    def find_conversation(self, stdout: str) -> str:
        """Find the first object that has the id."""
        if self._is.result == "text":
            return ""
        found = (as_id(_dig(one, self._is.conversation)) for one in self._find_objects(stdout))
        return next(filter(None, found), "")

    def _find_objects(self, stdout: str) -> list[dict[str, Any]]:
        """Find what it has printed as JSON: a line each, or one object over several lines."""
        objects = list(find_objects(stdout))
        whole = None if objects or self._is.result != "json" else find_object(stdout)
        return [whole] if whole else objects

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Judge by exit code, by an error in its result, and by the words that the settings name."""
        text, error, cost = stdout, "", None
        if self._is.result != "text":
            objects = self._find_objects(stdout)
            text = str(_last(objects, self._is.text) or "")
            # One that it has got over since, and said so by going on, is a retry of its own.
            said = [place for place, found in enumerate(objects) if _dig(found, self._is.text)][-1:]
            error = one_line(str(_last(objects[said[0] if said else 0 :], self._is.error) or ""))
            cost = dollars(_last(objects, self._is.cost))
            if not objects and code == 0:
                return Outcome(Session.FAILED, stdout, "exit 0 without a result: no JSON on its stdout")
        if code == 0 and not error:
            return Outcome(Session.COMPLETE, text, cost=cost)
        words = error or last_words(stderr, stdout)
        status = self._classify(code, f"{error}\n{stderr[-4000:]}\n{stdout[-4000:]}")
        return Outcome(status, text, f"exit {code}: {words}", cost)

    def _classify(self, code: int, words: str) -> Session:
        for status in (Session.QUOTA, Session.AUTH, Session.TRANSIENT):
            pattern = getattr(self._is, status.value)
            if pattern and re.search(pattern, words, re.IGNORECASE):
                return status
        return Session.TRANSIENT if code == TRANSIENT_EXIT else Session.FAILED

    def read_event(self, event: Event, progress: Progress) -> None:
        """Count its lines, and take up what they have cost."""
        progress.turns += 1
        progress.cost = dollars(_dig(event, self._is.cost)) or progress.cost


def _fill(words: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Replace placeholders; a word that needs what has no value goes, and with it the option before it."""
    filled: list[str] = []
    for word in words:
        needed = [name for name in known if f"{{{name}}}" in word]
        if all(known[name] for name in needed):
            # All at once: a value may have braces of its own.
            filled.append(re.sub(r"\{([a-z_]+)\}", lambda found: known.get(found[1], found[0]), word))
        elif filled and filled[-1].startswith("-") and word.startswith("{"):
            filled.pop()
    return filled


def _dig(found: Any, path: str) -> Any:
    """Return what stands at a path of keys with dots between them, None when nothing does."""
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _last(objects: Sequence[Mapping[str, Any]], path: str) -> Any:
    return next((value for found in reversed(objects) if (value := _dig(found, path)) not in (None, False, "")), None)
