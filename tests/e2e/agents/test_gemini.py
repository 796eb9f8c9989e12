"""What Gemini CLI alone does: it names no conversation, and has a limit of turns and a login of its own."""

from __future__ import annotations

import pytest
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.gemini import GEMINI, KEY, configure, shell
from tests.e2e.agents.npm import NpmProgram
from tests.e2e.agents.stubs import Refusal, Stub, Text


@pytest.fixture
def program() -> NpmProgram:
    """Gemini CLI."""
    return GEMINI


def test_a_passing_failure_is_tried_again_with_what_was_done_before_its_eyes(work: harness.Sandbox, stub: Stub) -> None:
    GEMINI.make(work, [harness.item(42)], retries=1)
    full = Refusal(503, "UNAVAILABLE", "The model is overloaded.")
    stub.play(programs.heading(42), [shell("printf half > item-42.txt"), full], GEMINI.script(42))
    work.milestone()
    work.require_landed(42)
    assert len(stub.requests[-1].prompts) == 2
    assert "printf half" in str(stub.requests[-1].body["contents"])


def test_success_has_the_last_message(work: harness.Sandbox, stub: Stub) -> None:
    stub.play("Work.", [shell("echo hello"), Text("Done.")])
    outcome = programs.judge(GEMINI.agent, work, GEMINI.call())
    assert (outcome.status, outcome.text, outcome.cost) == (Session.COMPLETE, "Done.", None)


def test_a_limit_of_turns_is_named(work: harness.Sandbox, stub: Stub) -> None:
    configure(work, {**KEY, "model": {"maxSessionTurns": 1}})
    stub.play("Work.", [shell("true"), shell("true"), Text("Done.")])
    outcome = programs.judge(GEMINI.agent, work, GEMINI.call())
    assert outcome.status is Session.TURNS
    assert "turns" in outcome.detail


def test_who_is_not_logged_in_is_told_so(work: harness.Sandbox) -> None:
    configure(work, {})
    del work.env["GEMINI_API_KEY"], work.env["GOOGLE_GEMINI_BASE_URL"]
    outcome = programs.judge(GEMINI.agent, work, GEMINI.call())
    assert outcome.status is Session.AUTH
    assert "GEMINI_API_KEY" in outcome.detail
