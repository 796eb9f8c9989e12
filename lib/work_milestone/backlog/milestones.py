"""Milestones of the local backlog: which one is the plan's, which tasks belong to it, how it is closed.

Rules:
- A task's `milestone` is `m-3`, `3` or a milestone's title. Where `milestones/m-3 - auth.md` exists, its number is
  tried before its title, as the program does. The plan's milestone is the file with its title, else the one titled
  with its number, else the one of its number. A value without a file is compared directly.
- A milestone whose tasks are all finished counts as completed by itself; archiving its file closes it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from work_milestone.backlog import front_matter
from work_milestone.backlog.front_matter import fault, told

_MILESTONE_PATH = re.compile(r"backlog/(?:archive/)?milestones/m-[0-9][^/]*\.md", re.I | re.S)
_MILESTONE_ID = re.compile(r"(?:m-)?([0-9]{1,9})", re.I)


class Milestone(NamedTuple):
    """A milestone's file: `m-3` has the number 3."""

    number: int
    title: str
    path: str


def is_milestone_file(path: str) -> bool:
    """Whether a path is that of a milestone."""
    return bool(_MILESTONE_PATH.fullmatch(path))


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


def means(name: str, number: int, title: str, milestones: Collection[Milestone]) -> bool:
    """Whether a task's milestone value means the plan's milestone."""
    named = _number(name)
    of_number = (each for each in milestones if named is not None and each.number == named)
    of_title = (each for each in milestones if _key(each.title) == _key(name))
    meant = next(of_number, None) or next(of_title, None)
    if meant is not None:
        mine = find_milestone(milestones, number, title)
        return mine is not None and mine.number == meant.number
    return named == number or (bool(_key(title)) and _key(name) == _key(title))


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
