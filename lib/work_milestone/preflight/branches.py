"""What stands in a run's way among branches and remotes."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from work_milestone.git import checkouts
from work_milestone.merging import integration
from work_milestone.run import Run
from work_milestone.sessions import places
from work_milestone.system import MilestoneError

STALE_DAYS = 7


def find_faults(run: Run) -> Iterator[str]:
    """Look at main, the integration branch, the names that the run will use, and the remote."""
    history, number = run.history, run.milestone.number
    try:
        main = history.main
    except MilestoneError as error:
        yield str(error)
        return
    heads = run.repo.refs("refs/heads")
    if f"refs/heads/{main}" not in heads:
        yield f"branch {main} does not exist; name the one to land on: main=NAME"
    if history.branch == main:
        yield f"{history.branch} is both the integration branch and main; give the plan another integration_branch"
    yield from _find_names_in_the_way(run, heads)
    for found in checkouts.find_all(run.repo):
        ours = run.pool.owns(found.path)
        is_the_runs = found.branch and (found.branch == history.branch or found.branch.startswith(f"work/{number}/"))
        if is_the_runs and not ours:
            yield f"{found.branch} is checked out in {found.path}; switch that to another branch: git switch {main}"
    yield from _find_at_remote(run)
    if run.milestone.settings.branch is None and integration.is_foreign(run):
        yield _describe_foreign(run, main)


def _find_at_remote(run: Run) -> Iterator[str]:
    history, remote = run.history, run.history.remote
    if not remote:
        return
    if remote not in run.repo.text("remote").split():
        yield f"remote {remote} does not exist; git remote -v lists those that do; remote=none pushes nothing"
        return
    ours, theirs = run.repo.resolve(history.main_ref), run.repo.resolve(f"refs/remotes/{remote}/{history.main}")
    parted = ours and theirs and not run.repo.is_ancestor(theirs, ours) and not run.repo.is_ancestor(ours, theirs)
    if parted and not run.is_complete:
        yield f"{history.main} and {remote}/{history.main} have parted; bring them together first, or set remote=none"


def _find_names_in_the_way(run: Run, heads: Collection[str]) -> Iterator[str]:
    """Find branches whose names git keeps as files where the run needs folders, and the other way round."""
    branch = run.history.branch
    for wanted in (f"work/{run.milestone.number}/1", branch):
        parts = wanted.split("/")
        for name in ("/".join(parts[:length]) for length in range(1, len(parts))):
            if f"refs/heads/{name}" in heads:
                yield f"branch {name} is in the way of {wanted}; rename it: git branch -m {name} {name}-old"
    wanted_too = {f"refs/heads/{places.find_branch(run, issue)}" for issue in run.dispatch.items} | {run.history.ref}
    for ref in heads:
        if (above := ref.rpartition("/")[0]) in wanted_too:
            name = ref.removeprefix("refs/heads/")
            wanted = above.removeprefix("refs/heads/")
            yield f"branch {name} is in the way of {wanted}; rename it: git branch -m {name} NAME"


def _describe_foreign(run: Run, main: str) -> str:
    branch = run.history.branch
    days = int((time.time() - int(run.repo.text("log", "-1", "--format=%ct", run.history.ref, "--"))) // 86400)
    age = f"its last commit is {days} days old" + (" (stale)" if days >= STALE_DAYS else "")
    return (
        f"branch {branch} exists and this run did not make it; {age}; go on with it: branch=resume, or put it away "
        f"under refs/milestone and begin anew from {main}: branch=recreate"
    )
