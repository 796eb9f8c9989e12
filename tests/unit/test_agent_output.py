"""What codex, gemini and opencode print, as their real binaries printed it, and what is read from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.agents import REGISTRY
from work_milestone.agents.api import Agent, Call, Progress
from work_milestone.settings import SessionSettings
from work_milestone.store.outcomes import Session

CODEX, GEMINI, OPENCODE = (REGISTRY[name] for name in ("codex", "gemini", "opencode"))
NAMES = ("codex", "gemini", "opencode")
THREAD, CHAT, SES = (
    "01a204ef-cc97-7313-9de2-a6b73832b534",
    "11111111-2222-4333-8444-555555555555",
    "ses_dfb108ebdffe3wm",
)


def settings(**own: Any) -> SessionSettings:
    base: dict[str, Any] = {"agent": "codex", "command": None, "model": "", "effort": None, "timeout": 7200.0,
                            "permission_mode": "auto", "allowed_tools": (), "budget_usd": None}  # fmt: skip
    return SessionSettings(**base | own)


def lines(*events: dict[str, Any]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


# -- command lines


WRITABLE = ("/r/.git/worktrees/a b", "/r/.git/objects")
SANDBOX = ["-c", 'sandbox_mode="workspace-write"', "-c",
           'sandbox_workspace_write.writable_roots=["/r/.git/worktrees/a b", "/r/.git/objects"]']  # fmt: skip
STREAM = ["--output-format", "stream-json", "--skip-trust", "--approval-mode", "yolo"]
FULL = settings(model="m", effort="low", args=("--extra",))
ARGV = [
    (CODEX, Call(settings()), ["codex", "exec", "--json", *SANDBOX[:2], "-"]),
    (CODEX, Call(FULL, "id", resume=True, writable=WRITABLE),
     ["codex", "exec", "resume", "--json", "--model", "m", "-c", 'model_reasoning_effort="low"', *SANDBOX, "--extra",
      "id", "-"]),
    (GEMINI, Call(settings(), "id"), ["gemini", *STREAM, "--session-id", "id"]),
    (GEMINI, Call(FULL, "id", resume=True), ["gemini", "--model", "m", *STREAM, "--resume", "id", "--extra"]),
    (OPENCODE, Call(settings()), ["opencode", "run", "--format", "json"]),
    (OPENCODE, Call(FULL, "id", resume=True),
     ["opencode", "run", "--format", "json", "--model", "m", "--variant", "low", "--session", "id", "--extra"]),
]  # fmt: skip


@pytest.mark.parametrize(("agent", "call", "argv"), ARGV)
def test_command_lines(agent: Agent, call: Call, argv: list[str]) -> None:
    assert agent.argv(call) == argv


# -- what was printed


def codex(*events: dict[str, Any]) -> str:
    warning = {"id": "item_0", "type": "error", "message": "Model metadata for `m` not found."}
    head = ({"type": "thread.started", "thread_id": THREAD}, {"type": "item.completed", "item": warning})
    return lines(*head, {"type": "turn.started"}, *events)


def said(text: str) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "item_2", "type": "agent_message", "text": text}}


def turn_failed(words: str) -> str:
    return codex({"type": "error", "message": words}, {"type": "turn.failed", "error": {"message": words}})


def gemini(*events: dict[str, Any]) -> str:
    return lines({"type": "init", "session_id": CHAT, "model": "m"},
                 {"type": "message", "role": "user", "content": "STATUS: FAILED"}, *events)  # fmt: skip


def spoken(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": text, "delta": True}


def gemini_failed(words: str) -> str:
    error = {"type": "unknown", "message": f"[API Error: {words}]"}
    return gemini({"type": "result", "status": "error", "error": error, "stats": {}})


def google(code: int, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message, "status": "X", "details": []}})


def opencode(*events: dict[str, Any]) -> str:
    return lines(*({"sessionID": SES, **event} for event in events))


def step(reason: str, cost: float = 0.0045) -> dict[str, Any]:
    part = {"type": "step-finish", "reason": reason, "tokens": {"total": 1100, "input": 1000}, "cost": cost}
    return {"type": "step_finish", "part": part}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "part": {"type": "text", "text": words}}


def opencode_failed(status: int | None, words: str, *, again: bool = False, body: str = "") -> str:
    told = {} if status is None else {"statusCode": status}
    data = {"message": words, "isRetryable": again, "responseBody": body, **told}
    return opencode({"type": "error", "error": {"name": "APIError", "data": data}})


REFUSED = {"type": "tool_use", "part": {"type": "tool", "tool": "bash", "state": {
    "status": "error", "error": "The user rejected permission to use this specific tool call."}}}  # fmt: skip
COMMAND = {"type": "item.completed", "item": {"id": "item_1", "type": "command_execution", "command": "make"}}
USAGE = {"type": "turn.completed", "usage": {"input_tokens": 2000, "output_tokens": 200}}
SUCCESS = {"type": "result", "status": "success", "stats": {"total_tokens": 2200}}
USED = {"type": "tool_use", "tool_name": "run_shell_command", "parameters": {}}
NO_NETWORK = {"type": "error", "message": "Reconnecting... waiting for network (Connection failed)"}
EXITS = [
    ("codex", 0, codex(COMMAND, said("A"), said("B"), USAGE), "", Session.COMPLETE, "", "B"),
    ("codex", 0, codex(said("B")), "", Session.FAILED, "exit 0", "B"),
    ("codex", 1, turn_failed('{"error": {"message": "bad"}}'), "", Session.FAILED, "bad", ""),
    ("codex", 1, turn_failed("unexpected status 401 Unauthorized: Bad key, url: u"), "", Session.AUTH, "login", ""),
    ("codex", 1, turn_failed("unexpected status 403 Forbidden: no, url: u"), "", Session.AUTH, "login", ""),
    ("codex", 1, turn_failed("Missing environment variable: `KEY`."), "", Session.AUTH, "KEY", ""),
    ("codex", 1, turn_failed("The model `x` does not exist"), "", Session.FAILED, "`x`", ""),
    ("codex", 1, turn_failed("exceeded retry limit, last status: 429 Too Many Requests"), "", Session.TRANSIENT,
     "429", ""),
    ("codex", 1, turn_failed("Quota exceeded. Check your plan and billing details."), "", Session.QUOTA, "Quota", ""),
    ("codex", 1, turn_failed("You’ve hit your usage limit. Try again at 2:13 AM."), "", Session.QUOTA, "limit", ""),
    ("codex", 1, turn_failed("We’re currently experiencing high demand, which may cause temporary errors."), "",
     Session.TRANSIENT, "demand", ""),
    ("codex", 1, turn_failed("Selected model is at capacity. Please try a different model."), "", Session.TRANSIENT,
     "capacity", ""),
    ("codex", 1, turn_failed("unexpected status 529 <unknown status code>: overloaded, url: u"), "",
     Session.TRANSIENT, "529", ""),
    ("codex", 1, turn_failed("stream disconnected before completion: stream closed before response.completed"), "",
     Session.TRANSIENT, "stream", ""),
    ("codex", 1, turn_failed("Incomplete response returned, reason: max_output_tokens"), "", Session.FAILED,
     "max_output_tokens", ""),
    ("codex", 1, codex(NO_NETWORK, NO_NETWORK), "", Session.TRANSIENT, "network", ""),
    ("codex", 143, codex(), "", Session.FAILED, "143", ""),
    ("codex", 2, "", "error: unexpected argument '--nope' found\n", Session.FAILED, "--nope", ""),
    ("codex", 1, "", "Error: thread/resume: thread/resume failed: no rollout found for thread id 0 (code -32600)\n",
     Session.CRASHED, "gone", ""),
    ("gemini", 0, gemini(spoken("A"), USED, spoken("B"), spoken("C"), SUCCESS), "noise\n", Session.COMPLETE, "", "BC"),
    ("gemini", 0, gemini(USED), "", Session.FAILED, "exit 0", ""),  # TERM, INT
    ("gemini", 0, gemini({"type": "error", "severity": "error", "message": "No finish reason."},
                         {"type": "result", "status": "error", "stats": {}}), "", Session.FAILED, "No finish", ""),
    ("gemini", 144, gemini_failed(google(400, "bad")), "", Session.FAILED, "bad", ""),
    ("gemini", 144, gemini_failed(google(400, "API key not valid. Please pass it.")), "", Session.AUTH, "renew", ""),
    ("gemini", 145, gemini_failed(google(401, "who")), "", Session.AUTH, "renew", ""),
    ("gemini", 147, gemini_failed(google(403, "no")), "", Session.AUTH, "renew", ""),
    ("gemini", 1, gemini_failed("models/x is not found"), "", Session.FAILED, "models/x", ""),
    ("gemini", 173, gemini_failed("Resource has been exhausted (e.g. check quota)."), "", Session.TRANSIENT, "", ""),
    ("gemini", 173, gemini_failed("You have exhausted your daily quota."), "", Session.QUOTA, "daily", ""),
    ("gemini", 244, gemini_failed(google(500, "broken")), "", Session.TRANSIENT, "broken", ""),
    ("gemini", 247, gemini_failed("overloaded"), "", Session.TRANSIENT, "overloaded", ""),
    ("gemini", 17, gemini_failed("overloaded"), "", Session.TRANSIENT, "overloaded", ""),
    ("gemini", 41, "", '{\n  "error": {\n    "message": "set GEMINI_API_KEY"\n  }\n}\n', Session.AUTH, "KEY", ""),
    ("gemini", 53, gemini(USED), "", Session.TURNS, "maxSessionTurns", ""),
    ("gemini", 55, "", "not running in a trusted directory\n", Session.FAILED, "trust", ""),
    ("gemini", 42, "", 'Error resuming session: Invalid session identifier "x".\n  Searched in y\n', Session.CRASHED,
     "Invalid session", ""),
    ("gemini", 1, "", "Usage: gemini\n  -h, --help  Show help\n", Session.FAILED, "exit 1", ""),
    ("opencode", 0, opencode(text("A"), step("tool-calls"), text("B"), step("stop")), "", Session.COMPLETE, "", "B"),
    ("opencode", 0, opencode(REFUSED, step("tool-calls")), "! permission requested\n", Session.FAILED, "bash", ""),
    ("opencode", 0, opencode(text("A"), step("length")), "", Session.FAILED, "length", "A"),
    ("opencode", 1, opencode_failed(400, "bad"), "", Session.FAILED, "bad", ""),
    ("opencode", 1, opencode_failed(400, "Your credit balance is too low"), "", Session.AUTH, "credit", ""),
    ("opencode", 1, opencode_failed(401, "bad key"), "", Session.AUTH, "login", ""),
    ("opencode", 1, opencode_failed(403, "no"), "", Session.AUTH, "login", ""),
    ("opencode", 1, opencode_failed(404, "model: x"), "", Session.FAILED, "model: x", ""),
    ("opencode", 1, opencode_failed(429, "rate", again=True), "", Session.TRANSIENT, "rate", ""),
    ("opencode", 1, opencode_failed(429, "over", again=True, body="insufficient_quota"), "", Session.QUOTA, "over", ""),
    ("opencode", 1, opencode_failed(529, "full", again=True), "", Session.TRANSIENT, "full", ""),
    ("opencode", 1, opencode_failed(None, "Cannot connect to API", again=True), "", Session.TRANSIENT, "connect", ""),
    ("opencode", 1, opencode_failed(None, "Unexpected server error."), "", Session.FAILED, "server", ""),
    ("opencode", 1, "", "\x1b[91m\x1b[1mError: \x1b[0mSession not found\n", Session.CRASHED, "gone", ""),
    ("opencode", 1, "", "Options:\n  --format\n", Session.FAILED, "exit 1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code", "stdout", "stderr", "status", "word", "message"), EXITS)
def test_exits(name: str, code: int, stdout: str, stderr: str, status: Session, word: str, message: str) -> None:
    outcome = REGISTRY[name].judge(code, stdout, stderr)
    assert (outcome.status, outcome.text) == (status, message), outcome
    assert word in outcome.detail
    assert bool(outcome.detail) is (status is not Session.COMPLETE)
    assert "\x1b" not in outcome.detail
    assert "\n" not in outcome.detail


@pytest.mark.parametrize(("name", "id_"), [*zip(NAMES, (THREAD, CHAT, SES), strict=True)])
def test_a_conversation_is_known_as_soon_as_it_is_told(name: str, id_: str) -> None:
    printed = {"codex": codex(), "gemini": gemini(), "opencode": opencode({"type": "step_start"})}[name]
    assert REGISTRY[name].find_conversation("noise\n" + printed) == id_
    assert REGISTRY[name].find_conversation("") == ""


def test_a_steps_cost_is_added_up() -> None:
    outcome = OPENCODE.judge(0, opencode(step("tool-calls"), text("B"), step("stop", 0.001)), "")
    assert outcome.cost == pytest.approx(0.0055)
    assert not OPENCODE.sums_cost


WORKED = [
    ("codex", [COMMAND, said("A"), USAGE], Progress(turns=1, tool="make", tokens=2200)),
    ("gemini", [USED, spoken("A"), SUCCESS], Progress(turns=1, tool="run_shell_command", tokens=2200)),
    ("opencode", [REFUSED, step("tool-calls", 0.5), step("stop", 0.25)],
     Progress(turns=2, tool="bash", tokens=2200, cost=0.75)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "events", "progress"), WORKED)
def test_progress(name: str, events: list[dict[str, Any]], progress: Progress) -> None:
    found = Progress()
    for event in events:
        REGISTRY[name].read_event(event, found)
    assert found == progress


def test_who_waits_for_a_network_without_end_is_given_up() -> None:
    found = Progress()
    for _ in range(4):
        CODEX.read_event(NO_NETWORK, found)
    assert not found.fault
    CODEX.read_event(NO_NETWORK, found)
    assert "network" in found.fault


# -- what nobody has printed yet

KEYS = ("type", "item", "part", "error", "message", "stats", "usage", "state", "data", "cost", "tokens", "role",
        "content", "text", "status", "statusCode", "session_id", "sessionID", "thread_id", "reason")  # fmt: skip
KINDS = ("error", "result", "message", "text", "tool_use", "step_finish", "item.completed", "turn.failed",
         "turn.completed", "thread.started")  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(KINDS) | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS), inner))
EVENTS = st.dictionaries(st.sampled_from(KEYS), VALUES) | st.builds(
    lambda kind, more: {**more, "type": kind}, st.sampled_from(KINDS), st.dictionaries(st.sampled_from(KEYS), VALUES)
)


@given(st.sampled_from(NAMES), st.integers(0, 255), st.lists(EVENTS, max_size=6), st.text())
def test_any_events_are_judged(name: str, code: int, events: list[dict[str, Any]], stderr: str) -> None:
    agent, progress = REGISTRY[name], Progress()
    outcome = agent.judge(code, lines(*events), stderr)
    assert outcome.status is not Session.COMPLETE or code == 0
    assert isinstance(agent.find_conversation(lines(*events)), str)
    for event in events:
        agent.read_event(event, progress)


@given(st.sampled_from(NAMES), st.integers(0, 255), st.text(), st.text())
def test_any_text_is_judged_and_none_of_it_is_success(name: str, code: int, stdout: str, stderr: str) -> None:
    outcome = REGISTRY[name].judge(code, stdout, stderr)
    assert outcome.status is not Session.COMPLETE
    assert outcome.detail
