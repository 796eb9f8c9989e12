"""What a supervisor has left is read with suspicion: anybody may have written there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.supervision import record
from work_milestone.supervision.record import Exit

SOUND: dict[str, Any] = {"version": 1, "reason": "exited", "code": 3, "signal": None, "started": 5, "ended": 7.5}
NUMBERS = st.integers() | st.just(10**400) | st.floats()
VALUES = st.none() | st.booleans() | NUMBERS | st.text() | st.lists(NUMBERS) | st.dictionaries(st.text(), st.none())


def leave(attempt: Path, text: str) -> Path:
    (attempt / "exit.json").write_text(text)
    return attempt


def test_what_a_supervisor_writes(tmp_path: Path) -> None:
    assert record.read(tmp_path) is None
    found = record.read(leave(tmp_path, json.dumps(SOUND)))
    assert found == Exit("exited", 5, 7.5, 3)
    assert found.elapsed == 2.5


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", "[" * 100_000, json.dumps({**SOUND, "reason": "vanished"}),
    json.dumps({**SOUND, "reason": ["exited"]}), json.dumps({**SOUND, "code": "0"}),
    *(json.dumps({**SOUND, name: value}) for name in ("started", "ended")
      for value in (None, "5", float("nan"), float("inf"), -1, 10**400)),
])  # fmt: skip
def test_what_is_none_counts_as_absent(tmp_path: Path, text: str) -> None:
    assert record.read(leave(tmp_path, text)) is None


@pytest.mark.parametrize("lacks", ["code", "signal", "error", "version"])
def test_what_may_be_missing(tmp_path: Path, lacks: str) -> None:
    found = record.read(leave(tmp_path, json.dumps({key: value for key, value in SOUND.items() if key != lacks})))
    assert found
    assert found.code == (None if lacks == "code" else 3)


@given(st.dictionaries(st.sampled_from([*SOUND, "error"]), VALUES))
def test_nothing_at_all_raises(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    found = record.read(leave(tmp_path_factory.mktemp("any"), json.dumps({**SOUND, **values})))
    assert found is None or found.elapsed >= 0
