"""Agents that `milestone.yaml` describes: no code, and all that the built-in ones have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from work_milestone.store import Session

from tests.e2e.agents.mine import PROGRAM, calls, make, words
from tests.e2e.harness import Sandbox, await_text, item

DONE = """
commit(f"item-{name}.txt", f"work on {name}\\n")
print("a hook prints this")
say(session={"id": "s-1"}, last="STATUS: COMPLETE\\nNOTES: done", usd=0.5)
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


def describe(box: Sandbox, **settings: Any) -> None:
    """One item, whose agent is described with all that there is to say."""
    make(box, [[item(1)]], DESCRIBED, **{"model": "m-1", "retries": 0, **settings})


def test_its_work_lands_and_its_cost_is_known(mine: Sandbox) -> None:
    describe(mine)
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
    describe(mine, retries=1)
    mine.behave(
        1,
        f"""
if word == "run":
    write("half", "half")
    say(session={{"id": "s-1"}})
    sys.exit("try later")
{DONE}""",
    )
    mine.milestone()
    mine.require_landed(1)
    assert [call["argv"][:2] for call in calls(mine)] == [["run", "--model"], ["go-on", "s-1"]]
    assert "cut short: transient" in calls(mine)[1]["prompt"]
    assert mine.show("half") == "half"  # the worktree is as it was left


ENDS = {
    "an error in its result": ('say(failed={"why": "its words"})', Session.FAILED, "its words"),
    "an error after its last words": (
        'done(); say(failed={"why": "its words"})', Session.FAILED, "its words",
    ),
    "quota": ('sys.exit("no more requests today")', Session.QUOTA, "no more requests today"),
    "auth": ('sys.exit("Who are you?")', Session.AUTH, "Who are you?"),
    "another exit": ("sys.exit(3)", Session.FAILED, "exit 3"),
    "no result": ("print('hello')", Session.FAILED, "no JSON"),
}  # fmt: skip


@pytest.mark.parametrize("case", ENDS)
def test_an_end_is_judged_by_the_words_that_the_settings_name(mine: Sandbox, case: str) -> None:
    script, status, told = ENDS[case]
    describe(mine)
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
    assert told in result["detail"]


def test_an_error_that_it_has_got_over_is_none(mine: Sandbox) -> None:
    describe(mine)
    mine.behave(1, 'say(failed={"why": "try 1 of 3"})' + DONE)
    mine.milestone()
    mine.require_landed(1)


def test_a_program_that_is_not_there_is_told_before_anything_starts(box: Sandbox) -> None:
    describe(box)
    done = box.milestone(rc=1)
    assert "agent mine: no program 'mine' on PATH" in done.err


# what it prints, and where it lies


SURROGATE = 'commit("w", "x"); print(\'{"id": "a", "last": "STATUS: COMPLETE\\\\nNOTES: \\\\ud83d half of a letter"}\')'


def test_half_a_letter_in_a_report_stops_nothing(mine: Sandbox) -> None:
    make(mine, [[item(1)], [item(2)]])
    mine.behave(1, SURROGATE)  # a program that cuts its words at so many units of UTF-16 prints it
    mine.behave(2, 'commit("v", "x"); done()')
    mine.milestone()
    mine.require_landed(1, 2)


IDS = ["a\\u0000b", "\\ud83d", "", {"a": 1}, "x" * 5000, "-rf", 7]


@pytest.mark.parametrize("which", range(len(IDS)))
def test_an_id_that_is_none_is_not_gone_on_with(mine: Sandbox, which: int) -> None:
    make(mine, [[item(1)]])
    told = json.dumps({"id": IDS[which]}).replace("\\\\u", "\\u")
    mine.behave(
        1,
        f"""
if not (out / "once").exists():
    (out / "once").write_text("")
    print({told!r})
    sys.exit("later")
commit("v", "x"); done()""",
    )
    mine.milestone()
    mine.require_landed(1)
    assert words(mine)[1] == ("1 on 7" if IDS[which] == 7 else "1 run")


OUTPUTS = {
    "one object over several lines": ("json", 'commit("v", "x"); done(indent=2)', 0),
    "words before it": ("json", 'commit("v", "x"); print("hello"); done(indent=2)', 0),
    "objects that are none": ("jsonl", 'commit("v", "x"); print("[1]\\n3\\nnull\\n\\"x\\"\\n{"); done()', 0),
    "bytes": ("jsonl", 'commit("v", "x"); sys.stdout.buffer.write(b"\\xff\\xfe{\\n"); done()', 0),
    "an error that is a list": ("jsonl", 'commit("v", "x"); say(error=["a", {"b": 1}])', 1),
    "no error": ("jsonl", 'commit("v", "x"); say(error=[]); say(error={}); say(error=0, last="STATUS: COMPLETE")', 0),
    "an endless error": ("jsonl", 'say(error="x" * 3_000_000)', 1),
    "deep": ("jsonl", 'commit("v", "x"); print("{\\"a\\":" * 5000 + "1" + "}" * 5000); done()', 0),
    "huge": ("jsonl", 'commit("v", "x"); sys.stdout.write("x" * 60_000_000 + "\\n"); done()', 0),
}  # fmt: skip


@pytest.mark.parametrize("case", OUTPUTS)
def test_whatever_it_prints_is_judged(mine: Sandbox, case: str) -> None:
    result, script, rc = OUTPUTS[case]
    make(mine, [[item(1)]], {"result": result})
    mine.behave(1, script)
    mine.milestone(rc=rc)
    assert len(mine.receipt("items/1/result.json")["detail"]) <= 1000


@pytest.mark.parametrize("program", ["tools/mine", "./tools/mine"])
def test_a_program_of_the_repository_that_git_does_not_have_is_started(mine: Sandbox, program: str) -> None:
    mine.write(".gitignore", "tools\n")
    make(mine, [[item(1)]], {"argv": [program, "run"]})
    mine.behave(1, 'commit("work", "done"); done()')
    assert "no program" in mine.milestone(rc=1).err
    mine.write("tools/mine", PROGRAM).chmod(0o755)
    mine.milestone()
    mine.require_landed(1)
