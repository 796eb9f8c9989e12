"""Where an item stands: the whole table of what plan, receipts and git can say, stated apart from the code."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, get_args

import pytest
from work_milestone.plan import FollowUp, Reason
from work_milestone.plan.model import Status
from work_milestone.run import Standing
from work_milestone.store import REFUSED, RESUMED, RETRIED, WITH_WORK, MergeStatus, Session, records

PLANNED = get_args(Status)
SESSIONS = (None, *Session)
MERGES = (None, *MergeStatus)
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


def stand(
    *, planned: str = "pending", session: Session | None = None, head: str | None = None,
    merge: MergeStatus | None = None, parts: Mapping[str, bool] = MappingProxyType({}), followup: str | None = None,
    left_out: bool = False,
) -> Standing:  # fmt: skip
    """An item of which plan, records and git say so; without a head the commit that its session ended on is gone."""
    taken_over = FollowUp(issue=2, title="It", origin=1, kind=Reason(followup), generation=1, head=HEAD, base=OTHER,
                          onto=OTHER, branch="work/7/1") if followup else None  # fmt: skip
    return Standing(
        1, planned, work=records.Work(status=session, attempt=1, head=HEAD) if session else None,
        head_exists=head is not None, merge=records.Merge(status=merge, attempt=1) if merge else None, parts=parts,
        followup=taken_over, followup_skipped=left_out,
    )  # fmt: skip


class Row(NamedTuple):
    planned: Status
    session: Session | None
    merge: MergeStatus | None
    git: str
    followup: str | None
    left_out: bool  # the follow-up, by a person

    @property
    def standing(self) -> Standing:
        head, parts = GIT[self.git]
        return stand(planned=self.planned, session=self.session, head=head, merge=self.merge, parts=parts,
                     followup=self.followup, left_out=self.left_out)  # fmt: skip


# Without a follow-up there is none to be left out.
TABLE = [
    Row(*row, followup, left_out)
    for row in itertools.product(PLANNED, SESSIONS, MERGES, GIT)
    for followup in FOLLOWUPS
    for left_out in (False, True)
    if followup or not left_out
]
KNOWN = [(row, row.standing) for row in TABLE]


def expect(row: Row) -> str:
    """The rules of the design, first match first, as the one word of the answer."""
    if row.git in SHOWN_MERGED or row.planned == "complete":
        return "merged"
    if row.merge is MergeStatus.SKIPPED or row.planned == "skipped" or row.left_out:
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
def test_every_row(planned: Status, git: str) -> None:
    for row, standing in BY_PLAN_AND_GIT[planned, git]:
        expected = expect(row)
        assert standing.merged == (expected == "merged"), row
        assert standing.skipped == (expected == "skipped"), row
        assert standing.settled == (expected in ("merged", "skipped")), row
        assert standing.mergeable == (expected == "mergeable"), row
        assert standing.followed == (expected == "followed"), row
        assert standing.needs_session == (expected == "needs session"), row


BY_PLAN_AND_GIT: dict[tuple[str, str], list[tuple[Row, Standing]]] = defaultdict(list)
for pair in KNOWN:
    BY_PLAN_AND_GIT[pair[0].planned, pair[0].git].append(pair)


def test_exactly_one_thing_is_next() -> None:
    for row, standing in KNOWN:
        assert [standing.settled, standing.mergeable, standing.followed, standing.needs_session].count(True) == 1, row
        assert standing.settled == (standing.merged or standing.skipped), row
        assert not (standing.merged and standing.skipped), row


def test_git_beats_receipts_plan_and_overlay() -> None:
    for row, standing in KNOWN:
        if row.git in SHOWN_MERGED:
            assert standing.merged, row
            assert not standing.skipped, row
        elif row.planned != "complete":
            assert not standing.merged, f"{row}: only git shows a merge"


def test_what_is_followed_is_neither_paid_for_nor_merged_again() -> None:
    for row, standing in KNOWN:
        if row.followup == "conflict" or (row.followup == "rest" and row.git == "part merged"):
            assert not standing.needs_session, row
            assert not standing.mergeable, row


def test_a_rest_is_taken_over_once_its_part_is_merged() -> None:
    """The follow-up is written down first, and a run may be killed before the part is on the branch."""
    begun = stand(session=Session.PARTIAL, head=HEAD, followup="rest")
    assert begun.mergeable
    assert not begun.followed
    merged = stand(session=Session.PARTIAL, head=HEAD, followup="rest", parts={HEAD: False}, merge=MergeStatus.MERGED)
    assert merged.followed
    assert merged.word == "partial"


def test_a_followup_that_is_left_out_leaves_its_origin_out() -> None:
    for row, standing in KNOWN:
        if row.left_out:
            assert standing.settled, row


def test_finished_session_is_never_paid_for_twice() -> None:
    for row, standing in KNOWN:
        if row.session in WITH_WORK and row.git in TO_MERGE:
            assert not standing.needs_session, row


def test_session_without_its_head_is_asked_for_again() -> None:
    for session in WITH_WORK:
        assert stand(session=session, head=None).needs_session


def test_partial_work_that_is_merged_and_not_followed_leaves_a_session_to_do() -> None:
    standing = stand(session=Session.PARTIAL, head=HEAD, merge=MergeStatus.MERGED, parts={HEAD: False})
    assert standing.needs_session
    assert standing.word == "partial"


def expected_word(row: Row) -> str:
    if row.planned == "complete":
        return "complete" if not GIT[row.git][1] else "merged"
    answer = expect(row)
    if answer in ("merged", "skipped"):
        return answer
    if answer == "followed":
        return "partial" if row.git in IN_PART else "conflict"
    if answer == "mergeable":
        held = {MergeStatus.CONFLICT: "conflict", MergeStatus.GATE: "gate", MergeStatus.DROPPED: "dropped"}
        return held.get(row.merge, "ready") if row.merge else "ready"
    if row.merge is MergeStatus.WAITING:
        return "waiting"
    return str(row.session) if row.session else "pending"


def test_every_word() -> None:
    for row, standing in KNOWN:
        assert standing.word == expected_word(row), row


def test_words_of_the_session_are_shown_until_there_is_work() -> None:
    for session in Session:
        assert stand(session=session).word == session.value


def test_closed_sets() -> None:
    assert (
        " ".join(Session) == "complete partial blocked failed timeout turns budget quota transient auth stopped crashed"
    )
    assert " ".join(MergeStatus) == "merged conflict gate dropped waiting skipped"
    assert {Session.TIMEOUT, Session.TURNS, Session.TRANSIENT} == RETRIED
    assert {Session.QUOTA, Session.BUDGET, Session.STOPPED, Session.CRASHED} == RESUMED - RETRIED
    assert {Session.COMPLETE, Session.PARTIAL} == WITH_WORK


def test_what_has_had_its_turn_in_this_run_is_not_tried_again_by_it() -> None:
    for row, standing in KNOWN:
        had = dataclasses.replace(standing, had_work=True, had_merge=True)
        assert not had.needs_session, row
        assert had.lacks_work == standing.needs_session, row
        assert had.was_refused == (row.merge in REFUSED), row
        assert not standing.was_refused, row
        assert (had.word, had.settled, had.mergeable) == (standing.word, standing.settled, standing.mergeable), row


@pytest.mark.parametrize(
    ("merge", "detail", "followup", "told"),
    [
        ("", "", None, ""),
        ("", "exit 1", None, "exit 1"),
        ("heavy", "exit 1", None, "heavy"),
        ("", "", "rest", "partial; follow-up #2 has the rest"),
        ("its part", "", "rest", "its part; follow-up #2 has the rest"),
        ("heavy; follow-up #2", "", "conflict", "heavy; follow-up #2"),
    ],
)
def test_why_it_stands_so(merge: str, detail: str, followup: str | None, told: str) -> None:
    standing = stand(session=Session.FAILED, merge=MergeStatus.CONFLICT, followup=followup)
    assert standing.work
    assert standing.merge
    work, merged = standing.work.replace(detail=detail), standing.merge.replace(reason=merge)
    assert dataclasses.replace(standing, work=work, merge=merged).reason == told


def test_what_its_sessions_have_cost() -> None:
    assert stand().spent == 0
    work, mend = (
        records.Work(status="complete", attempt=1, spent=0.5),
        records.Mend(status="", attempt=2, of="", spent=1),
    )
    assert Standing(1, work=work).spent == 0.5
    assert Standing(1, work=work, mend=mend).spent == 1.5
