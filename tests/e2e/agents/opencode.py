"""What the tests know of opencode."""

from __future__ import annotations

import json
from typing import Any

from work_milestone.agents.opencode import Opencode
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import npm
from tests.e2e.agents.messages_stub import USAGE, MessagesStub
from tests.e2e.agents.stubs import Refusal, Text, ToolCall

PRICE = {"input": 3, "output": 15}  # dollars a million tokens
STEP = (PRICE["input"] * USAGE["input_tokens"] + PRICE["output"] * USAGE["output_tokens"]) / 1e6


def lead(box: harness.Sandbox, url: str) -> None:
    box.env |= {"OPENCODE_DISABLE_AUTOUPDATE": "true", "OPENCODE_DISABLE_MODELS_FETCH": "true"}
    configure(box, url)


def configure(box: harness.Sandbox, url: str, **more: Any) -> None:
    options = {"baseURL": f"{url}/v1", "apiKey": "test-key"}
    model = {"name": "m", "cost": PRICE}
    provider = {"npm": "@ai-sdk/anthropic", "name": "Stub", "options": options, "models": {"m": model}}
    box.env["OPENCODE_CONFIG_CONTENT"] = json.dumps({"provider": {"stub": provider}, **more})


def shell(command: str) -> ToolCall:
    return ToolCall("bash", {"command": command, "description": "work"})


NOW = {"retry-after-ms": "1"}  # its own retries, of which there are six
SPENT = Refusal(429, "insufficient_quota", "You exceeded your current quota", headers=NOW)
REFUSALS = {
    "bad": (Refusal(400, "invalid_request_error", "No."), Session.FAILED, "No."),
    "credit": (Refusal(400, "invalid_request_error", "Your credit balance is too low"), Session.AUTH, "credit"),
    "key": (Refusal(401, "authentication_error", "Bad key"), Session.AUTH, "Bad key"),
    "forbidden": (Refusal(403, "permission_error", "Not you"), Session.AUTH, "Not you"),
    "no-model": (Refusal(404, "not_found_error", "model: x"), Session.FAILED, "model: x"),
    "rate": (Refusal(429, "rate_limit_error", "Too fast", headers=NOW), Session.TRANSIENT, "Too fast"),
    "quota": (SPENT, Session.QUOTA, "quota"),
    "broken": (Refusal(500, "api_error", "Broken", headers=NOW), Session.TRANSIENT, "Broken"),
    "overloaded": (Refusal(529, "overloaded_error", "Full", headers=NOW), Session.TRANSIENT, "Full"),
    "tokens": (Text("Half a sen", cut=True), Session.FAILED, "length"),
}
OPENCODE = npm.describe(
    "opencode", MessagesStub, lead, agent=Opencode(), shell=shell, called=("run", "--format"), history="messages",
    refusals=REFUSALS, gone="ses_dfb016666ffe0kZCQticnN9eEm", helps=(("run",),), conversation="ses_.*",
    model="stub/m", price=STEP,
)  # fmt: skip
