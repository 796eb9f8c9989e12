"""The worktree of an attempt: taken clean, or gone on with where a conversation was cut short.

Rules:
- What a branch held is pinned before it is set anew.
- Branch and path come from the receipt, so that an edited title changes nothing under way.
- A conversation goes on when its session was cut short (`RESUMED`), its agent has not said that it is gone, its
  worktree still bears its mark, nothing was started since, and its agent may still work the item; one that mends, when
  the same is to be mended (`merging.mending`). It does so in its worktree, as it is. Otherwise a new one begins.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

from work_milestone.git import detached, salvage, worktrees
from work_milestone.plan import branches
from work_milestone.run import Run
from work_milestone.store import LANDING, RESUMED, Kind, records
from work_milestone.supervision import attempts
from work_milestone.system import MilestoneError
from work_milestone.text import one_line


def take(run: Run, issue: int, base: str, kind: Kind) -> Path:
    """Take a worktree for the next attempt, on its branch at `base`; what the branch held is kept."""
    number, branch = run.milestone.folder.attempts(issue) + 1, find_branch(run, issue)
    _keep_branch(run, issue, branch, base, number - 1)
    _give_up_conversations(run, issue)
    run.begin(issue)
    place = run.pool.take(branch, base)
    taken = records.Worktree(status="ready", branch=branch, path=str(place), base=base, attempt=number, kind=kind)
    run.receipts.write(taken, issue)
    return place


def resume(run: Run, issue: int, cut: records.Work | None, kind: Kind) -> bool:
    """Take the worktree of a session that was cut short for the next attempt, as it is; tell whether it could be."""
    if cut is None or not is_resumable(cut):
        return False
    if cut.agent not in ([run.chosen[issue]] if issue in run.chosen else find_agents(run, issue)):
        return False  # another agent knows nothing of it
    folder = run.milestone.folder
    since = range(cut.attempt + 1, folder.attempts(issue) + 1)
    if any(attempts.state(folder.attempt(issue, number)) != "none" for number in since):
        return False
    run.pool.keep(Path(cut.path))
    taken = records.Worktree(
        status="ready", branch=cut.branch, path=cut.path, base=cut.base, attempt=folder.attempts(issue) + 1, kind=kind,
        conversation=cut.conversation, mark=cut.mark, agent=cut.agent,
    )  # fmt: skip
    run.receipts.write(taken, issue)
    return True


def is_resumable(record: records.Work | None) -> bool:
    """Tell whether a session was cut short in a conversation that can be gone on with, where it stood."""
    if record is None or record.outcome not in RESUMED:
        return False
    known = record.conversation and record.branch and record.base  # a damaged record may lack them
    return bool(known) and detached.is_claimed(Path(record.path), record.mark)


def find_agents(run: Run, issue: int) -> tuple[str, ...]:
    """Name the agents that may work an item: whose conversation can go on, the one that was chosen, who stands in."""
    standing = run.standing(issue)
    known = (run.session_settings(issue).agent, *run.milestone.settings.fallback)
    cut_short = [record.agent for record in (standing.work, standing.mend) if record and is_resumable(record)]
    return tuple(dict.fromkeys((*(name for name in known if name in cut_short), *known)))


def is_anothers(run: Run, issue: int) -> bool:
    """Tell whether a worktree was taken to go on with a conversation of another agent than now starts."""
    taken = run.receipts.load(records.Worktree, issue)
    return taken is not None and taken.conversation != "" and taken.agent != run.chosen.get(issue, taken.agent)


def require(run: Run, issue: int) -> records.Worktree:
    """Return the worktree that was taken for the next attempt. Raise MilestoneError when nothing tells of one."""
    taken = run.receipts.load(records.Worktree, issue)
    if taken is None or not run.pool.owns(Path(taken.path)):
        path = run.receipts.path(records.Worktree, issue)
        raise MilestoneError(f"{path}: was damaged since the worktree was taken; the same line takes another")
    return taken


def _give_up_conversations(run: Run, issue: int) -> None:
    """Free the worktrees that were kept for conversations of an item with which nobody goes on; all is pinned."""
    standing = run.standing(issue)
    for record in (standing.work, standing.mend):
        if record and is_resumable(record):
            place = Path(record.path)
            detached.disown(place)
            (place / worktrees.LOCK_FILE).unlink(missing_ok=True)
            run.pool.free(place)


def find_branch(run: Run, issue: int) -> str:
    """Name an item's branch, or the landing's: the one that it began with, whatever its title is by now."""
    if earlier := run.receipts.load(records.Worktree, issue):
        return earlier.branch
    slug = branches.slugify(run.dispatch.items[issue].title) if issue != LANDING else "landing"
    return f"work/{run.milestone.number}/{issue}" + (f"-{slug}" if slug else "")


def _keep_branch(run: Run, issue: int, branch: str, base: str, number: int) -> None:
    """Keep the commits, an earlier attempt's or a person's, that a branch is about to leave."""
    old = run.repo.resolve(f"refs/heads/{branch}")
    if old and old != base and not run.repo.is_ancestor(old, base):
        salvage.keep(run.repo, run.history.attempt_ref(issue, number), old)


def claim(run: Run, issue: int) -> None:
    """Write the lock file into the worktree that was taken, and the mark of its session into its git dir."""
    taken = require(run, issue)
    # A session that goes on keeps its mark: a run that ends before it has started leaves the worktree the session's.
    mark = taken.mark or str(uuid.uuid4())
    content = {
        "session_id": mark,
        "parent_pid": os.getpid(),
        "spawned_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "item": name(run, issue)[:100],
        "model": run.session_settings(issue, run.chosen.get(issue)).model,
    }
    path = Path(taken.path) / worktrees.LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise MilestoneError(
            f"{path}: cannot be written ({error.strerror}); the lock file must have its place"
        ) from error
    detached.claim(Path(taken.path), mark)
    run.receipts.write(records.Lock(status="ready", mark=mark, path=str(path)), issue)


def name(run: Run, issue: int) -> str:
    """Name an item, or the landing, in one line."""
    item = run.dispatch.items.get(issue)
    return one_line(item.title) if item else f"Landing of milestone {run.milestone.number}"
