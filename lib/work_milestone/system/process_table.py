"""The processes of this computer: which bear a mark, which still live, how strangers are ended.

Rules:
- A process is known by its pid and its creation together, never by the pid alone.
- What bears a mark is ended as a whole: TERM, `GRACE` seconds, KILL, until none is left.
- What has cleared its environment bears none: a session's is found by its supervisor alone, for as long as that lives.
- Only strangers that are being swept are looked at again and again: the kernel tells nobody but the parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

MARK = "WORK_MILESTONE_SESSION"  # the variable that marks what belongs to one session or gate
GRACE = 2.0  # seconds between TERM and KILL
_ROUNDS = 10  # of a sweep among processes that go on forking


def sweep(mark: str) -> int:
    """End every process whose environment holds MARK=mark, but for this one and those above; how many."""
    import psutil

    me = psutil.Process()
    spared = {me, *me.parents()}
    ended: set[psutil.Process] = set()
    for _ in range(_ROUNDS):
        found = [one for one in psutil.process_iter() if one not in spared and _bears(one, mark)]
        if not found:
            break
        ended.update(found)
        for sig in (signal.SIGTERM, signal.SIGKILL):
            signal_all(found, sig)
            await_end(found, time.monotonic() + GRACE)
    return len(ended)


def await_marked(mark: str, seconds: float) -> None:
    """Wait until no process bears a mark any more, at most `seconds`."""
    import psutil

    found = [one for one in psutil.process_iter() if _bears(one, mark)]
    await_end(found, time.monotonic() + seconds)


def is_anybody_in(folder: Path, name: str) -> bool:
    """Tell whether a program of that name is at work in or below a folder."""
    import psutil

    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if one.name() == name and Path(one.cwd()).is_relative_to(folder):
                return True
    return False


def _bears(one: psutil.Process, mark: str) -> bool:
    """Whether a process is this user's and was started with the mark."""
    import psutil

    try:
        return one.uids().real == os.getuid() and one.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def signal_all(them: Iterable[psutil.Process], sig: int) -> None:
    """Signal processes; psutil refuses where the pid has passed to another."""
    import psutil

    for one in them:
        with contextlib.suppress(psutil.Error):
            one.send_signal(sig)


def await_end(them: Iterable[psutil.Process], limit: float) -> None:
    """Wait for strangers' ends; `psutil.wait_procs` would collect a child that a `Popen` waits for."""
    import psutil

    waiting = list(them)
    while time.monotonic() < limit:
        with contextlib.suppress(psutil.Error):
            waiting = [one for one in waiting if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
            if not waiting:
                return
        time.sleep(0.01)


def find_created(pid: int) -> float | None:
    """When a process was created, for telling it from another with its pid; None when it does not run.

    On Linux in seconds since boot (proc(5), starttime), so that setting the clock changes nothing; elsewhere
    since the epoch.
    """
    if sys.platform == "linux":
        try:
            row = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if row[0] in (b"Z", b"X") else int(row[19]) / os.sysconf("SC_CLK_TCK")
    else:  # noqa: RET505 - so that mypy sees that it is the other platform's
        import psutil

        try:
            one = psutil.Process(pid)
            return None if one.status() == psutil.STATUS_ZOMBIE else one.create_time()
        except psutil.Error:
            return None


def find_name(pid: int) -> str:
    """Name a process like no other one; it keeps that name when it replaces its program."""
    return f"{pid}:{find_created(pid)}"


def is_alive(pid: int, create_time: float) -> bool:
    """Whether the process with this pid and creation (`find_created`) still runs; a zombie does not."""
    found = find_created(pid)
    # A supervisor outside of Linux records when it began to run, which is a moment after its creation.
    return found is not None and abs(found - create_time) <= (0.005 if sys.platform == "linux" else 2.0)
