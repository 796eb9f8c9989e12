"""A full disk, a folder that cannot be written, a clock that is set: told, nothing corrupt, and gone on with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.sessions.talks import hows, make, turn, turns

Mount = Callable[..., None]
AGAIN = "make room or give yourself the right to write there, then type the same line again"


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mount on a folder until the test is over, where that is permitted."""
    mounted: list[Path] = []

    def mount(folder: Path, *options: str) -> None:
        done = subprocess.run(["mount", *options, str(folder)], capture_output=True, check=False)
        if done.returncode and not mounted:
            pytest.skip("mounting is not permitted here")
        assert done.returncode == 0, done
        mounted.append(folder)

    yield mount
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def disk(box: Sandbox, mount: Mount) -> Path:
    """The run folder, on a disk of its own that is soon full."""
    folder = box.root / ".milestone"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    return folder


@pytest.fixture
def objects(box: Sandbox, mount: Mount) -> Path:
    """Where git keeps its objects, on a disk of its own that is soon full."""
    folder, kept = box.root / ".git/objects", box.outside / "objects"
    box.make(plan([[item(1), item(2)]]), max_sessions=1, retries=0)
    folder.rename(kept)
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
    box.run("cp", "-r", f"{kept}/.", str(folder))
    return folder


def require_fault(text: str, path: str, cause: str) -> None:
    """One line names path, cause and what to do."""
    found = [line for line in text.splitlines() if cause in line]
    assert any(path in line and AGAIN in line for line in found), text


@pytest.mark.parametrize("left", [4, 16, 48, 96, 160])
def test_a_disk_that_is_nearly_full(box: Sandbox, disk: Path, left: int) -> None:
    """Whatever step it is that finds no room for what it writes, `left` KiB in all."""
    box.make(plan([[item(1), item(2)]]), retries=0)
    box.run("dd", "if=/dev/zero", f"of={disk / 'filler'}", "bs=4k")
    os.truncate(disk / "filler", (disk / "filler").stat().st_size - left * 1024)
    done = box.milestone(rc=None)
    assert done.rc == 0 or "No space left on device" in done.text, done.text
    assert done.rc in (0, 1)
    (disk / "filler").unlink()
    for _ in range(2):  # one that was cut short has ended by now as what it was: failed
        if done.rc:
            done = box.milestone(rc=None)
    assert done.rc == 0, done.text
    box.require_landed(1, 2)
    box.require_clean()


def test_a_disk_that_is_full_from_the_beginning(box: Sandbox, disk: Path) -> None:
    box.make(plan([[item(1), item(2)]]))
    box.run("dd", "if=/dev/zero", f"of={disk / 'filler'}", "bs=4k")
    main = box.rev()
    done = box.milestone(rc=1)
    require_fault(done.text, ".milestone/3", "No space left on device")
    assert (box.rev(), box.starts()) == (main, {})
    (disk / "filler").unlink()
    box.milestone()
    box.require_landed(1, 2)
    box.require_clean()


@pytest.mark.parametrize("rest", ["report COMPLETE", "report COMPLETE; exit 7"])
def test_a_session_that_fills_the_disk_has_failed_and_is_not_lost(
    box: Sandbox, disk: Path, mount: Mount, rest: str
) -> None:
    box.make(plan([[item(1), item(2)]]), max_sessions=1, retries=0)
    box.behave(1, f"work; head -c 9000000 /dev/zero; {rest}")
    main = box.rev()
    done = box.milestone(rc=1)
    require_fault(done.text, ".milestone/3", "No space left on device")
    assert box.rev() == main
    mount(disk, "-o", "remount,size=30m")
    done = box.milestone(rc=None)
    if done.rc:  # its end is known by now, and that it had no room
        assert "#1 failed: " in done.out
        assert "No space left on device: the session's output may be cut; make room" in done.out
        box.mend(1)
        box.milestone()
    assert "item-1.txt" in box.files("refs/milestone/3/attempt/1/1"), "what it made is kept"
    box.require_landed(1, 2)
    box.require_clean()


@pytest.mark.parametrize("end", ["report COMPLETE", "exit 1"])
def test_a_session_whose_rest_git_has_no_room_for_is_not_lost(
    box: Sandbox, objects: Path, mount: Mount, end: str
) -> None:
    box.behave(1, f"work; head -c 3000000 /dev/urandom > rest.bin; {end}")
    done = box.milestone(rc=1)
    assert "make room" in done.text, done.text
    mount(objects, "-o", "remount,size=30m")
    box.milestone(rc=None)
    assert "rest.bin" in box.files("milestone/3-test" if "COMPLETE" in end else "refs/milestone/3/attempt/1/1")
    assert box.starts()[1] == 1


def test_a_run_folder_that_cannot_be_written(box: Sandbox, mount: Mount) -> None:
    box.make(plan([[item(1), item(2)]])).behave(1, "exit 1")
    box.milestone(rc=1)
    folder, main = box.root / ".milestone", box.rev()
    if os.getuid() == 0:  # who is root may write in spite of modes
        mount(folder, "--bind", str(folder))
        mount(folder, "-o", "remount,ro,bind")
        cause = "Read-only file system"
    else:
        for path in (folder / "3/run.lock", folder / "3"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        cause = "Permission denied"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = box.milestone(rc=1)
    require_fault(done.text, ".milestone/3", cause)
    assert "waiting" not in box.doit("status", "n=3", rc=0).out
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert box.rev() == main
    if os.getuid() == 0:
        mount(folder, "-o", "remount,rw,bind")
    else:
        (folder / "3").chmod(0o755)
        (folder / "3/run.lock").chmod(0o644)
    box.mend(1)
    box.milestone()
    box.require_landed(1, 2)
    assert box.starts() == {1: 2, 2: 1}


# a clock that is set; the supervisors, which load nothing of the user's, keep the right time


CLOCK = """
import os, time
right, setting = time.time, os.environ.get("OUT", "") + "/clock"
def now():
    try:
        return right() + float(open(setting).read() or 0)
    except (OSError, ValueError):
        return right()
time.time = now
"""
BACK = 'echo -86400 > "$OUT/clock"'


@pytest.fixture
def clock(box: Sandbox) -> Sandbox:
    """A sandbox in which sessions can set the clock that the run reads."""
    (box.outside / "python").mkdir()
    (box.outside / "python/sitecustomize.py").write_text(CLOCK)
    box.env["PYTHONPATH"] = str(box.outside / "python")
    return box


@pytest.mark.parametrize("change", [-86400, 86400, -1e9])
def test_a_clock_that_is_set_in_the_middle_of_a_run(clock: Sandbox, change: float) -> None:
    clock.make(plan([[item(1), item(2)], [item(3, 1), item(4)]]), retries=0)
    clock.behave(1, f'echo {change} > "$OUT/clock"; work; report COMPLETE')
    clock.behave(2, "exit 3")
    done = clock.milestone(rc=1)
    assert "-" not in "".join(line.split()[4] for line in done.out.splitlines() if line.startswith("#1 "))
    assert clock.starts() == dict.fromkeys((1, 2, 3, 4), 1)
    clock.mend(2)
    (clock.outside / "clock").unlink()
    clock.milestone()
    clock.require_landed(1, 2, 3, 4)
    clock.require_clean()


def test_what_has_had_its_turn_has_had_it_whatever_the_clock_says(clock: Sandbox) -> None:
    """Item 1 has failed; a further generation of the run works what is left of item 2."""
    clock.make(plan([[item(1), item(2)]]), retries=0, max_sessions=1)
    clock.behave(1, f"{BACK}; exit 3")
    clock.behave(2, "work; printf 'STATUS: PARTIAL\\nBLOCKER: the rest\\n'")
    clock.milestone(rc=1)
    assert clock.starts() == {1: 1, 2: 1, 3: 1}


def test_a_session_that_is_stopped_by_hand_is_not_begun_again_whatever_the_clock_says(clock: Sandbox) -> None:
    clock.make(plan([[item(1), item(2)]]), retries=0)
    clock.fifo("begun")
    (clock.outside / "clock").write_text("86400")
    clock.behave(1, 'rm "$OUT/clock"; echo here > "$OUT/begun"; exec sleep 1000')
    run = clock.begin("begun")
    clock.doit("stop:1", "n=3", rc=0)
    assert run.wait() == 1
    assert clock.starts() == {1: 1, 2: 1}
    clock.mend(1)
    clock.milestone()
    clock.require_landed(1, 2)


def test_a_login_that_is_gone_halts_the_run_whatever_the_clock_says(talks: Sandbox, clock: Sandbox) -> None:
    make(talks, (1, 2, 3), max_sessions=1)
    turn(talks, 1, f"{BACK}; work; end COMPLETE 0.25")
    turn(talks, 2, "error 401 0 'Invalid API key'")
    assert "no further session starts: Invalid API key" in talks.milestone(rc=1).out
    assert [row["name"] for row in turns(talks)] == ["1", "2"]


def test_a_quota_ends_when_it_would_have_whatever_the_clock_says(talks: Sandbox, clock: Sandbox) -> None:
    make(talks, (1, 2), retries=0)
    turn(talks, "1-1", f"{BACK}; half; error 429 0.25 'usage limit reached, try again in 1 seconds'")
    talks.milestone()
    assert hows(talks, 1) == ["session-id", "resume"]
    talks.require_landed(1, 2)
