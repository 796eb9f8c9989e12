"""The breaker: what holds the sessions of a whole run back, all at once.

Rules:
- Quota is a state of the run and not a failure of an item: no session of that agent starts until it is renewed, which
  is told, and the conversations that it cut short go on by themselves, unless another agent stands in. It spends no
  retry.
- Failures that pass are tried again after a wait that doubles with each of them in a row, by chance a little more or
  less, so that sessions that failed together do not come back together. One that succeeds ends the row.
- Where nothing is to be had any more (no login, no money left) no session starts again in this run; those that are at
  work go on.
- Setting the clock back makes no wait longer, and a renewal that is too far off to be one, or long past, counts as not
  known. What is renewed by the time that it is told of is waited for as a passing failure is.
- Whoever waits here wakes up when the run is stopped, or when nothing starts any more, and a second after a person has
  given its item up.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Sequence

from work_milestone.store import records
from work_milestone.system import process

MOST = 300.0  # seconds that a row of passing failures waits at most, before chance makes it a half more or less
UNKNOWN = 300.0  # seconds that a quota takes of which nobody says when it is renewed; doubled each time, up to
LONGEST = 3600.0
FARTHEST = 32 * 86400.0  # seconds; no quota takes longer to be renewed
LOOK = 1.0  # seconds between two looks at whether an item was given up
RECENT = 60.0  # seconds; what was renewed no longer ago was so while its session came to its end


class Breaker:
    """One run's. `backoff` is the first wait after a passing failure, in seconds."""

    def __init__(self, backoff: float, tell: Callable[[str, str], None]) -> None:
        self.halted = ""  # why no session starts any more
        self._backoff = backoff
        self._tell = tell
        self._lock = threading.Lock()
        self._pauses: dict[
            str, tuple[float, float]
        ] = {}  # each agent's end: on the wall, on the clock that nobody sets
        self._refusals = 0
        self._failures = 0
        self._sleepers: set[queue.SimpleQueue[int]] = set()

    def halt(self, reason: str) -> None:
        """Start nothing any more; the first reason stands."""
        with self._lock:
            told, self.halted = self.halted, self.halted or reason
        for words in list(self._sleepers):
            words.put(0)
        if not told:
            self._tell("halted", f"no further session starts: {reason}")

    def pause(self, agent: str, until: float | None, reason: str) -> None:
        """Start no session of an agent before `until`, in seconds since 1970; None when nobody knows until when."""
        now = time.time()
        with self._lock:
            rest = max(0.0, self._rest(agent))
            if until is not None and now < until <= now + FARTHEST:
                wait = until - now
            elif rest:
                wait = rest  # sessions that are refused together are one refusal
            else:
                renewed = until is not None and now - RECENT < until <= now
                wait = min(LONGEST, (self._backoff if renewed else UNKNOWN) * 2**self._refusals)
                self._refusals += 1
            if wait > rest:
                self._pauses[agent] = now + wait, time.monotonic() + wait
        if not rest or wait > rest + 1:
            clock = time.strftime("%H:%M:%S", time.localtime(now + wait))
            self._tell("quota", f"no session of {agent} starts before {clock}, then those cut short go on: {reason}")

    def succeed(self) -> None:
        """Note a session that did not fail: the row of failures is over."""
        with self._lock:
            self._failures = self._refusals = 0

    def await_open(self, agents: Sequence[str], given_up: Callable[[], bool] | None = None) -> str | None:
        """Wait until a session of one of these agents may start; return the first, None when nothing starts any more.

        None too once `given_up` says so. Raise Stopped when the run is stopped meanwhile.
        """
        while True:
            process.require_running()
            rests = {agent: self._rest(agent) for agent in agents}
            if self.halted or (given_up and given_up()):
                return None
            if free := [agent for agent, rest in rests.items() if rest <= 0]:
                return free[0]
            rest = min(rests.values())
            self._sleep(min(rest, LOOK) if given_up else rest)

    def await_backoff(self) -> None:
        """Wait as long as one more passing failure in a row calls for. Raise Stopped when the run is stopped."""
        with self._lock:
            rest = min(MOST, self._backoff * 2**self._failures) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            self._failures += 1
        self._sleep(rest)

    def _rest(self, agent: str) -> float:
        until, deadline = self._pauses.get(agent, (0.0, 0.0))
        return min(until - time.time(), deadline - time.monotonic())

    def _sleep(self, seconds: float) -> None:
        """Sleep, woken by a stop or a halt; the queue takes what a signal handler puts in, which no lock would."""
        words: queue.SimpleQueue[int] = queue.SimpleQueue()
        with process.registered(words.put):
            self._sleepers.add(words)
            try:
                if not (self.halted or process.stopping.is_set()):
                    words.get(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))
            except queue.Empty:
                return
            finally:
                self._sleepers.discard(words)
        process.require_running()


def find_renewal(refused: records.Refused, now: float) -> float | None:
    """Return when a quota is renewed, as it was told at a session's end; None when nobody knows.

    It is never longer until then than it was at that end, whatever the clock has been set to since.
    """
    until, ended = refused.until or 0.0, refused.started + refused.elapsed
    known = ended - RECENT < until <= ended + FARTHEST
    return min(until, now + until - ended) if known else None
