"""Remedies: the sessions that resolve or fix what an item's merge ran into, after which it queues again.

Rules:
- They are bounded (`mends`): who keeps failing gives way. Fixes that have not made the gates green are taken back.
- A session that an earlier run has begun is taken up, whatever the bound is now: it is paid for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from work_milestone.gates import Failure
from work_milestone.git import trees
from work_milestone.merging import mending, queue
from work_milestone.merging.needs import Need, brings_anything, find_kind, is_outdated
from work_milestone.plan import Item
from work_milestone.run import Run, Standing, followups, step
from work_milestone.store import Kind, MergeStatus, Session, records
from work_milestone.system import process
from work_milestone.text import masking

MOST_LOG = 8000  # bytes of a gate's log that a prompt carries
MOST_NOTES = 2000  # characters of what another session has said


def is_mended(run: Run, item: Item) -> bool:
    """Tell whether no session is to mend what the item's merge ran into, and none is doing so."""
    standing = run.standing(item.issue)
    if not standing.mergeable or standing.was_refused:
        return True
    wanted = run.milestone.settings.mends and find_kind(standing)
    return not wanted and not run.is_being_mended(item.issue)


@step(is_done=is_mended, leaves=records.Mend)
def mend(run: Run, item: Item) -> None:
    """Have sessions mend what the item's merge ran into, as often as the settings allow, and merge again."""
    _mend(run, item)
    if run.standing(item.issue).merging is MergeStatus.GATE and not process.stopping.is_set():
        mending.give_up(run, item.issue)


def _mend(run: Run, item: Item) -> None:
    left = run.milestone.settings.mends
    while not (is_mended(run, item) or process.stopping.is_set()):
        before = run.standing(item.issue)
        if run.is_being_mended(item.issue):
            mending.take_up(run, item.issue)  # an earlier run has begun it: it is paid for, whatever the bound is now
        elif left and is_outdated(before, run.history.head()):
            queue.merge_in_turn(run, item)
            continue
        elif not left or not _try(run, before):
            return
        left = max(0, left - 1)
        if brings_anything(before, run.standing(item.issue), run.history.head()):
            queue.merge_in_turn(run, item)


def _try(run: Run, standing: Standing) -> bool:
    """Have a session mend; tell whether it came to an end of its own."""
    need = _find_need(run, standing)
    return need is not None and mending.mend(run, standing.issue, need) is not Session.STOPPED


def _find_need(run: Run, standing: Standing) -> Need | None:
    """Gather what such a session starts from and is told; None where there is nothing that was refused."""
    work, merge = standing.work, standing.merge
    if work is None or work.head is None or merge is None:
        return None
    if find_kind(standing) is Kind.FIX:
        failure = Failure(merge.command, merge.code or 0, Path(merge.log), merge.reason)
        values = describe_failure(run, failure, merge.onto, merge.candidate)
        return Need(Kind.FIX, merge.candidate, merge.candidate, work.head, {**values, "target": run.history.branch})
    onto, source = run.history.head(), mending.find_source(run.repo, standing.mend, work.head)
    base = run.repo.merge_base(onto, source) or onto
    others = followups.find_others(run, standing.issue, base, onto, merge.files)
    told = {"reason": merge.reason, "notes": work.notes, "others": [(run.dispatch.items[issue], _read_notes(run, issue))
                                                                    for issue in others]}  # fmt: skip
    return Need(
        Kind.RESOLVE, onto, source, work.head, {**told, **describe_conflict(run, base, onto, source, merge.files)}
    )


def describe_failure(run: Run, failure: Failure, onto: str, candidate: str) -> dict[str, Any]:
    """Say what a gate has refused, and why."""
    return {
        "reason": failure.reason, "command": failure.command, "log": masking.read_end(failure.log, MOST_LOG),
        "diff": trees.show_changes(run.repo, onto, candidate),
    }  # fmt: skip


def describe_conflict(run: Run, base: str, onto: str, source: str, files: tuple[str, ...]) -> dict[str, Any]:
    """Say what both sides of a conflict did to the files of it."""
    return {
        "files": files, "target": run.history.branch, "ours": trees.show_changes(run.repo, base, onto, files),
        "theirs": trees.show_changes(run.repo, base, source, files),
    }  # fmt: skip


def _read_notes(run: Run, issue: int) -> str:
    work = run.standing(issue).work
    return work.notes[:MOST_NOTES] if work else ""
