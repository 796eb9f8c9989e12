"""How far sessions at work are, as their agents tell it line by line: for `doit status`, the journal, and an early end.

Rules:
- One thread looks once a second at the files that have grown, as long as there are any to look at; a session that
  prints nothing costs one question to the disk a second.
- It ends a session early only where the agent itself tells that it cannot work: the judgement finds the same words.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from work_milestone.agents import Agent, Progress, find_objects
from work_milestone.run import Run
from work_milestone.supervision import attempts
from work_milestone.text import count

LOOK = 1.0  # seconds
TELL = 300.0  # seconds between two lines on one session
MOST = 16_000_000  # bytes that are read of an output at its end


@dataclass
class _Watched:
    """One session's output, read as far as `offset` bytes."""

    run: Run
    issue: int
    attempt: Path
    agent: Agent
    progress: Progress = field(default_factory=Progress)
    offset: int = 0
    stopped: bool = False
    told: float = field(default_factory=time.monotonic)


class Watcher:
    """Follows the outputs of the sessions that are inside `watch`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watched: list[_Watched] = []
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def watch(self, run: Run, issue: int, attempt: Path, agent: Agent) -> Iterator[None]:
        """Follow a session for as long as the block lasts."""
        one = _Watched(run, issue, attempt, agent)
        with self._changed:
            self._watched.append(one)
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._changed:
                self._watched.remove(one)
                self._changed.notify_all()

    def _follow(self) -> None:
        while True:
            with self._changed:
                if not self._watched:
                    self._thread = None
                    return
                self._changed.wait(LOOK)
                watched = list(self._watched)
            for one in watched:
                _look(one)


watcher = Watcher()


def _look(one: _Watched) -> None:
    """Read what a session has printed since, tell it now and then, end it where it cannot work."""
    one.offset = _read(one.attempt / "stdout", one.offset, one.agent, one.progress)
    if one.progress.fault and not one.stopped:
        one.stopped = attempts.stop(one.attempt)  # its supervisor may not yet have said who it is
    if time.monotonic() - one.told >= TELL:
        one.told = time.monotonic()
        if said := describe(one.progress):
            one.run.tell("spawn", "working", said, issue=one.issue)


def _read(path: Path, offset: int, agent: Agent, progress: Progress) -> int:
    """Take up the whole lines from an offset on; return where the rest begins."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(MOST)
    except OSError:
        return offset
    end = data.rfind(b"\n") + 1
    for event in find_objects(data[:end].decode(errors="replace")):
        agent.read_event(event, progress)
    return offset + (end or (len(data) if len(data) == MOST else 0))


def measure(stdout: str, agent: Agent) -> Progress:
    """Read how far a session is, or was, from its whole output."""
    found = Progress()
    for event in find_objects(stdout):
        agent.read_event(event, found)
    return found


def describe(progress: Progress) -> str:
    """Say in a few words how far a session is, "" when nothing is known."""
    parts = [count(progress.turns, "turn")] if progress.turns else []
    parts += [f"last {progress.tool}"] if progress.tool else []
    parts += [f"{progress.tokens / 1000:.0f}k tokens"] if progress.tokens >= 1000 else []
    parts += [f"${progress.cost:.2f}"] if progress.cost else []
    return ", ".join(parts)
