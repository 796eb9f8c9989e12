"""What an item needs before its session: a clean worktree, the lock file, the prompt.

Rules:
- Nothing is prepared while an attempt is alive or waits to be judged: its worktree is its own.
- What a branch held is pinned before it is set anew.
- Branch and path come from the receipt, so that an edited title changes nothing under way.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

from work_milestone import backlog_sync, branches, integration, relay, render, salvage, worktrees
from work_milestone.errors import MilestoneError
from work_milestone.plan import Item
from work_milestone.receipts import write_atomic
from work_milestone.runs import Run
from work_milestone.settings import session_settings
from work_milestone.states import Session
from work_milestone.texts import one_line


def is_prepared(run: Run, item: Item) -> bool:
    """Tell whether worktree, lock and prompt are not needed: no session is, or one is already at work."""
    return not run.facts(item.issue).needs_session or run.attempt_state(item.issue) in ("alive", "finished")


def starts(run: Run, item: Item) -> bool:
    """Tell whether a new attempt is to be begun now."""
    return not is_prepared(run, item) and not run.unmet(item)


def prepare(run: Run, item: Item) -> None:
    """Take a clean worktree on the item's branch, at the integration branch's head."""
    if starts(run, item):
        _prepare(run, item)


def _prepare(run: Run, item: Item) -> None:
    number = run.folder.attempts(item.issue) + 1
    path = run.folder.receipt(item.issue, "worktree")
    branch = branch_of(run, item)
    base = integration.head(run)
    _keep_branch(run, item, branch, base, number - 1)
    run.begin(item.issue)
    place = run.pool.take(branch, base)
    run.folder.write(path, "worktree", "ready", branch=branch, path=str(place), base=base, attempt=number)


def branch_of(run: Run, item: Item) -> str:
    """Name an item's branch: the one that it began with, whatever its title is by now."""
    earlier = run.folder.load(run.folder.receipt(item.issue, "worktree"))
    if earlier:
        return str(earlier["branch"])
    slug = branches.slugify(item.title)
    return f"work/{run.number}/{item.issue}" + (f"-{slug}" if slug else "")


def _keep_branch(run: Run, item: Item, branch: str, base: str, number: int) -> None:
    """Keep the commits, an earlier attempt's or a person's, that a branch is about to leave."""
    old = run.repo.resolve(f"refs/heads/{branch}")
    if old and old != base and not run.repo.is_ancestor(old, base):
        salvage.keep(run.repo, attempt_ref(run, item.issue, number), old)


def attempt_ref(run: Run, issue: int, number: int) -> str:
    """Name the ref that keeps what an attempt made."""
    return f"refs/milestone/{run.number}/attempt/{issue}/{number}"


def write_lock(run: Run, item: Item) -> None:
    """Put the lock file into the worktree that stops this tool from being started inside it."""
    if starts(run, item):
        _write_lock(run, item)


def _write_lock(run: Run, item: Item) -> None:
    worktree = run.folder.load(run.folder.receipt(item.issue, "worktree")) or {}
    mark = str(uuid.uuid4())
    content = {
        "session_id": mark,
        "parent_pid": os.getpid(),
        "spawned_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "item": one_line(item.title)[:100],
        "model": session_settings(run.settings, item).model,
    }
    path = Path(worktree["path"]) / worktrees.LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise MilestoneError(
            f"{path}: cannot be written ({error.strerror}); the lock file must have its place"
        ) from error
    worktrees.claim(Path(worktree["path"]), mark)
    run.folder.write(run.folder.receipt(item.issue, "lock"), "lock", "ready", mark=mark, path=str(path))


def write_prompt(run: Run, item: Item) -> None:
    """Render the prompt."""
    if starts(run, item):
        _write_prompt(run, item)


def _write_prompt(run: Run, item: Item) -> None:
    worktree = run.folder.load(run.folder.receipt(item.issue, "worktree")) or {}
    earlier = run.result(item.issue) or {}
    if worktree["attempt"] > 1 and not earlier:
        earlier = {"status": Session.CRASHED.value}
    description, criteria = backlog_sync.describe(run, item)
    plan = run.require_plan()
    text = render.render(
        run.root,
        "prompt.md.j2",
        plan=plan,
        item=item,
        title=one_line(item.title),
        branch=worktree["branch"],
        integration_branch=run.branch,
        attempt=worktree["attempt"],
        earlier={"status": "", "detail": "", "notes": "", **earlier},
        description=description,
        criteria=criteria,
        gates=plan.gates,
        relay=relay.for_prompt(run, item).strip(),
    )
    write_atomic(run.folder.item(item.issue) / "prompt.md", text)


def begin_anew(run: Run, item: Item) -> None:
    """Prepare a further attempt within one session step."""
    _prepare(run, item)
    _write_lock(run, item)
    _write_prompt(run, item)
