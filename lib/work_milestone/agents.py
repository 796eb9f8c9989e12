"""The agents' command lines: how each is called, and what its exit means.

Rules:
- The prompt goes in on stdin, never as an argument: arguments stand in every process list.
- An agent's word is not enough: success is exit 0 AND a result that parses AND no error in it AND no denied
  tool. Whether anything was committed, git is asked later.
- What is not classified is `failed`; only what is classified as passing is tried again by itself.
"""

from __future__ import annotations

import calendar
import json
import re
import time
from dataclasses import dataclass
from typing import Any, Protocol

from work_milestone.settings import SessionSettings
from work_milestone.states import Session
from work_milestone.texts import last_line

_STAMP = re.compile(r"\b(1[5-9]\d{8}|2\d{9})\b", re.ASCII)
_SPAN = re.compile(r"\bin (\d{1,6}(?:\.\d{1,6})?) ?(s|m|h|d)[a-z]*", re.IGNORECASE | re.ASCII)
_CLOCK = re.compile(
    r"\breset[a-z]*(?: at)? (\d{1,2})(?::(\d{2}))? ?(am|pm)?\b(?: \((\w+)[^)]*\))?", re.IGNORECASE | re.ASCII
)
TRANSIENT_EXIT = 75  # EX_TEMPFAIL of sysexits.h: how a script says "try me again"


@dataclass(frozen=True)
class Outcome:
    """What an exit means: `text` is the agent's last message, `detail` the reason in one line, `cost` US dollars.

    `until` is when a quota is renewed, in seconds since 1970, None when nobody says.
    """

    status: Session
    text: str = ""
    detail: str = ""
    cost: float | None = None
    until: float | None = None


class Agent(Protocol):
    """One agent's command line. `resumes` where a conversation that was cut short can be gone on with."""

    resumes: bool

    def argv(self, settings: SessionSettings, conversation: str = "", *, resume: bool = False) -> list[str]:
        """Return the command line of a session, of a new conversation or one that goes on; both have a UUID."""

    def judge(self, code: int, stdout: str, stderr: str, ended: float | None = None) -> Outcome:
        """Say what an exit with this output means; `ended` in seconds since 1970, None for now."""


class Command:
    """Any shell line: its stdout is its report, exit 75 asks for another try."""

    resumes = False

    def argv(self, settings: SessionSettings, conversation: str = "", *, resume: bool = False) -> list[str]:
        """Return the shell that runs the line."""
        del conversation, resume  # it starts anew each time
        return ["/bin/sh", "-c", settings.command or "exit 127"]

    def judge(self, code: int, stdout: str, stderr: str, ended: float | None = None) -> Outcome:
        """Judge by the exit code alone; the report is read by the caller."""
        del ended
        if code == 0:
            return Outcome(Session.COMPLETE, stdout)
        status = Session.TRANSIENT if code == TRANSIENT_EXIT else Session.FAILED
        return Outcome(status, stdout, f"exit {code}: {last_line(stderr) or last_line(stdout) or 'no output'}")


class Claude:
    """Claude Code, headless: `claude -p`, one JSON object on stdout."""

    resumes = True

    def argv(self, settings: SessionSettings, conversation: str = "", *, resume: bool = False) -> list[str]:
        """Return the protocol's command line, with what the settings add."""
        argv = ["claude", "-p", "--model", settings.model, "--permission-mode", settings.permission_mode]
        argv += ["--output-format", "json"]
        if conversation:
            argv += ["--resume" if resume else "--session-id", conversation]
        if settings.effort:
            argv += ["--effort", settings.effort]
        if settings.budget_usd is not None:
            argv += ["--max-budget-usd", f"{settings.budget_usd:g}"]
        if settings.allowed_tools:
            argv += ["--allowedTools", ",".join(settings.allowed_tools)]
        return argv

    def judge(self, code: int, stdout: str, stderr: str, ended: float | None = None) -> Outcome:
        """Judge by exit code and result JSON, as measured: an API error exits 1 with `subtype: success`."""
        result = _last_json(stdout)
        if result is None:
            words = last_line(stderr) or last_line(stdout) or "no output"
            if "no conversation found" in words.lower():
                return Outcome(Session.CRASHED, stdout, f"its conversation is gone: {words}")
            return Outcome(Session.FAILED, stdout, f"exit {code} without a result: {words}")
        text = str(result.get("result") or "")
        status, detail = _classify(code, result, text, stderr)
        until = find_renewal(detail, ended or time.time()) if status is Session.QUOTA else None
        return Outcome(status, text, detail, _dollars(result.get("total_cost_usd")), until)


def find_renewal(words: str, now: float) -> float | None:
    """Find in an agent's words when its quota is renewed, in seconds since 1970; None when they do not say.

    Forms: `...|1735689600`, `try again in 5 minutes`, `resets 3pm (UTC)`, `resets at 15:30` (local time).
    """
    if stamp := _STAMP.search(words):
        return float(stamp[1])
    if span := _SPAN.search(words):
        return now + float(span[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[2].lower()]
    clock = _CLOCK.search(words)
    if clock is None or not (clock[2] or clock[3]):
        return None
    hour = int(clock[1]) % 12 + (12 if clock[3].lower() == "pm" else 0) if clock[3] else int(clock[1])
    if hour > 23 or int(clock[2] or 0) > 59:
        return None
    local = clock[4] is None or clock[4].upper() not in ("UTC", "GMT")
    day = time.localtime(now) if local else time.gmtime(now)
    fields = (*day[:3], hour, int(clock[2] or 0), 0, 0, 0, -1 if local else 0)
    found = time.mktime(fields) if local else float(calendar.timegm(fields))
    return found if found > now else found + 86400


def _dollars(value: object) -> float | None:
    """Return a cost, None for what is none."""
    sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return float(value) if sound and isinstance(value, int | float) else None


def _classify(code: int, result: dict[str, Any], text: str, stderr: str) -> tuple[Session, str]:
    subtype = str(result.get("subtype"))
    if subtype == "error_max_budget_usd":
        return Session.BUDGET, "its budget is spent; raise budget_usd"
    if subtype == "error_max_turns":
        return Session.FAILED, "it reached its limit of turns"
    if result.get("is_error"):
        return _classify_error(result, last_line(text) or f"exit {code}, {subtype}")
    denials = result.get("permission_denials")
    if denials:
        denials = denials if isinstance(denials, list) else []
        tools = sorted({str(denial.get("tool_name", "?")) for denial in denials if isinstance(denial, dict)})
        return Session.FAILED, f"denied: {', '.join(tools)}; name them in allowed_tools, or change permission_mode"
    if code != 0 or subtype != "success":
        return Session.FAILED, last_line(stderr) or f"exit {code}, {subtype}"
    return Session.COMPLETE, ""


def _classify_error(result: dict[str, Any], words: str) -> tuple[Session, str]:
    """Classify an error of the API, by status first; by words where there is none, or where it says too little."""
    status = result.get("api_error_status")
    if status in (401, 403) or (status is None and "/login" in words):
        return Session.AUTH, f"{words}; log in again (claude /login) or renew the key"
    if status == 400 and "credit balance" in words.lower():
        return Session.AUTH, f"{words}; buy credit, or use another key"
    if status == 429 and re.search(r"(usage|session|hour|weekly) limit|quota|limit will reset", words, re.IGNORECASE):
        return Session.QUOTA, words
    if status in (408, 429) or (isinstance(status, int) and status >= 500):
        return Session.TRANSIENT, words
    if status is None and (result.get("api_error") or result.get("terminal_reason") == "api_error"):
        return Session.TRANSIENT, words  # refused, reset, or cut off in the middle
    return Session.FAILED, words


def _last_json(text: str) -> dict[str, Any] | None:
    """Return the last line that is a result, for hooks and wrappers print before it."""
    for line in reversed(text.splitlines()):
        if line.lstrip().startswith("{"):
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict) and found.get("type", "result") == "result":
                return found
    return None


REGISTRY: dict[str, Agent] = {"claude": Claude(), "command": Command()}


def program(settings: SessionSettings) -> str | None:
    """Name the program that must be on PATH, None when a shell line names it itself."""
    return None if settings.agent == "command" else REGISTRY[settings.agent].argv(settings)[0]
