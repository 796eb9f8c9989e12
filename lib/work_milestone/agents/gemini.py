"""Gemini CLI, headless: `--output-format stream-json`, one JSON object a line.

Rules, as measured: it hears signals only where it does not start itself anew (`GEMINI_CLI_NO_RELAUNCH`), and exits 0
when it is ended by one: success is a last line that says so. An error's exit code is the HTTP status modulo 256; the
status itself stands in the words, or not at all. Its conversations belong to the worktree's path. It tells tokens and
no cost, and retries for minutes: only `general.maxAttempts` in its own settings bounds that.
"""

from __future__ import annotations

import re
from types import MappingProxyType

from work_milestone.agents import api_errors
from work_milestone.agents.api import Agent, Call, Event, Outcome, Progress, find_objects, last_words, number
from work_milestone.store import Session
from work_milestone.text import last_line, one_line

_CODE = re.compile(r'"code": ?(\d{3})\b', re.ASCII)
_SPENT = re.compile(r"daily quota|current quota|quota will reset", re.IGNORECASE)
_KEY = re.compile(r"API_KEY_INVALID|API key not valid")
STATUSES = (400, 401, 403, 408, 429, 500, 502, 503, 504, 529)
EXITS = {
    41: (Session.AUTH, "; set GEMINI_API_KEY, or log in once by starting gemini"),
    53: (Session.TURNS, "it reached its limit of turns: model.maxSessionTurns in its settings.json"),
    55: (Session.FAILED, "it does not trust the folder"),
}
LOGIN = "; renew GEMINI_API_KEY, or log in again by starting gemini"


class Gemini(Agent):
    """Gemini CLI's command line."""

    resumes = names_conversations = streams = True
    passes = ("GEMINI_*", "GOOGLE_*")
    environment = MappingProxyType({"GEMINI_CLI_NO_RELAUNCH": "true"})

    def argv(self, call: Call) -> list[str]:
        """Return the command line; tools are approved beforehand, for nobody is there to ask."""
        argv = ["gemini", *(["--model", call.settings.model] if call.settings.model else [])]
        argv += ["--output-format", "stream-json", "--skip-trust", "--approval-mode", "yolo"]
        if call.conversation:
            argv += ["--resume" if call.resume else "--session-id", call.conversation]
        return [*argv, *call.settings.args]

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Judge by exit code and the last event; the words since the last tool are its last message."""
        text, failure, whole, thread = "", "", False, ""
        for event in find_objects(stdout):
            kind, error = event.get("type"), event.get("error")
            thread = thread or str(event.get("session_id") or "")
            if kind == "message" and event.get("role") == "assistant":
                text += str(event.get("content") or "")
            elif kind == "tool_use":
                text = ""
            elif kind == "error" and event.get("severity") == "error":
                failure = one_line(str(event.get("message")))
            elif kind == "result":
                whole = event.get("status") == "success"
                failure = _words(error.get("message")) if isinstance(error, dict) else failure
        if code == 0 and whole:
            return Outcome(Session.COMPLETE, text, conversation=thread)
        if "Error resuming session" in stderr:
            return Outcome(Session.CRASHED, text, f"its conversation is gone: {_find(stderr, 'Error resuming')}")
        status, detail = _classify(code, failure, stderr, stdout)
        return Outcome(status, text, detail, conversation=thread)

    def find_conversation(self, stdout: str) -> str:
        """Find the id in the first line."""
        return next((str(event["session_id"]) for event in find_objects(stdout) if event.get("session_id")), "")

    def read_event(self, event: Event, progress: Progress) -> None:
        """Count its tools, for it does not tell its turns apart."""
        if event.get("type") == "tool_use":
            progress.turns += 1
            progress.tool = one_line(str(event.get("tool_name")))[:40]
        stats = event.get("stats")
        if isinstance(stats, dict):
            progress.tokens = number(stats.get("total_tokens"))


def _classify(code: int, failure: str, stderr: str, stdout: str) -> tuple[Session, str]:
    """Classify by the status in its words, else by the one that the exit code is made of."""
    if code in EXITS:
        status, words = EXITS[code]
        return status, _find(stderr, "message") + words if words.startswith(";") else words
    if not failure:
        words = last_words(stderr, stdout)
        return Session.FAILED, f"exit {code} without a result: {words}"
    told = _CODE.search(failure)
    http = int(told[1]) if told else next((one for one in STATUSES if one % 256 == code), 0)
    if http in (401, 403) or _KEY.search(failure):
        return Session.AUTH, failure + LOGIN
    if http == 429:
        return (Session.QUOTA if _SPENT.search(failure) else Session.TRANSIENT), failure
    return (api_errors.classify(http, failure) if http else Session.FAILED), failure


def _words(message: object) -> str:
    return one_line(str(message)) or "its turn failed"


def _find(stderr: str, word: str) -> str:
    """Find the line that says what is wrong among the others."""
    found = next((line for line in stderr.splitlines() if word in line), last_line(stderr))
    return one_line(found).strip()
