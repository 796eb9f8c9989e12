"""What follows a session's end: the whole table, stated apart from the code."""

from __future__ import annotations

import itertools

import pytest
from work_milestone.sessions.work import Next, decide
from work_milestone.store import Session

BOOLS = (False, True)
PASSING = {Session.TIMEOUT, Session.TURNS, Session.TRANSIENT}  # what may be otherwise the next time
ENDED_BESIDE = {Session.CRASHED, Session.STOPPED}  # for no reason of its own


def expected(status: Session, given_up: bool, stopping: bool, revived: bool, retries: int) -> Next:
    if not given_up:
        if status in ENDED_BESIDE:
            return Next.END if stopping or revived else Next.REVIVE
        if status is Session.QUOTA:
            return Next.RENEW  # a retry is not spent on it
        if status in PASSING and retries > 0:
            return Next.RETRY
    return Next.END


@pytest.mark.parametrize("status", Session)
def test_every_row(status: Session) -> None:
    for given_up, stopping, revived, retries in itertools.product(BOOLS, BOOLS, BOOLS, (0, 1, 2)):
        found = decide(status, given_up=given_up, stopping=stopping, revived=revived, retries=retries)
        assert found is expected(status, given_up, stopping, revived, retries)


@pytest.mark.parametrize(("status", "follows"), [
    (Session.COMPLETE, Next.END), (Session.PARTIAL, Next.END), (Session.BLOCKED, Next.END), (Session.FAILED, Next.END),
    (Session.BUDGET, Next.END), (Session.AUTH, Next.END), (Session.TIMEOUT, Next.RETRY), (Session.TURNS, Next.RETRY),
    (Session.TRANSIENT, Next.RETRY), (Session.QUOTA, Next.RENEW), (Session.CRASHED, Next.REVIVE),
    (Session.STOPPED, Next.REVIVE),
])  # fmt: skip
def test_in_a_run_that_nobody_stops(status: Session, follows: Next) -> None:
    assert decide(status, given_up=False, stopping=False, revived=False, retries=1) is follows
