"""What Codex alone does: its sandbox, its own ids, its key."""

from __future__ import annotations

import json

import pytest
from work_milestone.agents import Outcome
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.codex import CODEX, shell
from tests.e2e.agents.npm import NpmProgram
from tests.e2e.agents.stubs import Stub, Text


@pytest.fixture
def program() -> NpmProgram:
    """Codex."""
    return CODEX


def test_work_is_committed_inside_of_the_sandbox_which_refuses_the_rest(work: harness.Sandbox, stub: Stub) -> None:
    CODEX.make(work, [harness.item(42)])
    outside = f"echo x >> '{work.root}/.git/config' || echo x >> '{work.root}/README.md' || echo refused"
    stub.play(programs.heading(42), CODEX.script(42, shell(outside)))
    work.milestone()
    work.require_landed(42)
    work.require_clean()
    refused, committed = (one["content"] for one in stub.requests[2].results)
    assert "refused" in refused
    assert "exited with code 0" in committed


def test_a_key_that_is_not_there_is_named(work: harness.Sandbox) -> None:
    del work.env["CODEX_STUB_KEY"]
    outcome = programs.judge(CODEX.agent, work, CODEX.call())
    assert outcome.status is Session.AUTH
    assert "CODEX_STUB_KEY" in outcome.detail


def test_success_names_the_conversation_and_the_last_message(work: harness.Sandbox, stub: Stub) -> None:
    stub.play("Work.", [shell("echo hello"), Text("Done.")])
    done = programs.start(CODEX.agent, work, CODEX.call())
    thread = json.loads(done.stdout.splitlines()[0])["thread_id"]
    outcome = CODEX.agent.judge(done.returncode, done.stdout, done.stderr)
    assert outcome == Outcome(Session.COMPLETE, "Done.", conversation=thread)
    assert CODEX.agent.find_conversation(done.stdout) == thread == stub.requests[0].session
