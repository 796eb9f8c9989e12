"""What a merge must not drop: found when it is missing, and no alarm when it is there."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.conflicts import content, hunks
from work_milestone.conflicts.hunks import Chunk, Hunk

LINES = st.sampled_from([b"\n", b"a\n", b"  a\n", b"b\n", b"}\n", b"c\r\n", b"\xff\0\n", b"d"])
TEXTS = st.one_of(st.binary(max_size=30), st.lists(LINES, max_size=12).map(b"".join))


@pytest.mark.parametrize(
    ("base", "theirs", "result", "dropped"),
    [
        (b"a\n", b"a\nb\n", b"a\nb\n", []),
        (b"a\n", b"a\nb\n", b"a\n", [b"b"]),
        (b"a\n", b"a\nb\nc\n", b"c\nx\n", [b"b"]),
        (b"a\n", b"a\n b  c\n", b"b c", []),  # white space
        (b"a\n", b"a\n\n\n", b"", []),  # blank lines
        (b"a\n", b"b\n", b"a\n", [b"b"]),
        (b"a\n", b"", b"a\n", []),  # what it took out is another matter
        (b"", b"x\nx\n", b"x\n", [b"x"]),  # twice is twice
        (b"a\nb\nc\n", b"b\nc\na\n", b"b\nc\n", [b"a"]),  # moved by theirs, lost on the way
        (b"a\r\n", b"a\r\nb\r\n", b"a\nb\n", []),
        (b"a\n", b"a\n\xff\n", b"a\n", [b"\xff"]),
    ],
)
def test_dropped(base: bytes, theirs: bytes, result: bytes, dropped: list[bytes]) -> None:
    assert content.find_dropped(base, theirs, result) == dropped


def test_what_the_other_side_took_out_may_be_gone_from_what_was_moved() -> None:
    base, theirs = b"a\nb\nc\n", b"b\nc\na\n"  # in whichever way one sees it: a has gone down, or b and c up
    for gone in (b"a\n", b"b\n", b"c\n"):
        ours, result = base.replace(gone, b""), theirs.replace(gone, b"")
        assert content.find_dropped(base, theirs, result, ours=ours) == []
        assert len(content.find_dropped(base, theirs + b"new\n", result, ours=ours)) == 1, "new"
    assert content.find_dropped(base, theirs, b"b\nc\n", ours=base) == [b"a"]
    assert content.find_dropped(base, b"a\na\nb\nc\n", b"b\nc\n", ours=b"b\nc\n") == [b"a"], "added once more"


@given(TEXTS, TEXTS, TEXTS)
def test_nothing_is_dropped_where_all_is_there(base: bytes, theirs: bytes, other: bytes) -> None:
    assert content.find_dropped(base, theirs, theirs) == []
    assert content.find_dropped(base, base, other) == []
    assert content.find_dropped(base, theirs, other + b"\n" + theirs) == []


@given(TEXTS, TEXTS, TEXTS, st.data())
def test_a_line_of_its_own_is_missed(base: bytes, before: bytes, after: bytes, data: st.DataObject) -> None:
    theirs = before + b"\nits own\n" + after
    assert b"its own" in content.find_dropped(base, theirs, data.draw(st.sampled_from([base, before, after])))


def chunks(*parts: str | tuple[str, str, str]) -> list[Chunk]:
    return [
        hunks.lines(part.encode())
        if isinstance(part, str)
        else Hunk(*(hunks.lines(text.encode()) for text in part))
        for part in parts
    ]  # fmt: skip


BASE = b"one\ntwo\nold\nthree\nfour\nfive\nsix\n"
# Ours has added `new`, theirs has taken out four and five; both have changed old.
MERGED = chunks("one\nnew\ntwo\n", ("old\n", "ours\n", "theirs\n"), "three\nsix\n")


@pytest.mark.parametrize(
    ("result", "missing", "revived"),
    [
        (b"one\nnew\ntwo\nours\ntheirs\nthree\nsix\n", (), ()),
        (b"one\nnew\ntwo\nsomething else\nthree\nsix\n", (), ()),
        (b"  one\n  new\ntwo\nours\nthree\nsix\n", (), ()),
        (b"one\ntwo\nours\nthree\nsix\n", (b"new",), ()),
        (b"one\nnew\ntwo\nours\nthree\nfour\nfive\nsix\n", (), ((b"four", b"five"),)),
        (b"one\nnew\ntwo\nours\nthree\nfour\nsix\n", (), ()),  # one line may be needed again
        (BASE, (b"new",), ((b"four", b"five"),)),
        (b"", (b"new",), ()),
    ],
)
def test_undone(result: bytes, missing: tuple[bytes, ...], revived: tuple[tuple[bytes, ...], ...]) -> None:
    found = content.find_undone(BASE, MERGED, result)
    assert (found.missing, found.revived) == (missing, revived)
    assert bool(found) == bool(missing or revived)


def test_a_deleted_run_that_stands_elsewhere_is_not_told() -> None:
    moved = chunks("four\none\ntwo\n", ("old\n", "ours\n", "theirs\n"), "three\nsix\n")
    assert not content.find_undone(BASE, moved, b"four\n" + BASE)
    in_conflict = chunks("one\ntwo\n", ("old\n", "ours\nfive\n", "theirs\n"), "three\nsix\n")
    assert not content.find_undone(BASE, in_conflict, BASE)


CHUNKS = st.lists(
    st.one_of(
        st.lists(LINES, min_size=1, max_size=6).map(lambda got: hunks.lines(b"".join(got))),
        st.builds(Hunk, *[st.lists(LINES, max_size=3).map(lambda got: hunks.lines(b"".join(got)))] * 3),
    ),
    max_size=5,
)


@given(TEXTS, CHUNKS, st.data())
def test_no_alarm_whatever_a_conflict_became(base: bytes, parts: list[Chunk], data: st.DataObject) -> None:
    """All that is settled is there, and nothing else comes back: then both sides' other changes are there."""
    result = b""
    for part in parts:
        lines = part
        if isinstance(part, Hunk):
            lines = data.draw(st.sampled_from([part.ours, part.theirs, part.base, (b"new\n",)]))
        assert not isinstance(lines, Hunk)
        result += b"".join(line.rstrip(b"\n") + b"\n" for line in lines)
    found = content.find_undone(base, parts, result)
    assert not found.missing
    assert not found.revived


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (b"a\n<<<<<<< HEAD\nb\n=======\nc\n>>>>>>> theirs\n", True),
        (b"a\r\n<<<<<<< HEAD\r\nb\r\n", True),
        (b"a\n>>>>>>> theirs\n", True),
        (b"a\n||||||| base\n", True),
        (b"Heading\n=======\n", False),
        (b"a <<<<<<< HEAD\n", False),
        (b"<<<<<<<\n", False),
        (b"<<<<<< a\n", False),
        (b"", False),
        (b"\xff\n<<<<<<< \xff", True),
    ],
)
def test_markers(result: bytes, expected: bool) -> None:
    assert content.has_markers(result, b"a\n", b"b\n") is expected
    assert content.has_markers(result, b"x\n" + result) is False, "an input has them"


def test_markers_beside_those_of_an_input() -> None:
    manual = b"Like this:\n<<<<<<< HEAD\n=======\n>>>>>>> theirs\n"
    assert not content.has_markers(manual + b"more\n", manual)
    assert content.has_markers(manual + b"<<<<<<< 1234\n", manual)


@pytest.mark.parametrize(
    ("base", "theirs"),
    [
        (b"}\n" * 30_000, b"}\n" * 29_999 + b"x\n"),
        (b"".join(b"a\nb\n" for _ in range(10_000)), b"".join(b"b\nc\n" for _ in range(10_000)) + b"x\n"),
        *((b"".join(b"%d\n" % at for at in range(size)), b"".join(b"%d\n" % (at * 2) for at in range(size)) + b"x\n")
          for size in (4_990, 50_000)),
    ],
)  # fmt: skip
def test_large_and_repetitive_texts_take_little_time(base: bytes, theirs: bytes) -> None:
    begun = time.process_time()
    assert b"x" in content.find_dropped(base, theirs, base)
    assert time.process_time() - begun < 5
