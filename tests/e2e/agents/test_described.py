"""Agents that `milestone.yaml` describes: no code, and all that the built-in ones have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from work_milestone.states import Session

from tests.e2e.harness import Sandbox, await_text, item, plan

MINE = """#!/usr/bin/env python3
import json, os, pathlib, sys
issue, out = os.environ["MILESTONE_ITEM"], pathlib.Path(os.environ["OUT"])
prompt = sys.stdin.read()
with open(out / "calls", "a") as calls:
    calls.write(json.dumps({"argv": sys.argv[1:], "prompt": prompt}) + "\\n")
exec((out / f"do-{issue}").read_text())
"""
DONE = """
pathlib.Path(f"item-{issue}.txt").write_text(f"work on {issue}\\n")
os.system("git add -A && git commit -qm 'fix: work'")
print("a hook prints this")
print(json.dumps({"session": {"id": "s-1"}, "last": "STATUS: COMPLETE\\nNOTES: done", "usd": 0.5}))
"""
DESCRIBED = {
    "argv": ["mine", "run", "--model", "{model}", "--effort", "{effort}", "--file={prompt_file}"],
    "resume": ["mine", "go-on", "{conversation}"],
    "own_conversations": True,
    "result": "jsonl",
    "text": "last",
    "conversation": "session.id",
    "cost": "usd",
    "error": "failed.why",
    "quota": "no more .* today",
    "transient": "try later",
    "auth": "who are you",
}


@pytest.fixture
def mine(box: Sandbox) -> Sandbox:
    """A repository whose items are worked by a program that nobody knows."""
    box.install("mine", MINE)
    return box


def make(box: Sandbox, described: dict[str, Any] | None = None, **settings: Any) -> None:
    chosen = {"agent": "mine", "command": None, "model": "m-1", "retries": 0, **settings}
    box.make(plan([[item(1)]]), agents={"mine": DESCRIBED | (described or {})}, **chosen)


def calls(box: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(line) for line in box.lines("calls")]


def test_its_work_lands_and_its_cost_is_known(mine: Sandbox) -> None:
    make(mine)
    mine.behave(1, DONE)
    done = mine.milestone()
    mine.require_landed(1)
    (call,) = calls(mine)
    # {effort} has no value: its option is left out with it.
    prompt = mine.root / ".milestone/3/items/1/prompt.md"
    assert call["argv"] == ["run", "--model", "m-1", f"--file={prompt}"]
    assert call["prompt"] == prompt.read_text()
    assert "$0.50" in done.out.splitlines()[-1]
    assert mine.receipt("items/1/result.json")["notes"] == "done"


def test_a_conversation_that_was_cut_short_goes_on(mine: Sandbox) -> None:
    make(mine, retries=1)
    mine.behave(
        1,
        f"""
if sys.argv[1] == "run":
    pathlib.Path("half").write_text("half")
    print(json.dumps({{"session": {{"id": "s-1"}}}}))
    sys.exit("try later")
{DONE}""",
    )
    mine.milestone()
    mine.require_landed(1)
    assert [call["argv"][:2] for call in calls(mine)] == [["run", "--model"], ["go-on", "s-1"]]
    assert "cut short: transient" in calls(mine)[1]["prompt"]
    assert mine.show("half") == "half"  # the worktree is as it was left


ENDS = {
    "an error in its result": ('print(json.dumps({"failed": {"why": "its words"}}))', Session.FAILED, "its words"),
    "an error after its last words": (
        'print(json.dumps({"last": "STATUS: COMPLETE"}) + "\\n" + json.dumps({"failed": {"why": "its words"}}))',
        Session.FAILED, "its words",
    ),
    "quota": ('sys.exit("no more requests today")', Session.QUOTA, "no more requests today"),
    "auth": ('sys.exit("Who are you?")', Session.AUTH, "Who are you?"),
    "another exit": ("sys.exit(3)", Session.FAILED, "exit 3"),
    "no result": ("print('hello')", Session.FAILED, "no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_an_end_is_judged_by_the_words_that_the_settings_name(mine: Sandbox, case: str) -> None:
    script, status, words = ENDS[case]
    make(mine)
    mine.behave(1, script)
    if status is Session.QUOTA:  # it waits until the quota is renewed: another terminal stops it
        with mine.start() as run:
            await_text(mine.root / ".milestone/3/journal.jsonl", "no session of mine starts before")
            mine.doit("stop", "n=3", rc=0)
            assert run.wait() == 143
    else:
        mine.milestone(rc=1)
    result = mine.receipt("items/1/result.json")
    assert result["status"] == status
    assert words in result["detail"]


def test_an_error_that_it_has_got_over_is_none(mine: Sandbox) -> None:
    make(mine)
    mine.behave(1, 'print(json.dumps({"failed": {"why": "try 1 of 3"}}))' + DONE)
    mine.milestone()
    mine.require_landed(1)


def test_a_program_that_is_not_there_is_told_before_anything_starts(box: Sandbox) -> None:
    make(box)
    done = box.milestone(rc=1)
    assert "agent mine: no program 'mine' on PATH" in done.err


def mix(box: Sandbox, waves: list[list[dict[str, Any]]], **settings: Any) -> None:
    """Two agents of one program, told apart by their first word; `mine` stands first, `other` stands in."""
    other = DESCRIBED | {"argv": ["mine", "other"], "resume": ["mine", "other-on", "{conversation}"]}
    chosen = {"agent": "mine", "command": None, "retries": 0, "fallback": ["other"], **settings}
    box.make(plan(waves), agents={"mine": DESCRIBED, "other": other}, **chosen)


def test_another_agent_stands_in_while_a_quota_is_out(mine: Sandbox) -> None:
    mix(mine, [[item(1), item(2)], [item(3, 1)]], max_sessions=1)
    mine.behave(
        1,
        f"""
if sys.argv[1] == "run":
    pathlib.Path("half").write_text("half")
    os.system("git add -A && git commit -qm 'wip: half'")
    print(json.dumps({{"session": {{"id": "s-1"}}}}))
    sys.exit("no more requests today")
{DONE}""",
    )
    mine.behave(2, DONE)
    mine.behave(3, DONE)
    done = mine.milestone()
    mine.require_landed(1, 2, 3)
    words = [call["argv"][0] for call in calls(mine)]
    assert words == ["run", "other", "other", "other"]  # nobody asks again before the quota is renewed
    assert "no session of mine starts before" in done.out
    assert "other stands in" in done.out
    # The other knows nothing of that conversation: it begins anew, and what there was is kept.
    assert "half" not in mine.files()
    assert mine.show("half", "refs/milestone/3/attempt/1/1") == "half"
    assert mine.receipt("items/1/result.json")["agent"] == "other"


def test_an_agent_that_stood_in_and_was_stopped_goes_on_with_the_same_line(mine: Sandbox) -> None:
    mix(mine, [[item(1)]])
    mine.fifo("begun")
    mine.behave(
        1,
        f"""
if sys.argv[1] == "run":
    sys.exit("no more requests today")
if sys.argv[1] == "other":
    pathlib.Path("half").write_text("half")
    print(json.dumps({{"session": {{"id": "s-2"}}}}), flush=True)
    (out / "begun").write_text("here\\n")
    os.execlp("sleep", "sleep", "1000")
{DONE}""",
    )
    run = mine.begin("begun")
    mine.doit("stop", "n=3", rc=0)
    assert run.wait() == 143
    mine.milestone()
    assert [call["argv"][:2] for call in calls(mine)][1:] == [["other"], ["other-on", "s-2"]]
    assert mine.show("half") == "half"
    mine.require_landed(1)


def test_an_item_of_another_agent_is_not_held_back(mine: Sandbox) -> None:
    mix(mine, [[item(1), item(2, agent="other")]], fallback=[], max_sessions=2)
    mine.behave(
        1,
        f"""
marker = out / "refused"
if not marker.exists():
    marker.write_text("")
    sys.exit("no more requests today, try again in 1 second")
{DONE}""",
    )
    mine.behave(2, DONE)
    mine.milestone()
    mine.require_landed(1, 2)
    words = [call["argv"][0] for call in calls(mine)]
    assert (sorted(words[:2]), words[2:]) == (["other", "run"], ["run"])


def test_an_agent_that_stands_in_is_looked_for_before_anything_starts(mine: Sandbox) -> None:
    make(mine, fallback=["codex"])
    done = mine.milestone(rc=1)
    assert "agent codex: no program 'codex' on PATH" in done.err
    assert calls(mine) == []
