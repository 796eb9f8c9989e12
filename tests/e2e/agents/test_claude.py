"""Items worked by the real Claude Code, its model a script on loopback, and how each of its ends is judged."""

from __future__ import annotations

import signal
import socket
import time
import uuid
from pathlib import Path

import psutil
import pytest
from work_milestone.agents import Call, Outcome, find_renewal
from work_milestone.agents.claude import Claude
from work_milestone.store import Session

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.claude_code import bash, judged, make, output, script, settings
from tests.e2e.agents.messages_stub import MessagesStub
from tests.e2e.agents.stubs import Refusal, Text, ToolCall

LOCK = ".claude/kage-bunshin.lock"
# More than one argument of a process can hold on Linux (128 KiB), and what a shell would not leave as it is.
DESCRIPTION = "$HOME `id` \"quotes\" 'quotes' \\n ünïcödé 木\n\n" + "A line of many.\n" * 9000


def task(issue: int, description: str) -> dict[str, str]:
    """The file of an item in the backlog."""
    front = f"id: TASK-{issue}\ntitle: Item {issue}\nstatus: To Do\nmilestone: m-3"
    return {f"backlog/tasks/task-{issue} - Item.md": f"---\n{front}\n---\n\n## Description\n\n{description}\n"}


def test_two_items_land_with_the_work_of_the_model(work: harness.Sandbox, stub: MessagesStub) -> None:
    mark = uuid.uuid4().hex
    files = task(42, f"{mark} {DESCRIPTION}") | task(43, mark)
    make(work, [harness.item(42)], [harness.item(43, 42)], files=files)
    for issue in (42, 43):
        stub.play(programs.heading(issue), script(issue))
    arguments: list[list[str]] = []
    stub.watch = lambda _: arguments.extend(one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]))
    work.milestone()

    work.require_landed(42, 43)
    work.require_clean()
    prompts: dict[int, str] = {}
    for issue in (42, 43):
        assert work.show(f"item-{issue}.txt") == f"work on {issue}"
        prompts[issue] = (work.root / f".milestone/3/items/{issue}/prompt.md").read_text(encoding="utf-8")
        result, said = work.receipt(f"items/{issue}/result.json"), output(work, issue)
        assert (result["status"], result["notes"]) == ("complete", f"notes of {issue}")
        assert result["cost"] == said["total_cost_usd"] > 0
    # Each session asked twice, always with its whole prompt.
    assert [request.prompts for request in stub.requests] == [[prompts[issue]] for issue in (42, 42, 43, 43)]
    assert f"{mark} {DESCRIPTION}".strip() in prompts[42]
    assert "notes of 42" in (work.root / ".milestone/3/waves/1/relay.md").read_text(encoding="utf-8")
    assert "notes of 42" in prompts[43]
    assert [words for words in arguments if any(mark in word for word in words)] == []
    assert any(words[1:2] == ["-p"] and Path(words[0]).name == "claude" for words in arguments)
    assert LOCK not in every_file(work)


def every_file(box: harness.Sandbox) -> set[str]:
    """The files of every commit that the repository holds, reachable or not."""
    rows = box.git("cat-file", "--batch-all-objects", "--batch-check").splitlines()
    commits = [row.split()[0] for row in rows if " commit " in row]
    found = set().union(*(box.files(commit) for commit in commits))
    assert {"item-42.txt", "item-43.txt"} <= found
    return found


REFUSALS = {
    401: (Refusal(401, "authentication_error", "invalid x-api-key"), "auth", "claude /login"),
    529: (Refusal(529, "overloaded_error", "Overloaded"), "transient", "529"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_by_the_server_is_the_items_outcome(work: harness.Sandbox, stub: MessagesStub, status: int) -> None:
    refusal, session, word = REFUSALS[status]
    make(work, [harness.item(42)])
    stub.play(programs.heading(42), [refusal])
    before = work.rev()
    done = work.milestone(rc=None)
    result = work.receipt("items/42/result.json")
    assert (result["status"], result["attempt"], result["head"]) == (session, 1, None)
    assert word in result["detail"]
    assert output(work, 42)["api_error_status"] == status
    assert done.rc != 0
    assert session in done.text
    assert result["detail"] in done.text
    assert len(stub.requests) == 1
    assert work.rev() == before


def test_an_overloaded_server_is_asked_again_in_the_same_conversation(
    work: harness.Sandbox, stub: MessagesStub
) -> None:
    make(work, [harness.item(42)], retries=1)
    stub.play(programs.heading(42), [bash("printf half > item-42.txt"), REFUSALS[529][0]], script(42))
    work.milestone()
    work.require_landed(42)
    result = work.receipt("items/42/result.json")
    assert (result["status"], result["attempt"]) == ("complete", 2)
    assert len({request.session for request in stub.requests}) == 1
    first, again = stub.requests[-1].prompts
    assert first.startswith(programs.heading(42))
    assert "529" in again
    assert "half" in str(stub.requests[-2].body["messages"])  # what the first session did is before its eyes
    # The sum that the binary tells is that of the whole conversation, and so is the item's.
    assert result["cost"] == output(work, 42, attempt=2)["total_cost_usd"] > output(work, 42)["total_cost_usd"] > 0


def test_a_denied_tool_takes_the_success_back_and_its_work_is_kept(work: harness.Sandbox, stub: MessagesStub) -> None:
    make(work, [harness.item(42)])
    stub.play(programs.heading(42), script(42, bash("git push --force origin main")))
    work.milestone(rc=1)
    result = work.receipt("items/42/result.json")
    assert result["status"] == "failed"
    assert "Bash" in result["detail"]
    assert "allowed_tools" in result["detail"]
    assert output(work, 42)["permission_denials"][0]["tool_input"]["command"] == "git push --force origin main"
    assert [bool(one.get("is_error")) for one in stub.requests[-1].results] == [True, False]
    assert work.show("item-42.txt", "refs/milestone/3/attempt/42/1") == "work on 42"
    assert "item-42.txt" not in work.files()


# -- what the binary says, as the tool judges it


CREDIT = "Your credit balance is too low to access the Anthropic API."
SLOW = "exceeds your rate of requests a minute"
SOON = int(time.time()) // 60 * 60 + 3600
DAYS = SOON // 3600 * 3600 + 4 * 86400
JUDGED = [
    pytest.param(Refusal(400, "invalid_request_error", "No."), Session.FAILED, "400 No.", None, id="bad"),
    pytest.param(Refusal(400, "invalid_request_error", CREDIT), Session.AUTH, "redit", None, id="credit"),
    pytest.param(Refusal(403, "permission_error", "no"), Session.AUTH, "403", None, id="forbidden"),
    pytest.param(Refusal(404, "not_found_error", "model: sonnet"), Session.FAILED, "model", None, id="no-model"),
    pytest.param(Refusal(408, "timeout_error", "Timed out"), Session.TRANSIENT, "408", None, id="slow"),
    pytest.param(Refusal(429, "rate_limit_error", SLOW), Session.TRANSIENT, "429", None, id="rate"),
    pytest.param(Refusal(429, "rate_limit_error", f"Claude AI usage limit reached|{SOON}"), Session.QUOTA,
                 "usage limit", SOON, id="usage"),
    pytest.param(Refusal(500, "api_error", "Internal server error"), Session.TRANSIENT, "500", None, id="broken"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "session", "word", "until"), JUDGED)
def test_a_refusal_is_judged_by_what_it_means(
    work: harness.Sandbox, stub: MessagesStub, reply: Refusal, session: Session, word: str, until: float | None
) -> None:
    stub.play("Work.", [reply])
    outcome = judged(work, settings())
    assert (outcome.status, find_renewal(outcome.detail, time.time())) == (session, until)
    assert word in outcome.detail


def limits(claim: str, reset: float, **more: str) -> Refusal:
    """What a subscription's server says when something is used up."""
    told = {"status": "rejected", "reset": f"{reset:.0f}", "representative-claim": claim, **more}
    headers = {f"anthropic-ratelimit-unified-{name}": value for name, value in told.items()}
    return Refusal(429, "rate_limit_error", "This request would exceed your account's rate limit.", headers=headers)


NO_CREDITS = {"overage-status": "rejected", "overage-disabled-reason": "out_of_credits"}
SUBSCRIPTIONS = [
    pytest.param(limits("five_hour", SOON), Session.QUOTA, "5-hour limit", SOON, id="hours"),
    pytest.param(limits("seven_day", DAYS), Session.QUOTA, "weekly limit", DAYS, id="week"),
    pytest.param(limits("seven_day_opus", SOON), Session.QUOTA, "Opus limit", SOON, id="one-model"),
    pytest.param(limits("overage", SOON, **NO_CREDITS), Session.QUOTA, "usage credits", SOON, id="credits"),
    pytest.param(limits("", SOON), Session.TRANSIENT, "not your usage limit", None, id="busy"),
]


@pytest.mark.parametrize(("reply", "session", "word", "until"), SUBSCRIPTIONS)
def test_a_subscription_tells_when_it_is_renewed(
    work: harness.Sandbox, stub: MessagesStub, reply: Refusal, session: Session, word: str, until: float | None
) -> None:
    del work.env["ANTHROPIC_API_KEY"]
    work.env["CLAUDE_CODE_OAUTH_TOKEN"] = "test-token"
    stub.play("Work.", [reply])
    outcome = judged(work, settings())
    assert (outcome.status, find_renewal(outcome.detail, time.time())) == (session, until)
    assert word in outcome.detail


@pytest.mark.parametrize("mode", ["default", "acceptEdits", "dontAsk"])
@pytest.mark.parametrize("tool", ["Bash", "Write"])
def test_a_denied_tool_is_named_with_the_setting(
    work: harness.Sandbox, stub: MessagesStub, mode: str, tool: str
) -> None:
    outside = str(work.outside / "refused")
    arguments = {"Bash": {"command": f"touch '{outside}'"}, "Write": {"file_path": outside, "content": "x"}}[tool]
    stub.play("Work.", [ToolCall(tool, arguments), Text(programs.DONE)])
    outcome = judged(work, settings(permission_mode=mode))
    assert outcome.status is Session.FAILED
    assert outcome.detail == f"denied: {tool}; name them in allowed_tools, or change permission_mode"
    assert outcome.cost
    assert not Path(outside).exists()


def test_a_limit_of_turns_is_told_with_what_it_has_cost(work: harness.Sandbox, stub: MessagesStub) -> None:
    stub.play("Work.", [bash("printf 1"), bash("printf 2"), Text("Too late.")])
    outcome = judged(work, settings(args=("--max-turns", "2")))
    assert (outcome.status, outcome.detail) == (Session.TURNS, "it reached its limit of turns")
    assert outcome.cost
    assert len(stub.requests) == 2


def test_a_flag_that_nobody_knows_is_named(work: harness.Sandbox) -> None:
    outcome = judged(work, settings(args=("--no-such-flag",)))
    assert outcome == Outcome(Session.FAILED, "", "exit 1 without a result: error: unknown option '--no-such-flag'")


def test_a_conversation_that_nobody_knows_is_begun_anew(work: harness.Sandbox) -> None:
    call = Call(settings(), "00000000-0000-4000-8000-000000000000", resume=True)
    outcome = programs.judge(Claude(), work, call)
    assert outcome.status is Session.CRASHED
    assert "conversation is gone" in outcome.detail


TOOL = ("tail", "-f", "README.md")  # it refuses a plain sleep
SIGNALS = {
    signal.SIGTERM: ("exit 143 without a result: no output",),
    signal.SIGINT: ("exit 0, error_during_execution", "exit 0 without a result: no output"),  # as it happens
    signal.SIGKILL: ("ended by signal 9",),
}


@pytest.mark.parametrize("sig", SIGNALS)
def test_a_signal_from_elsewhere_is_a_failure_and_leaves_nothing_running(
    work: harness.Sandbox, stub: MessagesStub, sig: signal.Signals
) -> None:
    """While a tool is at work, whose process is in a group of its own."""
    make(work, [harness.item(42)], allowed_tools=["Bash(tail:*)"])
    stub.play(programs.heading(42), [bash(" ".join(TOOL))])
    with work.start() as run:
        await_tool(work).send_signal(sig)
        assert run.wait(programs.LIMIT) == 1
    result = work.receipt("items/42/result.json")
    assert result["status"] == "failed"
    assert result["detail"] in SIGNALS[sig]
    work.await_idle()


def await_tool(box: harness.Sandbox) -> psutil.Process:
    """Wait until the agent has its tool at work, asked for again and again because processes do not tell; the agent."""
    until = time.monotonic() + programs.LIMIT
    while time.monotonic() < until:
        found = [(one, one.info["environ"] or {}) for one in psutil.process_iter(["cmdline", "environ"])]
        ours = {tuple(one.info["cmdline"] or ()): one for one, env in found if env.get("OUT") == str(box.outside)}
        agents = [one for words, one in ours.items() if words[1:2] == ("-p",)]
        if agents and TOOL in ours:
            return agents[0]
    raise TimeoutError("no tool was ever at work")


def test_a_refused_connection_is_transient(work: harness.Sandbox) -> None:
    with socket.socket() as silent:  # bound, so that nobody else has the port, and not listening
        silent.bind(("127.0.0.1", 0))
        work.env["ANTHROPIC_BASE_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
        outcome = judged(work, settings())
    assert outcome.status is Session.TRANSIENT
    assert "ECONNREFUSED" in outcome.detail


def test_a_spent_budget_is_named(work: harness.Sandbox, stub: MessagesStub) -> None:
    stub.play("Work.", script(42))
    outcome = judged(work, settings(budget_usd=0.0001))
    assert outcome.status is Session.BUDGET
    assert outcome.cost
    assert "budget_usd" in outcome.detail


def test_who_is_not_logged_in_is_told_so(work: harness.Sandbox) -> None:
    del work.env["ANTHROPIC_API_KEY"]
    outcome = judged(work, settings())
    assert "Not logged in" in outcome.detail
    assert outcome.status is Session.AUTH


def test_auto_mode_without_the_servers_check_names_the_setting(work: harness.Sandbox, stub: MessagesStub) -> None:
    stub.play("Work.", script(42))
    outcome = judged(work, settings(permission_mode="auto", allowed_tools=()))
    assert outcome.status is Session.FAILED
    assert "permission_mode" in outcome.detail


def test_help_names_every_flag(work: harness.Sandbox) -> None:
    agent = Claude()
    given = {word for word in agent.argv(Call(settings(effort="high", budget_usd=1.5))) if word.startswith("-")}
    assert {"-p", "--permission-mode", "--allowedTools", "--max-budget-usd"} <= given <= programs.flags(agent)
    assert programs.unknown_flags(agent, work.run("claude", "--help").out) == set()
