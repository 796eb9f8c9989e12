"""What the real Claude Code tells while it is at work (`stream`), and the form that it fills (`structured_report`)."""

from __future__ import annotations

import json

import pytest
from work_milestone.agents import Progress
from work_milestone.agents.claude import Claude
from work_milestone.sessions import progress

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.claude_code import bash, commit, make, output, script
from tests.e2e.agents.messages_stub import USAGE, MessagesStub
from tests.e2e.agents.stubs import Refusal, Request, Silence, Text, ToolCall

TURN = USAGE["input_tokens"] + 1  # tokens, as a turn's events tell them: their last count comes with the result alone


def test_status_tells_how_far_a_session_is(work: harness.Sandbox, stub: MessagesStub) -> None:
    """A message of two parts is one turn, though each part is an event of its own."""
    make(work, [harness.item(42)], stream=True)
    look = ToolCall("Bash", {"command": "printf 1"}, words="I look first.")
    stub.play(programs.heading(42), script(42, look))
    told: list[str] = []

    def watch(request: Request) -> None:
        if request.results:
            told.append(work.doit("status", "n=3", rc=0).out)

    stub.watch = watch
    work.milestone()
    work.require_landed(42)
    assert "attempt 1, 1 turn, last Bash, 1k tokens" in told[0]
    assert "attempt 1, 2 turns, last Bash, 2k tokens" in told[1]
    found = progress.measure((work.root / ".milestone/3/items/42/attempts/1/stdout").read_text(), Claude())
    cost = output(work, 42)["total_cost_usd"]
    assert found == Progress(turns=3, tool="Bash", tokens=3 * TURN, cost=cost, message="msg_2")
    assert work.receipt("items/42/result.json")["cost"] == cost


def test_an_error_of_the_server_is_no_turn(work: harness.Sandbox, stub: MessagesStub) -> None:
    make(work, [harness.item(42)], stream=True)
    stub.play(programs.heading(42), [bash("printf 1"), Refusal(529, "overloaded_error", "Overloaded")])
    work.milestone(rc=None)
    assert work.receipt("items/42/result.json")["status"] == "transient"
    found = progress.measure((work.root / ".milestone/3/items/42/attempts/1/stdout").read_text(), Claude())
    assert (found.turns, found.tool) == (1, "Bash")


def test_a_broken_server_of_the_projects_ends_the_session_at_once(work: harness.Sandbox, stub: MessagesStub) -> None:
    servers = {"mcpServers": {"db": {"command": "/no/such/program", "args": []}}}
    make(work, [harness.item(42)], stream=True, files={".mcp.json": json.dumps(servers)})
    stub.play(programs.heading(42), [Silence()])  # it would wait for ever
    done = work.milestone(rc=1)
    result = work.receipt("items/42/result.json")
    assert result["status"] == "failed"
    assert result["detail"] == "MCP server db does not start; mend .mcp.json, or what it starts"
    assert result["detail"] in done.out
    work.await_idle()


@pytest.mark.parametrize("stream", [False, True])
def test_a_form_that_is_filled_is_the_report_and_else_the_text_is(
    work: harness.Sandbox, stub: MessagesStub, stream: bool
) -> None:
    waves = [harness.item(42), harness.item(43), harness.item(44)]
    make(work, waves, stream=stream, structured_report=True)
    form = {"status": "COMPLETE", "notes": "told in\nthe form", "blocker": "none"}
    blocked = {"status": "BLOCKED", "notes": "", "blocker": "no access to the machine"}
    stub.play(programs.heading(42), [commit(42), ToolCall("StructuredOutput", form)])
    stub.play(programs.heading(43), script(43))
    wrong = ToolCall("StructuredOutput", {"status": "DONE"})  # it is refused, and filled again
    stub.play(programs.heading(44), [commit(44), wrong, ToolCall("StructuredOutput", blocked), Text("no")])
    work.milestone(rc=1)
    results = {issue: work.receipt(f"items/{issue}/result.json") for issue in (42, 43, 44)}
    assert (results[42]["status"], results[42]["notes"]) == ("complete", "told in the form")
    assert (results[43]["status"], results[43]["notes"]) == ("complete", "notes of 43")
    assert (results[44]["status"], results[44]["detail"]) == ("blocked", "no access to the machine")
    assert {issue for issue in results if "structured_output" in output(work, issue)} == {42, 44}
