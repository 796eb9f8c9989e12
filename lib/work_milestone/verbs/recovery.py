"""What attempts have left and nothing else keeps: listed, put back into a worktree, removed when a person says so.

Rule: nothing is ever removed by a run itself; `prune` names each commit that it lets go, so that it can be had back
for as long as git keeps it.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from work_milestone.git import worktrees
from work_milestone.run import Run
from work_milestone.system import LockedError, MilestoneError
from work_milestone.text import count, masking, one_line
from work_milestone.verbs import speech


class Kept(NamedTuple):
    """A commit of an attempt's: its item (0 the landing), the attempt's name, its date, size and subject."""

    ref: str
    commit: str
    issue: int
    attempt: str
    date: str
    changes: str
    subject: str


def find(run: Run, issue: int | None = None) -> list[Kept]:
    """List what attempts have left, of all items or of one."""
    prefix = f"refs/milestone/{run.milestone.number}/attempt"
    place = prefix if issue is None else f"{prefix}/{issue}"
    form = "%(refname)%00%(objectname)%00%(committerdate:iso-local)%00%(subject)%01"
    rows = run.repo.text("for-each-ref", "--sort=committerdate", f"--format={form}", place).split("\x01")
    found = []
    for row in rows:
        ref, commit, date, subject = ([*row.strip("\n").split("\0"), "", "", ""])[:4]
        parts = ref.removeprefix(f"{prefix}/").split("/")
        if len(parts) == 2 and parts[0].isdecimal() and parts[1].partition("-")[0].isdecimal():
            found.append(Kept(ref, commit, int(parts[0]), parts[1], date, _changes(run, commit), one_line(subject)))
    return found


def _changes(run: Run, commit: str) -> str:
    """Say how much a commit has that main has not."""
    base = run.repo.merge_base(run.history.main_ref, commit)
    if base is None:
        return ""
    told = run.repo.text("diff", "--shortstat", "--no-ext-diff", base, commit).strip()
    return told or "no changes"


def print_kept(run: Run) -> None:
    """Print what attempts have left, a line each."""
    speech.require_number(run, "recover")
    found = find(run)
    for kept in found:
        name = f"#{kept.issue}" if kept.issue else "landing"
        line = f"{name:<8} {kept.attempt:<4} {kept.date}  {kept.commit[:10]}  {kept.changes}; {kept.subject[:80]}"
        sys.stdout.write(masking.mask(line) + "\n")
    if not found:
        sys.stdout.write(f"milestone {run.milestone.number}: no attempt has left anything that is not merged\n")
        return
    sys.stdout.write(f"put one back into a worktree: doit recover:{found[-1].issue} n={run.milestone.number}\n")


def restore(run: Run, issue: int) -> None:
    """Put the latest of what an item's attempts have left into a worktree of its own."""
    speech.require_number(run, f"recover:{issue}")
    found = find(run, issue)
    if not found:
        raise MilestoneError(
            f"#{issue}: no attempt has left anything; doit recover n={run.milestone.number} lists what there is"
        )
    kept = sorted(found, key=lambda one: int(one.attempt.partition("-")[0]))[-1]  # of one attempt's, what came last
    place = run.milestone.folder.path / "recovered" / f"{issue}-{kept.attempt}"
    if place.exists():
        raise MilestoneError(f"{place} is there already; look at it, or take it away: git worktree remove {place}")
    with worktrees.repository_lock(run.repo):
        # Forced: git may still know of one there that somebody took away by hand.
        run.repo.call("worktree", "add", "-f", "-q", "--detach", "--", str(place), kept.commit)
    speech.say(
        f"#{issue}, attempt {kept.attempt}, is in {run.milestone.folder.name(place)}; done with it: "
        f"git worktree remove {place}"
    )


def prune(run: Run) -> None:
    """Remove the refs of all that attempts have left, and name each commit that is let go."""
    number = speech.require_number(run, "prune")
    try:
        run.take()
    except LockedError as error:
        raise MilestoneError(
            f"a run of milestone {number} is at work (process {run.lock.holder() or 'unknown'}); wait for its end, or "
            f"doit stop n={number}, then: doit prune n={number}"
        ) from error
    found = find(run)
    run.repo.delete(kept.ref for kept in found)
    for kept in found:
        sys.stdout.write(f"{kept.ref} was {kept.commit}\n")
    speech.say(f"milestone {run.milestone.number}: {count(len(found), 'ref')} removed")
