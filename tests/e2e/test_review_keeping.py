"""Nothing of a session's is lost, whatever keeps git from taking it; and it goes on where it stood, or not at all."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.harness import Sandbox, await_line, await_text, item, plan
from tests.e2e.sessions.talks import FINISH, make, require_one_conversation, turn

LOCKED = 'touch "$(git rev-parse --git-path index.lock)"'


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED"])
def test_what_is_uncommitted_beside_a_lock_that_a_killed_git_left_is_kept(box: Sandbox, status: str) -> None:
    box.make(plan([[item(1)]]), retries=0)
    box.behave(1, f"work; echo rest > rest.txt; {LOCKED}; report {status}")
    box.milestone(rc=1)
    box.mend(1)
    box.milestone()
    assert {"item-1.txt", "rest.txt"} <= box.files("refs/milestone/3/attempt/1/1")
    box.require_landed(1)
    box.require_clean()


@pytest.fixture
def objects(box: Sandbox) -> Iterator[Path]:
    """Where git keeps its objects, on a disk of its own that is soon full."""
    folder, kept = box.root / ".git/objects", box.outside / "objects"
    box.make(plan([[item(1), item(2)]]), max_sessions=1, retries=0)
    folder.rename(kept)
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not permitted here")
    box.run("cp", "-r", f"{kept}/.", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("end", ["report COMPLETE", "exit 1"])
def test_a_session_whose_rest_git_has_no_room_for_is_not_lost(box: Sandbox, objects: Path, end: str) -> None:
    box.behave(1, f"work; head -c 3000000 /dev/urandom > rest.bin; {end}")
    done = box.milestone(rc=1)
    assert "make room" in done.text, done.text
    subprocess.run(["mount", "-o", "remount,size=30m", str(objects)], check=True)
    box.milestone(rc=None)
    assert "rest.bin" in box.files("milestone/3-test" if "COMPLETE" in end else "refs/milestone/3/attempt/1/1")
    assert box.starts()[1] == 1
    subprocess.run(["cp", "-r", f"{objects}/.", str(box.outside / "objects")], check=True)


def supervisor(box: Sandbox, issue: int) -> psutil.Process:
    path = box.root / f".milestone/3/items/{issue}/attempts/1/supervisor.json"
    await_text(path, "}")
    return psutil.Process(json.loads(path.read_text())["pid"])


def test_a_session_that_dies_while_its_item_waits_for_a_slot_goes_on_where_it_stood(talks: Sandbox) -> None:
    """Main has moved on meanwhile, by the item that is merged first."""
    make(talks, (1, 2), retries=0)
    for issue in (1, 2):
        for name in (f"begun-{issue}", f"go-{issue}"):
            talks.run("mkfifo", str(talks.outside / name))
        begin = f'half; echo one > one-{issue}; git add one-{issue}; git commit -qm "feat: one"'
        wait = f'echo here > "$OUT/begun-{issue}"; read -r _ < "$OUT/go-{issue}"'
        turn(talks, f"{issue}-1", f"{begin}; {wait}; {FINISH}")
        turn(talks, issue, f'git log -1 --format=%s > "$OUT/subject"; {FINISH}')
    run = talks.start()
    for issue in (1, 2):
        await_line(talks.outside / f"begun-{issue}")
    run.kill()
    run.wait()
    run = talks.start("milestone", "n=3", "max_sessions=1")
    journal = talks.root / ".milestone/3/journal.jsonl"
    await_text(journal, '"adopted"')
    adopted = next(json.loads(line)["issue"] for line in journal.read_text().splitlines() if '"adopted"' in line)
    other = 3 - adopted
    one = supervisor(talks, other)
    one.kill()
    psutil.wait_procs([one])
    (talks.outside / f"go-{adopted}").write_text("go\n")
    assert run.wait() == 0
    require_one_conversation(talks, other)
    assert talks.lines("subject") == ["feat: one"]
    talks.require_landed(1, 2)
    talks.require_clean()


@pytest.mark.parametrize("past", [1, 20])
def test_a_quota_that_is_renewed_by_the_end_of_its_session_is_not_waited_for(talks: Sandbox, past: int) -> None:
    make(talks, retries=0)
    turn(talks, "1-1", f'half; error 429 0.50 "usage limit reached|$(($(date +%s) - {past}))"')
    turn(talks, 1, FINISH)
    talks.milestone()
    require_one_conversation(talks, 1)
