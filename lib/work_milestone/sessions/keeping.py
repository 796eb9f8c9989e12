"""What git shows of an attempt: its commits and files, and what would be lost with its worktree.

Rules:
- Success is the agent's word AND git's: on its own branch, with commits since its base.
- What a successful session left uncommitted is committed for it, in a commit that says so. Of any other, head
  and uncommitted work are pinned under a ref.
- A worktree that has become another session's is not touched: the branch has what was committed.
- Whatever an agent did to its worktree is its own outcome, and never stops the others. An attempt whose work cannot be
  kept, for want of room, is not judged until it can.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from work_milestone.agents import Outcome
from work_milestone.conflicts import content
from work_milestone.git import checkouts, detached, salvage, trees
from work_milestone.run import Run
from work_milestone.store import WITH_WORK, Kind, Session, records
from work_milestone.system import GitError, MilestoneError, files
from work_milestone.text import one_line, shown

REST_SUBJECT = "chore: commit what the session left uncommitted"


class Made(NamedTuple):
    """What an attempt made: `head` None when nothing that counts; `rooted` whether that contains `base`."""

    branch: str = ""
    base: str = ""
    head: str | None = None
    rooted: bool = False
    files: tuple[str, ...] = ()
    commits: tuple[records.Commit, ...] = ()


def keep(run: Run, ref: str, kind: Kind, started: records.Started, outcome: Outcome) -> tuple[Outcome, Made]:
    """Bring what a session made into refs, from its worktree, or from its branch where that is not its own any more.

    `ref` keeps what does not count.
    """
    place, made, env = Path(started.path), Made(started.branch, started.base), run.pool.environment()
    claimed = detached.is_claimed(place, started.mark)
    try:
        state = checkouts.read_state(run.repo, place, env=env) if claimed else _read_branch(run, started, ref)
        if outcome.status in WITH_WORK:
            state, fault = _commit_rest(run, started, state, kind)
            outcome, made = _collect(run, started, state.head, fault, outcome)
        if outcome.status not in WITH_WORK and claimed and (state.head != started.base or state.is_dirty):
            salvage.pin(run.repo, place, env, ref, time.time())
    except GitError as error:
        # Whatever an agent has done to its worktree is its own outcome, and no reason for the others to stop.
        outcome = outcome._replace(status=Session.FAILED, detail=one_line(str(error))[:500])
        made = made._replace(head=None)
        head = run.repo.resolve(f"refs/heads/{started.branch}") or started.base
        _keep_anyway(run, place if claimed else None, ref, head)
    return outcome, made


def _read_branch(run: Run, started: records.Started, ref: str) -> checkouts.State:
    """Return what a branch holds whose worktree is not its session's; what lies in a folder that was one is kept."""
    place = Path(started.path)
    state = checkouts.State(run.repo.resolve(f"refs/heads/{started.branch}"), started.branch)
    if state.head and run.pool.owns(place) and place.is_dir() and checkouts.git_dir(place) is None:
        salvage.rescue(run.repo, place, run.pool.environment(), ref, state.head, time.time())
        run.pool.drop(place)
    return state


def _collect(
    run: Run, started: records.Started, head: str | None, fault: str, outcome: Outcome
) -> tuple[Outcome, Made]:
    """Name the commits and files since the base; an attempt without any, or with conflict markers, has failed."""
    base, made = started.base, Made(started.branch, started.base)
    commits, changed = run.repo.commits(base, head) if head and not fault else ([], [])
    if not (head and changed):
        words = "its commits change nothing" if commits else _find_elsewhere(run, started)
        return outcome._replace(status=Session.FAILED, detail=fault or words), made
    if marked := _find_markers(run, base, head, changed):
        return outcome._replace(status=Session.FAILED, detail=marked), made
    told = tuple(records.Commit(id=commit.id, subject=commit.subject) for commit in commits)
    rooted = run.repo.is_ancestor(base, head)
    return outcome, made._replace(head=head, rooted=rooted, files=tuple(changed), commits=told)


def _keep_anyway(run: Run, place: Path | None, ref: str, head: str) -> None:
    """Keep a commit, and what lies in a worktree that git refuses, which goes away then.

    Raise MilestoneError where that cannot be kept, as on a full disk: the attempt is judged by the same line again.
    """
    env = run.pool.environment()
    try:
        if place:
            try:
                salvage.pin(run.repo, place, env, ref, time.time())
            except GitError:
                salvage.rescue(run.repo, place, env, ref, head, time.time())
        salvage.keep(run.repo, ref, head)  # beside the other, where that was made elsewhere
    except GitError as error:
        raise MilestoneError(
            f"what a session has left cannot be kept: {one_line(str(error))}; {files.REMEDY}"
        ) from error
    if place:
        run.pool.drop(place)


def _find_elsewhere(run: Run, started: records.Started) -> str:
    """Say that a session committed nothing, or where it did instead."""
    form = "%(committerdate:unix) %(refname:lstrip=2)"
    rows = run.repo.text(  # what its base holds was there before, be it in the same second
        "for-each-ref", "--sort=-committerdate", f"--no-merged={started.base}", f"--format={form}", "refs/heads"
    ).split("\n")
    for when, _, name in (row.partition(" ") for row in rows if row):
        ours = name == run.history.branch or name.startswith(f"work/{run.milestone.number}/")
        if int(when or 0) >= int(started.started) and not ours:
            return f"it committed nothing on {started.branch}; {name} has got a commit meanwhile"
    return "it committed nothing"


def _find_markers(run: Run, base: str, head: str, changed: list[str]) -> str:
    """Say that a session committed conflict markers, "" when it did not."""
    for path in sorted(trees.find_text(run.repo, head, r"^(<{7}|>{7}) ", changed)):
        before, now = (trees.read_file(run.repo, rev, path) or b"" for rev in (base, head))
        if content.has_markers(now, before):
            return f"it committed conflict markers in {shown(path)}"
    return ""


def _commit_rest(run: Run, started: records.Started, state: checkouts.State, kind: Kind) -> tuple[checkouts.State, str]:
    """Commit what is left, where the session is on its branch; say what is wrong where it is not."""
    if state.branch != started.branch:
        on = f"branch {state.branch}" if state.branch else "a detached HEAD"
        return state, f"it ended on {on}, not on {started.branch}"
    if state.unmerged and kind is not Kind.RESOLVE:  # markers that a resolution leaves are found in what it commits
        return state, f"it left a merge unfinished: {', '.join(state.unmerged[:5])}"
    if not state.is_dirty:
        return state, ""
    place, env = Path(started.path), run.pool.environment()
    salvage.commit_rest(run.repo, place, env, REST_SUBJECT)
    return checkouts.read_state(run.repo, place, env=env), ""
