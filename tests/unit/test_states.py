"""Where an item stands: the whole table of what plan, receipts and git can say, stated apart from the code."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import NamedTuple, get_args

import pytest
from work_milestone import plan as plans
from work_milestone.states import RETRIED, WITH_WORK, Facts, Merge, Session

PLANNED = get_args(plans.Status)
SESSIONS = (None, *Session)
MERGES = (None, *Merge)
HEAD, OTHER = "a" * 40, "b" * 40
# What git shows: name -> (does the head exist, the parts that bear a trailer).
GIT: Mapping[str, tuple[str | None, Mapping[str, bool]]] = {
    "no head": (None, {}),
    "unmerged": (HEAD, {}),
    "part merged": (HEAD, {HEAD: False}),
    "whole merged": (HEAD, {HEAD: True}),
    "other part merged": (HEAD, {OTHER: False}),
    "other whole merged": (HEAD, {OTHER: True}),
    "head gone, part merged": (None, {HEAD: False}),
    "head gone, whole merged": (None, {HEAD: True}),
}
SHOWN_MERGED = frozenset({"whole merged", "other whole merged", "head gone, whole merged"})
TO_MERGE = frozenset({"unmerged", "other part merged"})


class Row(NamedTuple):
    planned: plans.Status
    session: Session | None
    merge: Merge | None
    git: str

    @property
    def facts(self) -> Facts:
        head, parts = GIT[self.git]
        return Facts(planned=self.planned, session=self.session, head=head, merge=self.merge, parts=parts)


TABLE = [Row(*row) for row in itertools.product(PLANNED, SESSIONS, MERGES, GIT)]


def expect(row: Row) -> str:
    """The rules of the design, first match first, as the one word of the answer."""
    if row.git in SHOWN_MERGED or row.planned == "complete":
        return "merged"
    if row.merge is Merge.SKIPPED or row.planned == "skipped":
        return "skipped"
    if row.session in (Session.COMPLETE, Session.PARTIAL) and row.git in TO_MERGE:
        return "mergeable"
    return "needs session"


def test_table_is_whole() -> None:
    assert len(TABLE) == len(set(TABLE)) == 5 * 12 * 7 * 8


@pytest.mark.parametrize("git", GIT)
@pytest.mark.parametrize("planned", PLANNED)
def test_every_row(planned: plans.Status, git: str) -> None:
    for row in (row for row in TABLE if (row.planned, row.git) == (planned, git)):
        facts, expected = row.facts, expect(row)
        assert facts.merged == (expected == "merged"), row
        assert facts.skipped == (expected == "skipped"), row
        assert facts.settled == (expected in ("merged", "skipped")), row
        assert facts.mergeable == (expected == "mergeable"), row
        assert facts.needs_session == (expected == "needs session"), row


def test_exactly_one_thing_is_next() -> None:
    for row in TABLE:
        facts = row.facts
        assert [facts.settled, facts.mergeable, facts.needs_session].count(True) == 1, row
        assert facts.settled == (facts.merged or facts.skipped), row


def test_git_beats_receipts_and_plan() -> None:
    for row in TABLE:
        if row.git in SHOWN_MERGED:
            assert row.facts.merged, row
            assert not row.facts.skipped, row
        elif row.planned != "complete":
            assert not row.facts.merged, f"{row}: only git shows a merge"


def test_finished_session_is_never_paid_for_twice() -> None:
    for row in TABLE:
        if row.session in WITH_WORK and row.git in TO_MERGE:
            assert not row.facts.needs_session, row


def test_session_without_its_head_is_asked_for_again() -> None:
    for session in WITH_WORK:
        assert Facts(session=session, head=None).needs_session


def test_partial_work_that_is_merged_leaves_a_session_to_do() -> None:
    facts = Facts(session=Session.PARTIAL, head=HEAD, merge=Merge.MERGED, parts={HEAD: False})
    assert facts.needs_session
    assert facts.word == "partial"


def expected_word(row: Row) -> str:
    if row.planned == "complete":
        return "complete" if not GIT[row.git][1] else "merged"
    answer = expect(row)
    if answer in ("merged", "skipped"):
        return answer
    if answer == "mergeable":
        held = {Merge.CONFLICT: "conflict", Merge.GATE: "gate", Merge.DROPPED: "dropped"}
        return held.get(row.merge, "ready") if row.merge else "ready"
    if row.merge is Merge.WAITING:
        return "waiting"
    return str(row.session) if row.session else "pending"


def test_every_word() -> None:
    for row in TABLE:
        assert row.facts.word == expected_word(row), row


def test_words_of_the_session_are_shown_until_there_is_work() -> None:
    for session in Session:
        assert Facts(session=session).word == session.value


def test_closed_sets() -> None:
    assert " ".join(Session) == "complete partial blocked failed timeout budget quota transient auth stopped crashed"
    assert " ".join(Merge) == "merged conflict gate dropped waiting skipped"
    assert {Session.TIMEOUT, Session.TRANSIENT} == RETRIED
    assert {Session.COMPLETE, Session.PARTIAL} == WITH_WORK
