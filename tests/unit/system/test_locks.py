"""Locks of the kernel's: who holds one, and that it ends with its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from work_milestone.system import KernelLock, LockedError, ReceiptError

AS_ROOT = os.geteuid() == 0
HOLDER = """
import sys
from pathlib import Path
from work_milestone.system import KernelLock
lock = KernelLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[tuple[KernelLock, subprocess.Popen[bytes]]]:
    """A lock that another process holds."""
    path = tmp_path / "locks" / "run.lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == b"held\n"
        yield KernelLock(path), holder
        holder.kill()


def test_a_held_lock_names_its_holder(held: tuple[KernelLock, subprocess.Popen[bytes]]) -> None:
    lock, holder = held
    assert lock.holder() == holder.pid
    with pytest.raises(LockedError, match=str(holder.pid)):
        lock.acquire()
    assert not lock.held


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_lock_is_free_when_its_holder_is_gone(
    held: tuple[KernelLock, subprocess.Popen[bytes]], number: signal.Signals
) -> None:
    lock, holder = held
    holder.send_signal(number)
    holder.wait()
    assert lock.holder() is None
    lock.acquire()
    assert lock.held
    assert KernelLock(lock.path).holder() == os.getpid()
    lock.release()


def test_lock_of_ones_own(tmp_path: Path) -> None:
    lock, other = KernelLock(tmp_path / "run.lock"), KernelLock(tmp_path / "run.lock")
    assert lock.holder() is None
    lock.release()
    lock.acquire()
    lock.acquire()
    with pytest.raises(LockedError, match=str(os.getpid())):
        other.acquire()
    lock.release()
    assert other.holder() is None
    other.acquire()
    other.release()


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere: run the tests as another user to see this one")
def test_a_lock_in_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ReceiptError, match="cannot be written"):
        KernelLock(tmp_path / "run.lock").acquire()
