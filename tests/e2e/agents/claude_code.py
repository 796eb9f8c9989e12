"""The real Claude Code: where its binary is, and what its tests have in common.

It is `WORK_MILESTONE_CLAUDE`, else `claude` on PATH, else the copy inside the package claude-agent-sdk.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from work_milestone.agents import Call, Outcome
from work_milestone.agents.claude import Claude
from work_milestone.settings import SessionSettings

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.messages_stub import MessagesStub
from tests.e2e.agents.stubs import Reply, ToolCall

INSTALL = "Claude Code is not installed: pip install -e '.[e2e]'"
ALLOWED = ("Bash(printf:*)", "Bash(git add:*)", "Bash(git commit:*)")


def find() -> str | None:
    """Find the binary, None when there is none."""
    named = os.environ.get("WORK_MILESTONE_CLAUDE")
    if named:
        assert shutil.which(named), f"WORK_MILESTONE_CLAUDE={named}: no such program"
    found = shutil.which(named or "claude")
    package = None if found else importlib.util.find_spec("claude_agent_sdk")
    if package and package.origin:
        found = shutil.which(Path(package.origin).parent / "_bundled" / "claude")
    return found


def variables(url: str) -> dict[str, str]:
    """Give what leads the binary to a stub, and to nothing else."""
    return {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "test-key",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_AUTOUPDATER": "1",
    }


def lead(box: harness.Sandbox, url: str) -> None:
    box.env |= variables(url)


def _find() -> Path | None:
    found = find()
    return Path(found) if found else None


PROGRAM = programs.Program(name="claude", find=_find, missing=INSTALL, stub=MessagesStub, lead=lead)


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
    return bash(programs.commit(issue))


def script(issue: int, *before: Reply) -> list[Reply]:
    return programs.script(issue, commit(issue), *before)


def output(box: harness.Sandbox, issue: int, attempt: int = 1) -> dict[str, Any]:
    """What the binary printed in an attempt."""
    lines = (
        (box.root / f".milestone/3/items/{issue}/attempts/{attempt}/stdout").read_text(encoding="utf-8").splitlines()
    )
    found = json.loads(lines[-1])
    assert isinstance(found, dict)
    return found


def settings(**chosen: Any) -> SessionSettings:
    plain = {"model": "sonnet", "permission_mode": "acceptEdits", "allowed_tools": ALLOWED}
    return programs.session_settings("claude", **{**plain, **chosen})


def judged(box: harness.Sandbox, chosen: SessionSettings, words: str = "Work.\n") -> Outcome:
    """Start the binary as a session does and judge what it says."""
    return programs.judge(Claude(), box, Call(chosen), words)
