"""opencode, headless: `opencode run --format json`, one JSON object a line.

Rules, as measured: what its configuration says to ask for is refused, and it then stops in the middle and exits 0:
success is a last step that ends with `stop`. Its conversations have ids of its own, told with the model's first reply.
What it has cost stands in each step, and is that of this session alone. In the middle of a tool it hears nothing but
KILL.
"""

from __future__ import annotations

import re
from typing import Any

from work_milestone.agents import api_errors
from work_milestone.agents.api import Agent, Call, Event, Outcome, Progress, dollars, find_objects, last_words, number
from work_milestone.store import Session
from work_milestone.text import one_line

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
LOGIN = "; log in again (opencode auth login) or renew the key"
ALLOW = "; allow it under permission in opencode.json, or set args: [--auto] for it"


class Opencode(Agent):
    """opencode's command line."""

    resumes = tells_cost = streams = True
    sums_cost = False
    passes = ("OPENCODE_*", "ANTHROPIC_*", "OPENAI_*", "GEMINI_*", "GOOGLE_*")

    def argv(self, call: Call) -> list[str]:
        """Return the command line."""
        argv = ["opencode", "run", "--format", "json"]
        argv += ["--model", call.settings.model] if call.settings.model else []
        argv += ["--variant", call.settings.effort] if call.settings.effort else []
        argv += ["--session", call.conversation] if call.resume else []
        return [*argv, *call.settings.args]

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Judge by exit code, by an error, and by what the last step ended with."""
        text, reason, cost, denied, failure = "", "", None, "", None
        for event in find_objects(stdout):
            part = event["part"] if isinstance(event.get("part"), dict) else {}
            if event.get("type") == "text":
                text = str(part.get("text") or "")
            elif event.get("type") == "step_finish":
                reason, spent = str(part.get("reason")), dollars(part.get("cost"))
                cost = cost if spent is None else (cost or 0.0) + spent
            elif event.get("type") == "tool_use":
                denied = _find_denied(part)
            elif event.get("type") == "error":
                failure = event.get("error") or {}
        thread, errors = self.find_conversation(stdout), _ANSI.sub("", stderr)
        if failure is not None:
            status, detail = _classify(failure)
            return Outcome(status, text, detail, cost, thread)
        if code == 0 and reason == "stop":
            return Outcome(Session.COMPLETE, text, cost=cost, conversation=thread)
        words = last_words(errors, stdout)
        if "Session not found" in errors:
            return Outcome(Session.CRASHED, text, f"its conversation is gone: {words}")
        if code == 0 and reason:
            words = f"denied: {denied}{ALLOW}" if denied else f"it stopped in the middle: {reason}"
            return Outcome(Session.FAILED, text, words, cost, conversation=thread)
        return Outcome(Session.FAILED, text, f"exit {code} without a result: {one_line(words)}", cost, thread)

    def find_conversation(self, stdout: str) -> str:
        """Find the id, which is in each line."""
        return next((str(event["sessionID"]) for event in find_objects(stdout) if event.get("sessionID")), "")

    def read_event(self, event: Event, progress: Progress) -> None:
        """Count its steps, with their tokens and cost."""
        part = event.get("part")
        if not isinstance(part, dict):
            return
        if event.get("type") == "tool_use":
            progress.tool = one_line(str(part.get("tool")))[:40]
        if event.get("type") == "step_finish":
            tokens, cost = part.get("tokens"), dollars(part.get("cost"))
            progress.turns += 1
            progress.tokens += number(tokens.get("total")) if isinstance(tokens, dict) else 0
            progress.cost = progress.cost if cost is None else (progress.cost or 0.0) + cost


def _find_denied(part: dict[str, Any]) -> str:
    """Name the tool of a call that was refused, "" when it was not."""
    state = part.get("state")
    refused = isinstance(state, dict) and "rejected permission" in str(state.get("error"))
    return one_line(str(part.get("tool"))) if refused else ""


def _classify(failure: object) -> tuple[Session, str]:
    """Classify an error by its status, and by whether it thinks that another try would do."""
    data = failure.get("data") if isinstance(failure, dict) else None
    known: dict[str, Any] = data if isinstance(data, dict) else {}
    words = one_line(str(known.get("message") or failure)) or "its turn failed"
    status = known.get("statusCode")
    if not isinstance(status, int) and not known.get("isRetryable"):
        return Session.FAILED, words
    session = api_errors.classify(status if isinstance(status, int) else None, f"{words} {known.get('responseBody')}")
    return session, words + (LOGIN if session is Session.AUTH else "")
