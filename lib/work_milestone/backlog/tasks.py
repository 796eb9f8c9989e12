"""The local backlog: Markdown files with YAML front matter, as the program Backlog.md keeps them.

The format's source is what Backlog.md 1.52 (npm `backlog.md`) was seen to write and read; the integration
test repeats it against the real program. Rules kept here:

- Reading and changing are pure functions over texts, because a tracked backlog is read from a commit's tree
  and changed in commits. `None` as a new text means that the file goes away.
- Tasks are `backlog/tasks/*.md`; `backlog/completed/` holds finished ones; `backlog/archive/tasks/` is
  dropped work whose ids the program hands out again, so it is never read. `README.md` is no task.
- The front matter's `id` names the issue, not the file's name: `TASK-42`, `task-0042`, `back-42` and `42` are
  issue 42. A sub-task (`TASK-42.1`) is part of its parent and no issue of its own: `parse_task` gives None.
- Finished means the status Done, or whatever the configuration's `statuses` end with when it has no Done.
- A task's `milestone` is `m-3`, `3` or a milestone's title. Where `milestones/m-3 - auth.md` exists, its
  number is tried before its title, as the program does. The plan's milestone is the file with its title, else
  the one titled with its number, else the one of its number. A value without a file is compared directly.
- A milestone whose tasks are all finished counts as completed by itself; archiving its file closes it.
- A bad file is a fault, `path:line: what; what to do`, and never stops the others.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from work_milestone.backlog import front_matter
from work_milestone.backlog.front_matter import fault, told

DONE = "Done"
CONFIG_PATHS = ("backlog/config.yml", "backlog.config.yml")

_TASK_PATH = re.compile(r"backlog/(?:tasks|completed)/(?:task-|[a-z]+-[0-9])[^/]*\.md", re.I | re.S)
_MILESTONE_PATH = re.compile(r"backlog/(?:archive/)?milestones/m-[0-9][^/]*\.md", re.I | re.S)
_ID = re.compile(r"(?:[a-z][a-z_-]*-)?([0-9]{1,9})((?:\.[0-9]+)*)", re.I)
_MILESTONE_ID = re.compile(r"(?:m-)?([0-9]{1,9})", re.I)
_SECTION = r"^##[ \t]+{}[ \t]*$(.*?)(?=^##[ \t]|\Z)"
_MARKED = r"<!--[ \t]*{0}:BEGIN[ \t]*-->(.*?)<!--[ \t]*{0}:END[ \t]*-->"
_CRITERION = re.compile(r"[ \t]*[-*][ \t]+\[[ xX]?\][ \t]*(?:#[0-9]+[ \t]+)?(.*)")


@dataclass(frozen=True)
class Task:
    """One issue of the backlog; `path` is relative to the repository's root, `done` its finished status."""

    issue: int
    title: str
    status: str
    milestone: str | None
    labels: tuple[str, ...]
    dependencies: tuple[int, ...]
    priority: str | None
    description: str
    acceptance_criteria: tuple[str, ...]
    path: str
    done: str = DONE

    @property
    def is_open(self) -> bool:
        """Whether work is left: not finished, and not put away."""
        away = {"archive", "completed"} & set(PurePosixPath(self.path).parts[:-1])
        return not away and self.status.casefold() not in {DONE.casefold(), self.done.casefold()}


@dataclass(frozen=True)
class Milestone:
    """A milestone's file: `m-3` has the number 3."""

    number: int
    title: str
    path: str


@dataclass(frozen=True)
class Backlog:
    """All that was read. `done` is the status to give a finished task, `files` the texts by path."""

    tasks: Mapping[int, Task]
    milestones: tuple[Milestone, ...]
    faults: tuple[str, ...]
    files: Mapping[str, str]
    done: str = DONE


@dataclass(frozen=True)
class Staleness:
    """How backlog and plan differ, sorted issues. `known` is False when the backlog is about other work."""

    added: tuple[int, ...] = ()
    removed: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    known: bool = True

    def __bool__(self) -> bool:
        """Whether the plan is stale."""
        return bool(self.added or self.removed or self.closed)


def is_backlog_file(path: str) -> bool:
    """Whether the backlog reads this file: what to take out of a commit's tree."""
    return path in CONFIG_PATHS or bool(_TASK_PATH.fullmatch(path) or _MILESTONE_PATH.fullmatch(path))


def parse_task(path: str, text: str) -> Task | None:
    """Read one task's file; None for a sub-task. Raises BacklogError, `path:line: what; what to do`."""
    front = front_matter.parse(path, text)
    given = front.text("id")
    number = _ID.fullmatch(given)
    if number is None:
        what = f"{given!a:.60} is no task id" if given else "no id"
        raise fault(path, front.line("id"), what, "write `id: TASK-<number>`")
    if number[2]:
        return None
    depends = [_ID.fullmatch(each) for each in front.texts("dependencies")]
    body = re.sub(r"\A---[^\n]*\n?", "", text[front.end :]).replace("\r\n", "\n")
    return Task(
        issue=int(number[1]),
        title=" ".join(front.text("title").split()),
        status=front.text("status"),
        milestone=front.text("milestone") or None,
        labels=tuple(front.texts("labels")),
        dependencies=tuple(dict.fromkeys(int(each[1]) for each in depends if each and not each[2])),
        priority=front.text("priority") or None,
        description=_description(body),
        acceptance_criteria=_criteria(body),
        path=path,
    )


def _section(body: str, marker: str, heading: str) -> str | None:
    """Give what stands between a section's markers, else under its heading."""
    marked = re.search(_MARKED.format(marker), body, re.S)
    found = marked or re.search(_SECTION.format(heading), body, re.S | re.M)
    return found[1].strip() if found else None


def _description(body: str) -> str:
    """Give the description; without such a section what stands before the first heading."""
    found = _section(body, "SECTION:DESCRIPTION", "Description")
    return re.split(r"(?m)^##[ \t]", body, maxsplit=1)[0].strip() if found is None else found


def _criteria(body: str) -> tuple[str, ...]:
    """Give the acceptance criteria, each in one line, without box and number."""
    criteria: list[str] = []
    for line in (_section(body, "AC", "Acceptance Criteria") or "").split("\n"):
        item = _CRITERION.fullmatch(line)
        if item is not None:
            criteria.append(item[1].strip())
        elif criteria and line.strip() and not line.lstrip().startswith("<!--"):
            criteria[-1] += " " + line.strip()
    return tuple(each for each in criteria if each)


def parse_backlog(files: Mapping[str, str]) -> tuple[dict[int, Task], list[str]]:
    """Read every task among the files, and every fault at once; an issue that stands twice is one."""
    tasks: dict[int, Task] = {}
    faults: list[str] = []
    done = done_status(files, faults)
    for path in sorted(filter(_TASK_PATH.fullmatch, files)):
        with told(faults):
            if (task := parse_task(path, files[path])) is None:
                continue
            first = tasks.setdefault(task.issue, replace(task, done=done))
            if first.path != path:
                raise fault(path, 1, f"issue {task.issue} stands in {first.path} as well", "give one a new id")
    return tasks, faults


def parse_milestones(files: Mapping[str, str]) -> tuple[tuple[Milestone, ...], list[str]]:
    """Read every milestone's file, archived ones last, and every fault at once."""
    milestones: list[Milestone] = []
    faults: list[str] = []
    paths = filter(_MILESTONE_PATH.fullmatch, files)
    for path in sorted(paths, key=lambda each: (each.startswith("backlog/archive/"), each)):
        with told(faults):
            front = front_matter.parse(path, files[path])
            if (number := _number(front.text("id"))) is None:
                raise fault(path, 1, "no milestone id", "write `id: m-<number>`")
            milestones.append(Milestone(number, front.text("title"), path))
    return tuple(milestones), faults


def done_status(files: Mapping[str, str], faults: list[str]) -> str:
    """Give the status that means finished: Done as the configuration spells it, else its last one."""
    with told(faults):
        for path in CONFIG_PATHS:
            source = files.get(path, "").removeprefix("\ufeff")
            if source.strip("\ufeff \t\r\n"):
                statuses = front_matter.parse_mapping(path, source).texts("statuses")
                spelled = [each for each in statuses if each.casefold() == DONE.casefold()]
                return (spelled or statuses or [DONE])[-1]
    return DONE


def _key(text: str) -> str:
    """Give the form in which titles are compared: blanks and case aside."""
    return " ".join(text.split()).casefold()


def _number(text: str) -> int | None:
    """Give the number of `m-7`, `7` or `07`, else None."""
    found = _MILESTONE_ID.fullmatch(text.strip())
    return int(found[1]) if found else None


def find_milestone(milestones: Collection[Milestone], number: int, title: str) -> Milestone | None:
    """Find the plan's milestone: by title, else titled with its number, else of its number."""
    for wanted in (_key(title), str(number)):
        for each in milestones:
            if wanted and _key(each.title) == wanted:
                return each
    return next((each for each in milestones if each.number == number), None)


def belongs(task: Task, number: int, title: str, milestones: Collection[Milestone] = ()) -> bool:
    """Whether the task is of the plan's milestone; the module's docstring has the rule."""
    return task.milestone is not None and _means(task.milestone, number, title, milestones)


def _means(name: str, number: int, title: str, milestones: Collection[Milestone]) -> bool:
    """Whether a task's milestone value means the plan's milestone."""
    named = _number(name)
    of_number = (each for each in milestones if named is not None and each.number == named)
    of_title = (each for each in milestones if _key(each.title) == _key(name))
    meant = next(of_number, None) or next(of_title, None)
    if meant is not None:
        mine = find_milestone(milestones, number, title)
        return mine is not None and mine.number == meant.number
    return named == number or (bool(_key(title)) and _key(name) == _key(title))


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
    own = {name for name in names if _means(name, number, title, milestones)}
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


def close_milestone(files: Mapping[str, str], number: int, title: str) -> dict[str, str | None]:
    """Give the changes that archive the milestone's file, none when it has no open file.

    Its open tasks stay open, but Backlog.md's lists no longer show a milestone for them: whether any may be
    left is the caller's to decide. Raises BacklogError when another file stands in the archive's place.
    """
    found = find_milestone(parse_milestones(files)[0], number, title)
    if found is None or found.path.startswith("backlog/archive/"):
        return {}
    goal = found.path.replace("backlog/", "backlog/archive/", 1)
    if goal in files and files[goal] != files[found.path]:
        raise fault(found.path, 1, f"{goal} is there already and differs", "remove one of the two")
    return {goal: files[found.path], found.path: None}
