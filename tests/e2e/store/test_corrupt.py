"""What a run has written, damaged in every way: a clear line, and nothing that is merged is lost or merged twice.

The killed and the finished run are made once; each test gets them back as they were, in the same place, for a
repository with worktrees cannot be moved.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import KILL, Sandbox, item, plan

FOLDER = ".milestone/3"
ISSUES = (1, 2, 3)


def _fields(path: Path, **changes: object) -> bytes:
    return json.dumps({**json.loads(path.read_bytes()), **changes}).encode()


def _hollow(path: Path) -> bytes:
    """A receipt in form, with nothing of its own in it."""
    known = json.loads(path.read_bytes())
    return json.dumps({key: known[key] for key in ("version", "step", "status") if key in known}).encode()


def _twisted(path: Path) -> bytes:
    """A receipt whose own fields are all of another type."""
    known = json.loads(path.read_bytes())
    return json.dumps({k: v if k in ("version", "step", "status") else [None] for k, v in known.items()}).encode()


DAMAGE: dict[str, Callable[[Path], bytes]] = {
    "empty": lambda path: b"",
    "truncated": lambda path: path.read_bytes()[: path.stat().st_size // 2],
    "list": lambda path: b"[]",
    "garbage": lambda path: b"\x00\xff\xfe{]" * 100,
    "deep": lambda path: b"[" * 100_000,
    "foreign": lambda path: b'{"name": "left-pad", "version": 1}',
    "hollow": _hollow,
    "twisted": _twisted,
}
IN_THE_MIDDLE = [
    "branch.json",
    "baseline.json",
    *(f"items/1/{name}.json" for name in ("worktree", "lock", "result", "merge")),
    "items/1/attempts/1/session.json",
    "items/1/attempts/1/exit.json",
    *(f"waves/1/{name}.json" for name in ("wave", "relay")),
    *(f"items/3/{name}.json" for name in ("worktree", "lock")),
    *(f"items/3/attempts/1/{name}.json" for name in ("session", "exit", "supervisor")),
]
# That all which is no receipt counts as absent is shown where receipts are read, in tests/unit/test_receipts.py:
# one way stands for all of them here. The supervisor's record has a reader of its own.
WAYS = ("empty", "hollow", "twisted")
WAYS_IN_THE_MIDDLE = [(name, how) for name in IN_THE_MIDDLE for how in (DAMAGE if Path(name).stem == "exit" else WAYS)]
AT_THE_END = [
    *(f"{name}.json" for name in ("branch", "baseline", "gates", "land", "milestone")),
    *(f"items/1/{name}.json" for name in ("worktree", "result", "merge")),
    *(f"waves/1/{name}.json" for name in ("wave", "relay")),
    "items/1/attempts/1/session.json",
]


class Photograph:
    """A sandbox that can be put back to how it was."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.base = box.root.parent
        for name in ("repository", "outside"):
            shutil.copytree(self.base / name, self.base / f"{name}.kept", symlinks=True)

    def restore(self) -> Sandbox:
        for name in ("repository", "outside"):
            shutil.rmtree(self.base / name)
            shutil.copytree(self.base / f"{name}.kept", self.base / name, symlinks=True)
        return self.box


def _make(base: Path) -> Sandbox:
    box = Sandbox(base)
    shutil.rmtree(box.root / ".git/hooks", ignore_errors=True)
    return box.make(plan([[item(1), item(2)], [item(3, 1)]], pre=["true"]))


@pytest.fixture(scope="module")
def _killed(tmp_path_factory: pytest.TempPathFactory) -> Photograph:
    box = _make(tmp_path_factory.mktemp("killed"))
    box.behave(3, f"work; report COMPLETE; {KILL}")
    box.milestone(rc=-9)
    box.await_idle()
    box.mend(3)
    return Photograph(box)


@pytest.fixture(scope="module")
def _finished(tmp_path_factory: pytest.TempPathFactory) -> Photograph:
    box = _make(tmp_path_factory.mktemp("finished"))
    box.milestone()
    return Photograph(box)


@pytest.fixture
def killed(_killed: Photograph) -> Sandbox:
    """Items 1 and 2 are merged, the session of 3 has ended and nobody has looked at it."""
    return _killed.restore()


@pytest.fixture
def finished(_finished: Photograph) -> Sandbox:
    """A milestone that has landed."""
    return _finished.restore()


def damage(box: Sandbox, name: str, how: str) -> None:
    path = box.root / FOLDER / name
    path.write_bytes(DAMAGE[how](path))


def look(box: Sandbox, told: str = "") -> None:
    """What only looks never fails for what it finds, and says what keeps it from looking."""
    for word in ("list", "status"):
        done = box.doit(word, "n=3")
        assert done.rc in (0, 1, 3)  # 3 is doit's word for what cannot be loaded
        assert done.rc == 0 or told in done.text


@pytest.mark.parametrize(("name", "how"), WAYS_IN_THE_MIDDLE)
def test_a_damaged_receipt_in_the_middle(killed: Sandbox, name: str, how: str) -> None:
    damage(killed, name, how)
    if how == "hollow":
        look(killed)
    done = killed.milestone(rc=None)
    if name == "branch.json":
        assert done.rc == 1
        assert "branch=resume" in done.text
        done = killed.milestone("branch=resume", rc=None)
    assert done.rc == 0, done.text
    killed.require_landed(*ISSUES)
    killed.await_idle()
    killed.require_clean()
    starts = killed.starts()
    assert starts.pop(3) <= 2
    assert starts == {1: 1, 2: 1}


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("name", AT_THE_END)
def test_a_damaged_receipt_at_the_end(finished: Sandbox, name: str, how: str) -> None:
    main = finished.rev()
    damage(finished, name, how)
    if how == "hollow":
        look(finished)
    finished.milestone()
    assert finished.rev() == main
    finished.require_clean()
    assert finished.starts() == dict.fromkeys(ISSUES, 1)


@pytest.mark.parametrize("name", [name for name in IN_THE_MIDDLE if "exit" not in name and "supervisor" not in name])
def test_a_receipt_of_a_newer_version_is_refused(killed: Sandbox, name: str) -> None:
    path = killed.root / FOLDER / name
    kept = path.read_bytes()
    path.write_bytes(_fields(path, version=99))
    look(killed, "version 99")
    done = killed.milestone(rc=None)
    if done.rc:
        assert done.rc == 1
        assert "version 99" in done.text
        assert f"{FOLDER}/{name}" in done.text
        path.write_bytes(kept)
        killed.milestone()
    killed.require_landed(*ISSUES)
    killed.require_clean()
    assert killed.starts() == dict.fromkeys(ISSUES, 1)


@pytest.mark.parametrize(
    "name", ["gates.json", "land.json", "milestone.json", "waves/1/relay.json", "items/1/merge.json"]
)
def test_a_receipt_of_a_newer_version_at_the_end(finished: Sandbox, name: str) -> None:
    path, main = finished.root / FOLDER / name, finished.rev()
    path.write_bytes(_fields(path, version=99))
    look(finished, "version 99")
    assert finished.milestone(rc=None).rc in (0, 1)
    assert finished.rev() == main
    assert finished.starts() == dict.fromkeys(ISSUES, 1)


@pytest.mark.parametrize("text", [b"", b"\x00\xff", b"[]", b"waves: ["])
@pytest.mark.parametrize("name", ["plan/milestone-3-dispatch.yaml", "milestone.yaml"])
def test_a_damaged_plan_or_settings_in_the_middle(killed: Sandbox, name: str, text: bytes) -> None:
    path = killed.root / name
    kept, branch = path.read_bytes(), killed.rev("milestone/3-test")
    path.write_bytes(text)
    look(killed)
    if (name, text) != ("milestone.yaml", b""):
        done = killed.milestone(rc=1)
        assert name in done.text
        assert killed.rev("milestone/3-test") == branch
    path.write_bytes(kept)
    killed.milestone()
    killed.require_landed(*ISSUES)
    killed.require_clean()
    assert killed.starts() == dict.fromkeys(ISSUES, 1)


def test_every_receipt_damaged_at_once(killed: Sandbox) -> None:
    for path in (killed.root / FOLDER).rglob("*.json"):
        if "worktrees" not in path.parts:
            path.write_bytes(b"{")
    assert "branch=resume" in killed.milestone(rc=1).text
    killed.milestone("branch=resume")
    killed.require_landed(*ISSUES)
    killed.require_clean()
    assert killed.starts() == {1: 1, 2: 1, 3: 2}


@pytest.mark.parametrize(
    "name", ["journal.jsonl", "run.lock", "excludes", "integration", "gates", "worktrees", "items", "waves"]
)
def test_a_part_of_the_run_folder_is_gone(killed: Sandbox, name: str) -> None:
    path = killed.root / FOLDER / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    killed.milestone()
    killed.require_landed(*ISSUES)
    killed.require_clean()
    starts = killed.starts()
    assert starts.pop(3) <= 2
    assert starts == {1: 1, 2: 1}


@pytest.mark.parametrize(
    "name", ["journal.jsonl", "baseline.json", "gates", "gates/green", "waves", "worktrees", "integration"]
)
def test_something_else_stands_in_the_run_folder(killed: Sandbox, name: str) -> None:
    """A file where a folder should be, a folder where a file should be: a clear line, or it goes on."""
    path = killed.root / FOLDER / name
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("a file")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    assert killed.milestone(rc=None).rc in (0, 1)
    assert set(killed.squashes("main")) | set(killed.squashes("milestone/3-test") if killed.refs()[1:] else ()) >= {
        1,
        2,
    }
    assert killed.starts()[1] == 1


def test_the_run_folder_is_gone_in_the_middle(killed: Sandbox) -> None:
    shutil.rmtree(killed.root / FOLDER)
    done = killed.milestone(rc=1)
    assert "this run did not make it" in done.text
    killed.milestone("branch=resume")
    killed.require_landed(*ISSUES)
    killed.require_clean()
    starts = killed.starts()
    assert starts.pop(3) <= 2
    assert starts == {1: 1, 2: 1}


def test_the_run_folder_is_gone_after_the_end(finished: Sandbox) -> None:
    main = finished.rev()
    shutil.rmtree(finished.root / ".milestone")
    for _ in range(2):
        finished.milestone()
        assert finished.rev() == main
        finished.require_clean()
    assert finished.starts() == dict.fromkeys(ISSUES, 1)
    assert "landed" in finished.doit("status", "n=3", rc=0).out


def test_the_integration_branch_is_gone_in_the_middle(killed: Sandbox) -> None:
    branch = killed.rev("milestone/3-test")
    killed.git("update-ref", "-d", "refs/heads/milestone/3-test")
    done = killed.milestone(rc=None)
    if done.rc == 0:  # made anew from what the receipts say
        killed.require_landed(*ISSUES)
    else:
        assert "milestone/3-test" in done.text
        killed.git("branch", "-f", "milestone/3-test", branch)
        killed.milestone()
        killed.require_landed(*ISSUES)
    assert killed.starts()[1] == 1
