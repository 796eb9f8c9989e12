"""The process of one gate: run into its log, and ended as a whole tree.

Rules:
- Whatever the end (its own, the time limit, a stop, a signal handler that raises), nothing that it started is left.
- It waits in the kernel, and a second stop cuts the grace of the first short.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from work_milestone.system import process, process_table
from work_milestone.system.errors import ProcessError
from work_milestone.system.files import private

if TYPE_CHECKING:
    import psutil

CANNOT_LOG = 125  # as timeout(1) has it


@dataclass(frozen=True, slots=True)
class Exit:
    """A gate's end: exit code (128+n for signal n), and what the code does not tell."""

    code: int
    timed_out: bool
    reason: str = ""


class _Running:
    """A gate from before its start on. Its words come through a queue that a signal handler may write to.

    A thread of its own starts it and collects it: a handler that raises, which Python runs in the main thread alone and
    anywhere in it, can so never come between a child and who knows of it.
    """

    child: process.Child

    def __init__(self, start: Callable[[], process.Child]) -> None:
        self.words: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.fault: ProcessError | None = None
        self._start = start
        self._starting = threading.Lock()
        self._is_over = False
        self._thread = threading.Thread(target=self._work, name="gate", daemon=True)

    def begin(self) -> None:
        """Start it. Raise ProcessError when it cannot be started."""
        self._thread.start()
        self.words.get()
        if self.fault:
            raise self.fault

    def _work(self) -> None:
        with self._starting:
            if self._is_over:
                return
            try:
                self.child = self._start()
            except ProcessError as fault:
                self.fault = fault
        self.words.put("begun")
        if not self.fault:
            self.child.wait()
            self.words.put("ended")

    def give_up(self) -> None:
        """Start it no more, where it has not been started."""
        with self._starting:
            self._is_over = True

    def collect(self) -> None:
        """End it where it still runs, as one that has cleared its environment may, and wait for its end."""
        if self._thread.ident is not None:
            if hasattr(self, "child"):
                self.signal_group(signal.SIGKILL)
            self._thread.join()

    def signal(self, sig: int) -> None:
        """Signal the group, and wake up who waits for it."""
        self.signal_group(sig)
        self.words.put("stop")

    def signal_group(self, sig: int) -> None:
        """Signal the group, which is there for certain until its leader was collected."""
        if self.child.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, sig)

    def hear(self, seconds: float) -> str:
        """Wait for `ended` or `stop`; `time` when neither came."""
        try:
            return self.words.get(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))
        except queue.Empty:
            return "time"

    def end(self, *, signalled: bool) -> None:
        """End the gate and what it started: TERM, grace (cut short by a second stop), KILL."""
        import psutil

        limit = time.monotonic() + process_table.GRACE
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(self.child.pid).children(recursive=True)
        if not signalled:
            self.signal_group(signal.SIGTERM)
        process_table.signal_all([one for one in below if not _in_group(one, self.child.pid)], signal.SIGTERM)
        if self.hear(limit - time.monotonic()) == "ended":
            process_table.await_end(below, limit)
        self.signal_group(signal.SIGKILL)
        process_table.signal_all(below, signal.SIGKILL)
        self.child.wait()


def run(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout: float, errors: Path | None = None
) -> Exit:
    """Run a gate, both outputs into `log`, or stderr into `errors`; raise Stopped when the run is stopped meanwhile.

    A mark that `env` holds beyond this process's own must be this call's alone: what bears it is ended.
    """
    process.require_running()
    limit = time.monotonic() + timeout
    mark = env.get(process_table.MARK)
    if mark is None or mark == os.environ.get(process_table.MARK):
        mark = f"gate-{uuid.uuid4().hex}"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        out = open(log, "wb", buffering=0, opener=private)  # noqa: SIM115 - closed below, after what cannot be opened is told
        err = open(errors, "wb", buffering=0, opener=private) if errors else out  # noqa: SIM115
    except OSError as fault:
        return Exit(CANNOT_LOG, timed_out=False, reason=f"cannot write {log}: {fault.strerror}")
    own = {**env, process_table.MARK: mark}
    gate = _Running(lambda: process.start(argv, cwd=cwd, env=own, stdout=out, stderr=err))
    try:
        with out, err:
            try:
                gate.begin()
            except ProcessError as fault:
                with contextlib.suppress(OSError):
                    err.write(f"{fault.stderr}\n".encode(errors="replace"))
                return Exit(fault.returncode, timed_out=False, reason=fault.stderr)
        return _await_gate(gate, log, limit, timeout)
    finally:
        # Also when a signal handler raised anywhere above: the mark is known from before the start.
        gate.give_up()
        process_table.sweep(mark)
        gate.collect()


def _await_gate(gate: _Running, log: Path, limit: float, timeout: float) -> Exit:
    """Wait for a gate's end, the time limit or a stop, and end it in the latter two."""
    with process.registered(gate.signal):
        if process.stopping.is_set():
            gate.signal(signal.SIGTERM)
        word = gate.hear(limit - time.monotonic())
        if word != "ended":
            gate.end(signalled=word == "stop")
    if word == "stop" or process.stopping.is_set():
        raise process.Stopped("the run is being stopped")
    if word == "time":
        return Exit(process.TIMED_OUT, timed_out=True, reason=f"not done after {timeout:g} s")
    code = gate.child.returncode
    code = code if code >= 0 else 128 - code
    return Exit(code, timed_out=False, reason=_find_fault_of_disk(log) if code else "")


def _find_fault_of_disk(path: Path) -> str:
    """Say that the disk is full, when it is: that may be why a program failed."""
    with contextlib.suppress(OSError):
        return "" if os.statvfs(path).f_bavail else f"no space left on the disk of {path}"
    return ""


def _in_group(one: psutil.Process, group: int) -> bool:
    """Whether a process is in a group."""
    try:
        return os.getpgid(one.pid) == group
    except OSError:
        return False
