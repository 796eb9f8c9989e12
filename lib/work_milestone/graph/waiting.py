"""How the first thread waits for what others do, and hears signals meanwhile.

Rule: no signal waits for a session's end before it is heeded, whichever thread the kernel gave it to.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from typing import Any

from doit import runner

SLICE = 0.5  # seconds between two looks at whether a signal came


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


def install() -> None:
    """Have doit wait so."""
    runner.MThreadRunner.Queue = Results
