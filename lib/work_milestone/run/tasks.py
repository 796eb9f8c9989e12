"""The backlog's part in a run: what it says of items, whether the plan still fits it, and what a run changes in it.

Rules:
- A backlog that git tracks is read from the integration branch (from main before there is one) and changed in the
  commits alone: an item's squash commit sets it done, the landing closes the milestone. The checkout sees it with
  the landing.
- One that git does not track is read and written in place.
- What the run itself has merged never makes the plan stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from work_milestone import backlog, git
from work_milestone.backlog import files as backlog_files
from work_milestone.backlog import front_matter
from work_milestone.git import trees
from work_milestone.plan import Item
from work_milestone.run.run import Run
from work_milestone.text.lines import one_line


def describe(run: Run, item: Item) -> tuple[str, tuple[str, ...]]:
    """Return an item's description and acceptance criteria, empty without a backlog."""
    task = run.backlog.content.tasks.get(item.issue) if run.backlog else None
    return (task.description, task.acceptance_criteria) if task else ("", ())


def faults(run: Run) -> Iterator[str]:
    """Say how plan and backlog differ, with the files that could not be read where that may be why."""
    if run.backlog is None or run.plan is None or not run.items:
        return
    content = run.backlog.content
    done = {issue for issue in run.items if run.facts(issue).settled}
    waiting = {issue for issue in run.followups if issue in content.tasks and content.tasks[issue].is_open}
    stale = backlog.compare(
        content.tasks, set(run.plan.items) | waiting, run.plan.number, run.plan.title, merged=done, closed_by_run=done,
        milestones=content.milestones,
    )  # fmt: skip
    if not stale:
        return
    told = {"added since": stale.added, "not in the backlog": stale.removed, "closed since": stale.closed}
    for what, issues in told.items():
        if issues:
            names = ", ".join(_name(run, issue) for issue in issues[:20])
            yield f"{run.plan.path}: the plan is stale, {what}: {names}; groom milestone {run.plan.number} again"
    yield from content.faults


def _name(run: Run, issue: int) -> str:
    task = run.backlog.content.tasks.get(issue) if run.backlog else None
    title = task.title if task else run.items[issue].title if issue in run.items else ""
    return f"#{issue} {one_line(title)[:60]}".rstrip()


def notes(run: Run) -> Iterator[str]:
    """Say what the backlog has to do with the run."""
    if run.backlog is None:
        yield "no backlog (backlog/tasks/*.md): prompts carry the plan's titles alone"
        return
    content, plan = run.backlog.content, run.plan
    yield from content.faults
    if plan and not backlog.compare(content.tasks, set(run.items), plan.number, plan.title,
                                    milestones=content.milestones).known:  # fmt: skip
        yield f"the backlog does not know milestone {plan.number}: prompts carry the plan's titles alone"


def done(run: Run, item: Item, tree: str, when: float) -> dict[str, str | None]:
    """Return what a tree's backlog changes to when an item is done: nothing where git does not track it."""
    if run.backlog is None or not run.backlog.tracked:
        return {}
    tasks = run.backlog.content.tasks
    if item.issue in run.followups:  # its file may be newer than what was read at the beginning
        tasks = backlog_files.read_backlog(trees.read_files(run.repo, tree, *backlog_files.PLACES)).tasks
    mine = [tasks[issue] for issue in (item.issue, *run.settles(item.issue)) if issue in tasks]
    found = {task: trees.read_file(run.repo, tree, task.path) for task in mine if _is_ours(run, task)}
    return {task.path: _done(task, git.decode(blob), when) for task, blob in found.items() if blob is not None}


def write_done(run: Run, item: Item, when: float) -> None:
    """Set an item done in a backlog that git does not track."""
    if run.backlog is None or run.backlog.tracked:
        return
    for issue in (item.issue, *run.settles(item.issue)):
        task = run.backlog.content.tasks.get(issue)
        if task is not None and _is_ours(run, task):
            text = run.backlog.content.files[task.path]
            backlog_files.write_task(run.root, task.path, _done(task, text, when))


def closed(run: Run, tree: str) -> dict[str, str | None]:
    """Return what a tree's backlog changes to when the milestone is closed."""
    if run.backlog is None or run.plan is None or not run.backlog.tracked:
        return {}
    content = backlog_files.read_backlog(trees.read_files(run.repo, tree, *backlog_files.PLACES))
    return backlog.close_milestone(content.files, run.plan.number, run.plan.title)


def close(run: Run) -> None:
    """Close the milestone in a backlog that git does not track."""
    if run.backlog is None or run.plan is None or run.backlog.tracked:
        return
    content = backlog_files.load_backlog(run.root)
    if content is not None:
        backlog_files.write_changes(run.root, backlog.close_milestone(content.files, run.plan.number, run.plan.title))


def _done(task: backlog.Task, text: str, when: float) -> str:
    return front_matter.set_status(text, task.done, updated=datetime.fromtimestamp(when, UTC), path=task.path)


def _is_ours(run: Run, task: backlog.Task) -> bool:
    """Tell whether a task belongs to the milestone: a stray one with the same number is left alone."""
    plan, known = run.require_plan(), run.backlog.content.milestones if run.backlog else ()
    return backlog.belongs(task, plan.number, plan.title, known)
