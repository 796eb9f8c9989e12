"""The backlog's files as bytes: read from a commit's tree or from the disk, written to the disk.

Rules: what cannot be read is a fault beside the others, `path:line: what; what to do`. Nothing is read through
a link, nothing is written outside of `backlog/`, and a file is written whole or not at all, its mode kept.
"""

from __future__ import annotations

import contextlib
import os
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from work_milestone.backlog import milestones, tasks
from work_milestone.backlog.contents import Backlog
from work_milestone.backlog.front_matter import fault, told

MAX_BYTES = 1_000_000
FOLDERS = ("tasks", "completed", "milestones", "archive/milestones")
PLACES = ("backlog", "backlog.config.yml")  # where in a repository all of it lies


def is_backlog_file(path: str) -> bool:
    """Whether the backlog reads this file: what to take out of a commit's tree."""
    return path in tasks.CONFIG_PATHS or tasks.is_task_file(path) or milestones.is_milestone_file(path)


def read_backlog(blobs: Mapping[str, bytes]) -> Backlog:
    """Read a backlog from its files' bytes by path, as a git tree holds them; what is no text is a fault."""
    files: dict[str, str] = {}
    faults: list[str] = []
    for path in sorted(filter(is_backlog_file, blobs)):
        with told(faults):
            files[path] = _decode(path, blobs[path])
    found, task_faults = tasks.parse_tasks(files)
    of_plans, milestone_faults = milestones.parse_milestones(files)
    done = tasks.done_status(files, [])  # its fault is among the tasks'
    return Backlog(found, of_plans, (*faults, *task_faults, *milestone_faults), files, done)


def _decode(path: str, data: bytes) -> str:
    """Give a file's text with its line ends and BOM kept."""
    if len(data) > MAX_BYTES:
        raise fault(path, 1, f"more than {MAX_BYTES} bytes", "move the bulk to another file")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fault(path, line, "not UTF-8 text", "save it as UTF-8, or move it elsewhere") from None


def load_backlog(root: Path) -> Backlog | None:
    """Read the backlog below a repository's root from disk; None when there is no `backlog/tasks`."""
    if not (root / "backlog/tasks").is_dir():
        return None
    blobs: dict[str, bytes] = {}
    faults: list[str] = []
    paths = [root / each for each in tasks.CONFIG_PATHS if os.path.lexists(root / each)]
    for folder in FOLDERS:
        try:
            paths += (root / "backlog" / folder).iterdir()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            faults.append(str(fault(f"backlog/{folder}", 1, f"unreadable: {error.strerror}", "make it readable")))
    for file in paths:
        path = file.relative_to(root).as_posix()
        if is_backlog_file(path):
            with told(faults):
                blobs[path] = _read_file(path, file)
    found = read_backlog(blobs)
    return found._replace(faults=(*faults, *found.faults))


def _read_file(path: str, file: Path) -> bytes:
    """Read a regular file, one byte beyond the limit at most; links and pipes are refused unopened."""
    try:
        if not stat.S_ISREG(file.lstat().st_mode):
            raise fault(path, 1, "a link, a folder or a device", "put a file in its place, or remove it")
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise fault(path, 1, f"unreadable: {error.strerror}", "make it readable, or remove it") from None


def _require_inside(root: Path, path: str) -> Path:
    """Give the file's place on disk; raises BacklogError for one outside of `backlog/`, links followed."""
    parts = PurePosixPath(path).parts
    if len(parts) < 2 or parts[0] != "backlog" or ".." in parts or "\0" in path:
        raise fault(path, 1, "outside of backlog/, not written", "name a file below backlog/")
    target = root.joinpath(*parts)
    try:
        place = target.parent.resolve()  # from Python 3.13 on, a link to itself is what it leads to
        inside = place.is_relative_to((root / "backlog").resolve()) and not place.is_symlink()
    except (OSError, RuntimeError):
        inside = False
    if not inside or target.is_symlink():
        raise fault(path, 1, "a link leads elsewhere, not written", "put a file in the link's place")
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
        raise fault(path, 1, f"cannot be written: {why}", "correct the cause and start again") from None


def write_changes(root: Path, changes: Mapping[str, str | None]) -> None:
    """Apply changes on disk: new texts first, then what goes away; raises BacklogError."""
    for path, text in changes.items():
        if text is not None:
            write_task(root, path, text)
    for path in (each for each, text in changes.items() if text is None):
        try:
            _require_inside(root, path).unlink(missing_ok=True)
        except OSError as error:
            raise fault(path, 1, f"cannot be removed: {error.strerror}", "remove it by hand") from None
