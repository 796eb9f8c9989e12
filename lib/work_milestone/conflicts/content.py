"""What a merge must not drop: the lines that a side added, and what it took out. Pure.

Rules:
- Lines are compared with their white space folded, and counted: what stands there twice must come back twice.
- Blank lines say nothing. An empty answer means that both sides' work is still there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from work_milestone.conflicts import hunks

_MARKER = re.compile(rb"^(?:<{7,}|>{7,}|\|{7,}) .*", re.MULTILINE)


class Undone(NamedTuple):
    """What a resolved file lacks: lines that a side had added, and runs of deleted lines that are back."""

    missing: tuple[bytes, ...]
    revived: tuple[tuple[bytes, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.revived)


def find_dropped(base: bytes, theirs: bytes, result: bytes, *, ours: bytes | None = None) -> list[bytes]:
    """List the lines, folded, that theirs added to base and the result lacks.

    A line of the base that theirs has moved may be gone where the other side, `ours`, has taken it out.
    """
    changes = list(_changes(_fold(base), _fold(theirs)))
    wanted = [line for _, new in changes for line in new]
    lost = _lacking(wanted, result)
    if not lost or ours is None:
        return lost
    moved = Counter(line for old, _ in changes for line in old)
    excused = moved & (Counter(_fold(base)) - Counter(_fold(ours)))
    return list((Counter(lost) - excused).elements())


def find_undone(base: bytes, chunks: Sequence[hunks.Chunk], result: bytes) -> Undone:
    """Find what the result of a conflicted merge lacks of the changes outside of the conflicts.

    `chunks` are the parsed merge of base and both sides. A deleted run counts from two lines on, when none of them
    stands anywhere else in the merge and all are back.
    """
    # With the base's lines in place of each conflict, what differs from the base was not in conflict.
    parts = [chunk.base if isinstance(chunk, hunks.Hunk) else chunk for chunk in chunks]
    changes = list(_changes(_fold(base), _fold(b"".join(_ended(line) for part in parts for line in part))))
    settled = Counter(_folded(line) for chunk in chunks if not isinstance(chunk, hunks.Hunk) for line in chunk)
    added = Counter(line for _, new in changes for line in new) & settled
    missing = _lacking(added.elements(), result)
    elsewhere = {_folded(line) for chunk in chunks for line in _all_lines(chunk)}
    there = Counter(_fold(result))
    runs = [tuple(old) for old, _ in changes if len(old) > 1 and not elsewhere.intersection(old)]
    return Undone(tuple(missing), tuple(run for run in runs if Counter(run) <= there))


def pick_absent(wanted: Iterable[bytes], text: bytes) -> list[bytes]:
    """Pick the folded lines that stand nowhere in a text."""
    there = set(_fold(text))
    return [line for line in wanted if line not in there]


def has_markers(result: bytes, *inputs: bytes) -> bool:
    """Tell whether a text has lines of conflict markers that none of the inputs has.

    A line of `=======` alone is a heading's in many files: it counts for nothing without the others.
    """
    known = {line.rstrip() for text in inputs for line in _MARKER.findall(text)}
    return any(line.rstrip() not in known for line in _MARKER.findall(result))


def _folded(line: bytes) -> bytes:
    return b" ".join(line.split())


def _fold(text: bytes) -> list[bytes]:
    """Fold a text's lines, without the blank ones."""
    return [_folded(line) for line in text.split(b"\n") if line.strip()]


def _ended(line: bytes) -> bytes:
    return line if line.endswith(b"\n") else line + b"\n"


def _all_lines(chunk: hunks.Chunk) -> Iterator[bytes]:
    yield from (*chunk.base, *chunk.ours, *chunk.theirs) if isinstance(chunk, hunks.Hunk) else chunk


def _lacking(wanted: Iterable[bytes], result: bytes) -> list[bytes]:
    """List what is wanted more often than the result has it, in its order."""
    left = Counter(_fold(result))
    found = []
    for line in wanted:
        left[line] -= 1
        if left[line] < 0:
            found.append(line)
    return found


def _changes(old: list[bytes], new: list[bytes]) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Give the lines that were replaced and what replaced them, change by change.

    Texts that cannot be compared in time are compared as heaps of lines: one change, where a moved line is none.
    """
    start = _alike(old, new)
    old, new = old[start:], new[start:]
    end = _alike(old[::-1], new[::-1])
    old, new = old[: len(old) - end], new[: len(new) - end]
    if hunks.is_costly(old, new):
        yield list((Counter(old) - Counter(new)).elements()), list((Counter(new) - Counter(old)).elements())
        return
    for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            yield old[a:b], new[c:d]


def _alike(one: list[bytes], two: list[bytes]) -> int:
    """Count the lines that two texts begin with in common."""
    return next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))
