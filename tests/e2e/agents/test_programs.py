"""What every agent from npm does, worked by its real binary, its model a script on loopback."""

from __future__ import annotations

import re
import signal

import psutil
import pytest
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.codex import CODEX
from tests.e2e.agents.gemini import GEMINI
from tests.e2e.agents.npm import NpmProgram
from tests.e2e.agents.opencode import OPENCODE
from tests.e2e.agents.stubs import Reply, Silence, Stub

PROGRAMS = (CODEX, GEMINI, OPENCODE)


@pytest.fixture(params=PROGRAMS, ids=[one.name for one in PROGRAMS])
def program(request: pytest.FixtureRequest) -> NpmProgram:
    """Each of them."""
    assert isinstance(request.param, NpmProgram)
    return request.param


def test_two_items_land_with_the_work_of_the_model(program: NpmProgram, work: harness.Sandbox, stub: Stub) -> None:
    program.make(work, [harness.item(42)], [harness.item(43, 42)])
    for issue in (42, 43):
        stub.play(programs.heading(issue), program.script(issue))
    arguments: list[list[str]] = []
    stub.watch = lambda _: arguments.extend(one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]))
    work.milestone()
    work.require_landed(42, 43)
    work.require_clean()
    prompts: list[list[str]] = []
    for issue in (42, 43):
        assert work.show(f"item-{issue}.txt") == f"work on {issue}"
        result = work.receipt(f"items/{issue}/result.json")
        assert (result["status"], result["notes"]) == ("complete", f"notes of {issue}")
        assert result["cost"] == program.cost(2)
        prompts += [[(work.root / f".milestone/3/items/{issue}/prompt.md").read_text(encoding="utf-8")]] * 2
    assert [request.prompts for request in stub.requests] == prompts
    assert {request.key for request in stub.requests} == {"test-key"}
    assert [words for words in arguments if any("Item 42" in word for word in words)] == []
    assert any(program.called == tuple(words[at : at + len(program.called)])
               for words in arguments for at in range(len(words)))  # fmt: skip
    assert [one for request in stub.requests for one in request.results if not program.succeeded(one)] == []


def test_a_stopped_session_goes_on_in_the_same_conversation(
    program: NpmProgram, work: harness.Sandbox, stub: Stub
) -> None:
    program.make(work, [harness.item(42)])
    half: list[Reply] = [program.shell("printf half > item-42.txt"), Silence()]
    stub.play(programs.heading(42), half, program.script(42))
    with programs.in_the_middle(work, stub, 42) as running:
        running.send_signal(signal.SIGINT)
        assert running.wait(programs.LIMIT) != 0
    assert work.receipt("items/42/result.json")["status"] == "stopped"
    work.milestone()
    work.require_landed(42)
    assert len({request.session for request in stub.requests}) == 1
    first, again = stub.requests[-1].prompts
    assert first.startswith(programs.heading(42))
    assert not again.startswith(programs.heading(42))
    assert "printf half" in str(stub.requests[-1].body[program.history])
    result = work.receipt("items/42/result.json")
    assert result["attempt"] == 2
    assert (result["cost"] or None) == program.cost(3), "the reply that it waited for in vain has cost nothing"


@pytest.mark.parametrize(
    ("program", "reply", "session", "word"),
    [
        pytest.param(program, *row, id=f"{program.name}-{name}")
        for program in PROGRAMS
        for name, row in program.refusals.items()
    ],
)
def test_a_refusal_is_judged_by_what_it_means(
    program: NpmProgram, work: harness.Sandbox, stub: Stub, reply: Reply, session: Session, word: str
) -> None:
    stub.play("Work.", [reply])
    outcome = programs.judge(program.agent, work, program.call())
    assert outcome.status is session, outcome
    assert word in outcome.detail
    assert re.fullmatch(program.conversation, outcome.conversation)


def test_a_conversation_that_is_gone_is_told(program: NpmProgram, work: harness.Sandbox) -> None:
    outcome = programs.judge(program.agent, work, program.call(resume=program.gone))
    assert outcome.status is Session.CRASHED
    assert "gone" in outcome.detail


def test_a_flag_that_is_refused_is_a_failure(program: NpmProgram, work: harness.Sandbox) -> None:
    outcome = programs.judge(program.agent, work, program.call(args=("--no-such",)))
    assert outcome.status is Session.FAILED
    assert program.wrong in outcome.detail


def test_help_names_every_flag(program: NpmProgram, work: harness.Sandbox) -> None:
    for words in program.helps:
        assert programs.unknown_flags(program.agent, work.run(program.name, *words, "--help").text) == set()
