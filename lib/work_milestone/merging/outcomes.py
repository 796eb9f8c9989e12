"""What became of a merge, as the record says it. Pure.

Rules: the class of a conflict decides who resolves it; a resolution by rule that a gate refuses is one for a session; a
resolution that was no resolution is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence

from work_milestone.conflicts import Class, Verdict, completeness
from work_milestone.gates import Failure
from work_milestone.merging.candidates import Candidate, Loss
from work_milestone.plan import FollowUp
from work_milestone.store import Kind, MergeStatus, records

_DONE = {Kind.RESOLVE: "conflict resolved", Kind.FIX: "fixed"}


def wait(unmet: Sequence[tuple[int, str]]) -> records.Merge:
    """Say what an item waits for: issues, each with the word for how it stands."""
    names = ", ".join(f"#{issue} ({word})" for issue, word in unmet)
    return records.Merge(status=MergeStatus.WAITING, reason=f"waits for {names}")


def give_up(reason: str) -> records.Merge:
    """Say that a merge could not be made at all."""
    return records.Merge(status=MergeStatus.CONFLICT, reason=reason)


def reject_resolution(fault: completeness.Fault, onto: str, earlier: records.Merge | None) -> records.Merge:
    """Say that a session's resolution is none, or drops what it should keep; `earlier` has the conflict."""
    status = MergeStatus.CONFLICT if fault.unresolved else MergeStatus.DROPPED
    files = earlier.files if earlier else ()
    return records.Merge(status=status, reason=fault.reason, onto=onto, mended=True, files=files, cls=Class.MEDIUM)


def refuse(verdict: Verdict, onto: str, followup: FollowUp | None = None, words: str = "") -> records.Merge:
    """Say why a branch cannot be merged; `words` tell of the follow-up that takes over, where one was asked for."""
    reason = "; ".join(filter(None, (verdict.reason, words)))
    return records.Merge(status=MergeStatus.CONFLICT, reason=reason, files=verdict.files, onto=onto, followup=followup,
                 cls=verdict.cls)  # fmt: skip


def refuse_loss(verdict: Verdict, lost: Loss, onto: str) -> records.Merge:
    """Say what a merge would drop; where rules had resolved it, a session is to do that better."""
    if verdict.cls is not Class.TRIVIAL:
        return records.Merge(status=MergeStatus.DROPPED, reason=lost.reason, onto=onto)
    reason = f"{verdict.reason}, but {lost.reason}"
    return records.Merge(
        status=MergeStatus.CONFLICT, reason=reason, files=verdict.files, onto=onto, cls=Class.MEDIUM,
    )  # fmt: skip


def refuse_by_gate(built: Candidate, failure: Failure, onto: str) -> records.Merge:
    """Say which gate refused a candidate; what was resolved by rule alone is for a session to resolve then."""
    if built.cls is Class.TRIVIAL:
        reason = f"{Class.MEDIUM}: {built.reason.removeprefix(f'{Class.TRIVIAL}: ')}, but {failure.reason}"
        return records.Merge(
            status=MergeStatus.CONFLICT, reason=reason, log=str(failure.log), onto=onto, files=built.files,
            cls=Class.MEDIUM,
        )  # fmt: skip
    return records.Merge(
        status=MergeStatus.GATE, reason=failure.reason, log=str(failure.log), code=failure.code, onto=onto,
        tail=failure.tail, command=failure.command, candidate=built.commit,
    )  # fmt: skip


def succeed(
    work: records.Work, built: Candidate, mend: records.Mend | None, onto: str, followup: FollowUp | None, words: str
) -> records.Merge:
    """Say that an item is merged, and what it took: `mend` where that was built from; `words` tell of a follow-up."""
    done = _DONE.get(mend.kind or Kind.WORK) if mend else None
    mended = f"{done} by attempt {mend.attempt}" if mend and done else ""
    told = "; ".join(filter(None, ("" if built.cls is Class.CLEAN else built.reason, mended)))
    return records.Merge(
        status=MergeStatus.MERGED, reason=told if work.is_whole else f"its finished part; {words}",
        commit=built.commit, head=str(work.head), onto=onto, followup=followup, cls=built.cls,
    )  # fmt: skip
