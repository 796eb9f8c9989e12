"""Receipts: whole or absent, told when they cannot be read; and the kernel's locks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.store import receipts
from work_milestone.store.receipts import KernelLock, RunFolder, write_atomic
from work_milestone.system.errors import LockedError, ReceiptError

AS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, 7)


def again(folder: RunFolder) -> RunFolder:
    """The same folder as the next process sees it."""
    return RunFolder(folder.root, 7)


# reading and writing


def test_what_is_written_is_read(folder: RunFolder) -> None:
    path = folder.receipt(42, "merge")
    written = folder.write(path, "merge", "merged", durable=True, commit="c" * 40, files=["a\nb", "é🦀", "x\udcff"])
    assert again(folder).load(path) == written
    assert (written["version"], written["step"], written["status"]) == (receipts.VERSION, "merge", "merged")
    assert [entry.name for entry in path.parent.iterdir()] == ["merge.json"], "no temporary file stays"


def test_places(folder: RunFolder) -> None:
    run = folder.root / ".milestone" / "7"
    assert folder.path == run
    assert folder.receipt(42, "spawn") == run / "items/42/result.json"
    assert folder.receipt(42, "lock") == run / "items/42/lock.json"
    assert folder.wave(2) == run / "waves/2"
    assert folder.attempt(42, 3) == run / "items/42/attempts/3"


def test_attempts_and_issues_are_counted_by_their_folders(folder: RunFolder) -> None:
    assert (folder.attempts(42), folder.issues()) == (0, set())
    for number in (1, 2, 10):
        folder.attempt(42, number).mkdir(parents=True)
    (folder.item(42) / "attempts" / "notes.txt").touch()
    (folder.path / "items" / ".42.tmp").touch()
    assert (folder.attempts(42), folder.issues()) == (10, {42})


def test_a_receipt_is_read_once_until_it_is_forgotten(folder: RunFolder) -> None:
    path = folder.receipt(1, "merge")
    assert folder.load(path) is None
    again(folder).write(path, "merge", "merged")
    assert folder.load(path) is None, "one process sees one state"
    folder.forget()
    assert folder.load(path)
    folder.remove(path)
    assert folder.load(path) is None
    assert not path.exists()
    folder.remove(path)


GOOD: dict[str, Any] = {"version": 1, "step": "merge", "status": "merged", "ended": 1.5}
ABSENT = {
    "empty": b"",
    "white space": b" \n",
    "half": json.dumps(GOOD).encode()[:-9],
    "no JSON": b"<html>",
    "nul": b"\0" * 4096,
    "not UTF-8": b"\xff\xfe{\0}\0",
    "a list": b"[]",
    "null": b"null",
    "foreign": b'{"name": "package", "dependencies": {}}',
    "unknown step": json.dumps(GOOD | {"step": "deploy"}).encode(),
    "step of another kind": json.dumps(GOOD | {"step": ["merge"]}).encode(),
    **{f"no {name}": json.dumps({key: GOOD[key] for key in GOOD if key != name}).encode() for name in GOOD},
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("raw", ABSENT.values(), ids=list(ABSENT))
def test_what_is_no_receipt_counts_as_absent_and_is_told(folder: RunFolder, raw: bytes) -> None:
    path = folder.receipt(42, "merge")
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)
    assert folder.load(path) is None
    assert folder.notes[path].startswith(".milestone/7/items/42/merge.json: ")
    assert ("empty" in folder.notes[path]) == (not raw.strip())
    folder.write(path, "merge", "merged")
    assert not folder.notes, "what was done again is not told any more"


def test_absence_is_not_told(folder: RunFolder) -> None:
    folder.path.parent.mkdir()
    (folder.path).write_text("a file where a folder is looked for")
    assert folder.load(folder.receipt(42, "merge")) is None
    assert folder.load(folder.path.parent / "none.json") is None
    assert not folder.notes


def test_a_folder_in_a_receipts_place_is_told(folder: RunFolder) -> None:
    path = folder.receipt(42, "merge")
    path.mkdir(parents=True)
    assert folder.load(path) is None
    assert "cannot be read" in folder.notes[path]


@pytest.mark.parametrize("also", [{}, {"step": "of the future"}, {"step": None}, {"status": None}])
@pytest.mark.parametrize("version", [2, 0, 99])
def test_another_version_is_refused_whatever_it_says(folder: RunFolder, version: int, also: dict[str, Any]) -> None:
    path = folder.receipt(42, "spawn")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(GOOD | {"step": "spawn", "version": version} | also))
    with pytest.raises(ReceiptError) as caught:
        folder.load(path)
    assert ".milestone/7/items/42/result.json" in str(caught.value)
    assert repr(version) in str(caught.value)
    with pytest.raises(ReceiptError):
        folder.load(path)


@pytest.mark.parametrize("step", receipts.FIELDS)
def test_a_receipt_has_what_its_step_needs(folder: RunFolder, step: str) -> None:
    path = folder.path / "any.json"
    samples: dict[Any, Any] = {list: ["x"], dict: {"x": 1}, str: "x", int: 1, (int, float): 1.5}
    whole: dict[str, Any] = {name: samples[kind] for name, kind in receipts.FIELDS[step].items()}
    folder.write(path, step, "done", **whole)
    assert again(folder).load(path)
    for name in whole:
        other: object = {"x": 1} if isinstance(whole[name], list) else ["x"]
        for wrong in ({}, {name: None}, {name: other}):
            rest: dict[str, Any] = {key: whole[key] for key in whole if key != name}
            folder.write(path, step, "done", **rest, **wrong)
            assert again(folder).load(path) is None, (name, wrong)


@given(st.binary())
def test_no_bytes_at_all_raise(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "merge.json"
    path.write_bytes(raw)
    found = RunFolder(path.parent, 7)
    assert found.load(path) is None
    assert list(found.notes) == [path]


# atomic


WRITER = """
import sys
from pathlib import Path
from work_milestone.store.receipts import RunFolder
root = Path(sys.argv[1])
folder = RunFolder(root, 7)
path = folder.receipt(42, "merge")
for number in range(10**9):
    folder.write(path, "merge", "merged", durable=number % 2 == 0, filling="x" * 200_000, number=number)
    if number == 3:
        print("going", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(folder: RunFolder) -> None:
    path = folder.receipt(42, "merge")
    for _ in range(8):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(folder.root)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"going\n"
            for _ in range(50):  # readers beside the writer see it whole as well
                receipt = json.loads(path.read_bytes())
                assert len(receipt["filling"]) == 200_000
            writer.kill()
        reader = again(folder)
        receipt = reader.load(path) or {}
        assert len(receipt["filling"]) == 200_000
        assert not reader.notes


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("text", ["", "plain\n", "é🦀\n", "bytes \udcff\udc80 of a file name", "a\r\nb"])
def test_write_atomic_keeps_texts(tmp_path: Path, text: str, durable: bool) -> None:
    path = tmp_path / "deep" / "er" / "file"
    write_atomic(path, "before", durable=durable)
    write_atomic(path, text, durable=durable)
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(ReceiptError, match="folder: cannot be written"):
        write_atomic(tmp_path / "folder", "text")
    with pytest.raises(ReceiptError, match="file/below: cannot be written"):
        write_atomic(tmp_path / "file" / "below", "text")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "before"


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere: run the tests as another user to see this one")
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(ReceiptError, match=r"cannot be written .*right to write"):
        write_atomic(tmp_path / "file", "text")
    with pytest.raises(ReceiptError, match="cannot be written"):
        KernelLock(tmp_path / "run.lock").acquire()


# locks


HOLDER = """
import sys
from pathlib import Path
from work_milestone.store.receipts import KernelLock
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


@pytest.mark.parametrize("text", ["\ud83e", "caf\udce9"])
def test_any_text_can_be_written(tmp_path: Path, text: str) -> None:
    write_atomic(tmp_path / "prompt.md", text)
    assert (tmp_path / "prompt.md").read_bytes()
    folder = RunFolder(tmp_path, 7)
    path = folder.receipt(42, "merge")
    folder.write(path, "merge", "conflict", reason=text)
    folder.forget()
    assert (folder.load(path) or {})["reason"] == text
