"""Milestones worked by the real Claude Code, its model a script on loopback.

The binary is `WORK_MILESTONE_CLAUDE`, else `claude` on PATH, else the copy inside the package claude-agent-sdk.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from work_milestone import claude as claude_code
from work_milestone.agent import Call, Outcome
from work_milestone.settings import SessionSettings
from work_milestone.states import Session

from tests.e2e import harness
from tests.e2e.messages_stub import MessagesStub
from tests.e2e.stubs import Refusal, Reply, Text, ToolCall

INSTALL = "Claude Code is not installed: pip install -e '.[e2e]'"
LIMIT = 60  # seconds; nothing here takes as long, unless it hangs
LOCK = ".claude/kage-bunshin.lock"
ALLOWED = ("Bash(printf:*)", "Bash(git add:*)", "Bash(git commit:*)")
# More than one argument of a process can hold on Linux (128 KiB), and what a shell would not leave as it is.
DESCRIPTION = "$HOME `id` \"quotes\" 'quotes' \\n ünïcödé 木\n\n" + "A line of many.\n" * 9000
DONE = "I am done.\n\nSTATUS: COMPLETE\nBRANCH: a branch\nNOTES:\n{}\nBLOCKER: none"


def find_claude() -> str | None:
    """Find the binary, None when there is none."""
    named = os.environ.get("WORK_MILESTONE_CLAUDE")
    if named:
        assert shutil.which(named), f"WORK_MILESTONE_CLAUDE={named}: no such program"
    found = shutil.which(named or "claude")
    package = None if found else importlib.util.find_spec("claude_agent_sdk")
    if package and package.origin:
        found = shutil.which(Path(package.origin).parent / "_bundled" / "claude")
    return found


@pytest.fixture(scope="module")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that has the binary in it."""
    found = find_claude()
    if found is None:
        pytest.skip(INSTALL)
    folder = tmp_path_factory.mktemp("bin")
    (folder / "claude").symlink_to(Path(found).resolve())
    return folder


@pytest.fixture
def stub() -> Iterator[MessagesStub]:
    """The model; at the end, it was asked nothing that its script did not foresee."""
    with MessagesStub() as stub:
        yield stub
    assert stub.faults == []


@pytest.fixture
def work(box: harness.Sandbox, claude: Path, stub: MessagesStub) -> harness.Sandbox:
    """A repository whose agents find the binary, and through it nothing but the stub."""
    (box.outside / "tmp").mkdir()
    box.env |= {
        "PATH": f"{claude}{os.pathsep}{box.env['PATH']}",
        "TMPDIR": str(box.outside / "tmp"),
        "ANTHROPIC_BASE_URL": stub.url,
        "ANTHROPIC_API_KEY": "test-key",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    return box


def make(box: harness.Sandbox, *waves: Sequence[Mapping[str, Any]], files: Mapping[str, str] | None = None,
         **settings: Any) -> None:  # fmt: skip
    """Commit a plan whose items are Claude's; `settings` go before those that work everywhere."""
    chosen = {"agent": "claude", "command": None, "permission_mode": "acceptEdits", "allowed_tools": list(ALLOWED),
              "retries": 0, **settings}  # fmt: skip
    box.make(harness.plan(waves), files=files, **chosen)


def bash(command: str) -> ToolCall:
    return ToolCall("Bash", {"command": command, "description": "work"})


def commit(issue: int) -> ToolCall:
    """The work of an item: everything that git sees is committed."""
    return bash(f"printf 'work on {issue}\\n' > item-{issue}.txt && git add -A && git commit -q -m 'fix: {issue}'")


def script(issue: int, *before: Reply) -> list[Reply]:
    return [*before, commit(issue), Text(DONE.format(f"notes of {issue}"))]


def heading(issue: int) -> str:
    """What the prompt of an item begins with."""
    return f"# #{issue} Item {issue}\n"


def task(issue: int, description: str) -> dict[str, str]:
    """The file of an item in the backlog."""
    front = f"id: TASK-{issue}\ntitle: Item {issue}\nstatus: To Do\nmilestone: m-3"
    return {f"backlog/tasks/task-{issue} - Item.md": f"---\n{front}\n---\n\n## Description\n\n{description}\n"}


def test_two_items_land_with_the_work_of_the_model(work: harness.Sandbox, stub: MessagesStub) -> None:
    mark = uuid.uuid4().hex
    files = task(42, f"{mark} {DESCRIPTION}") | task(43, mark)
    make(work, [harness.item(42)], [harness.item(43, 42)], files=files)
    for issue in (42, 43):
        stub.play(heading(issue), script(issue))
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


def output(box: harness.Sandbox, issue: int, attempt: int = 1) -> dict[str, Any]:
    """What the binary printed in an attempt."""
    lines = (
        (box.root / f".milestone/3/items/{issue}/attempts/{attempt}/stdout").read_text(encoding="utf-8").splitlines()
    )
    found = json.loads(lines[-1])
    assert isinstance(found, dict)
    return found


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
    stub.play(heading(42), [refusal])
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
    stub.play(heading(42), [bash("printf half > item-42.txt"), REFUSALS[529][0]], script(42))
    work.milestone()
    work.require_landed(42)
    result = work.receipt("items/42/result.json")
    assert (result["status"], result["attempt"]) == ("complete", 2)
    assert len({request.session for request in stub.requests}) == 1
    first, again = stub.requests[-1].prompts
    assert first.startswith(heading(42))
    assert "529" in again
    assert "half" in str(stub.requests[-2].body["messages"])  # what the first session did is before its eyes
    # The sum that the binary tells is that of the whole conversation, and so is the item's.
    assert result["cost"] == output(work, 42, attempt=2)["total_cost_usd"] > output(work, 42)["total_cost_usd"] > 0


def test_a_denied_tool_takes_the_success_back_and_its_work_is_kept(work: harness.Sandbox, stub: MessagesStub) -> None:
    make(work, [harness.item(42)])
    stub.play(heading(42), script(42, bash("git push --force origin main")))
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


def settings(**chosen: Any) -> SessionSettings:
    plain = {"agent": "claude", "command": None, "model": "sonnet", "effort": None, "permission_mode": "acceptEdits",
             "allowed_tools": ALLOWED, "budget_usd": None, "timeout": 60.0}  # fmt: skip
    return SessionSettings(**{**plain, **chosen})


def judged(box: harness.Sandbox, chosen: SessionSettings) -> Outcome:
    """Start the binary as a session does and judge what it says."""
    agent = claude_code.Claude()
    done = subprocess.run(agent.argv(Call(chosen)), cwd=box.root, env=box.env, input="Work.\n", capture_output=True,
                          encoding="utf-8", timeout=LIMIT, check=False)  # fmt: skip
    return agent.judge(done.returncode, done.stdout, done.stderr)


CREDIT = "Your credit balance is too low to access the Anthropic API."
SLOW = "exceeds your rate of requests a minute"
JUDGED = [
    pytest.param(Refusal(403, "permission_error", "no"), Session.AUTH, "403", id="forbidden"),
    pytest.param(Refusal(429, "rate_limit_error", SLOW), Session.TRANSIENT, "429", id="rate"),
    pytest.param(Refusal(429, "rate_limit_error", "Over your usage limit"), Session.QUOTA, "usage limit", id="usage"),
    pytest.param(Refusal(500, "api_error", "Internal server error"), Session.TRANSIENT, "500", id="broken"),
    pytest.param(Refusal(404, "not_found_error", "model: sonnet"), Session.FAILED, "model", id="no-model"),
    pytest.param(Refusal(408, "timeout_error", "Timed out"), Session.TRANSIENT, "408", id="slow"),
    pytest.param(Refusal(400, "invalid_request_error", CREDIT), Session.AUTH, "redit", id="credit"),
]


@pytest.mark.parametrize(("reply", "session", "word"), JUDGED)
def test_a_refusal_is_judged_by_what_it_means(
    work: harness.Sandbox, stub: MessagesStub, reply: Refusal, session: Session, word: str
) -> None:
    stub.play("Work.", [reply])
    outcome = judged(work, settings())
    assert outcome.status is session
    assert word in outcome.detail


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


def test_help_names_every_flag(claude: Path, work: harness.Sandbox) -> None:
    done = work.run("claude", "--help")
    full = settings(effort="high", budget_usd=1.5)
    given = {word for word in claude_code.Claude().argv(Call(full)) if word.startswith("-")}
    written = set(re.findall(r'"(--?[a-z][a-z-]*)"', inspect.getsource(claude_code.Claude), re.IGNORECASE))
    assert {"-p", "--permission-mode", "--allowedTools", "--max-budget-usd"} <= given <= written
    unknown = {flag for flag in written if not re.search(rf"(?<![\w-]){flag}(?![\w-])", done.out)}
    assert unknown == set()
