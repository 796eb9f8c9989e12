"""What main is to become: main and the integration branch, merged in the object database.

Rules:
- A conflict with a main that has moved is classed as an item's is: trivial is resolved by rule, medium by a session,
  and for what is heavy a person is waited for.
- What a session has resolved or fixed becomes a commit of the integration branch, which moves when gates were green on
  exactly that; the landing commit merges it as everything else.
- No line of the integration branch is dropped, or the landing waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from work_milestone import conflicts, git
from work_milestone.conflicts import Class, completeness
from work_milestone.git import trees, worktrees
from work_milestone.merging import candidates, mending
from work_milestone.merging.mending import Need
from work_milestone.run import followups, integration
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.run import Run
from work_milestone.store.outcomes import Kind
from work_milestone.store.receipts import LANDING
from work_milestone.system.errors import MilestoneError
from work_milestone.text.lines import one_line


@dataclass(frozen=True)
class Candidate:
    """What main is to become: `commit` on top of `onto`, with all of `head`; `onto` itself when that has it all.

    `tree` is known of one that has just been made; `moved_from` is where the integration branch still stands when
    `head` is what it is to be moved to.
    """

    commit: str
    onto: str
    head: str
    tree: str = ""
    moved_from: str = ""


@dataclass(frozen=True)
class Conflict:
    """Main and the integration branch conflict: the class, why, and what a session would have to mend."""

    cls: Class
    reason: str
    need: Need | None = None


def ref(run: Run) -> str:
    """Name the ref that keeps the candidate."""
    return f"refs/milestone/{run.number}/candidate/landing"


def tip(run: Run) -> str:
    """Return what main is to be built on: the remote's main where that is ahead of the local one."""
    ours = run.repo.resolve(run.main_ref)
    if ours is None:
        raise MilestoneError(f"branch {run.main} is gone; name the one to land on: main=NAME")
    theirs = run.repo.resolve(f"refs/remotes/{run.remote}/{run.main}") if run.remote else None
    return theirs if theirs and run.repo.is_ancestor(ours, theirs) else ours


def build(run: Run) -> Candidate | Conflict:
    """Make the candidate from what main, the integration branch and the sessions that mended are now."""
    run.head = None  # a person may have been at it since
    onto, head = tip(run), integration.head(run)
    if run.repo.is_ancestor(head, onto):
        return Candidate(onto, onto, head)
    source = _source(run, head)
    place = candidates.place_for(run, head)
    merged = trees.merge(run.repo, onto, source, place)
    verdict = conflicts.classify(run.repo, merged)
    if verdict.cls in (Class.MEDIUM, Class.HEAVY):
        values = _describe(run, onto, source, verdict) if verdict.cls is Class.MEDIUM else {}
        need = Need(Kind.RESOLVE, onto, source, head, values) if values else None
        return Conflict(verdict.cls, verdict.reason, need)
    tree = trees.edit(run.repo, merged.tree, {path: git.decode(text) for path, text in verdict.resolved.items()})
    base = run.repo.merge_base(onto, source) or onto
    if base != onto and (
        lost := completeness.find_dropped(run.repo, onto, source, tree, run.repo.changed(base, source))
    ):
        return Conflict(Class.HEAVY, lost)
    if tree == run.repo.tree_of(onto):
        return Candidate(onto, onto, head)  # somebody has brought it there in a form of their own
    tree = trees.edit(run.repo, tree, followups.missing(run, tree))
    tree = trees.edit(run.repo, tree, backlog_sync.closed(run, tree))
    if source != head and worktrees.LOCK_FILE in run.repo.changed(onto, source):
        tree = trees.edit(run.repo, tree, {worktrees.LOCK_FILE: None})
    new = head if source == head else _commit_mended(run, onto, head, tree)
    # As old as the younger of the two: whoever makes it again, after a stop, makes the same commit.
    dates = run.repo.text("log", "--no-walk", "--format=%ct", onto, new).split()
    commit = run.repo.commit_tree(tree, [onto, new], _message(run), max(map(float, dates)))
    run.repo.move(ref(run), commit)
    return Candidate(commit, onto, new, tree, moved_from="" if new == head else head)


def _source(run: Run, head: str) -> str:
    """Return what to build from, the integration branch or what has mended it; what undoes any of it is rejected."""
    source = mending.source(run, LANDING, head)
    if fault := candidates.check_mended(run, LANDING, source):
        run.tell(mending.reject(run, LANDING).value, "rejected", fault.reason)
        source = mending.source(run, LANDING, head)
    return source


def _commit_mended(run: Run, onto: str, head: str, tree: str) -> str:
    """Make the commit of the integration branch that holds what sessions have mended."""
    mend = run.mend(LANDING) or {}
    subjects = "\n".join(f"* {one_line(str(commit['subject']))}" for commit in mend.get("commits") or ())
    fixed = mend.get("kind") == Kind.FIX
    subject = "fix: what the gates found before the landing" if fixed else f"Merge {run.main} into {run.branch}"
    parents = [head] if run.repo.is_ancestor(onto, head) else [head, onto]
    return run.repo.commit_tree(tree, parents, f"{subject}\n\n{subjects}\n", float(mend["ended"]))


def fix(run: Run, candidate: Candidate, values: dict[str, Any]) -> Need:
    """Say what a session has to mend when a gate refuses the candidate."""
    of = candidate.moved_from or candidate.head
    values = {**values, "diff": followups.diff(run, candidate.onto, candidate.commit, ()), "target": run.main}
    return Need(Kind.FIX, candidate.commit, candidate.commit, of, values)


def _describe(run: Run, onto: str, source: str, verdict: conflicts.Verdict) -> dict[str, Any]:
    base = run.repo.merge_base(onto, source) or onto
    return {
        "reason": verdict.reason, "files": verdict.files, "notes": "", "others": [], "target": run.main,
        "ours": followups.diff(run, base, onto, verdict.files),
        "theirs": followups.diff(run, base, source, verdict.files),
    }  # fmt: skip


def _message(run: Run) -> str:
    lines = [
        f"* #{item.issue} {one_line(item.title)[:100]} ({run.facts(item.issue).word})" for item in run.items.values()
    ]
    return f"Merge milestone {run.number}: {one_line(run.require_plan().title)[:150]}\n\n" + "\n".join(lines) + "\n"
