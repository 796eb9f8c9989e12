"""What the record of a merge says, by how far that went."""

from __future__ import annotations

from pathlib import Path

import pytest
from work_milestone.conflicts import Class, Verdict, completeness
from work_milestone.gates import Failure
from work_milestone.merging import outcomes
from work_milestone.merging.candidates import Candidate, Loss
from work_milestone.plan import FollowUp, Reason
from work_milestone.store import Kind, MergeStatus, Session, records

HEAD, ONTO, COMMIT, TREE = "a" * 40, "b" * 40, "c" * 40, "d" * 40
WHOLE = records.Work(status=Session.COMPLETE, attempt=1, head=HEAD)
PART = records.Work(status=Session.PARTIAL, attempt=1, head=HEAD)
FOLLOWUP = FollowUp(issue=9, title="It", origin=1, kind=Reason.CONFLICT, generation=1, head=HEAD, base=ONTO, onto=ONTO,
                    branch="work/7/1")  # fmt: skip


def merged(cls: Class) -> Verdict:
    return Verdict(cls, f"{cls}: why", ("f",), {}, TREE)


def built(cls: Class) -> Candidate:
    return Candidate(COMMIT, TREE, cls, f"{cls}: why", ("f",))


def test_what_waits_names_each_with_its_word() -> None:
    merge = outcomes.wait([(4, "failed"), (5, "pending")])
    assert (merge.outcome, merge.reason) == (MergeStatus.WAITING, "waits for #4 (failed), #5 (pending)")


@pytest.mark.parametrize("cls", [Class.MEDIUM, Class.HEAVY])
def test_a_conflict_says_its_class_files_and_follow_up(cls: Class) -> None:
    plain = outcomes.refuse(merged(cls), ONTO)
    assert (plain.outcome, plain.cls, plain.files, plain.onto) == (MergeStatus.CONFLICT, cls, ("f",), ONTO)
    assert (plain.reason, plain.followup) == (f"{cls}: why", None)
    taken = outcomes.refuse(merged(cls), ONTO, FOLLOWUP, "follow-up #9")
    assert (taken.reason, taken.followup) == (f"{cls}: why; follow-up #9", FOLLOWUP)


def test_what_would_drop_lines_stops() -> None:
    merge = outcomes.refuse_loss(merged(Class.CLEAN), Loss("f: lines are gone"), ONTO)
    assert (merge.outcome, merge.reason, merge.mended) == (MergeStatus.DROPPED, "f: lines are gone", False)


def test_what_rules_would_drop_is_for_a_session() -> None:
    merge = outcomes.refuse_loss(merged(Class.TRIVIAL), Loss("f: lines are gone"), ONTO)
    assert (merge.outcome, merge.cls, merge.files) == (MergeStatus.CONFLICT, Class.MEDIUM, ("f",))
    assert merge.reason == "trivial: why, but f: lines are gone"


FAILURE = Failure(command="make", code=2, log=Path("make.log"), reason="`make` exited 2", tail=("last",))


def test_a_gate_refuses_a_candidate_that_a_session_can_fix() -> None:
    merge = outcomes.refuse_by_gate(built(Class.CLEAN), FAILURE, ONTO)
    assert (merge.outcome, merge.candidate, merge.command, merge.code) == (MergeStatus.GATE, COMMIT, "make", 2)
    assert (merge.tail, merge.log, merge.onto) == (("last",), "make.log", ONTO)


def test_what_rules_resolved_and_a_gate_refuses_is_for_a_session() -> None:
    merge = outcomes.refuse_by_gate(built(Class.TRIVIAL), FAILURE, ONTO)
    assert (merge.outcome, merge.cls, merge.files) == (MergeStatus.CONFLICT, Class.MEDIUM, ("f",))
    assert merge.reason == "medium: why, but `make` exited 2"
    assert merge.candidate == ""


@pytest.mark.parametrize(("unresolved", "outcome"), [(True, MergeStatus.CONFLICT), (False, MergeStatus.DROPPED)])
def test_a_resolution_that_is_none_is_tried_again(unresolved: bool, outcome: MergeStatus) -> None:
    fault = completeness.Fault("markers are left", unresolved=unresolved)
    merge = outcomes.reject_resolution(fault, ONTO, outcomes.refuse(merged(Class.MEDIUM), ONTO))
    assert (merge.outcome, merge.mended, merge.cls, merge.files) == (outcome, True, Class.MEDIUM, ("f",))
    assert outcomes.reject_resolution(fault, ONTO, None).files == ()


@pytest.mark.parametrize(("kind", "words"), [
    (None, ""), (Kind.RESOLVE, "conflict resolved by attempt 3"), (Kind.FIX, "fixed by attempt 3"), (Kind.WORK, ""),
])  # fmt: skip
def test_what_a_merge_took(kind: Kind | None, words: str) -> None:
    mend = records.Mend(status=Session.COMPLETE, attempt=3, of=HEAD, kind=kind)
    clean = outcomes.succeed(WHOLE, built(Class.CLEAN), mend, ONTO, None, "")
    assert (clean.outcome, clean.reason, clean.commit, clean.head) == (MergeStatus.MERGED, words, COMMIT, HEAD)
    trivial = outcomes.succeed(WHOLE, built(Class.TRIVIAL), mend, ONTO, None, "")
    assert trivial.reason == "; ".join(filter(None, ("trivial: why", words)))


def test_a_finished_part_names_who_has_the_rest() -> None:
    merge = outcomes.succeed(PART, built(Class.CLEAN), None, ONTO, FOLLOWUP, "follow-up #9")
    assert (merge.reason, merge.followup) == ("its finished part; follow-up #9", FOLLOWUP)
