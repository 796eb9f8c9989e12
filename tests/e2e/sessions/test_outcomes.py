"""Every way in which a session of Claude Code was seen to end, and what the whole tool then does.

A row of the table says what the program printed and how it exited, and what follows from that: the status, whether it
is tried again and how, what it costs, whether other sessions are held back, the words, the next command.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.harness import Sandbox
from tests.e2e.sessions.talks import hows, make, turn, turns

LOOK = "next: doit log:1 n=3, then doit milestone n=3, or doit skip:1 n=3"
GO_ON = "next: doit milestone n=3"
RESUME, ANEW, NEVER = "resume", "session-id", ""


def says(code: int, **own: Any) -> str:
    """Print a result as the program does, with half of the work done and not committed, and exit."""
    row = {
        "type": "result", "subtype": "success", "is_error": code != 0, "duration_ms": 760, "num_turns": 2,
        "result": "STATUS: COMPLETE", "session_id": "0b2c", "total_cost_usd": 0.25, "usage": {}, "modelUsage": {},
        "permission_denials": [], "terminal_reason": "completed", **own,
    }  # fmt: skip
    line = json.dumps({key: value for key, value in row.items() if value is not ...})
    return f"half\ncat <<'END'\n{line}\nEND\nexit {code}"


def refused(status: int, words: str) -> str:
    return says(1, api_error_status=status, result=f"API Error: {status} {words}", terminal_reason="api_error")


@dataclass(frozen=True)
class Case:
    """How a session ends, and what follows. `again` is how it is tried again by the same line, `later` by the next."""

    name: str
    script: str
    status: str
    words: str
    again: str = NEVER
    later: str = ANEW
    free: bool = False  # tried again without a retry
    pauses: bool = False
    halts: bool = False
    next: str = LOOK
    line: str = "milestone"  # with words of its own


DENIALS = [{"tool_name": "Bash", "tool_use_id": "t", "tool_input": {"command": "git push"}}]
LIMIT = "You've hit your usage limit"
MARKED = "printf '%s ours\\none\\n=======\\ntwo\\n%s theirs\\n' '<<<<<<<' '>>>>>>>'"
DONE = "end COMPLETE 0.25"
CASES = [
    Case("denied", says(0, permission_denials=DENIALS), "failed",
         "denied: Bash; name them in allowed_tools, or change permission_mode"),
    Case("400", refused(400, "invalid_request_error"), "failed", "API Error: 400 invalid_request_error"),
    Case("401", refused(401, "Invalid API key"), "auth",
         "Invalid API key; log in again (claude /login) or renew the key", halts=True),
    Case("403", refused(403, "Forbidden"), "auth", "Forbidden; log in again (claude /login)", halts=True),
    Case("429 rate", refused(429, "requests a minute"), "transient", "API Error: 429", again=RESUME, later=RESUME),
    Case("429 quota", refused(429, f"{LIMIT}, try again in 0.3 seconds"), "quota", LIMIT, again=RESUME, free=True,
         pauses=True),
    Case("500", refused(500, "Internal server error"), "transient", "API Error: 500", again=RESUME, later=RESUME),
    Case("529", refused(529, "Overloaded"), "transient", "API Error: 529", again=RESUME, later=RESUME),
    Case("connection refused",
         says(1, result="API Error: Connection refused (ECONNREFUSED)", api_error="connection_failed"),
         "transient", "ECONNREFUSED", again=RESUME, later=RESUME),
    Case("max turns", says(1, subtype="error_max_turns", result=...), "turns", "it reached its limit of turns",
         again=RESUME, later=RESUME),
    Case("budget", says(1, subtype="error_max_budget_usd", result=...), "budget",
         "its budget is spent; raise budget_usd", later=RESUME),
    Case("bad flag", "half; echo \"error: unknown option '--x'\" >&2; exit 1", "failed",
         "exit 1 without a result: error: unknown option '--x'"),
    Case("unknown session", "half; echo 'No conversation found with session ID: 0' >&2; exit 1", "crashed",
         "its conversation is gone: No conversation found", again=ANEW, free=True),
    Case("SIGTERM", "half; exit 143", "failed", "exit 143 without a result: no output"),
    Case("SIGINT, empty", "half; exit 0", "failed", "exit 0 without a result: no output"),
    Case("SIGINT", says(0, subtype="error_during_execution", is_error=True, result=...), "failed",
         "exit 0, error_during_execution"),
    Case("SIGKILL", "half; kill -9 $PPID; sleep 1000", "failed", "ended by signal 9"),
    Case("supervisor killed", 'half; kill -9 "$(cut -d " " -f 4 /proc/$PPID/stat)"; sleep 1000', "crashed",
         "its supervisor is gone without a record", again=RESUME, free=True),
    Case("timeout", "half; exec sleep 1000", "timeout", "over its time limit of 3 s", later=RESUME,
         line="milestone timeout=3 retries=0"),
    Case("garbage", "half; head -c 100000 /dev/urandom; exit 0", "failed", "exit 0 without a result"),
    Case("50 MB of garbage", "half; head -c 50000000 /dev/zero | tr '\\0' '{'; exit 1", "failed",
         "exit 1 without a result"),
    Case("no commits", DONE, "failed", "it committed nothing"),
    Case("wrong branch", f"git checkout -qb feature/one; work; {DONE}", "failed",
         "it ended on branch feature/one, not on work/3/1-item-1"),
    Case("detached", f"git checkout -q --detach; work; {DONE}", "failed",
         "it ended on a detached HEAD, not on work/3/1-item-1"),
    Case("another branch, and back", f"git checkout -qb feature/one; work; git checkout -q -; {DONE}", "failed",
         "it committed nothing on work/3/1-item-1; feature/one has got a commit meanwhile"),
    Case("in the main checkout", f'cd "$ROOT"; git switch -q main; echo x > x.txt; commit "feat: x"; {DONE}', "failed",
         "it committed nothing on work/3/1-item-1; main has got a commit meanwhile"),
    Case("markers", f"{MARKED} > app.txt; commit 'feat: one'; {DONE}", "failed",
         "it committed conflict markers in app.txt"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_an_end_leads_to_its_action(talks: Sandbox, case: Case) -> None:
    make(talks, (1, 2), retries=0 if case.free else 1, max_sessions=1, pass_env=["OUT", "ROOT"])
    talks.env["ROOT"] = str(talks.root)
    for number in (1, 2) if case.again and not case.free else (1,):
        turn(talks, f"1-{number}", case.script)
    main = talks.rev()
    done = talks.doit(*case.line.split(), "n=3", rc=0 if case.free else 1)

    told = talks.journal()
    ends = [row for row in told if row["issue"] == 1 and row["outcome"] == case.status]
    assert len(ends) == (2 if case.again and not case.free else 1)
    assert case.words in ends[0]["detail"]
    assert f" #1     spawn     {case.status:<9} " in done.out
    assert any(row["outcome"] == "quota" and row["step"] == "sessions" for row in told) == case.pauses
    assert any(row["outcome"] == "halted" for row in told) == case.halts
    assert hows(talks, 1) == [ANEW, *([case.again] if case.again else [])]
    if not case.free:
        assert talks.receipt("items/1/result.json")["status"] == case.status
        summary = done.out.splitlines()
        at = next(number for number, line in enumerate(summary) if line.startswith(f"#1 {case.status}: "))
        assert case.words in summary[at]
        assert case.next in "\n".join(summary[at : at + 3])
        assert len(turns(talks, 2)) == (0 if case.halts else 1)
        assert ("#2 pending: not started: " in done.out) == case.halts
        assert "Milestone-Item" not in talks.git("log", "--format=%B", "main")
        talks.milestone()
        assert hows(talks, 1)[1 if not case.again else 2 :] == [case.later]
    if "half" in case.script:
        assert turns(talks, 1)[-1]["left"] == (["half.txt"] if hows(talks, 1)[-1] == RESUME else [])
        assert "half.txt" in talks.files("refs/milestone/3/attempt/1/1"), "what an attempt left is kept"
    talks.require_landed(1, 2, base=None if talks.rev("main^1") == main else talks.rev("main^1"))
    if "feature/one" in case.script:
        talks.git("branch", "-D", "feature/one")  # the agent's own, and nobody else's to delete
    talks.require_clean()


LOUD = "head -c 50000000 /dev/zero | tr '\\0' x"
GOOD = [
    ("as printed", says(0).replace("half\n", "work\n")),
    ("50 MB before it", f"work; {LOUD}; echo; {DONE}"),
    ("50 MB beside it", f"work; {LOUD} >&2; {DONE}"),
    ("garbage around it", "work; head -c 9999 /dev/urandom; echo; (result 0.25; printf '\"is_error\": false, "
                          "\"result\": \"STATUS: COMPLETE\"}\\nbye\\n'); exit 0"),
]  # fmt: skip


@pytest.mark.parametrize("script", [row[1] for row in GOOD], ids=[row[0] for row in GOOD])
def test_a_success_is_one_whatever_is_printed_beside_it(talks: Sandbox, script: str) -> None:
    make(talks)
    turn(talks, 1, script)
    talks.milestone()
    assert hows(talks) == [ANEW]
    assert talks.receipt("items/1/result.json")["cost"] == 0.25
    talks.require_landed(1)
    talks.require_clean()
