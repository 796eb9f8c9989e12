"""The ledger of green gates: what was written whole is known, and nothing else."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work_milestone.gates import ledger

TREE, OTHER = "a" * 40, "b" * 40
HOSTILE = ["make test", "make test ", "a\nb", "\x00", "é🦀", "\udcff", '"', "\\", "", f"{TREE} true", "'; true #"]
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
LINES = st.lists(st.tuples(st.sampled_from([TREE, OTHER]), st.sampled_from(HOSTILE) | st.text(max_size=5)), max_size=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gates" / "green"


def test_nothing_is_known_before(path: Path) -> None:
    assert ledger.known(path, TREE, HOSTILE) == set()


@pytest.mark.parametrize("command", HOSTILE)
def test_what_was_green_is_known_of_its_tree_alone(path: Path, command: str) -> None:
    ledger.add(path, TREE, command)
    assert ledger.known(path, TREE, HOSTILE) == {command}
    assert ledger.known(path, OTHER, HOSTILE) == set()
    assert path.read_bytes().count(b"\n") == 1, "one line a pass"


@REUSED
@given(LINES)
def test_all_that_was_written_is_known_and_no_more(path: Path, passes: list[tuple[str, str]]) -> None:
    path.unlink(missing_ok=True)
    for tree, command in passes:
        ledger.add(path, tree, command)
    asked = {*HOSTILE, *(command for _, command in passes)}
    for tree in (TREE, OTHER):
        assert ledger.known(path, tree, asked) == {command for on, command in passes if on == tree}


@pytest.mark.parametrize("command", HOSTILE)
def test_a_torn_line_is_no_pass_and_makes_none_with_the_next(path: Path, command: str) -> None:
    ledger.add(path, TREE, command)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert ledger.known(path, TREE, HOSTILE) == set()
        ledger.add(path, OTHER, "next")
        assert ledger.known(path, TREE, HOSTILE) == set()
        ledger.add(path, OTHER, "one after")
        assert "one after" in ledger.known(path, OTHER, ["next", "one after"])


@pytest.mark.parametrize("junk", [b"\x00\xff" * 100, b"[]", b"\n\n", TREE.encode(), f'{TREE} "true'.encode()])
def test_foreign_lines_say_nothing_and_hide_nothing(path: Path, junk: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(junk + b"\n")
    assert ledger.known(path, TREE, HOSTILE) == set()
    ledger.add(path, TREE, "make test")
    assert ledger.known(path, TREE, HOSTILE) == {"make test"}


def test_what_cannot_be_read_or_written_is_not_known(path: Path) -> None:
    path.mkdir(parents=True)
    ledger.add(path, TREE, "make test")
    assert ledger.known(path, TREE, ["make test"]) == set()
    path.rmdir()
    path.parent.rmdir()
    path.parent.write_text("a file")
    ledger.add(path, TREE, "make test")
    assert ledger.known(path, TREE, ["make test"]) == set()


WRITER = """
import sys
from pathlib import Path
from work_milestone.gates import ledger
sys.stdin.readline()
for number in range(200):
    ledger.add(Path(sys.argv[1]), "a" * 40, f"{sys.argv[2]}-{number}-" + "x" * 300)
"""


def test_several_processes_append_at_once(path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number)], stdin=subprocess.PIPE, env=os.environ)
        for number in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write(b"go\n")
        writer.stdin.close()
    assert [writer.wait(60) for writer in writers] == [0] * 4
    asked = {f"{writer}-{number}-" + "x" * 300 for writer, number in itertools.product(range(4), range(200))}
    assert ledger.known(path, TREE, asked) == asked
