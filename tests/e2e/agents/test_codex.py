"""Milestones worked by the real Codex, its model a script on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from work_milestone.agent import Call, Outcome
from work_milestone.codex import Codex
from work_milestone.states import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.responses_stub import ResponsesStub
from tests.e2e.agents.stubs import Refusal, Reply, Silence, Text, ToolCall

CODEX = Codex()
SETTINGS = programs.session_settings("codex")
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


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that has the binary in it."""
    return programs.link("codex", tmp_path_factory.mktemp("bin"))


@pytest.fixture
def stub() -> Iterator[ResponsesStub]:
    """The model; at the end, it was asked nothing that its script did not foresee."""
    with ResponsesStub() as stub:
        yield stub
    assert stub.faults == []


@pytest.fixture
def work(box: harness.Sandbox, binary: Path, stub: ResponsesStub) -> harness.Sandbox:
    """A repository whose agents find the binary, and through it nothing but the stub."""
    configure(box, stub.url)
    return programs.prepare(box, binary, CODEX_STUB_KEY="test-key")


def configure(box: harness.Sandbox, url: str) -> None:
    config = box.outside / "home/.codex/config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(PROVIDER.format(url=url), encoding="utf-8")


def make(box: harness.Sandbox, *waves: list[dict[str, Any]], **settings: Any) -> None:
    chosen: dict[str, Any] = {"retries": 0, **settings}
    box.make(harness.plan(waves), agent="codex", command=None, **chosen)


def shell(command: str) -> ToolCall:
    return ToolCall("exec_command", {"cmd": command, "yield_time_ms": 30000})


def script(issue: int, *before: Reply) -> list[Reply]:
    return programs.script(issue, shell(programs.commit(issue)), *before)


def test_two_items_land_and_are_committed_inside_of_the_sandbox(work: harness.Sandbox, stub: ResponsesStub) -> None:
    make(work, [harness.item(42)], [harness.item(43, 42)])
    outside = shell(f"echo x >> '{work.root}/.git/config' || echo x >> '{work.root}/README.md' || echo refused")
    for issue in (42, 43):
        stub.play(programs.heading(issue), script(issue, outside))
    arguments = programs.work_two(work, stub, 3)
    assert any(words[1:3] == ["exec", "--json"] for words in arguments)
    for request in stub.requests[2::3]:
        refused, committed = (one["content"] for one in request.results)
        assert "refused" in refused
        assert "exited with code 0" in committed


def test_a_stopped_session_goes_on_in_the_same_conversation(work: harness.Sandbox, stub: ResponsesStub) -> None:
    make(work, [harness.item(42)])
    stub.play(programs.heading(42), [shell("printf half > item-42.txt"), Silence()], script(42))
    programs.stop_and_go_on(work, stub)
    assert "printf half" in str(stub.requests[-1].body["input"])


USAGE = {"plan_type": "plus", "resets_at": 4102444800}
QUOTA = {"code": "insufficient_quota"}
JUDGED = [
    pytest.param(Refusal(400, "invalid_request_error", "No."), Session.FAILED, "No.", id="bad"),
    pytest.param(Refusal(401, "invalid_request_error", "Bad key"), Session.AUTH, "codex login", id="key"),
    pytest.param(Refusal(403, "permission_error", "No."), Session.AUTH, "403", id="forbidden"),
    pytest.param(Refusal(404, "invalid_request_error", "No model x"), Session.FAILED, "No model x", id="no-model"),
    pytest.param(Refusal(429, "tokens", "Rate limit reached"), Session.TRANSIENT, "429", id="rate"),
    pytest.param(Refusal(429, "insufficient_quota", "Over", QUOTA), Session.QUOTA, "Quota exceeded", id="quota"),
    pytest.param(Refusal(429, "usage_limit_reached", "Over", USAGE), Session.QUOTA, "usage limit", id="usage"),
    pytest.param(Refusal(500, "server_error", "Broken"), Session.TRANSIENT, "high demand", id="broken"),
    pytest.param(Refusal(503, "server_error", "Full"), Session.TRANSIENT, "", id="unavailable"),
    pytest.param(Refusal(529, "server_error", "Full"), Session.TRANSIENT, "529", id="overloaded"),
    pytest.param(Text("Half a sen", cut=True), Session.FAILED, "max_output_tokens", id="tokens"),
]


@pytest.mark.parametrize(("reply", "session", "word"), JUDGED)
def test_a_refusal_is_judged_by_what_it_means(
    work: harness.Sandbox, stub: ResponsesStub, reply: Reply, session: Session, word: str
) -> None:
    stub.play("Work.", [reply])
    outcome = programs.judge(CODEX, work, Call(SETTINGS))
    assert outcome.status is session, outcome
    assert word in outcome.detail
    assert outcome.conversation


def test_a_key_that_is_not_there_is_named(work: harness.Sandbox) -> None:
    del work.env["CODEX_STUB_KEY"]
    outcome = programs.judge(CODEX, work, Call(SETTINGS))
    assert outcome.status is Session.AUTH
    assert "CODEX_STUB_KEY" in outcome.detail


def test_a_conversation_that_is_gone_is_told(work: harness.Sandbox) -> None:
    outcome = programs.judge(CODEX, work, Call(SETTINGS, "00000000-0000-4000-8000-000000000000", resume=True))
    assert outcome.status is Session.CRASHED
    assert "gone" in outcome.detail


def test_a_flag_that_is_refused_is_a_failure(work: harness.Sandbox) -> None:
    outcome = programs.judge(CODEX, work, Call(programs.session_settings("codex", args=("--no-such",))))
    assert outcome.status is Session.FAILED
    assert "exit 2" in outcome.detail


def test_success_names_the_conversation_and_the_last_message(work: harness.Sandbox, stub: ResponsesStub) -> None:
    stub.play("Work.", [shell("echo hello"), Text("Done.")])
    done = programs.start(CODEX, work, Call(SETTINGS))
    thread = json.loads(done.stdout.splitlines()[0])["thread_id"]
    outcome = CODEX.judge(done.returncode, done.stdout, done.stderr)
    assert outcome == Outcome(Session.COMPLETE, "Done.", conversation=thread)
    assert CODEX.find_conversation(done.stdout) == thread == stub.requests[0].session


def test_help_names_every_flag(work: harness.Sandbox) -> None:
    for words in (("exec",), ("exec", "resume")):
        assert programs.unknown_flags(CODEX, work.run("codex", *words, "--help").out) == set()
