"""The agents' real binaries: how a test leads one to a stub, has it work, and judges what it says."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from work_milestone.agents import Agent, Call, Outcome
from work_milestone.settings import SessionSettings

from tests.e2e import harness
from tests.e2e.agents.stubs import Reply, Request, Stub, Text, ToolCall

LIMIT = 60  # seconds; nothing here takes as long, unless it hangs
DONE = "I am done.\n\nSTATUS: COMPLETE\nBRANCH: a branch\nNOTES:\n{}\nBLOCKER: none"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One of them. `lead` leads what a sandbox starts to the stub at a URL, and to nothing else."""

    name: str
    find: Callable[[], Path | None]
    missing: str  # what is said where it is not installed, with the line that installs it
    stub: type[Stub]  # of the API that it speaks
    lead: Callable[[harness.Sandbox, str], None]

    def prepare(self, box: harness.Sandbox, stub: Stub) -> harness.Sandbox:
        """Let the repository's agents find the binary, the stub, and a place of their own for temporary files.

        Without the binary, the test is skipped.
        """
        found = self.find()
        if found is None:
            pytest.skip(self.missing)
        for name in ("program", "tmp"):
            (box.outside / name).mkdir()
        (box.outside / "program" / self.name).symlink_to(found.resolve())
        box.env["PATH"] = f"{box.outside / 'program'}{os.pathsep}{box.env['PATH']}"
        box.env["TMPDIR"] = str(box.outside / "tmp")
        self.lead(box, stub.url)
        return box


def heading(issue: int) -> str:
    """What the prompt of an item begins with."""
    return f"# #{issue} Item {issue}\n"


def commit(issue: int) -> str:
    """Write the shell line that does an item's work: everything that git sees is committed."""
    return f"printf 'work on {issue}\\n' > item-{issue}.txt && git add -A && git commit -q -m 'fix: {issue}'"


def script(issue: int, work: ToolCall, *before: Reply) -> list[Reply]:
    """Give the replies of a session: it works, and reports."""
    return [*before, work, Text(DONE.format(f"notes of {issue}"))]


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


def flags(agent: Agent) -> set[str]:
    """Give the flags that stand in an agent's source."""
    written = set(re.findall(r'"(--?[a-z][a-z-]*)"', inspect.getsource(type(agent)), re.IGNORECASE))
    assert written
    return written


def unknown_flags(agent: Agent, text: str) -> set[str]:
    """Give those that its help does not name."""
    return {flag for flag in flags(agent) if not re.search(rf"(?<![\w-]){flag}(?![\w-])", text)}


@contextmanager
def in_the_middle(box: harness.Sandbox, stub: Stub, issue: int, *words: str) -> Iterator[harness.Command]:
    """Work the milestone until an item's model is to answer the result of a tool; then the block, and SIGKILL."""
    reached = threading.Event()

    def watch(request: Request) -> None:
        if request.prompts[0].startswith(heading(issue)) and request.results:
            reached.set()

    stub.watch = watch
    with box.start("milestone", "n=3", *words) as running:
        try:
            assert reached.wait(LIMIT), box.lines("output")
            yield running
        finally:
            running.kill()
            stub.watch = lambda request: None
