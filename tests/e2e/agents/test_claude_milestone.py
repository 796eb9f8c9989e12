"""A whole milestone of three waves, worked by the real Claude Code, with all that comes between: one after another, an
overloaded server, a limit of turns, a denied tool, and the end of everything by SIGKILL in the middle of a turn.
"""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.e2e import harness
from tests.e2e.agents import programs
from tests.e2e.agents.claude_code import ALLOWED, bash, make, output, script
from tests.e2e.agents.messages_stub import MessagesStub
from tests.e2e.agents.stubs import Refusal, Silence, Stub

OVERLOADED, TURNS, DENIED, KILLED = 42, 43, 44, 46
ISSUES = (41, OVERLOADED, TURNS, DENIED, 45, KILLED)
# That the model gave and the binary reckons: what it had cost when it was killed, it forgets.
REPLIES = {41: 2, OVERLOADED: 3, TURNS: 5, DENIED: 6, 45: 2, KILLED: 2}
NEEDED = f"allowed_tools={','.join(ALLOWED)},Bash(install:*)"


def half(issue: int) -> str:
    """Begin an item's work."""
    return f"printf 'half of {issue}' > half-{issue}.txt"


def test_a_milestone_of_three_waves_lands_whatever_happens(work: harness.Sandbox, stub: MessagesStub) -> None:
    make(work, [harness.item(41), harness.item(OVERLOADED)],
         [harness.item(TURNS, 41), harness.item(DENIED, OVERLOADED)],
         [harness.item(45, TURNS), harness.item(KILLED, DENIED)],
         agents={"claude": {"args": ["--max-turns", "3"]}}, retries=1)  # fmt: skip
    copy = bash("install -m 644 README.md needed.txt")
    stub.play(programs.heading(41), script(41))
    stub.play(programs.heading(45), script(45))
    overloaded = Refusal(529, "overloaded_error", "Overloaded")
    stub.play(programs.heading(OVERLOADED), [bash(half(OVERLOADED)), overloaded], script(OVERLOADED))
    turns = [bash(half(TURNS)), bash("printf 1"), bash("printf 2")]
    stub.play(programs.heading(TURNS), turns, script(TURNS))
    stub.play(programs.heading(DENIED), script(DENIED, copy), script(DENIED, copy))
    stub.play(programs.heading(KILLED), [bash(half(KILLED)), Silence()], script(KILLED))
    before = work.rev()

    # All but what was denied, and what rests on it.
    told = work.milestone(rc=1)
    result = work.receipt(f"items/{DENIED}/result.json")
    assert result["status"] == "failed"
    assert result["detail"] == "denied: Bash; name them in allowed_tools, or change permission_mode"
    assert result["detail"] in told.out
    assert attempts(work) == {41: 1, OVERLOADED: 2, TURNS: 2, DENIED: 1, 45: 1}
    assert work.rev() == before
    require_one_conversation(work, stub, OVERLOADED, "529")
    require_one_conversation(work, stub, TURNS, "turns")

    # With the tool allowed the rest begins, and all ends in the middle of a turn.
    kill_in_the_middle(work, stub, NEEDED)
    assert work.rev() == before
    work.milestone(NEEDED)
    require_one_conversation(work, stub, KILLED, "")
    assert attempts(work) == {41: 1, OVERLOADED: 2, TURNS: 2, DENIED: 2, 45: 1, KILLED: 2}

    work.require_landed(*ISSUES)
    work.await_idle()
    work.require_clean()
    assert {f"item-{issue}.txt" for issue in ISSUES} <= work.files()
    asked = len(stub.requests)
    assert work.milestone(NEEDED).rc == 0
    assert len(stub.requests) == asked, "what has landed is not asked for again"
    require_costs_once(work)


def attempts(box: harness.Sandbox) -> dict[int, int]:
    """How many sessions each item has had."""
    folders = {issue: box.root / f".milestone/3/items/{issue}/attempts" for issue in ISSUES}
    return {issue: len(list(folder.iterdir())) for issue, folder in folders.items() if folder.exists()}


def require_one_conversation(box: harness.Sandbox, stub: MessagesStub, issue: int, why: str) -> None:
    """The model saw one session id, and in the second session what it had been told and had done in the first."""
    asked = [request for request in stub.requests if request.prompts[0].startswith(programs.heading(issue))]
    assert len({request.session for request in asked}) == 1
    first, again = asked[-1].prompts
    assert not again.startswith(programs.heading(issue))
    assert why in again
    assert first == asked[0].prompts[0]
    assert half(issue) in json.dumps(asked[-1].body["messages"])
    assert box.receipt(f"items/{issue}/result.json")["conversation"] == asked[0].session


def kill_in_the_middle(box: harness.Sandbox, stub: Stub, *words: str) -> None:
    """SIGKILL to doit and to whoever stands over a session, once the model is to answer a result."""
    attempt = box.root / f".milestone/3/items/{KILLED}/attempts/1"
    with programs.in_the_middle(box, stub, KILLED, *words):
        supervisor = json.loads((attempt / "supervisor.json").read_text())
    os.kill(supervisor["pid"], signal.SIGKILL)
    assert not (attempt / "exit.json").exists()


def require_costs_once(box: harness.Sandbox) -> None:
    """An item has cost what the binary told at the end of each of its conversations, whose sums hold all before."""
    price = output(box, 41)["total_cost_usd"] / REPLIES[41]
    for issue in ISSUES:
        sums: dict[str, float] = {}
        for number in range(1, attempts(box)[issue] + 1):
            if (box.root / f".milestone/3/items/{issue}/attempts/{number}/exit.json").exists():
                said = output(box, issue, number)
                assert said["total_cost_usd"] > sums.get(said["session_id"], 0), issue
                sums[said["session_id"]] = said["total_cost_usd"]
        assert len(sums) == (2 if issue == DENIED else 1)
        spent = box.receipt(f"items/{issue}/result.json")["spent"]
        assert spent == sum(sums.values())
        assert spent == pytest.approx(REPLIES[issue] * price)
