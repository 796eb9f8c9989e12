"""What can be known to fail, said before anything starts, all at once.

Rules: every check looks and changes nothing, once what a killed run has left half done in the user's checkout is
brought back; each fault names path, cause and the next command. Only when there is none does `begin` take the run
lock's folder into use: a gate left at work, the excludes, the tasks of follow-ups, the sessions still at work.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Collection, Iterator

from work_milestone import agents, gates, git, sessions
from work_milestone.gates import baseline
from work_milestone.git import checkouts, trees
from work_milestone.git.worktrees import LOCK_FILE
from work_milestone.landing import advance
from work_milestone.plan import list_plans
from work_milestone.run import followups, integration
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.run import Run
from work_milestone.sessions import environment as session_env
from work_milestone.sessions import preparation
from work_milestone.settings import SessionSettings, session_settings
from work_milestone.settings.agents import check_agent
from work_milestone.system.errors import LockedError, MilestoneError, PreflightError, ProcessError
from work_milestone.text import render
from work_milestone.text.lines import count

STALE_DAYS = 7
_UNFINISHED = {"MERGE_HEAD": "merge", "rebase-merge": "rebase", "rebase-apply": "rebase", "CHERRY_PICK_HEAD":
               "cherry-pick", "REVERT_HEAD": "revert", "BISECT_LOG": "bisect"}  # fmt: skip


def check(run: Run) -> None:
    """Take the run lock and look at everything. Raise PreflightError with every fault."""
    faults = list(run.faults)
    if run.number is None:
        raise PreflightError(faults or [call_line(run)])
    if outside := list(_repository(run)):
        raise PreflightError([*faults, *outside])
    render.load()
    faults += [*_lock(run), *_checkout(run), *_branches(run)]
    if run.plan:
        faults += [*_items(run), *([] if run.settings_faults else _agents(run)), *backlog_sync.faults(run)]
    if faults:
        run.lock.release()
        raise PreflightError([*faults, *run.folder.notes.values()])
    _begin(run)


def call_line(run: Run) -> str:
    """Say how a run is called, with the plans that there are."""
    found = list_plans(run.root)
    if not found:
        return f"no plan: {run.root}/plan/milestone-N-dispatch.yaml is missing; write one (README, A plan)"
    return f"say which milestone: {' or '.join(f'doit milestone n={plan.number}' for plan in found[:9])}"


def _lock(run: Run) -> Iterator[str]:
    try:
        run.take()
        advance.repair(run)
    except LockedError:
        yield (
            f"another run of milestone {run.number} is at work: process {run.lock.holder() or 'unknown'}; wait for it, "
            f"or stop it; doit status n={run.number} shows how far it is"
        )
    except MilestoneError as error:
        yield str(error)


# -- git


def _repository(run: Run) -> Iterator[str]:
    """Look for what makes every other question to git pointless."""
    try:
        version = git.version()
    except ProcessError:
        yield "git is not on PATH; install git 2.38 or newer"
        return
    if version < git.LEAST_VERSION:
        yield f"git {'.'.join(map(str, version))} is too old: 2.38 or newer is needed (for merge-tree --write-tree)"
        return
    top = run.repo.call("rev-parse", "--show-toplevel", accept=range(256))
    if top.returncode != 0:
        yield f"{run.root}: not in a work tree of a git repository; begin one: git init && git commit"
    elif git.decode(top.stdout).rstrip("\n") != str(run.root.resolve()):
        where = git.decode(top.stdout).rstrip("\n")
        yield f"{run.root}: not the top of its repository; dodo.py and plan/ belong into {where}"
    elif run.repo.resolve("HEAD") is None:
        yield f"{run.root}: the repository has no commit yet; make the first one"


def _session(run: Run) -> Iterator[str]:
    """Look whether this is a session's own process or worktree: the tool is not started inside one."""
    if sessions.depth():
        yield (
            f"this is inside a session (item {os.environ.get('MILESTONE_ITEM', '?')} of milestone "
            f"{os.environ.get('MILESTONE_NUMBER', '?')}), which does not start sessions of its own; who is no agent: "
            f"unset {sessions.DEPTH}"
        )
    if (run.root / LOCK_FILE).exists():
        yield (
            f"{run.root / LOCK_FILE}: this is a session's own worktree; the tool is not started inside one (if no "
            "session is at work here, remove the file)"
        )


def _checkout(run: Run) -> Iterator[str]:
    """Look at the checkout that the user works in."""
    yield from _session(run)
    if (run.root / ".claude").is_file():
        yield f"{run.root / '.claude'}: a file; sessions need a folder of that name for their lock file"
    for name in ("items", "waves", "gates", "worktrees", "integration"):
        if (path := run.folder.path / name).exists() and not path.is_dir():
            yield f"{path}: a file, where the run keeps a folder; move it away"
    folder = run.repo.text("rev-parse", "--path-format=absolute", "--git-dir")
    for name, what in _UNFINISHED.items():
        if (run.root / folder / name).exists():
            yield f"{run.root}: a {what} is unfinished; finish it or abort it: git status shows how"
    if not (run.settings.allow_dirty or run.complete):
        own = {f"plan/milestone-{run.number}-dispatch.yaml", "milestone.yaml"}
        state = checkouts.read_state(run.repo, run.root, untracked=False)
        dirty = sorted({*state.tracked, *state.unmerged} - own)
        if dirty:
            more = f" and {len(dirty) - 8} more" if len(dirty) > 8 else ""
            yield (
                f"{run.root}: tracked files are modified and would be missing from every session: "
                f"{', '.join(dirty[:8])}{more}; commit or stash them, or go on without: allow_dirty=yes"
            )
    if run.repo.call("var", "GIT_COMMITTER_IDENT", accept=range(256)).returncode != 0:
        yield "git does not know who commits: git config user.name NAME && git config user.email ADDRESS"


def _branches(run: Run) -> Iterator[str]:
    try:
        main = run.main
    except MilestoneError as error:
        yield str(error)
        return
    heads = run.repo.refs("refs/heads")
    if f"refs/heads/{main}" not in heads:
        yield f"branch {main} does not exist; name the one to land on: main=NAME"
    if run.branch == main:
        yield f"{run.branch} is both the integration branch and main; give the plan another integration_branch"
    yield from _names_in_the_way(run, heads)
    for found in checkouts.find_all(run.repo):
        ours = found.path.parent == run.pool.folder
        if found.branch and (found.branch == run.branch or found.branch.startswith(f"work/{run.number}/")) and not ours:
            yield f"{found.branch} is checked out in {found.path}; switch that to another branch: git switch {main}"
    yield from _remote(run)
    if run.settings.branch is None and integration.is_foreign(run):
        yield _foreign(run, main)


def _remote(run: Run) -> Iterator[str]:
    if not run.remote:
        return
    if run.remote not in run.repo.text("remote").split():
        yield f"remote {run.remote} does not exist; git remote -v lists those that do; remote=none pushes nothing"
        return
    ours, theirs = run.repo.resolve(run.main_ref), run.repo.resolve(f"refs/remotes/{run.remote}/{run.main}")
    parted = ours and theirs and not run.repo.is_ancestor(theirs, ours) and not run.repo.is_ancestor(ours, theirs)
    if parted and not run.complete:
        yield f"{run.main} and {run.remote}/{run.main} have parted; bring them together first, or set remote=none"


def _names_in_the_way(run: Run, heads: Collection[str]) -> Iterator[str]:
    """Find branches whose names git keeps as files where the run needs folders, and the other way round."""
    for wanted in (f"work/{run.number}/1", run.branch):
        parts = wanted.split("/")
        for name in ("/".join(parts[:length]) for length in range(1, len(parts))):
            if f"refs/heads/{name}" in heads:
                yield f"branch {name} is in the way of {wanted}; rename it: git branch -m {name} {name}-old"
    wanted_too = {f"refs/heads/{preparation.branch_of(run, item)}" for item in run.items.values()} | {run.ref}
    for ref in heads:
        if (above := ref.rpartition("/")[0]) in wanted_too:
            name = ref.removeprefix("refs/heads/")
            wanted = above.removeprefix("refs/heads/")
            yield f"branch {name} is in the way of {wanted}; rename it: git branch -m {name} NAME"


def _foreign(run: Run, main: str) -> str:
    days = int((time.time() - int(run.repo.text("log", "-1", "--format=%ct", run.ref, "--"))) // 86400)
    age = f"its last commit is {days} days old" + (" (stale)" if days >= STALE_DAYS else "")
    return (
        f"branch {run.branch} exists and this run did not make it; {age}; go on with it: branch=resume, or put it "
        f"away under refs/milestone and begin anew from {main}: branch=recreate"
    )


# -- plan


def _items(run: Run) -> Iterator[str]:
    plan = run.require_plan()
    if not plan.items:
        yield f"{plan.path}: the plan has no items; there is nothing to build"
    for item in plan.ungroomed:
        yield f"{plan.path}: #{item.issue} {item.title!r} is not groomed; groom it, then set groomed: true"


def _agents(run: Run) -> Iterator[str]:
    """Look for each agent that an unsettled item needs, once."""
    told = set()
    for item in run.items.values():
        settings = session_settings(run.settings, item)
        fault = check_agent(settings.agent, tuple(run.settings.agents))
        if fault is None and settings.agent == "command" and not settings.command:
            fault = f"#{item.issue}: agent `command` without a command; set command: in milestone.yaml or in the plan"
        faults = [fault] if fault else list(_agent(run, settings))
        yield from (fault for fault in faults if fault not in told)
        told.update(faults)
    if "command" in run.settings.fallback and not run.settings.command:
        yield "fallback: agent `command` without a command; set command: in milestone.yaml, with agent: beside it"
    for name in run.settings.fallback:
        faults = list(_agent(run, session_settings(run.settings, None, name)))
        yield from (fault for fault in faults if fault not in told)
        told.update(faults)


def _agent_notes(run: Run) -> Iterator[str]:
    """Give what the agents of unsettled items, and those that may stand in, have to say; each thing once."""
    own = [session_settings(run.settings, item) for item in run.items.values() if not run.settled(item.issue)]
    standing_in = [session_settings(run.settings, None, name) for name in run.settings.fallback]
    told: dict[str, None] = {}
    for settings in dict.fromkeys([*own, *standing_in]):
        worker = agents.find(settings.agent, run.settings.agents)
        told |= dict.fromkeys(worker.find_notes(settings, session_env.make(run.settings, settings, worker, {})))
    yield from told


def _agent(run: Run, settings: SessionSettings) -> Iterator[str]:
    """Look whether an agent is there, and what it says of its settings itself."""
    program = agents.program(settings, run.settings.agents)
    worker = agents.find(settings.agent, run.settings.agents)
    env = session_env.make(run.settings, settings, worker, {})
    if program and shutil.which(program, path=env.get("PATH")) is None:
        where = f"in {run.root}" if "/" in program else "on PATH"
        yield f"agent {settings.agent}: no program {program!r} {where}; install it, or set agent: to another"
    yield from worker.find_faults(settings, env)


# -- beginning


def _begin(run: Run) -> None:
    """Take the run folder into use."""
    run.reread()
    # These refs are this milestone's alone, and we hold the run lock.
    run.repo.remove_locks(f"refs/heads/work/{run.number}", f"refs/milestone/{run.number}", run.ref)
    # Beside its lock git keeps the file that packed-refs is to become, and takes no step where one is left.
    for name in ("packed-refs.new", "packed-refs.lock", f"{run.main_ref}.lock", "HEAD.lock"):
        run.repo.remove_shared_lock(run.repo.common / name)
    gates.end_left(baseline.place(run))
    run.pool.write_excludes()
    alive = sessions.adopt(run)
    sessions.await_quota(run)
    followups.write_missing(run)
    if run.continues:
        return  # all of it was told when this run began
    for note in notes(run):
        run.tell("preflight", "note", note)
    found = f", {count(len(alive), 'session')} still at work" if alive else ""
    run.tell("preflight", "passed", f"{count(len(run.items), 'item')} in {count(len(run.waves), 'wave')}{found}")


def notes(run: Run) -> Iterator[str]:
    """Say what does not stand in the way and should be known."""
    yield from run.require_plan().notes
    yield from backlog_sync.notes(run)
    yield from baseline.notes(run)
    yield from _agent_notes(run)
    for issue in sorted(run.folder.issues() - run.items.keys()):
        yield f"#{issue} is not in the plan any more; what it left stays in {run.folder.item(issue)}"
    for issue in run.items:
        run.result(issue), run.merge(issue)
    yield from run.folder.notes.values()
    theirs = f"refs/remotes/{run.remote}/{run.main}"
    if run.remote and run.repo.resolve(theirs):
        ahead = int(run.repo.text("rev-list", "--count", f"{theirs}..{run.main_ref}"))
        if ahead:
            yield f"{count(ahead, 'commit')} on {run.main} new to {run.remote} will be pushed with the landing"
    if run.repo.text("rev-parse", "--is-shallow-repository") == "true":
        yield "the clone is shallow: sessions see as little history as it has"
    if run.repo.config("core.sparseCheckout", kind="bool") == "true":
        yield "the checkout is sparse: so are the sessions' worktrees"
    if trees.has_path(run.repo, run.main_ref, ".gitmodules"):
        yield "submodules are empty in sessions' worktrees; a session that needs one runs git submodule update --init"
    if sys.platform != "linux":
        yield "without Linux, children that an agent detaches from itself are found by their environment alone"
