"""The benchmarks: `python -m tests.bench [a] [b] ... [g] [--quick] [--rounds N]`, from the top of the checkout.

(a) zero-length agents through the tool, against a shell loop that follows the protocol by hand
(b) agents of one second in 8 slots, against the time that they alone take
(c) `doit list` and a rerun with nothing to do, against an empty doit graph of as many tasks
(d) where the tool's own time goes, of one run of (a)
(e) merging one small branch in a repository of 20,000 files, against git by hand
(f) a supervisor's start and memory, and what a run takes while 64 sessions only wait
(g) a session of the real Claude Code through the tool, against its bare command line with the same model

Without a letter all are measured. `--quick` takes fewer rounds and leaves out 10,000 items. The two sides of each
pair take turns within one run; a row tells the medians in seconds, the median of the pairs' ratios with the least
and the greatest, and the bound. Processor time stands beside it: what else the machine does slows a loop that does
one thing after another more than a run of eight sessions, so that with other work on it the times flatter the tool,
and the table says how busy it was. (f) and (g) bound times and sizes as such, beside what starting anything takes
here, or a bare session. The exit code is 1 when a median is over its bound. Needs git and the package with its `doit`
beside the interpreter, (g) the claude binary; everything happens in temporary folders.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench import breakdown, loads, merges, overhead, scratch, supervision, works
from tests.bench.tables import Figure, Pairs, show_figures, show_pairs


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("parts", nargs="*", choices=[*"abcdefg", []], help="what to measure (default: all)")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no plan of 10,000 items")
    parser.add_argument("--rounds", type=int, help="rounds of each pair (default: 7, quick: 3)")
    chosen = parser.parse_args()
    parts, rounds = chosen.parts or list("abcdefg"), chosen.rounds or (3 if chosen.quick else 7)
    found: list[Pairs | Figure] = []
    for kind, where in scratch.places().items():
        if "a" in parts:
            found += _shown(f"(a) against the protocol by hand, {kind}", works.by_hand(where, rounds))
    for kind, where in scratch.places().items():
        if "b" in parts:
            found += _shown(f"(b) agents of 1 s, against the ideal, {kind}", works.ideal(where, min(rounds, 3)))
    where = next(iter(scratch.places().values()))
    if "c" in parts:
        sizes = loads.SIZES[:2] if chosen.quick else loads.SIZES
        found += _shown("(c) against an empty doit graph", loads.look(where, rounds, sizes))
    if "d" in parts:
        breakdown.show(where)
    for kind, where in scratch.places().items():
        if "e" in parts:
            found += _shown(f"(e) one merge among {merges.FILES:,} files, {kind}", merges.merge(where, rounds))
    found += _single(parts, where, rounds)
    return 1 if any(one.verdict == "OVER" for one in found) else 0


def _single(parts: Sequence[str], where: Path | None, rounds: int) -> list[Figure]:
    """Measure what is bounded as such."""
    found: list[Figure] = []
    if "f" in parts:
        started, lived = supervision.start(where, rounds), supervision.live(where)
        show_figures("(f) a supervisor", started)
        show_figures(f"(f) {supervision.LIVE} sessions that wait, over {supervision.STEADY:g} s", lived)
        found += [*started, *lived]
    if "g" in parts and (sessions := overhead.measure(where, rounds)):
        show_figures(f"(g) a session of Claude Code, whose model takes {3 * overhead.DELAY:g} s", sessions)
        found += sessions
    return found


def _shown(title: str, pairs: list[Pairs]) -> list[Pairs]:
    show_pairs(title, pairs)
    return pairs


if __name__ == "__main__":
    sys.exit(main())
