"""What opencode alone does: it goes on under its own id, tells what each session has cost, and asks for permission."""

from __future__ import annotations

import pytest
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.npm import NpmProgram
from tests.e2e.agents.opencode import OPENCODE, configure, shell
from tests.e2e.agents.stubs import Stub, Text


@pytest.fixture
def program() -> NpmProgram:
    """opencode."""
    return OPENCODE


def test_success_has_conversation_message_and_cost(work: harness.Sandbox, stub: Stub) -> None:
    stub.play("Work.", [shell("echo hello"), Text("Done.")], [Text("Again.")])
    outcome = programs.judge(OPENCODE.agent, work, OPENCODE.call())
    assert (outcome.status, outcome.text, outcome.conversation) == (
        Session.COMPLETE, "Done.", stub.requests[0].session)  # fmt: skip
    assert outcome.cost == OPENCODE.cost(2)
    again = programs.judge(OPENCODE.agent, work, OPENCODE.call(resume=outcome.conversation), "Go on.\n")
    assert (again.status, again.text, again.conversation) == (Session.COMPLETE, "Again.", outcome.conversation)
    assert stub.requests[-1].prompts == ["Work.\n", "Go on.\n"]


def test_what_the_configuration_refuses_is_a_denied_tool(work: harness.Sandbox, stub: Stub) -> None:
    configure(work, stub.url, permission={"bash": "ask"})
    stub.play("Work.", [shell("git push"), Text("Done.")])
    outcome = programs.judge(OPENCODE.agent, work, OPENCODE.call())
    assert outcome.status is Session.FAILED, outcome
    assert "bash" in outcome.detail


def test_a_model_that_nobody_knows_is_a_failure(work: harness.Sandbox) -> None:
    outcome = programs.judge(OPENCODE.agent, work, OPENCODE.call(model="stub/nobody"))
    assert outcome.status is Session.FAILED, outcome
