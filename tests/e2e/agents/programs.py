"""The real agents that come from npm: where they are, and what their tests have in common.

They lie where `install_agents.sh` puts them, or in the folder that WORK_MILESTONE_AGENTS names.
"""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from work_milestone.agent import Agent, Call, Outcome
from work_milestone.settings import SessionSettings

from tests.e2e import harness
from tests.e2e.agents.stubs import Reply, Request, Stub, Text, ToolCall

INSTALL = "tests/e2e/agents/install_agents.sh"
# Asked for when this is loaded: to the tests, HOME is a folder of their own.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "work-milestone/agents"
LIMIT = 60  # seconds; nothing here takes as long, unless it hangs
DONE = "I am done.\n\nSTATUS: COMPLETE\nBRANCH: a branch\nNOTES:\n{}\nBLOCKER: none"


def link(name: str, folder: Path) -> Path:
    """Give a folder for PATH that has the binary in it; without the binary, the test is skipped."""
    found = Path(os.environ.get("WORK_MILESTONE_AGENTS") or CACHE) / "node_modules/.bin" / name
    if not found.exists():
        pytest.skip(f"{name} is not installed: {INSTALL}")
    (folder / name).symlink_to(found.resolve())
    return folder


def heading(issue: int) -> str:
    """What the prompt of an item begins with."""
    return f"# #{issue} Item {issue}\n"


def commit(issue: int) -> str:
    """Write the shell line that does an item's work: everything that git sees is committed."""
    return f"printf 'work on {issue}\\n' > item-{issue}.txt && git add -A && git commit -q -m 'fix: {issue}'"


def script(issue: int, work: ToolCall, *before: Reply) -> list[Reply]:
    """Give the replies of a session: it works, and reports."""
    return [*before, work, Text(DONE.format(f"notes of {issue}"))]


def prepare(box: harness.Sandbox, folder: Path, **variables: str) -> harness.Sandbox:
    """Let the repository's agents find the binary, and a place of their own for temporary files."""
    (box.outside / "tmp").mkdir()
    box.env |= {"PATH": f"{folder}{os.pathsep}{box.env['PATH']}", "TMPDIR": str(box.outside / "tmp"), **variables}
    return box


def session_settings(agent: str, **chosen: Any) -> SessionSettings:
    """Give a session's settings, as the tool makes them where nothing is set."""
    plain = {"agent": agent, "command": None, "model": "", "effort": None, "permission_mode": "auto",
             "allowed_tools": (), "budget_usd": None, "timeout": 60.0}  # fmt: skip
    return SessionSettings(**{**plain, **chosen})


def start(agent: Agent, box: harness.Sandbox, call: Call, words: str = "Work.\n") -> subprocess.CompletedProcess[str]:
    """Start the binary as a session does."""
    env = {**agent.environment, **box.env}
    return subprocess.run(agent.argv(call), cwd=box.root, env=env, input=words, capture_output=True,
                          encoding="utf-8", timeout=LIMIT, check=False)  # fmt: skip


def judge(agent: Agent, box: harness.Sandbox, call: Call, words: str = "Work.\n") -> Outcome:
    """Start the binary as a session does, and judge what it says."""
    done = start(agent, box, call, words)
    return agent.judge(done.returncode, done.stdout, done.stderr)


def work_two(box: harness.Sandbox, stub: Stub, asked: int) -> list[list[str]]:
    """Work the items 42 and 43, for which the model is asked so often each; return all processes' arguments."""
    arguments: list[list[str]] = []
    stub.watch = lambda _: arguments.extend(one.info["cmdline"] or [] for one in psutil.process_iter(["cmdline"]))
    box.milestone()
    box.require_landed(42, 43)
    box.require_clean()
    prompts: list[list[str]] = []
    for issue in (42, 43):
        assert box.show(f"item-{issue}.txt") == f"work on {issue}"
        result = box.receipt(f"items/{issue}/result.json")
        assert (result["status"], result["notes"]) == ("complete", f"notes of {issue}")
        prompts += [[(box.root / f".milestone/3/items/{issue}/prompt.md").read_text(encoding="utf-8")]] * asked
    assert [request.prompts for request in stub.requests] == prompts
    assert {request.key for request in stub.requests} == {"test-key"}
    assert [words for words in arguments if any("Item 42" in word for word in words)] == []
    return arguments


def stop_and_go_on(box: harness.Sandbox, stub: Stub) -> None:
    """Stop the session of item 42 in the middle, and see it go on with what it did before its eyes."""
    _stop_in_the_middle(box, stub)
    assert box.receipt("items/42/result.json")["status"] == "stopped"
    box.milestone()
    box.require_landed(42)
    assert len({request.session for request in stub.requests}) == 1
    first, again = stub.requests[-1].prompts
    assert first.startswith(heading(42))
    assert not again.startswith(heading(42))
    assert box.receipt("items/42/result.json")["attempt"] == 2


def _stop_in_the_middle(box: harness.Sandbox, stub: Stub) -> None:
    """Work the milestone, and press Ctrl-C once the model has seen the result of a tool."""
    reached = threading.Event()

    def watch(request: Request) -> None:
        if request.results:
            reached.set()

    stub.watch = watch
    with box.start() as running:
        try:
            assert reached.wait(LIMIT), box.lines("output")
            running.send_signal(signal.SIGINT)
            assert running.wait(LIMIT) != 0
        finally:
            running.kill()
    stub.watch = lambda request: None


def unknown_flags(agent: Agent, text: str) -> set[str]:
    """Give the flags in an agent's source that its help does not name."""
    written = set(re.findall(r'"(--?[a-z][a-z-]*)"', inspect.getsource(type(agent)), re.IGNORECASE))
    assert written
    return {flag for flag in written if not re.search(rf"(?<![\w-]){flag}(?![\w-])", text)}
