"""What the README shows is what the tool prints: its examples are worked, and compared line by line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.e2e.harness import Sandbox, await_line, await_text, item, plan

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
CONSOLES: list[str] = re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
PLAN = re.findall(r"^```yaml\n(milestone:.*?)^```$", README, re.MULTILINE | re.DOTALL)
# What is another one each time, and the width of columns.
CHANGING = {r"\d\d:\d\d:\d\d": "TIME", r"\b\d+\.\ds": "SECONDS", r"\b[0-9a-f]{7,10}\b": "COMMIT", r"\d+ KB": "SIZE",
            r" {2,}": "  "}  # fmt: skip
PYTHON = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'


def steady(text: str) -> list[str]:
    for changing, word in CHANGING.items():
        text = re.sub(changing, word, text)
    return [line.rstrip() for line in text.splitlines()]


def blocks(console: str) -> list[str]:
    """What each line that is typed in a console prints."""
    return re.split(r"^\$ .*\n", console, flags=re.MULTILINE)[1:]


def require_told(printed: str, shown: str) -> None:
    """The same is printed: events in any order, for sessions run beside each other, and all else as it stands."""
    for at, (ours, theirs) in enumerate(zip(*(parted(text) for text in (printed, shown)), strict=True)):
        assert ours == theirs, ("events", "table")[at]


def parted(text: str) -> tuple[list[str], list[str]]:
    lines = steady(text)
    return sorted(line for line in lines if line[:4] == "TIME"), [line for line in lines if line[:4] != "TIME"]


def width(console: str) -> dict[str, str]:
    return {"COLUMNS": str(max(len(line) for line in console.splitlines() if line[:1] == "#"))}


def test_the_plan_and_its_two_runs(box: Sandbox) -> None:
    again, log = CONSOLES[1].split("$ git log --graph --oneline\n")
    box.make(PLAN[0])
    box.git("commit", "-q", "--allow-empty", "-m", "chore: settings")
    box.install("python", PYTHON)
    for issue in (38, 39, 42, 45, 50, 51):
        box.behave(issue, f"echo {issue} > {issue}.txt; commit 'feat: {issue}'; report COMPLETE")
    box.behave(38, "echo 'no access to the payment sandbox' >&2; exit 1")
    require_told(box.milestone(rc=1).out, blocks(CONSOLES[0])[0])
    box.behave(38, "echo 38 > 38.txt; commit 'feat: 38'; report COMPLETE")
    landed, done = blocks(again)
    require_told(box.milestone().out, landed)
    require_told(box.milestone().out, done)
    shown = box.git("log", "--graph", "--oneline")
    assert sorted(line.replace("begin", "init") for line in steady(shown)) == sorted(steady(log))


FILES = {
    "CHANGELOG.md": "# Changelog\n\n## Unreleased\n\n- Sessions.\n",
    "src/auth.py": "# Who may come in\nTRIES = 1\n", "src/config.py": "# What is chosen\nFILE = 1\n",
    "src/limits.py": "# How much\nBURST = 1\n",
}  # fmt: skip
TITLES = {61: "Add rate limits", 62: "Document rate limits", 63: "Raise the burst limit", 64: "Split the configuration",
          65: "Cache tokens", 66: "Store sessions in Redis"}  # fmt: skip
LIMITS = 'for f in auth config limits; do sed -i "2s/1/$MILESTONE_ITEM/" src/$f.py; done'
DONE = "commit 'feat: it'; report COMPLETE"
RESOLVE = """sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' src/limits.py
git add -A; git commit -q --no-edit; report COMPLETE"""
BEHAVIOUR = {
    "61": f"{LIMITS}; echo '- Rate limits.' >> CHANGELOG.md; {DONE}",
    "62": f"echo '- How rate limits are set.' >> CHANGELOG.md; {DONE}",
    "63": f"sed -i 's/BURST = 1/BURST = 20/' src/limits.py; {DONE}",
    "63-resolve": RESOLVE,
    "64": f"{LIMITS}; {DONE}",
    "65": f"echo 'def token(:' > src/tokens.py; {DONE}",
    "65-fix": f"echo 'TOKEN = 1' > src/tokens.py; {DONE}",
    "66": "echo 'STORE = 1' > src/sessions.py; commit 'feat: it'; report PARTIAL",
    "67": f"echo 'FILE = 2' > src/auth.py; echo 'FILE = 2' > src/config.py; {DONE}",
    "68": f"echo 'STORE = 2' > src/sessions.py; {DONE}",
}
# Who is let go one after the other, and what is then waited for.
COURSE = {61: '"merged"', 64: '"heavy"', 63: '"merged"', 62: '"merged"', 65: '"merged"', 66: '"merged"'}


def test_a_run_with_an_item_of_each_class(box: Sandbox) -> None:
    shown = blocks(CONSOLES[2])[0]
    rows = [item(issue, title=title, priority="P1") for issue, title in TITLES.items()]
    box.make(plan([rows], pre=["python3 -m compileall -q src"]), files=FILES, max_sessions=6)
    box.env |= width(shown)
    box.install("python3", PYTHON)
    for name, script in BEHAVIOUR.items():
        held = f'echo here > "$OUT/begun-{name}"; read -r _ < "$OUT/go-{name}"; ' if int(name[:2]) in COURSE else ""
        box.behave(name, (held if name.isdecimal() else "") + script)
    for issue in COURSE:
        for word in ("begun", "go"):
            os.mkfifo(box.outside / f"{word}-{issue}")
    with box.start() as run:
        for issue in COURSE:
            assert await_line(box.outside / f"begun-{issue}") == "here"
        for issue, words in COURSE.items():
            (box.outside / f"go-{issue}").write_text("go\n")
            await_text(box.root / f".milestone/3/items/{issue}/merge.json", words)
        assert run.wait() == 0
    require_told("\n".join(box.lines("output")), shown)
