"""A program that nobody knows, which `milestone.yaml` describes: what it does is Python, told by the test."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.harness import Sandbox, plan

PROGRAM = """#!/usr/bin/env python3
import json, os, pathlib, sys, time
name, out = os.environ["MILESTONE_ITEM"], pathlib.Path(os.environ["OUT"])
if os.environ["MILESTONE_KIND"] != "work":
    name += "-" + os.environ["MILESTONE_KIND"]
prompt, word = sys.stdin.read(), sys.argv[1]
with open(out / "calls", "a") as calls:
    row = {"name": name, "argv": sys.argv[1:], "prompt": prompt, "place": os.path.basename(os.getcwd())}
    calls.write(json.dumps(row) + "\\n")
def write(path, text):
    pathlib.Path(path).write_text(text)
def commit(path, text):
    write(path, text)
    assert os.system("git add -A && git commit -qm 'fix: work'") == 0
def say(**event):
    print(json.dumps(event), flush=True)
def done(indent=None):
    print(json.dumps({"last": "STATUS: COMPLETE"}, indent=indent), flush=True)
def wait(conversation):
    say(id=conversation)
    write(out / "waits", "on")
    while not (out / "go-on").exists():
        time.sleep(0.01)
exec((out / f"do-{name}").read_text())
"""
WORK = "commit('work', 'done'); done()\n"
MINE = {"argv": ["mine", "run"], "resume": ["mine", "on", "{conversation}"], "own_conversations": True,
        "result": "jsonl", "text": "last", "conversation": "id", "cost": "usd", "quota": "no more today",
        "transient": "later"}  # fmt: skip
OTHER = MINE | {"argv": ["mine", "other"], "resume": ["mine", "other-on", "{conversation}"]}


def make(box: Sandbox, waves: list[list[dict[str, Any]]], described: dict[str, Any] | None = None, *,
         gate: str = "true", last: str = "true", **settings: Any) -> None:  # fmt: skip
    """Commit a plan whose items are worked by `mine`; `other` is the same program, called by another word."""
    agents = {"mine": MINE | (described or {}), "other": OTHER}
    chosen = {"agent": "mine", "command": None, "retries": 1, **settings}
    box.make(plan(waves, pre=[gate], post=[last]), agents=agents, **chosen)


def calls(box: Sandbox) -> list[dict[str, Any]]:
    """What it was called with, and where."""
    return [json.loads(line) for line in box.lines("calls")]


def words(box: Sandbox) -> list[str]:
    """For whom it was called, and its arguments."""
    return [f"{call['name']} {' '.join(call['argv'])}" for call in calls(box)]
