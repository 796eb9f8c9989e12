"""Receipts on disk: the only place where they are read and written.

Rules:
- A receipt is written whole or not at all (temporary file, rename), and reaches the disk first (`durable`) where
  nothing else could tell it again: a session's end stands in its `exit.json`, a merge in its trailers.
- Half-written, empty or foreign JSON counts as absent, and is told (`notes`). One of another version is
  refused, for guessing at it could pay twice.
- Each is read once a process: whoever holds the run lock is the only one who writes.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, TypeVar

from work_milestone.store import shapes
from work_milestone.store.folder import RunFolder
from work_milestone.store.records import Record
from work_milestone.system import ReceiptError, files, process_table

VERSION = 1
R = TypeVar("R", bound=Record)


class Receipts:
    """The receipts of one run folder.

    A receipt is found by its kind and a place: nothing, the wave, the issue, or the issue and the attempt's number.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.notes: dict[Path, str] = {}
        self.writer = process_table.find_name(os.getpid())
        self.state = object()  # another one after each change: what was derived before is to be derived again
        self._read: dict[tuple[Any, ...], Record | None] = {}

    def path(self, kind: type[Record], *place: int) -> Path:
        """Path of a receipt."""
        return self.folder.place(f"{self.folder.home(kind.home, *place)}{kind.file}")

    def load(self, kind: type[R], *place: int) -> R | None:
        """Read a receipt. Raise ReceiptError when a newer version of this tool wrote it."""
        key = (kind, *place)
        if key not in self._read:
            self._read[key] = self._parse(kind, self.path(kind, *place))
        return self._read[key]  # type: ignore[return-value]  # what is kept under a kind is of that kind

    def write(self, record: R, *place: int, durable: bool = False) -> R:
        """Write a receipt; `durable` when what it tells could not be told again after a power cut."""
        record = record.replace(ended=record.ended or time.time(), writer=self.writer)
        path, kind = self.path(type(record), *place), type(record)
        content = {"version": VERSION, "step": kind.step, **shapes.write(record)}
        files.write_atomic(path, json.dumps(content, indent=1) + "\n", durable=durable)
        self._read[(kind, *place)] = record
        self.notes.pop(path, None)
        self.state = object()
        return record

    def remove(self, kind: type[Record], *place: int) -> None:
        """Take a receipt back, so that its step is done again."""
        self.path(kind, *place).unlink(missing_ok=True)
        self._read[(kind, *place)] = None
        self.state = object()

    def forget(self) -> None:
        """Drop what was read: another process may have written meanwhile."""
        self._read.clear()
        self.state = object()

    def _parse(self, kind: type[R], path: Path) -> R | None:
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.notes[path] = f"{self.folder.name(path)}: cannot be read ({error.strerror}); counts as absent"
            return None
        try:
            found = json.loads(text)
            self._require_known(found, path)
            if found["step"] == kind.step and type(found["ended"]) in (float, int):
                return self._make(kind, found, path)
        except (ValueError, KeyError, TypeError, RecursionError):
            pass
        what = "not a receipt of this tool" if text.strip() else "empty"
        self.notes[path] = f"{self.folder.name(path)}: {what}; counts as absent, the step is done again"
        return None

    def _make(self, kind: type[R], found: dict[str, Any], path: Path) -> R:
        damaged: list[str] = []
        record = shapes.read(kind, found, damaged)
        if damaged:
            self.notes[path] = f"{self.folder.name(path)}: {', '.join(damaged)} damaged; the rest of it counts"
        return record

    def _require_known(self, found: dict[str, Any], path: Path) -> None:
        """Raise ReceiptError for a receipt of another version; KeyError or TypeError for what is none."""
        version = found["version"]
        if type(version) is not int:
            raise TypeError("no version")
        if version != VERSION:
            raise ReceiptError(
                f"{self.folder.name(path)}: written in version {version} of the format, this tool reads version "
                f"{VERSION}; go on with the version of work-milestone that began this run, or move the file away to do "
                "the step again"
            )
