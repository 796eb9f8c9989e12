"""The close of a landed milestone: the backlog says so, and nothing of the run is left in git but what it keeps.

Rules:
- Nothing goes away while a session is still at work.
- Only the run's own branches are deleted, none that is checked out; what was not merged is kept under a ref first.
"""

from __future__ import annotations

import re
import time

from work_milestone.git import checkouts, salvage, worktrees
from work_milestone.landing import landing
from work_milestone.landing.candidate import Candidate
from work_milestone.run import integration
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.run import Run
from work_milestone.sessions import preparation
from work_milestone.store.receipts import LANDING
from work_milestone.system.errors import MilestoneError
from work_milestone.text.lines import count, size

_OURS = re.compile(r"refs/heads/work/\d+/\d+(-[^/]*)?")


def is_closed(run: Run) -> bool:
    """Tell whether the milestone is closed and nothing of the run is left in git."""
    receipt = run.folder.load(run.folder.path / "milestone.json") or {}
    return receipt.get("status") == "closed" and landing.is_landed(run) and run.repo.resolve(run.ref) is None


def close(run: Run) -> None:
    """Close the milestone: the backlog says so, worktrees and branches go away, the receipts stay."""
    _require_idle(run)
    head = run.repo.resolve(run.ref)
    if head is not None:
        main = str(run.repo.resolve(run.main_ref))
        landed = run.folder.load(run.folder.path / "land.json") or {}
        if landed.get("status") != "landed" or landed.get("head") != head:
            # It was landed by somebody else, or by a run that was killed since.
            landing.record(run, Candidate(main, main, head))
    for item in run.items.values():
        if run.facts(item.issue).merged and run.facts(item.issue).parts:
            backlog_sync.write_done(run, item, time.time())
    backlog_sync.close(run)
    taken = run.pool.measure(integration.folder(run))
    run.pool.remove_all(integration.folder(run))
    _delete_branches(run)
    worktrees.remove_repository_lock(run.repo)
    run.lock.remove()
    run.folder.write(run.folder.path / "milestone.json", "milestone", "closed", durable=True)
    run.reread()
    removed = f"; worktrees of {size(taken)} removed" if taken else ""
    run.tell("milestone", "closed", count(len(run.items), "item") + removed)


def _require_idle(run: Run) -> None:
    """Raise MilestoneError while a session is at work, as that of an item which has left the plan may be."""
    alive = [issue for issue in (*sorted(run.folder.issues()), LANDING) if run.attempt_state(issue) == "alive"]
    if alive:
        names = ", ".join("the landing" if issue == LANDING else f"#{issue}" for issue in alive)
        raise MilestoneError(
            f"sessions of {names} are still at work; when they are done: doit milestone n={run.number}"
        )


def _delete_branches(run: Run) -> None:
    """Delete the run's own branches; what of a session's work was not merged is kept under a ref first."""
    landed = run.folder.load(run.folder.path / "land.json") or {}
    if landed.get("pushed_branch") and run.remote:
        run.repo.call("push", "--quiet", run.remote, "--delete", run.ref, accept=range(256))
    in_use = {f"refs/heads/{found.branch}" for found in checkouts.find_all(run.repo)}
    heads = run.repo.refs(f"refs/heads/work/{run.number}")
    spent = [*run.repo.refs(f"refs/milestone/{run.number}/candidate"), run.ref]
    ours = run.folder.issues() | run.items.keys() | {LANDING}
    for ref, head in heads.items():
        issue = int(ref.split("/")[4].partition("-")[0]) if _OURS.fullmatch(ref) else None
        if issue in ours:
            if head not in run.parts.get(issue, {}):
                salvage.keep(run.repo, preparation.attempt_ref(run, issue, run.folder.attempts(issue)), head)
            spent.append(ref)
    run.repo.delete(ref for ref in spent if ref not in in_use)
