"""What ends a run from outside: the signals that it heeds, and the steps that are under way when one comes.

Rules:
- Ctrl-C and TERM end the sessions too; a closed terminal leaves them at work, to be adopted.
- The second of them kills: it is a supervisor's second TERM.
- What a run was started to ignore it ignores, as under nohup.
- Python leaves its handlers to the first thread: who waits there looks up now and then (`graph.waiting`).
"""

from __future__ import annotations

import signal
import threading

from work_milestone.system import process


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


def handle() -> None:
    """From now on heed them."""
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
