"""Agents at the edges: who stands in, what settings describe badly, what a program prints, where a proof lies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.harness import Sandbox, await_text, item, plan

PROGRAM = """#!/usr/bin/env python3
import json, os, pathlib, sys
name, out = os.environ["MILESTONE_ITEM"], pathlib.Path(os.environ["OUT"])
if os.environ["MILESTONE_KIND"] != "work":
    name += "-" + os.environ["MILESTONE_KIND"]
prompt = sys.stdin.read()
word = sys.argv[1]
with open(out / "calls", "a") as calls:
    calls.write(f"{name} {' '.join(sys.argv[1:])} in {os.path.basename(os.getcwd())}\\n")
def commit(path, text):
    pathlib.Path(path).write_text(text)
    assert os.system("git add -A && git commit -qm 'fix: work'") == 0
def say(**event):
    print(json.dumps(event), flush=True)
def done(indent=None):
    print(json.dumps({"last": "STATUS: COMPLETE"}, indent=indent), flush=True)
exec((out / f"do-{name}").read_text())
"""
MINE = {"argv": ["mine", "run"], "resume": ["mine", "on", "{conversation}"], "own_conversations": True,
        "result": "jsonl", "text": "last", "conversation": "id", "cost": "usd", "quota": "no more today",
        "transient": "later"}  # fmt: skip
OTHER = MINE | {"argv": ["mine", "other"], "resume": ["mine", "other-on", "{conversation}"]}


@pytest.fixture
def mine(box: Sandbox) -> Sandbox:
    box.install("mine", PROGRAM)
    return box


def make(box: Sandbox, waves: list[list[dict[str, Any]]], described: dict[str, Any] | None = None, *,
         gate: str = "true", last: str = "true", **settings: Any) -> None:  # fmt: skip
    agents = {"mine": MINE | (described or {}), "other": OTHER}
    box.make(
        plan(waves, pre=[gate], post=[last]),
        agents=agents,
        **{"agent": "mine", "command": None, "retries": 1, **settings},
    )


def calls(box: Sandbox) -> list[str]:
    return [line.partition(" in ")[0] for line in box.lines("calls")]


OUT_OF_QUOTA = 'if word in ("run", "on"): sys.exit("no more today")\n'


def test_a_session_that_mends_goes_on_with_the_agent_that_stood_in(mine: Sandbox) -> None:
    make(mine, [[item(1)]], fallback=["other"], gate="test ! -e work || test -e mended")
    mine.behave(
        "1-fix",
        OUT_OF_QUOTA
        + """
if word == "other":
    pathlib.Path("half").write_text("half")
    say(id="c-2")
    sys.exit("later")
commit("mended", "yes")
done()
""",
    )
    mine.behave(1, 'commit("work", "done"); done()')
    mine.milestone()
    assert calls(mine) == ["1 run", "1-fix run", "1-fix other", "1-fix other-on c-2"]
    mine.require_landed(1)


def test_worktrees_of_conversations_that_nobody_goes_on_with_are_used_again(mine: Sandbox) -> None:
    make(mine, [[item(n)] for n in range(1, 5)], fallback=["other"], max_sessions=1)
    for n in range(1, 5):
        mine.behave(
            n,
            OUT_OF_QUOTA.replace("no more today", "no more today, try again in 1 second").replace(
                "sys.exit", "commit('half', 'half'); say(id='c-1'); sys.exit"
            )
            + f'commit("work-{n}", "done"); done()',
        )
    mine.milestone()
    assert {line.partition(" in ")[2] for line in mine.lines("calls")} <= {"1", "2"}, mine.lines("calls")
    mine.require_landed(1, 2, 3, 4)


WAITS = """
commit("half", "half")
say(id="c-3")
(out / "waits").write_text("on")
while not (out / "go-on").exists(): time.sleep(0.01)
"""


def stop(box: Sandbox) -> None:
    """Run until a session waits, then stop the run; sessions wait no more."""
    with box.start() as run:
        await_text(box.outside / "waits", "on")
        box.doit("stop", "n=3", rc=0)
        assert run.wait() == 143
    (box.outside / "go-on").touch()


def test_who_stood_in_goes_on_after_a_stop(mine: Sandbox) -> None:
    make(mine, [[item(1)]], fallback=["other"])
    mine.behave(1, OUT_OF_QUOTA + 'import time\nif word == "other":' + WAITS.replace("\n", "\n    ")
                + '\ncommit("work", "done"); done()')  # fmt: skip
    stop(mine)
    mine.milestone()
    assert calls(mine) == ["1 run", "1 other", "1 other-on c-3"]
    mine.require_landed(1)
    assert mine.show("half") == "half"


@pytest.mark.parametrize("kind", ["1-fix", "landing-fix"])
def test_what_mends_changes_hands_as_often_as_quotas_want_it(mine: Sandbox, kind: str) -> None:
    """The first is refused, who stood in is stopped, goes on and is refused too: then the first begins anew."""
    gate = "test ! -e work || test -e mended"
    make(mine, [[item(1)]], fallback=["other"], gate="true" if kind != "1-fix" else gate, last=gate)
    mine.behave(1, 'commit("work", "done"); done()')
    wait = WAITS.replace("\n", "\n    ")
    mine.behave(
        kind,
        f"""import time
if word == "run" and not (out / "go-on").exists():
    sys.exit("no more today, try again in 1 second")
if word == "other":{wait}
if word == "other-on":
    sys.exit("no more today, try again in 3 hours")
commit("mended", "yes"); done()
""",
    )
    stop(mine)
    mine.milestone()
    assert calls(mine)[1:] == [f"{kind} {words}" for words in ("run", "other", "other-on c-3", "run")]
    mine.require_landed(1)


def test_a_refusal_is_remembered_though_another_has_stood_in(mine: Sandbox) -> None:
    make(mine, [[item(1)], [item(2)]], fallback=["other"])
    refused = OUT_OF_QUOTA.replace("no more today", "no more today, try again in 5 hours")
    mine.behave(1, refused + 'commit("work", "done"); done()')
    mine.behave(2, 'sys.exit("broken")')
    mine.milestone(rc=1)
    mine.behave(2, refused + 'commit("more", "done"); done()')
    mine.milestone()
    assert calls(mine) == ["1 run", "1 other", "2 other", "2 other"]
    mine.require_landed(1, 2)


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
    assert calls(mine)[1] == ("1 on 7" if IDS[which] == 7 else "1 run")


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


def test_a_shell_line_stands_in_only_where_there_is_one(mine: Sandbox) -> None:
    make(mine, [[item(1)]], fallback=["command"])
    assert "agent `command` without a command" in mine.milestone(rc=1).err
    assert calls(mine) == []
