"""The backlog's part in a run: what it says of items, whether the plan still fits it, and what a run changes in it.

Rules:
- A backlog that git tracks is read from the integration branch (from main before there is one) and changed in the
  commits alone: an item's squash commit sets it done, the landing closes the milestone. The checkout sees it with
  the landing.
- One that git does not track is read and written in place.
- What the run itself has merged never makes the plan stale.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import NamedTuple

from work_milestone import backlog, git
from work_milestone.git import trees
from work_milestone.plan import Item
from work_milestone.run.dispatch import Dispatch
from work_milestone.run.milestone import Milestone
from work_milestone.text import one_line

Changes = dict[str, str | None]  # of files by path; None takes one away


class Groomed(NamedTuple):
    """A backlog, and whether git tracks it."""

    content: backlog.Backlog
    tracked: bool


class Tasks:
    """The backlog of one milestone; `find_rev` names the commit where one that git tracks is read."""

    def __init__(
        self, milestone: Milestone, repo: git.Repo, dispatch: Dispatch, find_rev: Callable[[], str | None]
    ) -> None:
        self._milestone = milestone
        self._repo = repo
        self._dispatch = dispatch
        self._find_rev = find_rev

    @cached_property
    def groomed(self) -> Groomed | None:
        """The backlog: git's where git tracks one, else what lies in the checkout, None when there is none."""
        rev = self._find_rev()
        blobs = trees.read_files(self._repo, rev, *backlog.PLACES) if rev else {}
        if any(path.startswith("backlog/tasks/") for path in blobs):
            return Groomed(backlog.read_backlog(blobs), tracked=True)
        content = backlog.load_backlog(self._milestone.root)
        return Groomed(content, tracked=False) if content else None

    @property
    def tracked(self) -> backlog.Backlog | None:
        """The backlog where git tracks it."""
        return self.groomed.content if self.groomed and self.groomed.tracked else None

    @property
    def untracked(self) -> backlog.Backlog | None:
        """The backlog where git does not track it."""
        return self.groomed.content if self.groomed and not self.groomed.tracked else None

    def read_tree(self, tree: str) -> backlog.Backlog:
        """Read the backlog that a tree holds."""
        return backlog.read_backlog(trees.read_files(self._repo, tree, *backlog.PLACES))

    def reload(self) -> None:
        """Read again what lies in the checkout."""
        content = backlog.load_backlog(self._milestone.root)
        self.groomed = Groomed(content, tracked=False) if content else self.groomed

    def describe(self, issue: int) -> tuple[str, tuple[str, ...]]:
        """Return an item's description and acceptance criteria, empty without a backlog."""
        task = self.groomed.content.tasks.get(issue) if self.groomed else None
        return (task.description, task.acceptance_criteria) if task else ("", ())

    # -- whether the plan fits

    def find_faults(self, settled: Collection[int]) -> Iterator[str]:
        """Say how plan and backlog differ, with the files that could not be read where that may be why."""
        plan, items = self._milestone.plan, self._dispatch.items
        if self.groomed is None or plan is None or not items:
            return
        content, done = self.groomed.content, set(settled)
        waiting = {issue for issue in self._dispatch.followups
                   if issue in content.tasks and content.tasks[issue].is_open}  # fmt: skip
        stale = backlog.compare(
            content.tasks, set(plan.items) | waiting, plan.number, plan.title, merged=done, closed_by_run=done,
            milestones=content.milestones,
        )  # fmt: skip
        if not stale:
            return
        told = {"added since": stale.added, "not in the backlog": stale.removed, "closed since": stale.closed}
        for what, issues in told.items():
            if issues:
                names = ", ".join(self._name(issue) for issue in issues[:20])
                yield f"{plan.path}: the plan is stale, {what}: {names}; groom milestone {plan.number} again"
        yield from content.faults

    def _name(self, issue: int) -> str:
        task = self.groomed.content.tasks.get(issue) if self.groomed else None
        item = self._dispatch.items.get(issue)
        title = task.title if task else item.title if item else ""
        return f"#{issue} {one_line(title)[:60]}".rstrip()

    def find_notes(self) -> Iterator[str]:
        """Say what the backlog has to do with the run."""
        if self.groomed is None:
            yield "no backlog (backlog/tasks/*.md): prompts carry the plan's titles alone"
            return
        content, plan = self.groomed.content, self._milestone.plan
        yield from content.faults
        if plan and not backlog.compare(content.tasks, set(self._dispatch.items), plan.number, plan.title,
                                        milestones=content.milestones).known:  # fmt: skip
            yield f"the backlog does not know milestone {plan.number}: prompts carry the plan's titles alone"

    # -- what a run changes

    def set_done(self, item: Item, tree: str, when: float) -> Changes:
        """Return what a tree's backlog changes to when an item is done: nothing where git does not track it."""
        if self.tracked is None:
            return {}
        is_new = item.issue in self._dispatch.followups  # its file may be newer than what was read at the beginning
        tasks = (self.read_tree(tree) if is_new else self.tracked).tasks
        mine = [tasks[issue] for issue in self._settled_by(item) if issue in tasks]
        found = {task: trees.read_file(self._repo, tree, task.path) for task in mine if self._is_ours(task)}
        return {task.path: _done(task, git.decode(blob), when) for task, blob in found.items() if blob is not None}

    def write_done(self, item: Item, when: float) -> None:
        """Set an item done in a backlog that git does not track."""
        for issue in self._settled_by(item) if self.untracked else ():
            task = self.untracked.tasks.get(issue) if self.untracked else None
            if self.untracked and task is not None and self._is_ours(task):
                text = self.untracked.files[task.path]
                backlog.write_task(self._milestone.root, task.path, _done(task, text, when))

    def _settled_by(self, item: Item) -> tuple[int, ...]:
        return (item.issue, *self._dispatch.settled_by(item.issue))

    def set_closed(self, tree: str) -> Changes:
        """Return what a tree's backlog changes to when the milestone is closed."""
        plan = self._milestone.plan
        if plan is None or self.tracked is None:
            return {}
        return backlog.close_milestone(self.read_tree(tree).files, plan.number, plan.title)

    def close(self) -> None:
        """Close the milestone in a backlog that git does not track."""
        plan, root = self._milestone.plan, self._milestone.root
        content = backlog.load_backlog(root) if plan and self.untracked else None
        if plan and content is not None:
            backlog.write_changes(root, backlog.close_milestone(content.files, plan.number, plan.title))

    def _is_ours(self, task: backlog.Task) -> bool:
        """Tell whether a task belongs to the milestone: a stray one with the same number is left alone."""
        plan, known = self._milestone.require_plan(), self.groomed.content.milestones if self.groomed else ()
        return backlog.belongs(task, plan.number, plan.title, known)


def _done(task: backlog.Task, text: str, when: float) -> str:
    return backlog.set_status(text, task.done, updated=datetime.fromtimestamp(when, UTC), path=task.path)
