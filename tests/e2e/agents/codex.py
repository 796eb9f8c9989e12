"""What the tests know of Codex."""

from __future__ import annotations

from work_milestone.agents.codex import Codex
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import npm
from tests.e2e.agents.responses_stub import ResponsesStub
from tests.e2e.agents.stubs import Refusal, Text, ToolCall

PROVIDER = """
model = "stub-model"
model_provider = "stub"
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
wire_api = "responses"
env_key = "CODEX_STUB_KEY"
request_max_retries = 0
stream_max_retries = 0
[sandbox_workspace_write]
exclude_slash_tmp = true
exclude_tmpdir_env_var = true
"""  # the repository lies in a folder for temporary files, where it may write otherwise


def lead(box: harness.Sandbox, url: str) -> None:
    config = box.outside / "home/.codex/config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(PROVIDER.format(url=url), encoding="utf-8")
    box.env["CODEX_STUB_KEY"] = "test-key"


def shell(command: str) -> ToolCall:
    return ToolCall("exec_command", {"cmd": command, "yield_time_ms": 30000})


USAGE = {"plan_type": "plus", "resets_at": 4102444800}
QUOTA = {"code": "insufficient_quota"}
REFUSALS = {
    "bad": (Refusal(400, "invalid_request_error", "No."), Session.FAILED, "No."),
    "key": (Refusal(401, "invalid_request_error", "Bad key"), Session.AUTH, "codex login"),
    "forbidden": (Refusal(403, "permission_error", "No."), Session.AUTH, "403"),
    "no-model": (Refusal(404, "invalid_request_error", "No model x"), Session.FAILED, "No model x"),
    "rate": (Refusal(429, "tokens", "Rate limit reached"), Session.TRANSIENT, "429"),
    "quota": (Refusal(429, "insufficient_quota", "Over", QUOTA), Session.QUOTA, "Quota exceeded"),
    "usage": (Refusal(429, "usage_limit_reached", "Over", USAGE), Session.QUOTA, "usage limit"),
    "broken": (Refusal(500, "server_error", "Broken"), Session.TRANSIENT, "high demand"),
    "unavailable": (Refusal(503, "server_error", "Full"), Session.TRANSIENT, ""),
    "overloaded": (Refusal(529, "server_error", "Full"), Session.TRANSIENT, "529"),
    "tokens": (Text("Half a sen", cut=True), Session.FAILED, "max_output_tokens"),
}
CODEX = npm.describe(
    "codex", ResponsesStub, lead, agent=Codex(), shell=shell, called=("exec", "--json"), history="input",
    refusals=REFUSALS, gone="00000000-0000-4000-8000-000000000000", helps=(("exec",), ("exec", "resume")),
    succeeded=lambda result: "exited with code 0" in result["content"], conversation=".+",
    wrong="exit 2",
)  # fmt: skip
