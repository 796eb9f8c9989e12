"""What the tests know of Gemini CLI."""

from __future__ import annotations

import json
import uuid
from typing import Any

from work_milestone.agents.gemini import Gemini
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import npm
from tests.e2e.agents.gemini_stub import GeminiStub
from tests.e2e.agents.stubs import Refusal, ToolCall

KEY: dict[str, Any] = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"maxAttempts": 1}}


def lead(box: harness.Sandbox, url: str) -> None:
    configure(box, KEY)
    box.env |= {"GEMINI_API_KEY": "test-key", "GOOGLE_GEMINI_BASE_URL": url}


def configure(box: harness.Sandbox, settings: dict[str, Any]) -> None:
    path = box.outside / "home/.gemini/settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings), encoding="utf-8")


def shell(command: str) -> ToolCall:
    return ToolCall("run_shell_command", {"command": command})


REASON = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
DAY = {"quotaMetric": "generate_requests_per_model_per_day", "quotaId": "GenerateRequestsPerDayPerProjectPerModel"}
SPENT = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [DAY]}
REFUSALS = {
    "bad": (Refusal(400, "INVALID_ARGUMENT", "No."), Session.FAILED, "No."),
    "key": (Refusal(400, "INVALID_ARGUMENT", "API key not valid.", {"details": [REASON]}), Session.AUTH, "key"),
    "unknown": (Refusal(401, "UNAUTHENTICATED", "Who is it?"), Session.AUTH, "Who is it?"),
    "forbidden": (Refusal(403, "PERMISSION_DENIED", "Not you."), Session.AUTH, "Not you."),
    "no-model": (Refusal(404, "NOT_FOUND", "models/x is not found"), Session.FAILED, "models/x"),
    "quota": (Refusal(429, "RESOURCE_EXHAUSTED", "Over", {"details": [SPENT]}), Session.QUOTA, "daily quota"),
    "rate": (Refusal(429, "RESOURCE_EXHAUSTED", "Too fast"), Session.TRANSIENT, "Too fast"),
    "broken": (Refusal(500, "INTERNAL", "Broken"), Session.TRANSIENT, "Broken"),
    "unavailable": (Refusal(503, "UNAVAILABLE", "Full"), Session.TRANSIENT, "Full"),
    "overloaded": (Refusal(529, "UNAVAILABLE", "Full"), Session.TRANSIENT, "Full"),
}
GEMINI = npm.describe(
    "gemini", GeminiStub, lead, agent=Gemini(), shell=shell, called=("--output-format",), history="contents",
    refusals=REFUSALS, gone=str(uuid.uuid4()), helps=((),), succeeded=lambda result: "Exit Code" not in str(result),
    model="gemini-2.5-pro",
)  # fmt: skip
