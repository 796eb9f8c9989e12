"""Sessions that resolve a conflict and do not always do as they are told: only what git shows of them is believed."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.merging.sides import (
    APP,
    GOOD,
    LIES,
    OLD,
    RESOLVED,
    TAKE_BOTH,
    edit,
    hold,
    release,
    remove_branches,
    resolve,
    sides,
    two_sides,
)

DONE = {
    "committed": RESOLVED,
    "uncommitted": TAKE_BOTH,
    "with the lock file": f"{TAKE_BOTH}; git add -A; git add -f .claude; git commit -q --no-edit",
    "with a process left": f"(sleep 600 &) >/dev/null 2>&1; {RESOLVED}",
}


@pytest.mark.parametrize("how", DONE)
def test_a_medium_conflict_is_resolved_by_a_session(box: Sandbox, how: str) -> None:
    two_sides(box, f"grep -q '^<<<<<<< ' app.txt || exit 1; {DONE[how]}; report COMPLETE").milestone()
    assert box.show("app.txt").splitlines()[3:5] in (["one", "two"], ["two", "one"])
    assert sum(box.mends().values()) == 1
    assert not [name for name in box.files() if "lock" in name]
    assert box.processes() == []
    box.require_landed(1, 2)
    box.require_clean()


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_resolution_that_lies_is_not_merged(box: Sandbox, lie: str) -> None:
    two_sides(box, f"{lie}; report COMPLETE", max_sessions=2)
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert sum(box.mends().values()) == 2, "bounded"
    assert len(box.squashes("milestone/3-test")) == 1
    assert sides(box, "milestone/3-test") & {"one", "two"}
    resolve(box, GOOD)
    box.milestone()
    assert sides(box) == {"one", "two"}
    assert "README.md" in box.files()
    assert "x" not in box.files()
    box.require_landed(1, 2)
    remove_branches(box)
    box.require_clean()


def test_markers_that_a_resolution_leaves_are_told_by_name(box: Sandbox) -> None:
    done = two_sides(box, f"{LIES['markers left']}; report COMPLETE", mends=1).milestone(rc=1)
    assert "it committed conflict markers in app.txt" in done.out
    assert "<<<<<<<" not in box.show("app.txt", "milestone/3-test")


def test_a_resolution_that_moves_the_integration_branch_itself(box: Sandbox) -> None:
    two_sides(box, f"{GOOD}; git update-ref refs/heads/milestone/3-test HEAD", max_sessions=2).milestone()
    assert sides(box) == {"one", "two"}
    box.milestone()
    assert sum(box.mends().values()) == 1


# stopped, and the same line again


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_resolution_is_begun_again_and_nothing_else_is(box: Sandbox, number: signal.Signals) -> None:
    run = hold(two_sides(box), GOOD, "1-resolve", "2-resolve")
    os.kill(run.pid, number)
    assert run.wait() == 128 + number
    box.await_idle()
    mended = next(iter(box.mends()))
    issue = mended.split("-")[0]
    assert box.receipt(f"items/{issue}/mend.json")["status"] == "stopped"
    assert "conflict" in box.doit("status", "n=3").out
    box.behave(mended, GOOD)
    box.milestone()
    assert box.mends() == {mended: 2}
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


@pytest.mark.parametrize("words", [(), ("mends=0",), ("mends=1",)])
def test_a_resolution_that_outlives_its_run_is_taken_up(box: Sandbox, words: tuple[str, ...]) -> None:
    run = hold(two_sides(box), GOOD, "1-resolve", "2-resolve")
    status = box.doit("status", "n=3").out
    assert "resolve" in status
    assert "running" in status
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    mended = next(iter(box.mends()))
    release(box, mended)
    box.milestone(*words)
    assert box.mends() == {mended: 1}
    box.require_landed(1, 2)
    box.require_clean()


# many at once


def four_sides(box: Sandbox, **settings: Any) -> Sandbox:
    """Items 1 to 4 change the same line; sessions count how many of them are at work."""
    box.make(plan([[item(1), item(2), item(3), item(4)]], pre=["test -e app.txt"]), files={"app.txt": APP}, **settings)
    for issue in range(1, 5):
        box.behave(issue, f"{COUNTED} {OLD} {edit('app.txt', 'line 4', f'side {issue}')}")
        box.behave(f"{issue}-resolve", f"{COUNTED} {GOOD}")
    return box


# A slot of its own, from the first that is free: the number of the highest is how many are at work.
COUNTED = """n=1; while ! mkdir "$OUT/slot-$n" 2>/dev/null; do n=$((n+1)); done; echo $n >> "$OUT/slots"
trap 'rmdir "$OUT/slot-$n"' EXIT;"""


@pytest.mark.parametrize("schedule", ["waves", "eager"])
@pytest.mark.parametrize("most", [1, 2])
def test_many_conflicts_and_few_slots(box: Sandbox, most: int, schedule: str) -> None:
    four_sides(box, max_sessions=most, schedule=schedule, mends=4)
    box.milestone()
    assert sides(box) == {f"side {issue}" for issue in range(1, 5)}
    assert max(map(int, box.lines("slots"))) <= most
    assert box.starts() == dict.fromkeys(range(1, 5), 1)
    box.require_landed(1, 2, 3, 4)
    box.require_clean()


def test_one_that_never_resolves_keeps_nobody_back(box: Sandbox) -> None:
    four_sides(box, max_sessions=1)
    # The first that is asked to resolve anything never does.
    first = (
        '[ -e "$OUT/bad" ] || echo $MILESTONE_ITEM > "$OUT/bad"; [ $MILESTONE_ITEM != "$(cat "$OUT/bad")" ] || exit 1;'
    )
    for issue in range(1, 5):
        box.behave(f"{issue}-resolve", f"{COUNTED} {first} {GOOD}")
    done = box.milestone(rc=1)
    bad = int((box.outside / "bad").read_text())
    assert set(box.squashes("milestone/3-test")) == {1, 2, 3, 4} - {bad}
    assert f"#{bad} conflict" in done.out
    box.doit(f"skip:{bad}", "n=3", rc=0)
    box.milestone()
    box.require_clean()


# files of every kind

WEIRD = {
    "a b.txt": "crlf",
    "-dash.txt": "plain",
    "new\nline.txt": "plain",
    "🦀.txt": "no end",
    "back\\slash.txt": "plain",
    ":(top)x.txt": "plain",
}
OPEN = """import os, re
from pathlib import Path
path = Path((Path(os.environ["OUT"]) / "name").read_text())
text = path.read_bytes()
"""
CHANGE_IT = """path.write_bytes(text.replace(b"line 4", b"side " + os.environ["MILESTONE_ITEM"].encode()))
if os.environ["MILESTONE_ITEM"] == "1":
    Path("picture.bin").write_bytes(bytes(9))
"""
RESOLVE_IT = r"""assert b"<<<<<<< " in text
both = re.sub(rb"^(<<<<<<<|>>>>>>>) .*\n|^\|{7}(?s:.*?)^=======\r?\n", b"", text, flags=re.M)
path.write_bytes(both)
"""


@pytest.mark.parametrize("name", WEIRD, ids=range(len(WEIRD)))
def test_a_conflict_in_a_file_of_any_name_and_end(box: Sandbox, name: str) -> None:
    box.make(plan([[item(1), item(2)]]))
    app = APP.replace("\n", "\r\n") if WEIRD[name] == "crlf" else APP
    (box.root / name).write_bytes((app.rstrip() if WEIRD[name] == "no end" else app).encode())
    (box.root / "picture.bin").write_bytes(bytes(range(256)))
    box.git("add", "-A")
    box.git("commit", "-qm", "chore: files")
    for file, text in (("name", name), ("change.py", OPEN + CHANGE_IT), ("resolve.py", OPEN + RESOLVE_IT)):
        (box.outside / file).write_text(text)
    for issue in (1, 2):
        box.behave(issue, 'python3 "$OUT/change.py"; commit "feat: side"; report COMPLETE')
        box.behave(f"{issue}-resolve", 'python3 "$OUT/resolve.py" && commit "merge"; report COMPLETE')
    box.milestone()
    text = box.run("git", "cat-file", "blob", f"main:{name}").out
    assert {"side 1", "side 2"} < {line.strip() for line in text.split("\n")}
    assert sum(box.mends().values()) == 1
    box.require_clean()
