"""Pairs of times, what they come to, and the table that shows it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pairs:
    """Times in seconds of two ways to do one thing that took turns; `bound` is the most that the ratio may be."""

    title: str
    ours: tuple[float, ...]
    other: tuple[float, ...]
    bound: float | None

    @property
    def ratios(self) -> list[float]:
        """Our time by the other's, round by round."""
        return [ours / other for ours, other in zip(self.ours, self.other, strict=True)]

    @property
    def verdict(self) -> str:
        """Whether the median ratio keeps to the bound."""
        if self.bound is None:
            return ""
        return "ok" if statistics.median(self.ratios) <= self.bound else "OVER"

    def cells(self) -> list[str]:
        """The pairs as cells of a table."""
        ratios = self.ratios
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
        bound = "" if self.bound is None else f"{self.bound:g}"
        ours, other = (f"{statistics.median(times):.3f}" for times in (self.ours, self.other))
        return [self.title, ours, other, spread, bound, self.verdict]


HEAD = ("", "ours s", "other s", "ratio", "bound", "")


def take_turns(
    title: str, ours: Callable[[], float], other: Callable[[], float], rounds: int, bound: float | None
) -> Pairs:
    """Measure two ways in turn: ours, other, ours, other, ...; what comes first alternates."""
    found: list[tuple[float, float]] = []
    for number in range(rounds):
        if number % 2:
            second = other()
            found.append((ours(), second))
        else:
            first = ours()
            found.append((first, other()))
    return Pairs(title, tuple(pair[0] for pair in found), tuple(pair[1] for pair in found), bound)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: first column to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    print(f"\n{title}")
    for row in (head, *rows):
        cells = [cell.ljust(width) if not column else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        print("  " + "  ".join(cells).rstrip(), flush=True)


def show_pairs(title: str, pairs: Sequence[Pairs]) -> None:
    """Print the table of some pairs."""
    show(title, HEAD, [pair.cells() for pair in pairs])
