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
- A bad file is a fault, `path:line: what; what to do`, and never stops the others. Aliases and deep nesting
  are refused before YAML's composer sees them, which would end the process: its recursion has no limit.
"""

import contextlib
import json
import os
import re
import stat
import uuid
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path, PurePosixPath

import yaml

from work_milestone.errors import BacklogError

DONE = "Done"
MAX_BYTES = 1_000_000
MAX_FRONT_MATTER = 64_000
MAX_DEPTH = 20
CONFIG_PATHS = ("backlog/config.yml", "backlog.config.yml")
FOLDERS = ("tasks", "completed", "milestones", "archive/milestones")
PLACES = ("backlog", "backlog.config.yml")  # where in a repository all of it lies

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = "tag:yaml.org,2002:null"
_FRONT = re.compile(r"\A\ufeff?---[ \t\r]*\n(.*?)^---[^\n]*\n?", re.S | re.M)
_TASK_PATH = re.compile(r"backlog/(?:tasks|completed)/(?:task-|[a-z]+-[0-9])[^/]*\.md", re.I | re.S)
_MILESTONE_PATH = re.compile(r"backlog/(?:archive/)?milestones/m-[0-9][^/]*\.md", re.I | re.S)
_ID = re.compile(r"(?:[a-z][a-z_-]*-)?([0-9]{1,9})((?:\.[0-9]+)*)", re.I)
_MILESTONE_ID = re.compile(r"(?:m-)?([0-9]{1,9})", re.I)
_SECTION = r"^##[ \t]+{}[ \t]*$(.*?)(?=^##[ \t]|\Z)"
_MARKED = r"<!--[ \t]*{0}:BEGIN[ \t]*-->(.*?)<!--[ \t]*{0}:END[ \t]*-->"
_CRITERION = re.compile(r"[ \t]*[-*][ \t]+\[[ xX]?\][ \t]*(?:#[0-9]+[ \t]+)?(.*)")
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)\Z)[a-z](?:[a-z0-9 _-]*[a-z0-9])?", re.I)


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


@dataclass(frozen=True)
class _Front:
    """Front matter: a value's YAML node by key, where the source stands in the text, its mapping's node."""

    fields: Mapping[str, yaml.Node]
    root: yaml.MappingNode
    start: int
    end: int
    first_line: int

    def line(self, key: str) -> int:
        """Give the line of a key's value, else the first."""
        return self.first_line + self.fields[key].start_mark.line if key in self.fields else 1


def is_backlog_file(path: str) -> bool:
    """Whether the backlog reads this file: what to take out of a commit's tree."""
    return path in CONFIG_PATHS or bool(_TASK_PATH.fullmatch(path) or _MILESTONE_PATH.fullmatch(path))


def _fault(path: str, line: int, what: str, remedy: str) -> BacklogError:
    """Build the error for one place of one file."""
    shown = path if path.isprintable() else ascii(path)
    return BacklogError(f"{shown}:{line}: {what}; {remedy}")


def _front(path: str, text: str) -> _Front:
    """Find and read the front matter; raises BacklogError."""
    found = _FRONT.match(text)
    if found is None:
        raise _fault(path, 1, "no front matter between two lines ---", "add it, or move the file elsewhere")
    if len(found[1]) > MAX_FRONT_MATTER:
        raise _fault(path, 1, f"front matter of more than {MAX_FRONT_MATTER} characters", "shorten it")
    return _read_yaml(path, found[1], found.start(1), 2)


def _read_yaml(path: str, source: str, offset: int, line: int) -> _Front:
    """Read a mapping whose first line is `line` of the file; raises BacklogError."""
    # Backlog.md takes `assignee: @me`, which is no YAML; the mask keeps every position.
    masked = re.sub(r"(?m)^(?:assignee|reporter):.*$", lambda m: m[0].replace("@", "_"), source)
    try:
        _require_flat(path, masked, line)
        root = yaml.compose(masked, Loader=_LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "a character that YAML does not allow"
        at = line + (mark.line if mark is not None else 0)
        raise _fault(path, at, f"broken YAML: {' '.join(str(what).split())}", "correct or quote it") from None
    except UnicodeError:
        raise _fault(path, line, "no Unicode text", "save it as UTF-8") from None
    if not isinstance(root, yaml.MappingNode):
        raise _fault(path, line, "no mapping of keys to values", "write `key: value` lines")
    fields: dict[str, yaml.Node] = {}
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in fields:
            at = line + key.start_mark.line
            raise _fault(path, at, "a key that stands twice or is no plain word", "keep one of them")
        fields[key.value] = value
    return _Front(fields, root, offset, offset + len(source), line)


def _require_flat(path: str, source: str, line: int) -> None:
    """Refuse aliases and deep nesting; the parser's events need no recursion."""
    depth = 0
    for event in yaml.parse(source, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            at = line + (event.start_mark.line if event.start_mark else 0)
            raise _fault(path, at, "an alias, or very deep nesting", "write it plainly")


def _list(path: str, front: _Front, key: str) -> list[str]:
    """Give a key's texts without null; a single text is split at its commas. Raises BacklogError."""
    value = front.fields.get(key)
    if isinstance(value, yaml.MappingNode):
        raise _fault(path, front.line(key), f"{key} is a mapping, not a list", f"write `{key}: [one, two]`")
    if isinstance(value, yaml.SequenceNode):
        nodes = [each for each in value.value if isinstance(each, yaml.ScalarNode) and each.tag != _NULL]
        return [each.value.strip() for each in nodes if each.value.strip()]
    return [each.strip() for each in _text(path, front, key).split(",") if each.strip()]


def _text(path: str, front: _Front, key: str) -> str:
    """Give a key's text without outer blanks, "" when it is absent or null; raises BacklogError."""
    value = front.fields.get(key)
    if value is None or value.tag == _NULL:
        return ""
    if not isinstance(value, yaml.ScalarNode):
        raise _fault(path, front.line(key), f"{key} is no text", f"write `{key}: text`")
    return str(value.value).strip()


def parse_task(path: str, text: str) -> Task | None:
    """Read one task's file; None for a sub-task. Raises BacklogError, `path:line: what; what to do`."""
    front = _front(path, text)
    given = _text(path, front, "id")
    number = _ID.fullmatch(given)
    if number is None:
        what = f"{given!a:.60} is no task id" if given else "no id"
        raise _fault(path, front.line("id"), what, "write `id: TASK-<number>`")
    if number[2]:
        return None
    depends = [_ID.fullmatch(each) for each in _list(path, front, "dependencies")]
    body = re.sub(r"\A---[^\n]*\n?", "", text[front.end :]).replace("\r\n", "\n")
    return Task(
        issue=int(number[1]),
        title=" ".join(_text(path, front, "title").split()),
        status=_text(path, front, "status"),
        milestone=_text(path, front, "milestone") or None,
        labels=tuple(_list(path, front, "labels")),
        dependencies=tuple(dict.fromkeys(int(each[1]) for each in depends if each and not each[2])),
        priority=_text(path, front, "priority") or None,
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
    done = DONE
    try:
        done = done_status(files)
    except BacklogError as error:
        faults.append(str(error))
    for path in sorted(filter(_TASK_PATH.fullmatch, files)):
        try:
            task = parse_task(path, files[path])
            if task is None:
                continue
            first = tasks.setdefault(task.issue, replace(task, done=done))
            if first.path != path:
                raise _fault(
                    path, 1, f"issue {task.issue} stands in {first.path} as well", "give one a new id"
                )
        except BacklogError as error:
            faults.append(str(error))
    return tasks, faults


def parse_milestones(files: Mapping[str, str]) -> tuple[tuple[Milestone, ...], list[str]]:
    """Read every milestone's file, archived ones last, and every fault at once."""
    milestones: list[Milestone] = []
    faults: list[str] = []
    paths = filter(_MILESTONE_PATH.fullmatch, files)
    for path in sorted(paths, key=lambda each: (each.startswith("backlog/archive/"), each)):
        try:
            front = _front(path, files[path])
            number = _MILESTONE_ID.fullmatch(_text(path, front, "id"))
            if number is None:
                raise _fault(path, 1, "no milestone id", "write `id: m-<number>`")
            milestones.append(Milestone(int(number[1]), _text(path, front, "title"), path))
        except BacklogError as error:
            faults.append(str(error))
    return tuple(milestones), faults


def done_status(files: Mapping[str, str]) -> str:
    """Give the status that means finished: Done as the configuration spells it, else its last one."""
    for path in CONFIG_PATHS:
        if path in files and files[path].strip("\ufeff \t\r\n"):
            bom = files[path].startswith("\ufeff")
            statuses = _list(path, _read_yaml(path, files[path][bom:], 0, 1), "statuses")
            spelled = [each for each in statuses if each.casefold() == DONE.casefold()]
            return (spelled or statuses or [DONE])[-1]
    return DONE


def read_backlog(blobs: Mapping[str, bytes]) -> Backlog:
    """Read a backlog from its files' bytes by path, as a git tree holds them; what is no text is a fault."""
    files: dict[str, str] = {}
    faults: list[str] = []
    for path in sorted(filter(is_backlog_file, blobs)):
        try:
            files[path] = _decode(path, blobs[path])
        except BacklogError as error:
            faults.append(str(error))
    tasks, task_faults = parse_backlog(files)
    milestones, milestone_faults = parse_milestones(files)
    try:
        done = done_status(files)
    except BacklogError:  # told by parse_backlog
        done = DONE
    return Backlog(tasks, milestones, (*faults, *task_faults, *milestone_faults), files, done)


def _decode(path: str, data: bytes) -> str:
    """Give a file's text with its line ends and BOM kept."""
    if len(data) > MAX_BYTES:
        raise _fault(path, 1, f"more than {MAX_BYTES} bytes", "move the bulk to another file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _fault(path, line, "not UTF-8 text", "save it as UTF-8, or move it elsewhere") from None


def load_backlog(root: Path) -> Backlog | None:
    """Read the backlog below a repository's root from disk; None when there is no `backlog/tasks`."""
    if not (root / "backlog/tasks").is_dir():
        return None
    blobs: dict[str, bytes] = {}
    faults: list[str] = []
    paths = [root / each for each in CONFIG_PATHS if os.path.lexists(root / each)]
    for folder in FOLDERS:
        try:
            paths += (root / "backlog" / folder).iterdir()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            faults.append(
                str(_fault(f"backlog/{folder}", 1, f"unreadable: {error.strerror}", "make it readable"))
            )
    for file in paths:
        path = file.relative_to(root).as_posix()
        if is_backlog_file(path):
            try:
                blobs[path] = _read_file(path, file)
            except BacklogError as error:
                faults.append(str(error))
    backlog = read_backlog(blobs)
    return replace(backlog, faults=(*faults, *backlog.faults))


def _read_file(path: str, file: Path) -> bytes:
    """Read a regular file, one byte beyond the limit at most; links and pipes are refused unopened."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            raise _fault(path, 1, "a link, a folder or a device", "put a file in its place, or remove it")
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _fault(path, 1, f"unreadable: {error.strerror}", "make it readable, or remove it") from None


def _scalar(value: str, style: str) -> str:
    """Write a text as YAML, in the quotes it had, or else in some where it needs them."""
    if style == "'" or (style != '"' and value[0].isdigit()):
        return "'" + value.replace("'", "''") + "'"
    return value if style != '"' and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _edit(text: str, front: _Front, key: str, value: str) -> str:
    """Replace a key's value, and neither the blanks nor the comment behind it."""
    node = front.fields[key]
    start, end = (front.start + mark.index for mark in (node.start_mark, node.end_mark))
    end = start + len(text[start:end].rstrip())
    gap = " " if text[start - 1] == ":" else ""
    style = (node.style or "") if isinstance(node, yaml.ScalarNode) else ""
    return text[:start] + gap + _scalar(value, style) + text[end:]


def set_status(text: str, status: str, *, updated: datetime | None = None, path: str = "task") -> str:
    """Give the task's text with another status, all else kept byte for byte.

    `updated` renews `updated_date` (UTC, to the minute) where the task has one. A task without a status gets
    one as its last key. Raises BacklogError when the file is no task or cannot be changed without doubt.
    """
    if not status or not status.isprintable() or status != status.strip():
        raise _fault(path, 1, f"{status!a:.60} is no status", "use one of the configured statuses")
    front = _front(path, text)
    new = {"status": status}
    if updated is not None and "updated_date" in front.fields:
        new["updated_date"] = f"{updated.astimezone(UTC):%Y-%m-%d %H:%M}"
    changed = text
    if "status" not in front.fields:
        changed = _add_status(text, front, status)
    # From the end to the beginning, so that an edit leaves the marks before it true.
    for key in sorted(new.keys() & front.fields.keys(), key=lambda key: -front.fields[key].start_mark.index):
        changed = _edit(changed, front, key, new[key])
    _require_only(path, front, changed, new)
    return changed


def _add_status(text: str, front: _Front, status: str) -> str:
    """Add a status where there is none, as the last line."""
    newline = "\r\n" if text[: front.end].endswith("\r\n") else "\n"
    indent = " " * front.root.start_mark.column
    return f"{text[: front.end]}{indent}status: {_scalar(status, '')}{newline}{text[front.end :]}"


def _require_only(path: str, before: _Front, changed: str, new: Mapping[str, str]) -> None:
    """Read the changed text again: whatever the YAML was, nothing else may differ."""
    remedy = "write `status: text` on a line of its own"
    try:
        after = _front(path, changed)
        same = all(_text(path, after, key) == value for key, value in new.items())
    except BacklogError:
        raise _fault(path, before.line("status"), "the status cannot be changed in place", remedy) from None
    rest = [{k: yaml.serialize(v) for k, v in f.fields.items() if k not in new} for f in (before, after)]
    if not same or rest[0] != rest[1]:
        raise _fault(path, before.line("status"), "the status cannot be changed in place", remedy)


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
    means = cache(lambda name: _means(name, number, title, milestones))
    mine = {issue for issue, task in tasks.items() if task.milestone is not None and means(task.milestone)}
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
        raise _fault(found.path, 1, f"{goal} is there already and differs", "remove one of the two")
    return {goal: files[found.path], found.path: None}


def _require_inside(root: Path, path: str) -> Path:
    """Give the file's place on disk; raises BacklogError for one outside of `backlog/`, links followed."""
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] != "backlog" or ".." in parts or "\0" in path:
        raise _fault(path, 1, "outside of backlog/, not written", "name a file below backlog/")
    target = root.joinpath(*parts)
    try:
        inside = target.parent.resolve().is_relative_to((root / "backlog").resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside or target.is_symlink():
        raise _fault(path, 1, "a link leads elsewhere, not written", "put a file in the link's place")
    return target


def write_task(root: Path, path: str, text: str) -> None:
    """Write one file below `backlog/` on disk, whole or not at all; raises BacklogError."""
    target = _require_inside(root, path)
    temporary = target.with_name(f".milestone-{uuid.uuid4().hex}.tmp")
    try:
        data = text.encode()
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            if target.exists():
                os.fchmod(stream.fileno(), stat.S_IMODE(target.stat().st_mode))
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not writable as UTF-8"
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise _fault(path, 1, f"cannot be written: {why}", "correct the cause and start again") from None


def write_changes(root: Path, changes: Mapping[str, str | None]) -> None:
    """Apply changes on disk: new texts first, then what goes away; raises BacklogError."""
    for path, text in changes.items():
        if text is not None:
            write_task(root, path, text)
    for path in (each for each, text in changes.items() if text is None):
        try:
            _require_inside(root, path).unlink(missing_ok=True)
        except OSError as error:
            raise _fault(path, 1, f"cannot be removed: {error.strerror}", "remove it by hand") from None
