"""Milestones worked by the real Gemini CLI, its model a script on loopback."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from work_milestone.agent import Call
from work_milestone.gemini import Gemini
from work_milestone.states import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.gemini_stub import GeminiStub
from tests.e2e.agents.stubs import Refusal, Reply, Silence, Text, ToolCall

GEMINI = Gemini()
SETTINGS = programs.session_settings("gemini", model="gemini-2.5-pro")
KEY: dict[str, Any] = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"maxAttempts": 1}}


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that has the binary in it."""
    return programs.link("gemini", tmp_path_factory.mktemp("bin"))


@pytest.fixture
def stub() -> Iterator[GeminiStub]:
    """The model; at the end, it was asked nothing that its script did not foresee."""
    with GeminiStub() as stub:
        yield stub
    assert stub.faults == []


@pytest.fixture
def work(box: harness.Sandbox, binary: Path, stub: GeminiStub) -> harness.Sandbox:
    """A repository whose agents find the binary, and through it nothing but the stub."""
    configure(box, KEY)
    return programs.prepare(box, binary, GEMINI_API_KEY="test-key", GOOGLE_GEMINI_BASE_URL=stub.url)


def configure(box: harness.Sandbox, settings: dict[str, Any]) -> None:
    path = box.outside / "home/.gemini/settings.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings), encoding="utf-8")


def make(box: harness.Sandbox, *waves: list[dict[str, Any]], **settings: Any) -> None:
    chosen: dict[str, Any] = {"retries": 0, **settings}
    box.make(harness.plan(waves), agent="gemini", model="gemini-2.5-pro", command=None, **chosen)


def shell(command: str) -> ToolCall:
    return ToolCall("run_shell_command", {"command": command})


def script(issue: int, *before: Reply) -> list[Reply]:
    return programs.script(issue, shell(programs.commit(issue)), *before)


def test_two_items_land_with_the_work_of_the_model(work: harness.Sandbox, stub: GeminiStub) -> None:
    make(work, [harness.item(42)], [harness.item(43, 42)])
    for issue in (42, 43):
        stub.play(programs.heading(issue), script(issue))
    arguments = programs.work_two(work, stub, 2)
    assert any("--output-format" in words for words in arguments)
    assert not [one for request in stub.requests for one in request.results if "Exit Code" in str(one)]


def test_a_stopped_session_goes_on_in_the_same_conversation(work: harness.Sandbox, stub: GeminiStub) -> None:
    make(work, [harness.item(42)])
    stub.play(programs.heading(42), [shell("printf half > item-42.txt"), Silence()], script(42))
    programs.stop_and_go_on(work, stub)


def test_a_passing_failure_is_tried_again_with_what_was_done_before_its_eyes(
    work: harness.Sandbox, stub: GeminiStub
) -> None:
    make(work, [harness.item(42)], retries=1)
    full = Refusal(503, "UNAVAILABLE", "The model is overloaded.")
    stub.play(programs.heading(42), [shell("printf half > item-42.txt"), full], script(42))
    work.milestone()
    work.require_landed(42)
    assert len(stub.requests[-1].prompts) == 2
    assert "printf half" in str(stub.requests[-1].body["contents"])


REASON = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
DAY = {"quotaMetric": "generate_requests_per_model_per_day", "quotaId": "GenerateRequestsPerDayPerProjectPerModel"}
SPENT = {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [DAY]}
JUDGED = [
    pytest.param(Refusal(400, "INVALID_ARGUMENT", "No."), Session.FAILED, "No.", id="bad"),
    pytest.param(Refusal(400, "INVALID_ARGUMENT", "API key not valid.", {"details": [REASON]}), Session.AUTH, "key",
                 id="key"),
    pytest.param(Refusal(401, "UNAUTHENTICATED", "Who is it?"), Session.AUTH, "Who is it?", id="unknown"),
    pytest.param(Refusal(403, "PERMISSION_DENIED", "Not you."), Session.AUTH, "Not you.", id="forbidden"),
    pytest.param(Refusal(404, "NOT_FOUND", "models/x is not found"), Session.FAILED, "models/x", id="no-model"),
    pytest.param(Refusal(429, "RESOURCE_EXHAUSTED", "Over", {"details": [SPENT]}), Session.QUOTA, "daily quota",
                 id="quota"),
    pytest.param(Refusal(429, "RESOURCE_EXHAUSTED", "Too fast"), Session.TRANSIENT, "Too fast", id="rate"),
    pytest.param(Refusal(500, "INTERNAL", "Broken"), Session.TRANSIENT, "Broken", id="broken"),
    pytest.param(Refusal(503, "UNAVAILABLE", "Full"), Session.TRANSIENT, "Full", id="unavailable"),
    pytest.param(Refusal(529, "UNAVAILABLE", "Full"), Session.TRANSIENT, "Full", id="overloaded"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "session", "word"), JUDGED)
def test_a_refusal_is_judged_by_what_it_means(
    work: harness.Sandbox, stub: GeminiStub, reply: Reply, session: Session, word: str
) -> None:
    stub.play("Work.", [reply])
    outcome = programs.judge(GEMINI, work, Call(SETTINGS, str(uuid.uuid4())))
    assert outcome.status is session, outcome
    assert word in outcome.detail


def test_success_has_the_last_message(work: harness.Sandbox, stub: GeminiStub) -> None:
    stub.play("Work.", [shell("echo hello"), Text("Done.")])
    outcome = programs.judge(GEMINI, work, Call(SETTINGS, str(uuid.uuid4())))
    assert (outcome.status, outcome.text, outcome.cost) == (Session.COMPLETE, "Done.", None)


def test_a_limit_of_turns_is_named(work: harness.Sandbox, stub: GeminiStub) -> None:
    configure(work, {**KEY, "model": {"maxSessionTurns": 1}})
    stub.play("Work.", [shell("true"), shell("true"), Text("Done.")])
    outcome = programs.judge(GEMINI, work, Call(SETTINGS, str(uuid.uuid4())))
    assert outcome.status is Session.TURNS
    assert "turns" in outcome.detail


def test_who_is_not_logged_in_is_told_so(work: harness.Sandbox) -> None:
    configure(work, {})
    del work.env["GEMINI_API_KEY"], work.env["GOOGLE_GEMINI_BASE_URL"]
    outcome = programs.judge(GEMINI, work, Call(SETTINGS, str(uuid.uuid4())))
    assert outcome.status is Session.AUTH
    assert "GEMINI_API_KEY" in outcome.detail


def test_a_conversation_that_is_gone_is_told(work: harness.Sandbox) -> None:
    outcome = programs.judge(GEMINI, work, Call(SETTINGS, str(uuid.uuid4()), resume=True))
    assert outcome.status is Session.CRASHED
    assert "gone" in outcome.detail


def test_a_flag_that_is_refused_is_a_failure(work: harness.Sandbox) -> None:
    chosen = programs.session_settings("gemini", args=("--no-such",))
    assert programs.judge(GEMINI, work, Call(chosen)).status is Session.FAILED


def test_help_names_every_flag(work: harness.Sandbox) -> None:
    assert programs.unknown_flags(GEMINI, work.run("gemini", "--help").out) == set()
