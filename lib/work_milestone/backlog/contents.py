"""All that a backlog holds, and how it differs from a plan. Pure.

Rules:
- Reading and changing are functions over texts, because a tracked backlog is read from a commit's tree and changed in
  commits. `None` as a new text means that the file goes away.
- A bad file is a fault, `path:line: what; what to do`, and never stops the others.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from work_milestone.backlog.milestones import Milestone, means
from work_milestone.backlog.tasks import DONE, Task


class Backlog(NamedTuple):
    """All that was read. `done` is the status to give a finished task, `files` the texts by path."""

    tasks: Mapping[int, Task]
    milestones: tuple[Milestone, ...]
    faults: tuple[str, ...]
    files: Mapping[str, str]
    done: str = DONE


class Staleness(NamedTuple):
    """How backlog and plan differ, sorted issues. `known` is False when the backlog is about other work."""

    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    known: bool = True

    def __bool__(self) -> bool:
        """Whether the plan is stale."""
        return bool(self.added or self.removed or self.closed)


def belongs(task: Task, number: int, title: str, milestones: Collection[Milestone] = ()) -> bool:
    """Whether a task is of the plan's milestone; `milestones` has the rule."""
    return task.milestone is not None and means(task.milestone, number, title, milestones)


def compare(
    tasks: Mapping[int, Task],
    plan_issues: AbstractSet[int],
    number: int,
    title: str,
    merged: AbstractSet[int] = frozenset(),
    closed_by_run: AbstractSet[int] = frozenset(),
    milestones: Collection[Milestone] = (),
) -> Staleness:
    """Say how backlog and plan differ.

    `plan_issues` holds the follow-ups too; `closed_by_run` whatever the plan marks complete or skipped. What
    is merged or closed by the run is never stale. A backlog with no task of the milestone and none of the
    plan's issues is about other work: `known` is False, and nothing differs.
    """
    names = {task.milestone for task in tasks.values() if task.milestone is not None}
    own = {name for name in names if means(name, number, title, milestones)}
    mine = {issue for issue, task in tasks.items() if task.milestone in own}
    if not mine and not plan_issues & tasks.keys():
        return Staleness(known=False)
    settled = merged | closed_by_run
    open_ones = {issue for issue in mine if tasks[issue].is_open}
    return Staleness(
        added=tuple(sorted(open_ones - plan_issues - settled)),
        removed=tuple(sorted(plan_issues - mine - settled)),
        closed=tuple(sorted((plan_issues & mine) - open_ones - settled)),
    )
