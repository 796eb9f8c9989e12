"""The rules by which some hunks need nobody's judgement. Pure.

Rules:
- W: only one side changed more than blank lines and the white space within lines, or both changed the same; I: imports
  (`imports`); A: additions of one kind at one place (`additions`). A line's indentation is no white space here.
- Whoever is in doubt says that there is no rule. No rule loses a line that a side added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from work_milestone.conflicts.hunks import MAX_LINES, Chunk, Hunk, Lines, lines, split
from work_milestone.text import count

MAX_WIDTH = 1000  # bytes of a line that is read as code or prose
RESTRUCTURED = 0.4  # of the base's lines are gone on both sides
RESTRUCTURED_LINES = 10


class Rule(StrEnum):
    """Why a hunk needs nobody's judgement."""

    W = "W"  # not changed by both in more than white space
    I = "I"  # noqa: E741 - the name that the rule has
    A = "A"


class Resolution(NamedTuple):
    """What the rules make of a file: its content and the rules that were used, or None and why not."""

    content: bytes | None
    rules: tuple[Rule, ...]
    reason: str = ""


def settle(hunk: Hunk, before: Sequence[bytes] = (), after: Sequence[bytes] = ()) -> tuple[Rule, Lines] | None:
    """Settle a hunk by the first rule that fits; None when there is none."""
    if max(map(len, (hunk.base, hunk.ours, hunk.theirs))) > MAX_LINES or _has_mixed_ends(hunk):
        return None
    old, mine, others = map(_norm, (hunk.base, hunk.ours, hunk.theirs))
    if mine in (old, others) or others == old:
        return Rule.W, (hunk.theirs if mine == old else hunk.ours)
    if max(map(len, (*hunk.base, *hunk.ours, *hunk.theirs))) > MAX_WIDTH:
        return None
    from work_milestone.conflicts import additions, imports

    merged = imports.merge(hunk.base, hunk.ours, hunk.theirs, before)
    if merged is not None:
        return Rule.I, merged
    joined = None if old else additions.join(hunk.ours, hunk.theirs, before, after)
    return None if joined is None else (Rule.A, joined)


def _norm(text: Lines) -> tuple[bytes, ...]:
    """Fold the white space within lines, and drop blank lines."""
    return tuple(line[: len(line) - len(line.lstrip())] + b" ".join(line.split()) for line in text if line.strip())


def _has_mixed_ends(hunk: Hunk) -> bool:
    """Tell whether the sides end their lines in two ways: a rule would mix them."""
    whole = [line for line in (*hunk.ours, *hunk.theirs) if line.endswith(b"\n")]
    return len({line.endswith(b"\r\n") for line in whole}) > 1


def resolve(chunks: Sequence[Chunk]) -> Resolution:
    """Settle every hunk of a file by the rules, or say where and why there is none."""
    done: list[bytes] = []
    rules: list[Rule] = []
    parts: list[Chunk] = []
    for chunk in chunks:
        pieces = split(chunk) if isinstance(chunk, Hunk) else (chunk,)
        if isinstance(chunk, Hunk) and not any(isinstance(piece, Hunk) for piece in pieces):
            rules.append(Rule.W)  # each of its parts is one side's alone
        parts += pieces
    for at, part in enumerate(parts):
        if not isinstance(part, Hunk):
            done += part
            continue
        following = parts[at + 1] if at + 1 < len(parts) else ()
        settled = settle(part, done, following.ours if isinstance(following, Hunk) else following)
        if settled is None:
            return Resolution(None, (), f"line {len(done) + 1}: {_describe(part)}")
        rules.append(settled[0])
        done += settled[1]
    return Resolution(b"".join(done), tuple(rules))


def _describe(hunk: Hunk) -> str:
    size = max(map(len, (hunk.base, hunk.ours, hunk.theirs)))
    if size > MAX_LINES:
        return f"{count(size, 'line')} are too many to judge"
    changed = len(_norm(hunk.base))
    if not changed:
        return "both sides add lines at the same place"
    which = "line" if changed == 1 else f"{changed} lines"
    if not _norm(hunk.ours) or not _norm(hunk.theirs):
        return f"one side deletes the {which} that the other changes"
    return f"both sides change the same {which}"


def is_restructured(base: bytes, ours: bytes, theirs: bytes) -> bool:
    """Tell whether both sides lose 40 % of the base's lines or more, and 10 lines at least."""
    old = Counter(lines(base))
    least = max(RESTRUCTURED * old.total(), RESTRUCTURED_LINES)
    return all((old - Counter(lines(side))).total() >= least for side in (ours, theirs))
