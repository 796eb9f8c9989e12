"""Codex, headless: `codex exec --json`, one JSON object a line.

Rules, as measured: its sandbox lets it write in its folder alone, and a linked worktree's commits lie outside, so
those places are named to it; what it left uncommitted is committed for it in any case. Its conversations have ids of
its own, told in the first line. It tells tokens and no cost. A line with an error may be one of its own retries: only
`turn.failed` and the exit code end a session.
"""

from __future__ import annotations

import json
import re

from work_milestone.agents import api_errors
from work_milestone.agents.api import Agent, Call, Event, Outcome, Progress, find_objects, last_words, number
from work_milestone.store import Session
from work_milestone.text import one_line

_STATUS = re.compile(r"\bstatus:? (\d{3})\b", re.ASCII)
_QUOTA = re.compile(r"quota exceeded|usage limit", re.IGNORECASE)
_AUTH = re.compile(r"not logged in|missing environment variable|codex login", re.IGNORECASE)
_PASSING = re.compile(r"high demand|at capacity|stream disconnected|rate limit|error sending request", re.IGNORECASE)
OFFLINE = "waiting for network"
PATIENCE = 5  # lines that say so; the fifth comes after a minute and a half


class Codex(Agent):
    """Codex's command line."""

    resumes = streams = True
    passes = ("OPENAI_*", "CODEX_*")

    def argv(self, call: Call) -> list[str]:
        """Return the command line; the prompt is read from stdin (`-`)."""
        settings, writable = call.settings, list(call.writable)
        argv = ["codex", "exec", *(["resume"] if call.resume else []), "--json"]
        argv += ["--model", settings.model] if settings.model else []
        if settings.effort:
            argv += ["-c", f"model_reasoning_effort={json.dumps(settings.effort)}"]
        argv += ["-c", 'sandbox_mode="workspace-write"']
        argv += ["-c", f"sandbox_workspace_write.writable_roots={json.dumps(writable)}"] if writable else []
        argv += settings.args
        return [*argv, *([call.conversation] if call.resume else []), "-"]

    def find_conversation(self, stdout: str) -> str:
        """Find the thread's id."""
        for event in find_objects(stdout):
            if event.get("type") == "thread.started":
                return str(event.get("thread_id") or "")
        return ""

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Judge by exit code and the turn's last event."""
        text, failure, whole, thread = "", "", False, ""
        for event in find_objects(stdout):
            kind, item, error = event.get("type"), event.get("item"), event.get("error")
            thread = str(event.get("thread_id") or "") if kind == "thread.started" else thread
            whole = whole or kind == "turn.completed"
            if kind == "item.completed" and isinstance(item, dict) and item.get("type") == "agent_message":
                text = str(item.get("text") or "")
            elif kind == "turn.failed":
                failure = one_line(str(error.get("message") if isinstance(error, dict) else error)) or "its turn failed"
            elif kind == "error":
                failure = failure or (one_line(str(event.get("message"))) if OFFLINE in str(event) else "")
        if code == 0 and whole:
            return Outcome(Session.COMPLETE, text, conversation=thread)
        words = failure or last_words(stderr, stdout)
        if "no rollout found" in stderr:
            return Outcome(Session.CRASHED, text, f"its conversation is gone: {words}")
        status = _classify(words) if failure else Session.FAILED
        needs = "; log in again (codex login) or renew the key" if status is Session.AUTH else ""
        return Outcome(status, text, (failure or f"exit {code}: {words}") + needs, conversation=thread)

    def read_event(self, event: Event, progress: Progress) -> None:
        """Count what it says and does; give it up where it waits for a network without end."""
        item, usage = event.get("item"), event.get("usage")
        if event.get("type") == "item.completed" and isinstance(item, dict):
            progress.turns += item.get("type") == "agent_message"
            if item.get("type") not in ("agent_message", "reasoning", "error"):
                progress.tool = one_line(str(item.get("command") or item.get("type")))[:40]
        if event.get("type") == "turn.completed" and isinstance(usage, dict):
            progress.tokens = number(usage.get("input_tokens")) + number(usage.get("output_tokens"))
        if event.get("type") == "error" and OFFLINE in str(event.get("message")):
            progress.offline += 1
            if progress.offline >= PATIENCE:
                progress.fault = one_line(str(event.get("message")))[:200]


def _classify(words: str) -> Session:
    """Classify by status where one is told, else by the words that stand for one."""
    if _QUOTA.search(words):
        return Session.QUOTA
    if _AUTH.search(words):
        return Session.AUTH
    if status := _STATUS.search(words):
        return api_errors.classify(int(status[1]), words)
    return Session.TRANSIENT if _PASSING.search(words) or OFFLINE in words else Session.FAILED
