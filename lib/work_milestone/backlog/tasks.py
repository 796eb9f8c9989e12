"""Tasks of the local backlog: Markdown files with YAML front matter, as the program Backlog.md keeps them.

The format's source is what Backlog.md 1.52 (npm `backlog.md`) was seen to write and read; the integration test repeats
it against the real program. Rules:

- Tasks are `backlog/tasks/*.md`; `backlog/completed/` holds finished ones; `backlog/archive/tasks/` is dropped work
  whose ids the program hands out again, so it is never read. `README.md` is no task.
- The front matter's `id` names the issue, not the file's name: `TASK-42`, `task-0042`, `back-42` and `42` are issue
  42. A sub-task (`TASK-42.1`) is part of its parent and no issue of its own: `parse_task` gives None.
- Finished means the status Done, or whatever the configuration's `statuses` end with when it has no Done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from work_milestone.backlog import front_matter
from work_milestone.backlog.front_matter import fault, told

DONE = "Done"
CONFIG_PATHS = ("backlog/config.yml", "backlog.config.yml")

_TASK_PATH = re.compile(r"backlog/(?:tasks|completed)/(?:task-|[a-z]+-[0-9])[^/]*\.md", re.I | re.S)
_ID = re.compile(r"(?:[a-z][a-z_-]*-)?([0-9]{1,9})((?:\.[0-9]+)*)", re.I)
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


def is_task_file(path: str) -> bool:
    """Whether a path is that of a task that is read."""
    return bool(_TASK_PATH.fullmatch(path))


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


def parse_tasks(files: Mapping[str, str]) -> tuple[dict[int, Task], list[str]]:
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
