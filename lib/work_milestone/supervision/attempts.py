"""Attempts: one supervisor each, over one agent process, known by the attempt's folder.

Rules:
- An attempt's folder serves for one supervisor; its kernel lock says whether that lives (`state`).
- The lock is taken here and handed down, so that there is no moment without it.
- What another process has started is adopted: waited for and stopped by its folder alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from work_milestone.system import LockedError, ProcessError, ReceiptError, process, process_table

# Imported, it is compiled once; run as a script, at each start.
SUPERVISE = "import sys; sys.path.append(sys.argv[1]); import supervisor; sys.exit(supervisor.main(sys.argv[2:]))"

State = Literal["none", "alive", "finished", "dead"]


class Supervised:
    """A supervisor that this process has started over one session."""

    def __init__(self, child: process.Child) -> None:
        self.pid = child.pid
        self._child = child
        process.live.add(child.send_signal)

    def wait(self) -> int:
        """Block until the supervisor is gone; 0 when it left its record, `exit.json`."""
        try:
            return self._child.wait()
        finally:
            if self._child.returncode is not None:
                process.live.discard(self._child.send_signal)

    def signal(self, sig: int) -> None:
        """Signal the supervisor: SIGTERM or SIGINT ends the session politely, a second one at once."""
        self._child.send_signal(sig)


def start(
    attempt: Path,
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: Path,
    timeout: float,
    mark: str,
) -> Supervised:
    """Start a session that outlives this process. `timeout` in seconds, `env` whole, `stdin` `-` for nothing.

    Raises Stopped, LockedError (the attempt is under way), ReceiptError (its folder was used before or cannot
    be written) and ProcessError (the supervisor cannot be started; the folder is as if untouched).
    """
    process.require_running()
    stdin_name = "-" if str(stdin) == "-" else str(stdin.absolute())
    lock = _take_lock(attempt)
    given = [str(attempt.absolute()), str(lock), repr(float(timeout)), stdin_name, "--", *argv]
    try:
        with _signals_held():
            child = process.start(
                [sys.executable, "-I", "-S", "-c", SUPERVISE, str(Path(__file__).parent), *given],
                cwd=cwd, env={**env, process_table.MARK: mark}, hand_down=(lock,), told_as=argv,
            )  # fmt: skip
    except ProcessError:
        (attempt / "lock").unlink()
        raise
    finally:
        os.close(lock)
    supervised = Supervised(child)
    if process.stopping.is_set():  # it may not have been known yet to who signalled all
        supervised.signal(signal.SIGTERM)
    return supervised


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Block signals for a child to inherit, so that none can end it before it has learnt to listen."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take_lock(attempt: Path) -> int:
    """Create the attempt's lock file and lock it; a descriptor to be handed down."""
    lock = attempt / "lock"
    try:
        attempt.mkdir(parents=True, exist_ok=True)
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if _is_locked(lock):
            raise LockedError(f"{attempt} is under way (pid {_read(attempt, 'supervisor').get('pid', '?')})") from None
        raise ReceiptError(f"{attempt} was used before: start the next attempt in a folder of its own") from None
    except OSError as fault:
        raise ReceiptError(f"cannot write {attempt}: {fault.strerror}") from fault
    # The file is new, so nobody can hold it but an `_is_locked`, for an instant.
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _is_locked(lock: Path) -> bool | None:
    """Whether somebody holds a lock file exclusively; None when it is not there."""
    try:
        # Opened for reading and tried with a shared lock: two that ask at once do not see each other.
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return None
    return False


def _read(attempt: Path, name: str) -> dict[str, object]:
    """Read a record of the supervisor's; empty when it is absent, half-written or foreign."""
    try:
        found = json.loads((attempt / f"{name}.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "version" in found else {}


def state(attempt: Path) -> State:
    """Tell by kernel lock and `exit.json` how an attempt stands.

    | lock file | `exit.json` | state |
    |---|---|---|
    | held | any | alive |
    | free, absent | readable | finished |
    | free | absent, unreadable | dead |
    | absent | absent, unreadable | none |
    """
    # The lock comes first. The supervisor writes its record, and then ends, which frees the lock: so once the
    # lock is free, a record that was ever to come is there. Asked in the other order, a supervisor that
    # writes and ends between the two questions has neither record nor lock, and a good session looks dead.
    # Held with a record is alive still: the supervisor has only to end, which `wait` awaits.
    locked = _is_locked(attempt / "lock")
    if locked:
        return "alive"
    if _read(attempt, "exit"):
        return "finished"
    return "none" if locked is None else "dead"


def wait(attempt: Path) -> None:
    """Adopt a session: block until its supervisor is gone. `stop_all` reaches it meanwhile."""
    try:
        file = (attempt / "lock").open("rb")
    except FileNotFoundError:
        return
    with file, process.registered(lambda sig: stop(attempt, sig)):
        # Whoever has just been started has not said yet who it is: a stop would not find it.
        while not _read(attempt, "supervisor") and _is_locked(attempt / "lock"):
            time.sleep(0.01)
        if process.stopping.is_set():
            stop(attempt, signal.SIGTERM)
        fcntl.flock(file, fcntl.LOCK_SH)


def stop(attempt: Path, sig: int = signal.SIGTERM) -> bool:
    """Signal an attempt's supervisor; false when it is gone, or has not introduced itself yet."""
    known = _read(attempt, "supervisor")
    pid, created = known.get("pid"), known.get("created")
    if not (isinstance(pid, int) and isinstance(created, float) and _is_locked(attempt / "lock")):
        return False
    if not process_table.is_alive(pid, created):
        return False
    with contextlib.suppress(OSError):
        os.kill(pid, sig)
        return True
    return False
