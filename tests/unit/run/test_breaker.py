"""What holds the sessions of a run back: quota, failures that pass, and nothing to be had any more."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable

import pytest
from work_milestone.run.breaker import Breaker, find_renewal
from work_milestone.store import records
from work_milestone.system import process

pytestmark = pytest.mark.usefixtures("guarded")
FAR = 1000.0  # seconds; no test waits for its end


class Heard(list[tuple[str, str]]):
    """What a breaker has told."""

    def tell(self, outcome: str, detail: str) -> None:
        self.append((outcome, detail))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that were asked for, on a clock of their own that only they move."""
    slept: list[float] = []
    now = time.time()
    monkeypatch.setattr(Breaker, "_sleep", lambda _self, seconds: slept.append(seconds))
    monkeypatch.setattr(time, "time", lambda: now + sum(slept))
    monkeypatch.setattr(time, "monotonic", lambda: sum(slept))
    monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
    return slept


def waiting(action: Callable[[], object]) -> tuple[threading.Thread, queue.SimpleQueue[str]]:
    """Do something in a thread, and wait until what it waits in can be reached by a stop; how it ended comes later."""
    ends: queue.SimpleQueue[str] = queue.SimpleQueue()

    def work() -> None:
        try:
            ends.put(str(action()))
        except process.Stopped:
            ends.put("stopped")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not process.live:
        assert thread.is_alive()
    return thread, ends


# open and paused


def test_at_first_everything_may_start(heard: Heard, naps: list[float]) -> None:
    assert Breaker(2, heard.tell).await_open(["a"])
    assert (heard, naps) == ([], [])


def test_a_pause_is_waited_for_and_told_once(heard: Heard, naps: list[float]) -> None:
    one, until = Breaker(2, heard.tell), time.time() + 60
    for _ in range(4):
        one.pause("a", until, "limit reached")
    assert one.await_open(["a"])
    assert sum(naps) == pytest.approx(60)
    clock = time.strftime("%H:%M:%S", time.localtime(until))
    assert heard == [("quota", f"no session of a starts before {clock}, then those cut short go on: limit reached")]
    assert one.await_open(["a"])
    assert len(naps) == 1


def test_the_longest_pause_counts(heard: Heard, naps: list[float]) -> None:
    one, now = Breaker(2, heard.tell), time.time()
    for seconds in (60, 90, 30):
        one.pause("a", now + seconds, "limit")
    one.await_open(["a"])
    assert sum(naps) == pytest.approx(90)
    assert len(heard) == 2, "the shorter one is no news"


def test_a_pause_that_grows_while_it_is_waited_for(heard: Heard, naps: list[float],
                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    one, now = Breaker(2, heard.tell), time.time()
    one.pause("a", now + 10, "limit")

    def nap(_: Breaker, seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            one.pause("a", now + 50, "limit")

    monkeypatch.setattr(Breaker, "_sleep", nap)
    assert one.await_open(["a"])
    assert naps == [pytest.approx(10), pytest.approx(40)]


@pytest.mark.parametrize("until", [None, 0.0, 1_500_000_000.0])
def test_an_unknown_renewal_doubles_up_to_an_hour_until_one_succeeds(
    heard: Heard, naps: list[float], until: float | None
) -> None:
    one = Breaker(2, heard.tell)
    for _ in range(6):
        one.pause("a", until, "limit")
        one.await_open(["a"])
    assert naps == pytest.approx([300, 600, 1200, 2400, 3600, 3600])
    one.succeed()
    one.pause("a", until, "limit")
    one.await_open(["a"])
    assert naps[-1] == pytest.approx(300)


@pytest.mark.parametrize("past", [0.0, 0.5, 59.0])
def test_what_is_renewed_by_the_time_that_it_is_told_of_is_waited_for_shortly(
    heard: Heard, naps: list[float], past: float
) -> None:
    """A little longer each time: it may be the clocks that differ."""
    one = Breaker(2, heard.tell)
    for _ in range(12):
        one.pause("a", time.time() - past, "limit")
        one.await_open(["a"])
    assert naps == pytest.approx([2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600])


def test_refusals_at_once_are_one(heard: Heard, naps: list[float]) -> None:
    one = Breaker(2, heard.tell)
    for _ in range(2):
        for _ in range(8):
            one.pause("a", None, "limit")
        one.await_open(["a"])
    assert naps == pytest.approx([300, 600])
    assert len(heard) == 2


def test_a_known_renewal_leaves_no_row_behind(heard: Heard, naps: list[float]) -> None:
    one = Breaker(2, heard.tell)
    for until in (time.time() + 5, None):
        one.pause("a", until, "limit")
        one.await_open(["a"])
    assert naps == pytest.approx([5, 300])


@pytest.mark.parametrize("seconds", [33 * 86400.0, 1e9])
def test_a_renewal_too_far_off_to_be_one_counts_as_not_known(heard: Heard, naps: list[float], seconds: float) -> None:
    one = Breaker(2, heard.tell)
    one.pause("a", time.time() + seconds, "limit")
    assert one.await_open(["a"])
    assert naps == pytest.approx([300])


@pytest.mark.parametrize(("change", "left"), [(-86400.0, 60), (-1.0, 60), (0.0, 60), (20.0, 40), (86400.0, 0)])
def test_setting_the_clock_makes_no_pause_longer(
    heard: Heard, naps: list[float], monkeypatch: pytest.MonkeyPatch, change: float, left: float
) -> None:
    one, before = Breaker(2, heard.tell), time.time()
    one.pause("a", before + 60, "limit")
    monkeypatch.setattr(time, "time", lambda: before + change + sum(naps))
    assert one.await_open(["a"])
    assert sum(naps) == pytest.approx(left)


# failures in a row


def test_the_wait_doubles_and_a_success_ends_the_row(heard: Heard, naps: list[float]) -> None:
    one = Breaker(2, heard.tell)
    for _ in range(10):
        one.await_backoff()
    assert naps == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    one.succeed()
    one.await_backoff()
    assert naps[-1] == 2


def test_the_wait_is_by_chance_a_little_more_or_less(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(Breaker, "_sleep", lambda _self, seconds: naps.append(seconds))
    for _ in range(40):
        Breaker(10, heard.tell).await_backoff()
    assert all(5 <= seconds <= 15 for seconds in naps)
    assert len(set(naps)) > 30


# halted


def test_halted_for_good_the_first_reason_stands(heard: Heard, naps: list[float]) -> None:
    one = Breaker(2, heard.tell)
    one.halt("no login")
    one.halt("no money")
    one.succeed()
    assert not one.await_open(["a"])
    assert one.halted == "no login"
    assert heard == [("halted", "no further session starts: no login")]
    one.pause("a", time.time() + 60, "limit")
    assert not one.await_open(["a"])
    assert naps == [], "who may not start does not wait first"


# waiting for real


def test_a_short_pause_really_ends(heard: Heard) -> None:
    one = Breaker(0.01, heard.tell)
    until = time.time() + 0.1
    one.pause("a", until, "limit")
    assert one.await_open(["a"])
    assert time.time() >= until
    one.await_backoff()


@pytest.mark.parametrize("what", ["open", "backoff"])
def test_who_waits_wakes_up_when_the_run_is_stopped(heard: Heard, what: str) -> None:
    one = Breaker(FAR, heard.tell)
    one.pause("a", time.time() + FAR, "limit")
    thread, ends = waiting((lambda: one.await_open(["a"])) if what == "open" else one.await_backoff)
    process.stop_all()
    assert ends.get() == "stopped"
    thread.join()


@pytest.mark.parametrize("what", ["open", "backoff"])
def test_nobody_begins_to_wait_once_the_run_is_stopped(heard: Heard, what: str) -> None:
    one = Breaker(FAR, heard.tell)
    one.pause("a", time.time() + FAR, "limit")
    process.stopping.set()
    with pytest.raises(process.Stopped):
        one.await_open(["a"]) if what == "open" else one.await_backoff()


def test_who_waits_is_not_held_up_by_a_halt_for_good(heard: Heard) -> None:
    """A login that is gone ends the run, however long a quota would have taken."""
    one = Breaker(2, heard.tell)
    one.pause("a", time.time() + FAR, "limit")
    thread, ends = waiting(lambda: one.await_open(["a"]))
    one.halt("no login")
    assert ends.get() == "None"
    thread.join()


def test_an_open_run_that_is_stopped_starts_nothing_either(heard: Heard) -> None:
    process.stopping.set()
    with pytest.raises(process.Stopped):
        Breaker(2, heard.tell).await_open(["a"])


def test_each_agent_has_a_pause_of_its_own() -> None:
    heard = Heard()
    one = Breaker(2, heard.tell)
    assert one.await_open(["a", "b"]) == "a"
    one.pause("a", time.time() + FAR, "limit")
    assert one.await_open(["a", "b"]) == "b"
    assert one.await_open(["b"]) == "b"
    one.pause("b", time.time() + 0.05, "limit")
    assert one.await_open(["a", "b"]) == "b"  # it waits for the one that is renewed first


def test_nobody_stands_in_where_nothing_starts_any_more() -> None:
    one = Breaker(2, Heard().tell)
    one.halt("no money")
    assert one.await_open(["a", "b"]) is None


DAY = 86400.0
ENDED = 1_700_000_000.0


@pytest.mark.parametrize(("until", "now", "known"), [
    (None, ENDED, None),  # it was not told
    (ENDED + 100, ENDED + 10, ENDED + 100),
    (ENDED + 100, ENDED - 5000, ENDED - 4900),  # the clock was set back: it takes no longer than it did then
    (ENDED + 100, ENDED + 5000, ENDED + 100),  # renewed since
    (ENDED + 33 * DAY, ENDED, None),  # no quota takes as long
    (ENDED - 30, ENDED, ENDED - 30),  # renewed while the session came to its end
    (ENDED - 90, ENDED, None),  # what had been renewed before it ended said something else
])  # fmt: skip
def test_when_a_quota_that_was_told_earlier_is_renewed(until: float | None, now: float, known: float | None) -> None:
    refused = records.Refused(agent="claude", until=until, started=ENDED - 20, elapsed=20.0)
    assert find_renewal(refused, now) == known
