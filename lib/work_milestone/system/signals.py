"""What ends a run from outside: the signals that it heeds, and the steps that are under way when one comes.

Rules:
- Ctrl-C and TERM end the sessions too; a closed terminal leaves them at work, to be adopted.
- The second of them kills: it is a supervisor's second TERM.
- What a run was started to ignore it ignores, as under nohup.
- No signal waits for a session's end before it is heeded, whichever thread the kernel gave it to.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from typing import Any

from doit import runner

from work_milestone.system import process

SLICE = 0.5  # seconds between two looks at whether a signal came


class _Steps:
    """How many steps are under way; none begins any more once their end was waited for."""

    def __init__(self) -> None:
        self._count, self._over = 0, False
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            if self._over:
                raise process.Stopped("the run is being stopped")
            self._count += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()

    def end(self, seconds: float) -> None:
        """Wait until none is under way, at most `seconds`: each session has its result then, and no git is at work."""
        with self._changed:
            self._changed.wait_for(lambda: self._count == 0, seconds)
            self._over = True


at_work = _Steps()
heard: list[int] = []


class Results(queue.Queue[Any]):
    """A queue of doit's, on which the first thread does not wait without looking up.

    Python leaves its handlers to that thread, and a signal does not wake it that reaches another thread, or this one
    in the instant between its last look and the wait.
    """

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Take the next one."""
        if not block or timeout is not None or threading.current_thread() is not threading.main_thread():
            return super().get(block, timeout)
        while True:
            with contextlib.suppress(queue.Empty):
                return super().get(timeout=SLICE)


def handle() -> None:
    """From now on heed them."""
    runner.MThreadRunner.Queue = Results
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup has asked for that
            signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    again = bool(heard)
    heard.append(number)
    if number != signal.SIGHUP:
        process.stop_all(signal.SIGTERM)
    if not again:
        raise SystemExit(128 + number)
