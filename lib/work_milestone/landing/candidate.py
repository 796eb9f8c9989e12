"""What main is to become: main and the integration branch, merged in the object database.

Rules:
- A conflict with a main that has moved is classed as an item's is: trivial is resolved by rule, medium by a session,
  and for what is heavy a person is waited for.
- What a session has resolved or fixed becomes a commit of the integration branch, which moves when gates were green on
  exactly that; the landing commit merges it as everything else.
- No line of the integration branch is dropped, or the landing waits.
"""

from __future__ import annotations

from typing import NamedTuple

from work_milestone import conflicts
from work_milestone.conflicts import Class, Verdict, completeness
from work_milestone.gates import Failure
from work_milestone.git import merges
from work_milestone.merging import Need, mending, remedies
from work_milestone.run import Run, followups
from work_milestone.store import LANDING, Kind
from work_milestone.system import MilestoneError
from work_milestone.text import one_line


class Candidate(NamedTuple):
    """What main is to become: `commit` on top of `onto`, with all of `head`; `onto` itself when that has it all.

    `tree` is known of one that has just been made; `moved_from` is where the integration branch still stands when
    `head` is what it is to be moved to.
    """

    commit: str
    onto: str
    head: str
    tree: str = ""
    moved_from: str = ""


class Conflict(NamedTuple):
    """Main and the integration branch conflict: why, and what a session would have to mend."""

    reason: str
    need: Need | None = None


def ref(run: Run) -> str:
    """Name the ref that keeps the candidate."""
    return f"refs/milestone/{run.milestone.number}/candidate/landing"


def find_tip(run: Run) -> str:
    """Return what main is to be built on: the remote's main where that is ahead of the local one."""
    history = run.history
    ours = run.repo.resolve(history.main_ref)
    if ours is None:
        raise MilestoneError(f"branch {history.main} is gone; name the one to land on: main=NAME")
    theirs = run.repo.resolve(f"refs/remotes/{history.remote}/{history.main}") if history.remote else None
    return theirs if theirs and run.repo.is_ancestor(ours, theirs) else ours


def build(run: Run) -> Candidate | Conflict:
    """Make the candidate from what main, the integration branch and the sessions that mended are now."""
    run.history.forget_head()
    onto, head = find_tip(run), run.history.head()
    if run.repo.is_ancestor(head, onto):
        return Candidate(onto, onto, head)
    source = _find_source(run, head)
    merged = _merge(run, onto, source, head)
    if isinstance(merged, Conflict):
        return merged
    if merged == run.repo.tree_of(onto):
        return Candidate(onto, onto, head)  # somebody has brought it there in a form of their own
    changed = run.repo.changed(onto, source) if source != head else ()
    tree = followups.finish(run, merged, changed, run.tasks.set_closed)
    new = head if source == head else _commit_mended(run, onto, head, tree)
    # As old as the younger of the two: whoever makes it again, after a stop, makes the same commit.
    dates = run.repo.text("log", "--no-walk", "--format=%ct", onto, new).split()
    commit = run.repo.commit_tree(tree, [onto, new], _describe(run), max(map(float, dates)))
    run.repo.move(ref(run), commit)
    return Candidate(commit, onto, new, tree, moved_from="" if new == head else head)


def _find_source(run: Run, head: str) -> str:
    """Return what to build from, the integration branch or what has mended it; what undoes any of it is rejected."""
    source, rejected = mending.find_sound_source(run, LANDING, head)
    if rejected:
        run.tell((rejected.kind or Kind.FIX).value, "rejected", rejected.fault.reason)
    return source


def _merge(run: Run, onto: str, source: str, head: str) -> str | Conflict:
    """Merge onto main; return the tree, or what keeps them apart."""
    merged = merges.merge(run.repo, onto, source, merges.provide(run.pool, run.place, head))
    verdict = conflicts.classify(run.repo, merged)
    if verdict.cls is Class.MEDIUM:
        values = _tell_conflict(run, onto, source, verdict)
        return Conflict(verdict.reason, Need(Kind.RESOLVE, onto, source, head, values))
    if verdict.cls is Class.HEAVY:
        return Conflict(verdict.reason)
    base = run.repo.merge_base(onto, source) or onto
    changed = run.repo.changed(base, source) if base != onto else []
    lost = completeness.find_dropped(run.repo, onto, source, verdict.tree, changed) if base != onto else ""
    return Conflict(lost) if lost else verdict.tree


def _tell_conflict(run: Run, onto: str, source: str, verdict: Verdict) -> dict[str, object]:
    base = run.repo.merge_base(onto, source) or onto
    told = remedies.describe_conflict(run, base, onto, source, verdict.files)
    return {**told, "reason": verdict.reason, "notes": "", "others": [], "target": run.history.main}


def _commit_mended(run: Run, onto: str, head: str, tree: str) -> str:
    """Make the commit of the integration branch that holds what sessions have mended."""
    mend, history = run.standing(LANDING).mend, run.history
    subjects = "\n".join(f"* {one_line(commit.subject)}" for commit in (mend.commits if mend else ()))
    fixed = mend is not None and mend.kind is Kind.FIX
    subject = "fix: what the gates found before the landing" if fixed else f"Merge {history.main} into {history.branch}"
    parents = [head] if run.repo.is_ancestor(onto, head) else [head, onto]
    return run.repo.commit_tree(tree, parents, f"{subject}\n\n{subjects}\n", mend.ended if mend else 0.0)


def need_fix(run: Run, candidate: Candidate, failure: Failure) -> Need:
    """Say what a session has to mend when a gate refuses the candidate."""
    of = candidate.moved_from or candidate.head
    values = remedies.describe_failure(run, failure, candidate.onto, candidate.commit)
    return Need(Kind.FIX, candidate.commit, candidate.commit, of, {**values, "target": run.history.main})


def _describe(run: Run) -> str:
    items = run.dispatch.items.values()
    lines = [f"* #{item.issue} {one_line(item.title)[:100]} ({run.standing(item.issue).word})" for item in items]
    title = one_line(run.milestone.require_plan().title)[:150]
    return f"Merge milestone {run.milestone.number}: {title}\n\n" + "\n".join(lines) + "\n"
