"""Sessions that tell how far they are: for `doit status`, and for an early end where they cannot work."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import Sandbox, await_text, item, plan

STREAM = """#!/usr/bin/env python3
import json, os, sys, time
assert sys.argv[1:3] == ["-p", "--model"] and "stream-json" in sys.argv and "--verbose" in sys.argv
def say(**event):
    print(json.dumps(event), flush=True)
servers = json.loads(os.environ["ANTHROPIC_SERVERS"])
say(type="system", subtype="init", mcp_servers=servers)
usage = {"input_tokens": 1500, "output_tokens": 600}
say(type="assistant", message={"usage": usage, "content": [{"type": "tool_use", "name": "Bash"}]})
open(os.environ["OUT"] + "/going", "w").write("on")
while not os.path.exists(os.environ["OUT"] + "/go-on"):
    time.sleep(0.01)
open("work", "w").write("done")
os.system("git add -A && git commit -qm 'fix: work'")
say(type="result", subtype="success", is_error=False, result="STATUS: COMPLETE", total_cost_usd=0.25,
    permission_denials=[])
"""


@pytest.fixture
def streaming(box: Sandbox) -> Sandbox:
    """A repository whose agent prints as it goes, and works until it is told to."""
    box.install("claude", STREAM)
    box.env["ANTHROPIC_SERVERS"] = "[]"
    box.make(plan([[item(1)]]), agent="claude", command=None, retries=0, stream=True)
    return box


def test_status_tells_how_far_a_session_is(streaming: Sandbox) -> None:
    with streaming.start() as run:
        await_text(streaming.outside / "going", "on")
        told = streaming.doit("status", "n=3", rc=0).out
        (streaming.outside / "go-on").touch()
        assert run.wait() == 0
    assert "running" in told
    assert "attempt 1, 1 turn, last Bash, 2k tokens" in told
    streaming.require_landed(1)
    assert streaming.receipt("items/1/result.json")["cost"] == 0.25


SERVERS = {
    "the project's": ([{"name": "db", "status": "failed", "source": "project"}], True),
    "the user's own": ([{"name": "mail", "status": "failed", "source": "user"}], False),
    "one that takes long": ([{"name": "db", "status": "pending", "source": "project"}], False),
    "one that is there": ([{"name": "db", "status": "connected", "source": "project"}], False),
}


@pytest.mark.parametrize("case", SERVERS)
def test_a_server_of_the_projects_that_does_not_start_ends_the_session(streaming: Sandbox, case: str) -> None:
    servers, broken = SERVERS[case]
    streaming.env["ANTHROPIC_SERVERS"] = json.dumps(servers)
    if not broken:
        (streaming.outside / "go-on").touch()
        streaming.milestone()
        streaming.require_landed(1)
        return
    done = streaming.milestone(rc=1)  # its agent would wait for ever
    result = streaming.receipt("items/1/result.json")
    assert (result["status"], "MCP server db does not start; mend .mcp.json" in result["detail"]) == ("failed", True)
    assert "MCP server db does not start" in done.out
    streaming.await_idle()
