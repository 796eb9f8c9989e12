"""A `claude` on PATH that prints what it is told to, and knows the conversations that it has had."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from typing import Any

from tests.e2e.harness import Sandbox, item, plan

# A `claude` that keeps a transcript per conversation, in `$OUT/talk`, and refuses one that it does not know. What a
# turn does is shell, in `$OUT/turn-NAME-TURN`, else plain work; `end STATUS COST WORDS` prints the result, of which
# the cost is that of the whole conversation.
CLAUDE = """#!{python}
import json, os, pathlib, subprocess, sys

out = pathlib.Path(os.environ["OUT"])
name = os.environ["MILESTONE_ITEM"]
if os.environ["MILESTONE_KIND"] != "work":
    name += "-" + os.environ["MILESTONE_KIND"]
how = next(word for word in sys.argv if word in ("--session-id", "--resume"))
talk = sys.argv[sys.argv.index(how) + 1]
script = out / "talk" / (talk + ".jsonl")
row = {{"name": name, "talk": talk, "how": how, "cwd": os.getcwd(), "prompt": sys.stdin.read(),
       "left": sorted(str(path) for path in pathlib.Path(".").glob("half*"))}}
fd = os.open(out / "turns", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
if how == "--resume" and not script.exists():
    os.write(fd, (json.dumps(row | {{"how": "unknown"}}) + "\\n").encode())
    sys.exit("No conversation found with session ID: " + talk)
if how == "--session-id" and script.exists():
    sys.exit("Error: Session ID " + talk + " is already in use.")
os.write(fd, (json.dumps(row) + "\\n").encode())
script.parent.mkdir(exist_ok=True)
with script.open("a") as file:
    file.write("turn\\n")
turns = [json.loads(line)["name"] for line in (out / "turns").read_text().splitlines()].count(name)
own = out / ("turn-%s-%d" % (name, turns))
done = own if own.exists() else out / ("turn-%s" % name)
code = done.read_text() if done.exists() else "work; end COMPLETE 0.25"
env = dict(os.environ, NAME=name)
sys.exit(subprocess.run(["/bin/sh", "-c", {shell!r} + code], env=env).returncode)
"""
SHELL = """
commit() { git add -A && git commit -qm "$1"; }
work() { echo "work on $MILESTONE_ITEM" > "item-$MILESTONE_ITEM.txt"; commit "fix: work on $MILESTONE_ITEM"; }
result() { printf '{"type": "result", "subtype": "success", "total_cost_usd": %s, "session_id": "0", ' "$1"; }
end() { result "$2"; printf '"is_error": false, "result": "STATUS: %s"}\\n' "$1"; exit 0; }
error() { result "$2"; printf '"is_error": true, "api_error_status": %s, "result": "%s"}\\n' "$1" "$3"; exit 1; }
half() { echo half > half.txt; }
"""
FOREVER = "exec sleep 1000"
OVERLOADED = "half; error 529 0.50 Overloaded"
FINISH = "test -f half.txt || exit 9; work; end COMPLETE 0.75"


def install(box: Sandbox) -> Sandbox:
    """Put that `claude` on the PATH of a sandbox."""
    box.install("claude", CLAUDE.format(python=sys.executable, shell=SHELL))
    return box


def make(box: Sandbox, issues: Iterable[int] = (1,), **settings: Any) -> Sandbox:
    pre, post = settings.pop("pre", ()), settings.pop("post", ())
    files = settings.pop("files", None)
    own = {"agent": "claude", "command": None, "retries": 0, **settings}
    return box.make(plan([[item(issue) for issue in issues]], pre=pre, post=post), files=files, **own)


def turn(box: Sandbox, name: int | str, script: str) -> None:
    """Say what a turn does: `42-1` the first of item 42, `42` every other; `42-fix-1` where one mends."""
    (box.outside / f"turn-{name}").write_text(script + "\n")


def turns(box: Sandbox, name: int | str | None = None) -> list[dict[str, Any]]:
    """The turns of all sessions, or of one item's, as they began."""
    rows = [json.loads(line) for line in box.lines("turns")]
    return [row for row in rows if name is None or row["name"] == str(name)]


def hows(box: Sandbox, name: int | str | None = None) -> list[str]:
    return [row["how"].removeprefix("--") for row in turns(box, name)]


def require_one_conversation(box: Sandbox, name: int | str, count: int = 2, left: str = "half.txt") -> None:
    """One id, one worktree, begun once; each turn after the first found what the one before had not committed."""
    rows = turns(box, name)
    assert hows(box, name) == ["session-id", *["resume"] * (count - 1)]
    assert len({row["talk"] for row in rows}) == len({row["cwd"] for row in rows}) == 1
    assert [row["left"] for row in rows[1:]] == [[left]] * (count - 1)
    for row in rows[1:]:
        assert "Your session was cut short" in row["prompt"]
        assert "Item " not in row["prompt"], "the task was given before"


def cost(text: str) -> list[str]:
    return re.findall(r"\$[0-9.]+", text.splitlines()[-1])
