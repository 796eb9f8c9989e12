"""Pairs of times and single figures, what they come to, and the tables that show it."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.scratch import Sample


@dataclass(frozen=True)
class Pairs:
    """What two ways to do one thing took that took turns; `bound` is the most that the ratio of times may be."""

    title: str
    ours: tuple[Sample, ...]
    other: tuple[Sample, ...]
    bound: float

    @property
    def ratios(self) -> list[float]:
        """Our time by the other's, round by round."""
        return [ours.wall / other.wall for ours, other in zip(self.ours, self.other, strict=True)]

    @property
    def verdict(self) -> str:
        """Whether the median ratio keeps to the bound."""
        return "ok" if statistics.median(self.ratios) <= self.bound else "OVER"

    def cells(self) -> list[str]:
        """The pairs as cells of a table."""
        ratios = self.ratios
        spread = f"{statistics.median(ratios):.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
        sides = [statistics.median(taken.wall for taken in side) for side in (self.ours, self.other)]
        cpu, other = (statistics.median(taken.cpu for taken in side) for side in (self.ours, self.other))
        work = f"{cpu / other:.2f}" if other else ""
        return [self.title, *(f"{side:.4f}" for side in sides), spread, f"{self.bound:g}", self.verdict,
                f"{cpu:.4f}", work]  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """Something measured some times, beside what it may be at most, if that is bounded."""

    title: str
    unit: str
    values: Sequence[float]
    bound: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the median keeps to the bound."""
        if self.bound is None:
            return ""
        return "ok" if statistics.median(self.values) <= self.bound else "OVER"

    def cells(self) -> list[str]:
        """The figure as cells of a table."""
        spread = [f"{of(self.values):.2f}" for of in (statistics.median, min, max)]
        return [self.title, self.unit, *spread, "" if self.bound is None else f"{self.bound:g}", self.verdict]


HEAD = ("", "ours s", "other s", "ratio", "bound", "", "our cpu s", "cpu ratio")


def take_turns(title: str, ours: Callable[[], Sample], other: Callable[[], Sample], rounds: int, bound: float) -> Pairs:
    """Measure two ways in turn: ours, other, other, ours, ours, other, ..."""
    found: list[tuple[Sample, Sample]] = []
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
    show(f"{title} ({_load()})", HEAD, [pair.cells() for pair in pairs])


def show_figures(title: str, figures: Sequence[Figure]) -> None:
    """Print the table of some figures."""
    head = ("", "", "median", "least", "greatest", "bound", "")
    show(f"{title} ({_load()})", head, [figure.cells() for figure in figures])


def _load() -> str:
    return f"{os.getloadavg()[0]:.1f} processes ready on {os.cpu_count()} processors in the last minute"
