"""Where an item stands: the whole table of what plan, receipts and git can say, stated apart from the code."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple, get_args

import pytest
from work_milestone import plan as plans
from work_milestone.store.outcomes import RESUMED, RETRIED, WITH_WORK, Facts, Merge, Session

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
IN_PART = frozenset({"part merged", "other part merged", "head gone, part merged"})
FOLLOWUPS = (None, "rest", "conflict")


class Row(NamedTuple):
    planned: plans.Status
    session: Session | None
    merge: Merge | None
    git: str
    followup: str | None
    left_out: bool  # the follow-up, by a person

    @property
    def facts(self) -> Facts:
        head, parts = GIT[self.git]
        return Facts(planned=self.planned, session=self.session, head=head, merge=self.merge, parts=parts,
                     followup=self.followup, followup_skipped=self.left_out)  # fmt: skip


# Without a follow-up there is none to be left out.
TABLE = [
    Row(*row, followup, left_out)
    for row in itertools.product(PLANNED, SESSIONS, MERGES, GIT)
    for followup in FOLLOWUPS
    for left_out in (False, True)
    if followup or not left_out
]
KNOWN = [(row, row.facts) for row in TABLE]


def expect(row: Row) -> str:
    """The rules of the design, first match first, as the one word of the answer."""
    if row.git in SHOWN_MERGED or row.planned == "complete":
        return "merged"
    if row.merge is Merge.SKIPPED or row.planned == "skipped" or row.left_out:
        return "skipped"
    if row.followup == "conflict":
        return "followed"
    if row.session in (Session.COMPLETE, Session.PARTIAL) and row.git in TO_MERGE:
        return "mergeable"
    if row.followup == "rest" and row.git in IN_PART:
        return "followed"
    return "needs session"


def test_table_is_whole() -> None:
    assert len(TABLE) == len(set(TABLE)) == 5 * 13 * 7 * 8 * 5


@pytest.mark.parametrize("git", GIT)
@pytest.mark.parametrize("planned", PLANNED)
def test_every_row(planned: plans.Status, git: str) -> None:
    for row, facts in BY_PLAN_AND_GIT[planned, git]:
        expected = expect(row)
        assert facts.merged == (expected == "merged"), row
        assert facts.skipped == (expected == "skipped"), row
        assert facts.settled == (expected in ("merged", "skipped")), row
        assert facts.mergeable == (expected == "mergeable"), row
        assert facts.followed == (expected == "followed"), row
        assert facts.needs_session == (expected == "needs session"), row


BY_PLAN_AND_GIT: dict[tuple[str, str], list[tuple[Row, Facts]]] = defaultdict(list)
for pair in KNOWN:
    BY_PLAN_AND_GIT[pair[0].planned, pair[0].git].append(pair)


def test_exactly_one_thing_is_next() -> None:
    for row, facts in KNOWN:
        assert [facts.settled, facts.mergeable, facts.followed, facts.needs_session].count(True) == 1, row
        assert facts.settled == (facts.merged or facts.skipped), row
        assert not (facts.merged and facts.skipped), row


def test_git_beats_receipts_plan_and_overlay() -> None:
    for row, facts in KNOWN:
        if row.git in SHOWN_MERGED:
            assert facts.merged, row
            assert not facts.skipped, row
        elif row.planned != "complete":
            assert not facts.merged, f"{row}: only git shows a merge"


def test_what_is_followed_is_neither_paid_for_nor_merged_again() -> None:
    for row, facts in KNOWN:
        if row.followup == "conflict" or (row.followup == "rest" and row.git == "part merged"):
            assert not facts.needs_session, row
            assert not facts.mergeable, row


def test_a_rest_is_taken_over_once_its_part_is_merged() -> None:
    """The follow-up is written down first, and a run may be killed before the part is on the branch."""
    begun = Facts(session=Session.PARTIAL, head=HEAD, followup="rest")
    assert begun.mergeable
    assert not begun.followed
    merged = Facts(session=Session.PARTIAL, head=HEAD, followup="rest", parts={HEAD: False}, merge=Merge.MERGED)
    assert merged.followed
    assert merged.word == "partial"


def test_a_followup_that_is_left_out_leaves_its_origin_out() -> None:
    for row, facts in KNOWN:
        if row.left_out:
            assert facts.settled, row


def test_finished_session_is_never_paid_for_twice() -> None:
    for row, facts in KNOWN:
        if row.session in WITH_WORK and row.git in TO_MERGE:
            assert not facts.needs_session, row


def test_session_without_its_head_is_asked_for_again() -> None:
    for session in WITH_WORK:
        assert Facts(session=session, head=None).needs_session


def test_partial_work_that_is_merged_and_not_followed_leaves_a_session_to_do() -> None:
    facts = Facts(session=Session.PARTIAL, head=HEAD, merge=Merge.MERGED, parts={HEAD: False})
    assert facts.needs_session
    assert facts.word == "partial"


def expected_word(row: Row) -> str:
    if row.planned == "complete":
        return "complete" if not GIT[row.git][1] else "merged"
    answer = expect(row)
    if answer in ("merged", "skipped"):
        return answer
    if answer == "followed":
        return "partial" if row.git in IN_PART else "conflict"
    if answer == "mergeable":
        held = {Merge.CONFLICT: "conflict", Merge.GATE: "gate", Merge.DROPPED: "dropped"}
        return held.get(row.merge, "ready") if row.merge else "ready"
    if row.merge is Merge.WAITING:
        return "waiting"
    return str(row.session) if row.session else "pending"


def test_every_word() -> None:
    for row, facts in KNOWN:
        assert facts.word == expected_word(row), row


def test_words_of_the_session_are_shown_until_there_is_work() -> None:
    for session in Session:
        assert Facts(session=session).word == session.value


def test_closed_sets() -> None:
    assert (
        " ".join(Session) == "complete partial blocked failed timeout turns budget quota transient auth stopped crashed"
    )
    assert " ".join(Merge) == "merged conflict gate dropped waiting skipped"
    assert {Session.TIMEOUT, Session.TURNS, Session.TRANSIENT} == RETRIED
    assert {Session.QUOTA, Session.BUDGET, Session.STOPPED, Session.CRASHED} == RESUMED - RETRIED
    assert {Session.COMPLETE, Session.PARTIAL} == WITH_WORK
