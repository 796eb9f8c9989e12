"""Texts of others on one line, and durations."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.text.lines import count, last_line, last_lines, one_line, size, span, wants_color


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("  two\n\nlines\t ", "two lines"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("nul\0byte", "nul byte"),
        ("a\u2028b\u202ec", "a b c"),
        ("emoji 🦀 stays", "emoji 🦀 stays"),
        ("not\udcffutf", "not utf"),
    ],
)
def test_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(st.text(st.characters()))
def test_one_line_is_one_printable_line_and_stays_so(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()
    assert "  " not in line
    assert one_line(line) == line


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", ""), ("\n \n", ""), ("one", "one"), ("one\ntwo\n\n  \n", "two"), ("a\r\nb\r\n", "b"), ("x" * 999, "x" * 300)],
)
def test_last_line(text: str, expected: str) -> None:
    assert last_line(text) == expected


@given(st.text(), st.integers(1, 50))
def test_last_line_is_bounded(text: str, width: int) -> None:
    assert len(last_line(text, width)) <= width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n\t\n", []),
        ("one\n\n  two\n", ["one", "  two"]),
        ("1\n2\n3\n4\n5\n6\n7", ["3", "4", "5", "6", "7"]),
        ("E       assert 1 == 2  \r\n", ["E       assert 1 == 2"]),
        ("\ta\0b\x1b[31m", ["    a b [31m"]),
        ("x" * 999, ["x" * 160]),
    ],
)
def test_last_lines(text: str, expected: list[str]) -> None:
    assert last_lines(text) == expected


@given(st.text(), st.integers(1, 5), st.integers(1, 50))
def test_last_lines_are_few_short_and_printable(text: str, most: int, width: int) -> None:
    lines = last_lines(text, most, width)
    assert len(lines) <= most
    assert all(line.isprintable() and line.strip() and len(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, ""), (0, "0.0s"), (0.44, "0.4s"), (9.94, "9.9s"), (10, "10s"), (12.4, "12s"), (59.4, "59s"),
        (59.6, "1m00s"), (60, "1m00s"), (192, "3m12s"), (3599, "59m59s"), (3599.7, "1h00m"), (3600, "1h00m"),
        (3840, "1h04m"), (90061, "25h01m"),
    ],
)  # fmt: skip
def test_span(seconds: float | None, expected: str) -> None:
    assert span(seconds) == expected


@pytest.mark.parametrize(("number", "expected"), [(0, "0 items"), (1, "1 item"), (2, "2 items")])
def test_count(number: int, expected: str) -> None:
    assert count(number, "item") == expected


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "no_color", "term", "expected"),
    [
        (Terminal(), None, "xterm", True), (Terminal(), "", "xterm", True), (Terminal(), None, None, True),
        (Terminal(), "1", "xterm", False), (Terminal(), None, "dumb", False), (io.StringIO(), None, "xterm", False),
        (None, None, "xterm", False),
    ],
)  # fmt: skip
def test_wants_color(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None, no_color: str | None, term: str | None, expected: bool
) -> None:
    for name, value in (("NO_COLOR", no_color), ("TERM", term)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert wants_color(stream) is expected


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0 KB"), (4096, "4 KB"), (999 * 1024, "999 KB"), (1000 * 1024, "1.0 MB"), (1536 * 1024, "1.5 MB"),
     (48 * 1024**2, "48 MB"), (12 * 1024**3, "12 GB"), (5000 * 1024**4, "5000 TB")],
)  # fmt: skip
def test_size(number: int, told: str) -> None:
    assert size(number) == told
