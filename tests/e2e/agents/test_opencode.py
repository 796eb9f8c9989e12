"""Milestones worked by the real opencode, its model a script on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from work_milestone.agent import Call
from work_milestone.opencode import Opencode
from work_milestone.states import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.messages_stub import MessagesStub
from tests.e2e.agents.stubs import Refusal, Reply, Silence, Text, ToolCall

OPENCODE = Opencode()
SETTINGS = programs.session_settings("opencode", model="stub/m")
PRICE = {"input": 3, "output": 15}  # dollars a million tokens
STEP = (3 * 1000 + 15 * 100) / 1e6


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that has the binary in it."""
    return programs.link("opencode", tmp_path_factory.mktemp("bin"))


@pytest.fixture
def work(box: harness.Sandbox, binary: Path, stub: MessagesStub) -> harness.Sandbox:
    """A repository whose agents find the binary, and through it nothing but the stub."""
    programs.prepare(box, binary, OPENCODE_DISABLE_AUTOUPDATE="true", OPENCODE_DISABLE_MODELS_FETCH="true")
    configure(box, stub.url)
    return box


def configure(box: harness.Sandbox, url: str, **more: Any) -> None:
    options = {"baseURL": f"{url}/v1", "apiKey": "test-key"}
    model = {"name": "m", "cost": PRICE}
    provider = {"npm": "@ai-sdk/anthropic", "name": "Stub", "options": options, "models": {"m": model}}
    box.env["OPENCODE_CONFIG_CONTENT"] = json.dumps({"provider": {"stub": provider}, **more})


def make(box: harness.Sandbox, *waves: list[dict[str, Any]], **settings: Any) -> None:
    chosen: dict[str, Any] = {"retries": 0, **settings}
    box.make(harness.plan(waves), agent="opencode", model="stub/m", command=None, **chosen)


def shell(command: str) -> ToolCall:
    return ToolCall("bash", {"command": command, "description": "work"})


def script(issue: int, *before: Reply) -> list[Reply]:
    return programs.script(issue, shell(programs.commit(issue)), *before)


def test_two_items_land_with_the_work_of_the_model(work: harness.Sandbox, stub: MessagesStub) -> None:
    make(work, [harness.item(42)], [harness.item(43, 42)])
    for issue in (42, 43):
        stub.play(programs.heading(issue), script(issue))
    arguments = programs.work_two(work, stub, 2)
    assert any("run" in words and "--format" in words for words in arguments)
    assert [work.receipt(f"items/{issue}/result.json")["cost"] for issue in (42, 43)] == [pytest.approx(2 * STEP)] * 2


def test_a_stopped_session_goes_on_in_the_same_conversation(work: harness.Sandbox, stub: MessagesStub) -> None:
    make(work, [harness.item(42)])
    stub.play(programs.heading(42), [shell("printf half > item-42.txt"), Silence()], script(42))
    programs.stop_and_go_on(work, stub)
    assert "printf half" in str(stub.requests[-1].body["messages"])
    # The reply that it waited for in vain has cost nothing.
    assert work.receipt("items/42/result.json")["cost"] == pytest.approx(3 * STEP)


NOW = {"retry-after-ms": "1"}  # its own retries, of which there are six
JUDGED = [
    pytest.param(Refusal(400, "invalid_request_error", "No."), Session.FAILED, "No.", id="bad"),
    pytest.param(Refusal(400, "invalid_request_error", "Your credit balance is too low"), Session.AUTH, "credit",
                 id="credit"),
    pytest.param(Refusal(401, "authentication_error", "Bad key"), Session.AUTH, "Bad key", id="key"),
    pytest.param(Refusal(403, "permission_error", "Not you"), Session.AUTH, "Not you", id="forbidden"),
    pytest.param(Refusal(404, "not_found_error", "model: x"), Session.FAILED, "model: x", id="no-model"),
    pytest.param(Refusal(429, "rate_limit_error", "Too fast", headers=NOW), Session.TRANSIENT, "Too fast", id="rate"),
    pytest.param(Refusal(429, "insufficient_quota", "You exceeded your current quota", headers=NOW), Session.QUOTA,
                 "quota", id="quota"),
    pytest.param(Refusal(500, "api_error", "Broken", headers=NOW), Session.TRANSIENT, "Broken", id="broken"),
    pytest.param(Refusal(529, "overloaded_error", "Full", headers=NOW), Session.TRANSIENT, "Full", id="overloaded"),
    pytest.param(Text("Half a sen", cut=True), Session.FAILED, "length", id="tokens"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "session", "word"), JUDGED)
def test_a_refusal_is_judged_by_what_it_means(
    work: harness.Sandbox, stub: MessagesStub, reply: Reply, session: Session, word: str
) -> None:
    stub.play("Work.", [reply])
    outcome = programs.judge(OPENCODE, work, Call(SETTINGS))
    assert outcome.status is session, outcome
    assert word in outcome.detail
    assert outcome.conversation.startswith("ses_")


def test_success_has_conversation_message_and_cost(work: harness.Sandbox, stub: MessagesStub) -> None:
    stub.play("Work.", [shell("echo hello"), Text("Done.")], [Text("Again.")])
    outcome = programs.judge(OPENCODE, work, Call(SETTINGS))
    assert (outcome.status, outcome.text, outcome.conversation) == (
        Session.COMPLETE, "Done.", stub.requests[0].session)  # fmt: skip
    assert outcome.cost == pytest.approx(2 * STEP)
    again = programs.judge(OPENCODE, work, Call(SETTINGS, outcome.conversation, resume=True), "Go on.\n")
    assert (again.status, again.text, again.conversation) == (Session.COMPLETE, "Again.", outcome.conversation)
    assert stub.requests[-1].prompts == ["Work.\n", "Go on.\n"]


def test_what_the_configuration_refuses_is_a_denied_tool(work: harness.Sandbox, stub: MessagesStub) -> None:
    configure(work, stub.url, permission={"bash": "ask"})
    stub.play("Work.", [shell("git push"), Text("Done.")])
    outcome = programs.judge(OPENCODE, work, Call(SETTINGS))
    assert outcome.status is Session.FAILED, outcome
    assert "bash" in outcome.detail


def test_a_conversation_that_is_gone_is_told(work: harness.Sandbox) -> None:
    outcome = programs.judge(OPENCODE, work, Call(SETTINGS, "ses_dfb016666ffe0kZCQticnN9eEm", resume=True))
    assert outcome.status is Session.CRASHED
    assert "gone" in outcome.detail


def test_a_model_that_nobody_knows_is_a_failure(work: harness.Sandbox) -> None:
    outcome = programs.judge(OPENCODE, work, Call(programs.session_settings("opencode", model="stub/nobody")))
    assert outcome.status is Session.FAILED, outcome


def test_a_flag_that_is_refused_is_a_failure(work: harness.Sandbox) -> None:
    chosen = programs.session_settings("opencode", args=("--no-such",))
    assert programs.judge(OPENCODE, work, Call(chosen)).status is Session.FAILED


def test_help_names_every_flag(work: harness.Sandbox) -> None:
    done = work.run("opencode", "run", "--help")
    assert programs.unknown_flags(OPENCODE, done.text) == set()
