"""Claude Code, headless: `claude -p`, one JSON object on stdout, or with `stream` one a line.

Rules, as measured: an error of the API exits 1 with `subtype: success`; a denied tool exits 0; the cost of a
conversation that goes on holds what it had cost before.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from work_milestone.agents import api_errors
from work_milestone.agents.api import Agent, Call, Event, Outcome, Progress, dollars, find_objects, last_words, number
from work_milestone.settings import SessionSettings
from work_milestone.store import Session
from work_milestone.text import last_line, one_line

REPORT = {
    "type": "object",
    "properties": {
        "status": {"type": "string", "enum": ["COMPLETE", "PARTIAL", "BLOCKED", "FAILED"]},
        "notes": {"type": "string"},
        "blocker": {"type": "string"},
    },
    "required": ["status", "notes"],
}
MODES = ("acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan")


class Claude(Agent):
    """Claude Code's command line."""

    resumes = names_conversations = tells_cost = streams = True
    passes = ("ANTHROPIC_*", "CLAUDE_*", "DISABLE_*", "IS_SANDBOX", "MCP_*", "BASH_*", "MAX_*", "CLOUD_ML_REGION")
    # An interface that is down would keep it for minutes, and the run has retries of its own.
    environment = MappingProxyType({"CLAUDE_CODE_MAX_RETRIES": "3"})

    def argv(self, call: Call) -> list[str]:
        """Return the protocol's command line, with what the settings add."""
        settings = call.settings
        argv = ["claude", "-p", "--model", settings.model, "--permission-mode", settings.permission_mode]
        argv += ["--output-format", "stream-json", "--verbose"] if settings.stream else ["--output-format", "json"]
        if call.conversation:
            argv += ["--resume" if call.resume else "--session-id", call.conversation]
        if settings.effort:
            argv += ["--effort", settings.effort]
        if settings.budget_usd is not None:
            argv += ["--max-budget-usd", f"{settings.budget_usd:g}"]
        if settings.structured_report:
            argv += ["--json-schema", json.dumps(REPORT)]
        argv += settings.args
        if settings.allowed_tools:
            argv += ["--allowedTools", ",".join(settings.allowed_tools)]
        return argv

    def judge(self, code: int, stdout: str, stderr: str) -> Outcome:
        """Judge by exit code and result JSON."""
        result = None
        for found in find_objects(stdout):
            if found.get("type", "result") == "result":
                result = found
            elif broken := _find_broken_server(found):
                return Outcome(Session.FAILED, "", broken)
        if result is None:
            words = last_words(stderr, stdout)
            if "no conversation found" in words.lower():
                return Outcome(Session.CRASHED, stdout, f"its conversation is gone: {words}")
            return Outcome(Session.FAILED, stdout, f"exit {code} without a result: {words}")
        text = _report(result.get("structured_output")) or str(result.get("result") or "")
        status, detail = _classify(code, result, text, stderr)
        return Outcome(status, text, detail, dollars(result.get("total_cost_usd")))

    def read_event(self, event: Event, progress: Progress) -> None:
        """Count turns and tokens of its own, and find servers of the project's that do not start."""
        progress.fault = progress.fault or _find_broken_server(event)
        if event.get("type") == "result":
            progress.cost = dollars(event.get("total_cost_usd"))
        message = event.get("message")
        if event.get("type") != "assistant" or not isinstance(message, dict) or event.get("is_api_error_message"):
            return
        known, progress.message = progress.message, str(message.get("id") or "")
        if not known or known != progress.message:  # else it is a further part of the same, with the same usage
            progress.turns += 1
            usage = message.get("usage")
            progress.tokens += sum(number(usage.get(key)) for key in usage) if isinstance(usage, dict) else 0
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use":
                progress.tool = one_line(str(block.get("name")))[:40]

    def find_faults(self, settings: SessionSettings, env: Mapping[str, str]) -> Iterator[str]:
        """Look at the permission mode: what it refuses it refuses an hour later, or at once in every session."""
        mode = settings.permission_mode
        if mode not in MODES:
            yield f"permission_mode {mode!r} is none of Claude Code's; write one of: {', '.join(MODES)}"
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        if mode == "bypassPermissions" and root and env.get("IS_SANDBOX") != "1":
            yield (
                "permission_mode bypassPermissions is refused to root; be somebody else, choose acceptEdits with "
                "allowed_tools, or set IS_SANDBOX=1 where nothing can be broken"
            )

    def find_notes(self, settings: SessionSettings, env: Mapping[str, str]) -> Iterator[str]:
        """Say where the mode may be refused by the server, which is seen by its answer alone."""
        yield from super().find_notes(settings, env)
        server = env.get("ANTHROPIC_BASE_URL", "")
        if settings.permission_mode == "auto" and server and "anthropic.com" not in server:
            yield (
                f"permission_mode auto needs a server that checks what tools do, and {server} may not; acceptEdits "
                "with allowed_tools works everywhere"
            )


def _find_broken_server(event: Event) -> str:
    """Name the project's MCP servers that did not start, as the first event tells them; "" when all did."""
    servers = event.get("mcp_servers")
    if event.get("subtype") != "init" or not isinstance(servers, list):
        return ""
    broken = [
        one_line(str(server.get("name")))
        for server in servers
        if isinstance(server, dict) and server.get("status") == "failed" and server.get("source") == "project"
    ]
    return f"MCP server {', '.join(broken)} does not start; mend .mcp.json, or what it starts" if broken else ""


def _report(filled: object) -> str:
    """Write a structured report in the form of the others, "" where it is none."""
    if not isinstance(filled, dict) or not isinstance(filled.get("status"), str):
        return ""
    words = {key: " ".join(str(filled.get(key) or "none").splitlines()) for key in ("status", "notes", "blocker")}
    return f"STATUS: {words['status']}\nNOTES: {words['notes']}\nBLOCKER: {words['blocker']}"


def _classify(code: int, result: dict[str, Any], text: str, stderr: str) -> tuple[Session, str]:
    subtype = str(result.get("subtype"))
    if subtype == "error_max_budget_usd":
        return Session.BUDGET, "its budget is spent; raise budget_usd"
    if subtype == "error_max_turns":
        return Session.TURNS, "it reached its limit of turns"
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
    """Classify an error of the API; one without a status is the program's own, or nobody was reached."""
    status = result.get("api_error_status")
    reached = isinstance(status, int)
    if "/login" in words and not reached:
        session = Session.AUTH
    elif not reached and not (result.get("api_error") or result.get("terminal_reason") == "api_error"):
        session = Session.FAILED
    else:
        session = api_errors.classify(status if reached else None, words)
    if session is Session.AUTH:
        login = "log in again (claude /login) or renew the key"
        needs = "buy credit, or use another key" if status in (400, 402) else login
        return session, f"{words}; {needs}"
    return session, words
