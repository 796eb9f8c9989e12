"""Conflicts as hunks of lines. Pure.

Rules:
- Lines are bytes with their ends; whatever bytes a file holds, nothing of it changes on the way.
- A hunk is split where the two sides changed different lines of the base.
- The work is bounded: what is too large or too repetitive is not judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

Lines = tuple[bytes, ...]
MAX_LINES = 2000  # of a side of a hunk that is judged
MAX_PAIRS = 200_000  # of equal lines in two texts that are compared, and the lines of both
MAX_COMPARED = 10_000
_WORD = re.compile(rb"[\w\x80-\xff]")


class Hunk(NamedTuple):
    """Lines that both sides changed."""

    base: Lines
    ours: Lines
    theirs: Lines


Chunk = Lines | Hunk
_Change = tuple[int, int, int]  # where it starts and ends in the base, by how many lines it grows


def lines(text: bytes) -> Lines:
    """Split a text into lines as git does: at newlines only."""
    *whole, rest = text.split(b"\n")
    return (*(line + b"\n" for line in whole), *((rest,) if rest else ()))


def marker_size(*texts: bytes) -> int:
    """Return a size of conflict markers, 7 or more, that no line of some texts begins with."""
    runs = (len(found) for text in texts for found in re.findall(rb"^(?:<+|\|+|=+|>+)", text, re.MULTILINE))
    return max([7, *(run + 1 for run in runs)])


def parse(merged: bytes, marker: int, base: bytes, ours: bytes, theirs: bytes) -> tuple[Chunk, ...]:
    """Read what `git merge-file -p --diff3 --marker-size=MARKER` made of three texts.

    Raise ValueError when it is not that. The line end that git adds to a conflict's last line is taken off again.
    """
    chunks: list[Chunk] = []
    parts: list[list[bytes]] = [[]]
    for line in lines(merged):
        mark = next((at for at, char in enumerate((b"<", b"|", b"=", b">")) if line.startswith(char * marker)), None)
        if mark is None:
            parts[-1].append(line)
            continue
        if mark != len(parts) - 1:
            raise ValueError("conflict markers out of order")
        parts.append([])
        if len(parts) == 5:
            settled, mine, old, others, _ = map(tuple, parts)
            chunks += [settled] if settled else []
            chunks.append(Hunk(old, mine, others))
            parts = [[]]
    if len(parts) != 1:
        raise ValueError("a conflict without an end")
    if parts[0]:
        chunks.append(tuple(parts[0]))
    elif chunks and isinstance(chunks[-1], Hunk):
        last = chunks[-1]
        chunks[-1] = Hunk(_end_as(last.base, base), _end_as(last.ours, ours), _end_as(last.theirs, theirs))
    return tuple(chunks)


def _end_as(part: Lines, text: bytes) -> Lines:
    """Give a text's last lines the end that they have there."""
    if not part:
        return part
    last = text.rpartition(b"\n")[2]
    mended = (*part[:-1], last) if last else part
    if not text.endswith(b"".join(mended)):
        raise ValueError("conflicts of other texts")
    return mended


def split(hunk: Hunk) -> tuple[Chunk, ...]:
    """Split a hunk: what one side changed, and what both did equally, is settled; the rest stays a hunk.

    An insertion beside a change of the other side stays with it: which comes first is not ours to guess.
    """
    mine, others = _changes(hunk.base, hunk.ours), _changes(hunk.base, hunk.theirs)
    if max(map(len, (hunk.base, hunk.ours, hunk.theirs))) > MAX_LINES or mine is None or others is None:
        return (hunk,)
    parts: list[Chunk] = []
    at, shifts = 0, [0, 0]
    for start, end, grown in _groups(mine, others):
        parts.append(hunk.base[at:start])
        old = hunk.base[start:end]
        own, other = (
            side[start + shift : end + shift + more]
            for side, shift, more in zip((hunk.ours, hunk.theirs), shifts, grown, strict=True)
        )
        parts.append(other if own == old else own if other in (old, own) else Hunk(old, own, other))
        at, shifts = end, [shift + more for shift, more in zip(shifts, grown, strict=True)]
    return _joined([*parts, hunk.base[at:]])


def _changes(old: Lines, new: Lines) -> list[_Change] | None:
    """List the changes between two texts; None when that is too much work.

    Lines without a word, blanks and brackets, are alike everywhere: no change ends for their sake.
    """
    if is_costly(old, new):
        return None
    found, before, shift = [], 0, 0
    for start, other, size in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        if start == len(old) or any(_WORD.search(line) for line in old[start : start + size]):
            more = other - start - shift
            if start > before or more:
                found.append((before, start, more))
            before, shift = start + size, other - start
    return found


def is_costly(old: Sequence[bytes], new: Sequence[bytes]) -> bool:
    """Tell whether comparing two texts may take seconds: they are too long, or alike in too many places."""
    counts = Counter(new)
    alike = sum(times * counts[line] for line, times in Counter(old).items())
    return alike > MAX_PAIRS or len(old) + len(new) > MAX_COMPARED


def _groups(mine: list[_Change], others: list[_Change]) -> Iterator[tuple[int, int, list[int]]]:
    """Join changes of both sides that overlap: their range in the base, and by how much each side grew."""
    start, end, grown, insertion = -1, -1, [0, 0], -1
    for first, last, side, more in sorted([(a, b, 0, n) for a, b, n in mine] + [(a, b, 1, n) for a, b, n in others]):
        if not (first < end or (first == end and (first == last or insertion == first))):
            if start >= 0:
                yield start, end, grown
            start, end, grown = first, last, [0, 0]
        end = max(end, last)
        grown[side] += more
        insertion = first if first == last else insertion
    if start >= 0:
        yield start, end, grown


def _joined(parts: Sequence[Chunk]) -> tuple[Chunk, ...]:
    """Join settled parts that follow one another, and drop the empty ones."""
    found: list[Chunk] = []
    for part in parts:
        if not isinstance(part, Hunk) and found and not isinstance(found[-1], Hunk):
            found[-1] += part
        elif part:
            found.append(part)
    return tuple(found)
