"""The beginning of a run, once nothing stands in its way: its folder is taken into use, what earlier runs left is seen.

Rule: a gate left at work is ended, and sessions still at work are known, before any worktree is given away.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from work_milestone import gates
from work_milestone.gates import baseline
from work_milestone.git import trees
from work_milestone.preflight import agents
from work_milestone.run import Run, followups
from work_milestone.sessions import starts, work
from work_milestone.text import count


def begin(run: Run) -> None:
    """Take the run folder into use."""
    number, repo = run.milestone.number, run.repo
    run.reread()
    # These refs are this milestone's alone, and we hold the run lock.
    repo.remove_locks(f"refs/heads/work/{number}", f"refs/milestone/{number}", run.history.ref)
    # Beside its lock git keeps the file that packed-refs is to become, and takes no step where one is left.
    for name in ("packed-refs.new", "packed-refs.lock", f"{run.history.main_ref}.lock", "HEAD.lock"):
        repo.remove_shared_lock(repo.common / name)
    gates.end_left(baseline.place(run))
    run.pool.write_excludes()
    alive = starts.take_stock(run)
    work.await_quota(run)
    followups.write_missing(run)
    if run.continues:
        return  # all of it was told when this run began
    for note in find_notes(run):
        run.tell("preflight", "note", note)
    items, waves = len(run.dispatch.items), len(run.dispatch.waves)
    found = f", {count(len(alive), 'session')} still at work" if alive else ""
    run.tell("preflight", "passed", f"{count(items, 'item')} in {count(waves, 'wave')}{found}")


def find_notes(run: Run) -> Iterator[str]:
    """Say what does not stand in the way and should be known."""
    folder, items = run.milestone.folder, run.dispatch.items
    yield from run.milestone.require_plan().notes
    yield from run.tasks.find_notes()
    yield from baseline.find_notes(run)
    yield from agents.find_notes(run)
    for issue in sorted(folder.issues() - items.keys()):
        yield f"#{issue} is not in the plan any more; what it left stays in {folder.item(issue)}"
    for issue in items:
        run.standing(issue)  # a receipt that is damaged is noted when it is read
    yield from run.receipts.notes.values()
    yield from _find_git_notes(run)
    if sys.platform != "linux":
        yield "without Linux, children that an agent detaches from itself are found by their environment alone"


def _find_git_notes(run: Run) -> Iterator[str]:
    history, repo = run.history, run.repo
    theirs = f"refs/remotes/{history.remote}/{history.main}"
    if history.remote and repo.resolve(theirs):
        ahead = int(repo.text("rev-list", "--count", f"{theirs}..{history.main_ref}"))
        if ahead:
            commits = count(ahead, "commit")
            yield f"{commits} on {history.main} new to {history.remote} will be pushed with the landing"
    if repo.text("rev-parse", "--is-shallow-repository") == "true":
        yield "the clone is shallow: sessions see as little history as it has"
    if repo.config("core.sparseCheckout", kind="bool") == "true":
        yield "the checkout is sparse: so are the sessions' worktrees"
    if trees.has_path(repo, history.main_ref, ".gitmodules"):
        yield "submodules are empty in sessions' worktrees; a session that needs one runs git submodule update --init"
