"""The only module that starts processes.

Rules:
- A program is given as a list of arguments, never as a line for a shell.
- Whatever is started is ended as a whole tree: by its group here, by TERM, grace and KILL where it may be larger.
- Waiting blocks in the kernel.
- `stop_all` may be called from a signal handler: it takes no lock, waits for nothing, prints nothing.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from work_milestone.system.errors import MilestoneError, ProcessError

Child = subprocess.Popen[bytes]
NOWHERE = subprocess.DEVNULL
TIMED_OUT, NOT_EXECUTABLE, NOT_FOUND = 124, 126, 127  # as timeout(1) and the shells have it


class Stopped(MilestoneError):  # noqa: N818 - not a fault: the user asked for it
    """The run is being stopped: nothing new is started, and what was under way was ended."""


class Stopping:
    """A flag that a signal handler may set: unlike `threading.Event` it takes no lock."""

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        """Whether the run is being stopped."""
        return self._set

    def set(self) -> None:
        """From now on nothing is started."""
        self._set = True

    def clear(self) -> None:
        """Allow starting again."""
        self._set = False


stopping = Stopping()
live: set[Callable[[int], object]] = set()  # what `stop_all` signals


def stop_all(sig: int = signal.SIGTERM) -> None:
    """Set `stopping` and signal every supervisor and gate of this process, adopted ones too; never waits."""
    stopping.set()
    for send in list(live):
        send(sig)


@contextlib.contextmanager
def registered(send: Callable[[int], object]) -> Iterator[None]:
    """Let `stop_all` reach a process while the block runs."""
    live.add(send)
    try:
        yield
    finally:
        live.discard(send)


def require_running() -> None:
    """Raise Stopped when the run is being stopped."""
    if stopping.is_set():
        raise Stopped("the run is being stopped")


def replace(argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Become another program, `env` added to the environment. Raise ProcessError when it cannot be started."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
    try:
        os.execve(argv[0], list(argv), {**os.environ, **env})  # noqa: S606 - no shell is what is wanted
    except OSError as error:
        raise ProcessError(f"{argv[0]}: {error.strerror}", NOT_EXECUTABLE) from error


def start(
    argv: Sequence[str],
    *,
    cwd: Path | None,
    env: Mapping[str, str] | None,
    stdin: int | None = NOWHERE,
    stdout: int | IO[bytes] | None = NOWHERE,
    stderr: int | IO[bytes] | None = NOWHERE,
    hand_down: Sequence[int] = (),
    apart: bool = True,
    told_as: Sequence[str] | None = None,
) -> Child:
    """Start a program, `apart` in a session of its own; `env` is the whole environment.

    Raises ProcessError (126, 127; `stderr` is the bare cause), which names the program as `told_as`.
    """
    try:
        return subprocess.Popen(argv, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr,
                                pass_fds=hand_down, start_new_session=apart)  # fmt: skip
    except (OSError, ValueError) as fault:
        code, why = _explain(fault, cwd)
        raise ProcessError(_tell(told_as or argv, cwd, why, ""), code, why) from fault


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended: its exit code (negative: by that signal) and what it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,  # noqa: A002 - the name that subprocess has taught everyone
    timeout: float | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end, `timeout` in seconds; raise ProcessError on failure (124 on time, 126, 127).

    `env` is the whole environment. The program gets a session of its own: a Ctrl-C meant for the run does
    not tear a git command in two, and nothing can ask at the terminal.
    """
    pipe = subprocess.PIPE
    child = start(argv, cwd=cwd, env=env, stdin=NOWHERE if input is None else pipe, stdout=pipe, stderr=pipe)
    try:
        stdout, stderr = child.communicate(input, timeout)
    except subprocess.TimeoutExpired as fault:
        _end_group(child)
        said = _tail(fault.stderr)
        raise ProcessError(_tell(argv, cwd, f"not done after {timeout:g} s", said), TIMED_OUT, said) from None
    except BaseException:
        _end_group(child)
        raise
    code = child.returncode
    if check and code:
        said, what = _tail(stderr), f"exit code {code}" if code > 0 else f"ended by signal {-code}"
        raise ProcessError(_tell(argv, cwd, what, said), code, said)
    return Completed(code, stdout, stderr)


def run_attached(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal to its end; its exit code (negative: by that signal).

    Raises ProcessError when it cannot be started. It stays in this process's group: a Ctrl-C reaches both.
    """
    require_running()
    child = start(argv, cwd=cwd, env=env, stdin=None, stdout=None, stderr=None, apart=False)
    with registered(child.send_signal):
        try:
            return child.wait()
        except BaseException:
            child.wait()  # whoever interrupts this process means the program too, which ends in its own order
            raise


def _end_group(child: Child) -> None:
    """Kill a short-lived program with its group, and let go of its pipes."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    child.wait()


def _explain(fault: OSError | ValueError, cwd: Path | None) -> tuple[int, str]:
    """Why a program was not started, and its code: 127 when it is not there, 126 for anything else."""
    if not isinstance(fault, OSError):
        return NOT_EXECUTABLE, f"cannot be started: {fault}"
    # subprocess names the folder where that is what is missing.
    missing = isinstance(fault, FileNotFoundError) and str(fault.filename) != str(cwd)
    return (NOT_FOUND if missing else NOT_EXECUTABLE), f"cannot be started: {fault.strerror}: {fault.filename}"


def _tail(said: bytes | None) -> str:
    """Keep the end of a program's words."""
    return (said or b"")[-2000:].decode(errors="replace").strip()


def _tell(argv: Sequence[str], cwd: Path | None, what: str, said: str) -> str:
    """Name the program, where it ran, how it failed and its last words."""
    line = shlex.join(argv)
    line = line if len(line) <= 500 else line[:500] + "..."
    return f"{line} (in {cwd or Path.cwd()}): {what}" + (f"\n{said}" if said else "")
