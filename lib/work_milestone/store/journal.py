"""The journal of a run: one line an event, to `journal.jsonl` and to whoever listens.

Rule: the journal is told to people and kept for the record; no decision rests on it, so losing its end costs
nothing, and a journal that cannot be written never stops a run.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from work_milestone.system import files


@dataclass(frozen=True)
class Event:
    """Something that happened: `elapsed` in seconds, `cost` in US dollars, `time` in seconds since 1970."""

    step: str
    outcome: str
    detail: str = ""
    issue: int | None = None
    elapsed: float | None = None
    cost: float | None = None
    time: float = field(default_factory=time.time)


class Journal:
    """Appends events to a file and hands them to listeners, from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listeners: list[Callable[[Event], None]] = []
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Record an event and hand it to the listeners."""
        line = json.dumps(asdict(event))
        with self._lock:
            try:
                with open(self.path, "a", encoding="ascii", opener=files.private) as file:
                    file.write(line + "\n")
            except OSError:
                pass  # a full disk is told by the receipts, which matter
            for listener in self.listeners:
                listener(event)
