"""Locks of the kernel's (`flock`): they end with their holder, however it ends.

Rule: the file tells who holds it, for people; that it is held the kernel alone tells.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from work_milestone.system import files
from work_milestone.system.errors import LockedError, ReceiptError

PATIENCE = 20  # looks, 2 ms apart


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
            raise ReceiptError(f"{self.path}: cannot be written ({error.strerror}); {files.REMEDY}") from error
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
            raise ReceiptError(f"{self.path}: cannot be written ({error.strerror}); {files.REMEDY}") from error
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
