"""What agents leave at work: none of it outlives its session, however that ends.

Each kind of leak notes its pid and its creation outside of the repository. It is looked for while the next session is
at work, and when all is over: by what it noted, as some of it has nothing else left to be known by.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import KILL, Sandbox, item, plan, signal_run

FOREVER = "tail -f /dev/null"
LEAK = """
import os, signal, sys

def leak(kind, tell):
    what = set(ALL if kind == "all" else [kind])
    if what & {"session", "daemon"}:
        os.setsid()
    if "daemon" in what and os.fork():
        os._exit(0)
    if "stubborn" in what:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
    with open(os.environ["OUT"] + "/leaks", "a") as leaks:
        row = open("/proc/self/stat").read().rpartition(")")[2].split()
        leaks.write(f"{os.getpid()} {row[19]} {kind}\\n")
    os.write(tell, b".")
    if "closed" in what:
        os.closerange(0, 256)
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)
    if "gone" in what:
        os.chdir("/")
    os.execve("/bin/sleep", ["sleep", "1000"], {} if "bare" in what else os.environ)

ALL = ["daemon", "stubborn", "closed", "gone", "bare"]
heard, tell = os.pipe()
for kind in sys.argv[1:]:
    if os.fork() == 0:
        leak(kind, tell)
got = b""
while len(got) < len(sys.argv) - 1:
    got += os.read(heard, 64)
"""
MARKED = ("child", "session", "daemon", "stubborn", "closed", "gone")  # these have their environment
KINDS = (*MARKED, "bare", "all")
ENDS = {  # how a session ends: what its agent does, the run's exit code
    "complete": ("work; report COMPLETE", 0),
    "failed": ("exit 1", 1),
    "killed": ("kill -9 $$", 1),
    "timeout": (FOREVER, 1),
    "stopped": (f"{signal_run('TERM')}; {FOREVER}", 143),
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a session's group is all that is ended")


WAIT = 'echo begun > "$OUT/begun"; read word < "$OUT/go"; work && report COMPLETE'


def make(box: Sandbox, then: str, *kinds: str, **keys: object) -> Sandbox:
    """Two items, the second after the first, whose first attempt leaks and then does something; who is next waits."""
    box.env["PYTHON"] = sys.executable
    box.script("leak.py", LEAK)
    box.fifo("begun", "go")
    leak = f'"$PYTHON" -I -S "$OUT/leak.py" {" ".join(kinds)}; {then}'
    box.behave(11, f'if [ "$MILESTONE_ATTEMPT" = 1 ]; then {leak}; else {WAIT}; fi')
    return box.make(plan([[item(11, **keys)], [item(12, 11)]]), retries=0, pass_env=["OUT", "PYTHON"])


def find_left(box: Sandbox) -> list[str]:
    """Name the kinds of the leaks that are still there; a process is known by pid and creation."""
    left = []
    for line in box.lines("leaks"):
        pid, created, kind = line.split()
        try:
            row = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        left += [kind] if row[19] == created and row[0] != "Z" else []
    return left


def require_nothing_left(box: Sandbox, *kinds: str, starts: int = 1) -> None:
    """Go on with the run: no leak is there when the next session is at work, nor at the end."""
    with box.begin("begun") as run:
        left = find_left(box)
        (box.outside / "go").write_text("go\n")
        assert run.wait() == 0
    assert left == []
    assert sorted(line.split()[2] for line in box.lines("leaks")) == sorted(kinds)
    box.require_done(11, 12)
    assert box.starts() == {11: starts, 12: 1}


@pytest.mark.parametrize("end", list(ENDS))
def test_nothing_outlives_its_session(box: Sandbox, end: str) -> None:
    then, code = ENDS[end]
    make(box, then, *KINDS, **({"timeout": 1} if end == "timeout" else {})).milestone(rc=code)
    assert len(box.lines("leaks")) == len(KINDS)
    assert find_left(box) == []
    assert box.receipt("items/11/attempts/1/exit.json")["leaked"] >= len(KINDS)


@pytest.mark.parametrize("run_killed", [False, True])
def test_nothing_is_left_when_the_next_session_begins(box: Sandbox, *, run_killed: bool) -> None:
    first = KILL if run_killed else ":"
    make(box, f"{first}; work; report COMPLETE", *KINDS).behave(12, WAIT)
    if run_killed:
        box.milestone(rc=-signal.SIGKILL)
    require_nothing_left(box, *KINDS)


@pytest.mark.parametrize("run_killed", [False, True])
def test_what_a_killed_supervisor_leaves_is_ended_before_its_item_is_worked_again(
    box: Sandbox, *, run_killed: bool
) -> None:
    """All but what has cleared its environment: without a supervisor a process is known by that."""
    first = KILL if run_killed else ":"
    make(box, f"{first}; kill -9 $PPID; {FOREVER}", *MARKED)
    if run_killed:
        box.milestone(rc=-signal.SIGKILL)
    require_nothing_left(box, *MARKED, starts=2)
