"""The run folder and its receipts: small JSON files, each the proof that one step is done.

Rules:
- A receipt is written whole or not at all (temporary file, rename), and reaches the disk first when it stands
  for something that was paid for (`durable`).
- Half-written, empty or foreign JSON counts as absent, and is told (`notes`). A version from the future is
  refused, for guessing at it could pay twice.
- Locks are the kernel's (`flock`): they end with their holder, however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from work_milestone.system.errors import LockedError, ReceiptError
from work_milestone.system.process_table import find_name

VERSION = 1
# What each step's receipt must hold to be one; a commit is named by its id.
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "branch": {"branch": str, "base": str, "main": str},
    "baseline": {"head": str, "gates": list, "red": dict},
    "worktree": {"branch": str, "path": str, "base": str, "attempt": int, "kind": str},
    "lock": {"mark": str},
    "session": {
        "mark": str,
        "path": str,
        "branch": str,
        "base": str,
        "attempt": int,
        "kind": str,
        "started": (int, float),
    },
    "spawn": {"attempt": int},
    "merge": {},
    "wave": {},
    "relay": {"inputs": str},
    "gates": {"commit": str, "onto": str, "head": str},
    "advance": {"place": str, "main": str, "old": str, "new": str},
    "land": {},
    "milestone": {},
    "overlay": {"items": list},
    "mend": {"attempt": int, "of": str},
}
Receipt = dict[str, Any]
LANDING = 0  # as an issue: the landing has sessions too, which mend what keeps it back
MEND = "make room or give yourself the right to write there, then type the same line again"
PATIENCE = 20  # looks, 2 ms apart


class RunFolder:
    """`.milestone/{N}/` of one repository: where everything of one milestone's run lies."""

    def __init__(self, root: Path, number: int) -> None:
        self.root = root
        self.path = (root / ".milestone").resolve() / str(number)  # git tells real paths
        self.notes: dict[Path, str] = {}
        self.writer = find_name(os.getpid())
        self.changes = 0  # raised after each: what was derived from receipts before is to be derived again
        self._read: dict[Path, Receipt | None] = {}
        self._places: dict[str, Path] = {}

    def item(self, issue: int) -> Path:
        """Folder of an item's receipts."""
        return self._place(f"items/{issue}" if issue != LANDING else "landing")

    def receipt(self, issue: int, step: str) -> Path:
        """Path of the receipt of one step of an item."""
        folder = f"items/{issue}" if issue != LANDING else "landing"
        return self._place(f"{folder}/{'result' if step == 'spawn' else step}.json")

    def _place(self, name: str) -> Path:
        # Paths are asked for many times an item, and a path object takes longer to make than a receipt to look up.
        if name not in self._places:
            self._places[name] = Path(f"{self.path}/{name}")
        return self._places[name]

    def wave(self, number: int) -> Path:
        """Folder of a wave's receipts."""
        return self.path / "waves" / str(number)

    def attempt(self, issue: int, number: int) -> Path:
        """Folder of one attempt of an item's session."""
        return self.item(issue) / "attempts" / str(number)

    def attempts(self, issue: int) -> int:
        """Count the attempts that were begun."""
        try:
            names = os.listdir(self.item(issue) / "attempts")  # noqa: PTH208 - called once an item
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdecimal()), default=0)

    def issues(self) -> set[int]:
        """Find the items that have left anything in the folder."""
        try:
            return {int(name) for name in os.listdir(self.path / "items") if name.isdecimal()}  # noqa: PTH208
        except FileNotFoundError:
            return set()

    def load(self, path: Path) -> Receipt | None:
        """Read a receipt, once a process. Raise ReceiptError when a newer version of this tool wrote it."""
        try:
            return self._read[path]
        except KeyError:
            receipt = self._read[path] = self._parse(path)
            return receipt

    def write(self, path: Path, step: str, status: str, /, *, durable: bool = False, **fields: Any) -> Receipt:
        """Write the receipt of a step; `durable` when losing it to a power cut would cost a session."""
        own = {"version": VERSION, "step": step, "status": status, "ended": time.time(), "writer": self.writer}
        receipt = own | fields
        write_atomic(path, json.dumps(receipt, indent=1) + "\n", durable=durable)
        self._read[path] = receipt
        self.notes.pop(path, None)
        self.changes += 1
        return receipt

    def remove(self, path: Path) -> None:
        """Take a receipt back, so that its step is done again."""
        path.unlink(missing_ok=True)
        self._read[path] = None
        self.changes += 1

    def forget(self) -> None:
        """Drop what was read: another process may have written meanwhile."""
        self._read.clear()
        self.changes += 1

    def _parse(self, path: Path) -> Receipt | None:
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.notes[path] = f"{self.name(path)}: cannot be read ({error.strerror}); counts as absent"
            return None
        try:
            receipt = json.loads(text)
        except (ValueError, RecursionError):
            receipt = None
        version = receipt.get("version") if isinstance(receipt, dict) else None
        if isinstance(version, int) and version != VERSION:
            raise ReceiptError(
                f"{self.name(path)}: written in version {version} of the format, this tool reads "
                f"version {VERSION}; go on with the version of work-milestone that began this run, or move the file "
                "away to do the step again"
            )
        if not isinstance(receipt, dict) or not _is_whole(receipt):
            what = "empty" if not text.strip() else "not a receipt of this tool"
            self.notes[path] = f"{self.name(path)}: {what}; counts as absent, the step is done again"
            return None
        return receipt

    def name(self, path: Path) -> str:
        """Name a file of the run's for a message: from the repository's root, whole where it lies elsewhere."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def _is_whole(receipt: Receipt) -> bool:
    """Tell whether a receipt says what its step's receipts say."""
    wanted = FIELDS.get(str(receipt.get("step")))
    always: dict[str, type | tuple[type, ...]] = {"version": int, "status": str, "ended": (int, float)}
    return wanted is not None and all(isinstance(receipt.get(name), kind) for name, kind in (always | wanted).items())


def write_atomic(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a file whole or not at all. Raise ReceiptError, naming path and cause, when it cannot be written."""
    try:
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_encode(text))
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - the plain call is what the rule is about
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise ReceiptError(f"{path}: cannot be written ({error.strerror}); {MEND}") from error


def _encode(text: str) -> bytes:
    """Turn any text into bytes: a file name's are what they were, half a character of an agent's becomes a mark."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class KernelLock:
    """An exclusive lock on a file, held until `release` or the end of the process, with its holder's pid."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Tell whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self) -> None:
        """Take the lock now. Raise LockedError with the holder's pid when it is taken."""
        for last in (False,) * PATIENCE + (True,):
            if self.held or self._try():
                return
            # A `holder` that looks at the same moment holds it for an instant.
            if last or self.holder() is not None:
                raise LockedError(f"{self.path}: held by process {self.holder() or 'unknown'}")
            time.sleep(0.002)

    def await_turn(self) -> None:
        """Take the lock, however long another holds it."""
        while not self._try(fcntl.LOCK_EX):
            pass  # the file was taken away by its last holder: lock the one that stands there now

    def _try(self, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ReceiptError(f"{self.path}: cannot be written ({error.strerror}); {MEND}") from error
        try:
            fcntl.flock(descriptor, how)
        except OSError:
            os.close(descriptor)
            return False
        if os.fstat(descriptor).st_nlink == 0:  # its last holder took the file away before we had it
            os.close(descriptor)
            return False
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise ReceiptError(f"{self.path}: cannot be written ({error.strerror}); {MEND}") from error
        self._descriptor = descriptor
        return True

    def hand_down(self) -> int | None:
        """Let the program that this process becomes have the lock; return the descriptor for its `inherit`."""
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, True)
        return self._descriptor

    def inherit(self, descriptor: int) -> None:
        """Hold the lock by a descriptor that was handed down, where it is one of this lock's file."""
        try:
            ours = os.path.samestat(os.fstat(descriptor), self.path.stat())
        except OSError:
            return
        if ours:
            os.set_inheritable(descriptor, False)
            self._descriptor = descriptor

    def remove(self) -> None:
        """Take the lock's file away; the lock is held until `release` all the same."""
        if self.held:
            self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the lock back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holder(self) -> int | None:
        """Return the pid of the living process that holds the lock, None when it is free."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            text = os.pread(descriptor, 32, 0).strip()
            return int(text) if text.isdigit() else -1
        finally:
            os.close(descriptor)
        return None
