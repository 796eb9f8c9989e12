"""What a merge that was refused asks for, row by row."""

from __future__ import annotations

import dataclasses

import pytest
from work_milestone.conflicts import Class
from work_milestone.merging.needs import brings_anything, find_kind, is_outdated
from work_milestone.run import Standing
from work_milestone.store import Kind, MergeStatus, Session, records

HEAD, ONTO, MOVED, CANDIDATE = "a" * 40, "b" * 40, "c" * 40, "d" * 40
WORK = records.Work(status=Session.COMPLETE, attempt=1, head=HEAD)


def refused(status: MergeStatus | None, cls: Class | str = "", *, mended: bool = False, onto: str = ONTO) -> Standing:
    merge = records.Merge(status=status, attempt=1, cls=cls, mended=mended, onto=onto) if status else None
    return Standing(1, work=WORK, head_exists=True, merge=merge, candidate_exists=True)


ASKED = [
    (None, "", False, None),
    (MergeStatus.MERGED, Class.CLEAN, False, None),
    (MergeStatus.WAITING, "", False, None),
    (MergeStatus.CONFLICT, "", False, None),  # git could not merge it at all
    (MergeStatus.CONFLICT, Class.MEDIUM, False, Kind.RESOLVE),
    (MergeStatus.CONFLICT, Class.MEDIUM, True, Kind.RESOLVE),
    (MergeStatus.CONFLICT, Class.HEAVY, False, None),
    (MergeStatus.CONFLICT, Class.TRIVIAL, False, None),
    (MergeStatus.DROPPED, Class.MEDIUM, True, Kind.RESOLVE),  # a session's resolution was none
    (MergeStatus.DROPPED, Class.CLEAN, False, None),  # what would drop lines with no conflict is for a person
    (MergeStatus.GATE, "", False, Kind.FIX),
    (MergeStatus.SKIPPED, "", False, None),
]


@pytest.mark.parametrize(("status", "cls", "mended", "kind"), ASKED)
def test_who_can_help(status: MergeStatus | None, cls: Class | str, mended: bool, kind: Kind | None) -> None:
    assert find_kind(refused(status, cls, mended=mended)) is kind


def test_every_status_has_a_row() -> None:
    assert {status for status, *_ in ASKED} == {None, *MergeStatus}


@pytest.mark.parametrize(("status", "cls"), [(MergeStatus.GATE, ""), (MergeStatus.CONFLICT, Class.MEDIUM)])
def test_nobody_helps_where_nothing_waits_to_be_merged(status: MergeStatus, cls: Class | str) -> None:
    standing = refused(status, cls)
    assert find_kind(standing) is not None
    assert find_kind(dataclasses.replace(standing, head_exists=False)) is None
    assert find_kind(dataclasses.replace(standing, parts={HEAD: True})) is None
    assert find_kind(dataclasses.replace(standing, had_merge=True)) is None, "it has had its turn in this run"


def test_a_candidate_that_is_gone_is_built_again_and_not_fixed() -> None:
    assert find_kind(dataclasses.replace(refused(MergeStatus.GATE), candidate_exists=False)) is None


@pytest.mark.parametrize(("status", "mended", "onto", "outdated"), [
    (MergeStatus.CONFLICT, False, ONTO, True),
    (MergeStatus.CONFLICT, False, MOVED, False),
    (MergeStatus.CONFLICT, True, ONTO, False),  # its resolution goes on from where it is
    (MergeStatus.GATE, False, ONTO, False),
    (MergeStatus.DROPPED, False, ONTO, False),
    (None, False, ONTO, False),
])  # fmt: skip
def test_a_conflict_with_what_has_moved_since_is_outdated(
    status: MergeStatus | None, mended: bool, onto: str, outdated: bool
) -> None:
    assert is_outdated(refused(status, Class.MEDIUM, mended=mended, onto=onto), MOVED) is outdated


def mended(standing: Standing, head: str | None) -> Standing:
    return dataclasses.replace(standing, mend=records.Mend(status=Session.COMPLETE, attempt=2, of=HEAD, head=head))


def test_what_a_session_has_brought() -> None:
    conflict, gate = refused(MergeStatus.CONFLICT, Class.MEDIUM), refused(MergeStatus.GATE)
    assert brings_anything(conflict, mended(conflict, MOVED), ONTO), "a commit"
    assert brings_anything(mended(conflict, HEAD), mended(conflict, MOVED), ONTO), "another one"
    assert brings_anything(conflict, mended(conflict, None), MOVED), "another head to merge onto"
    assert not brings_anything(conflict, mended(conflict, None), ONTO)
    assert not brings_anything(mended(conflict, MOVED), mended(conflict, MOVED), ONTO)
    assert brings_anything(gate, mended(gate, None), ONTO), "a gate may fail but sometimes"
