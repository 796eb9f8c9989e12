"""Where the tool's own time goes in a milestone of zero-length agents: phases, steps, receipts, processes."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from work_milestone.store import Receipts, RunFolder, records

from tests.bench import scratch, tables
from tests.bench.scratch import CHANGE, NUMBER, Ground

ITEMS = 64
Span = tuple[str, float, float]
TRACED = Path(__file__).with_name("traced.py")
WAY = (
    "session recorded -> agent runs", "agent runs", "agent gone -> judged", "judged -> merged",
    "whole way of an item",
)  # fmt: skip


def show(where: Path | None, items: int = ITEMS) -> None:
    """Work one milestone with a stopwatch in it, and print what it saw."""
    with scratch.folder(where) as path:
        ground = Ground(path)
        files = scratch.files([range(1, items + 1)], CHANGE)
        template = ground.repository("template", files)
        for _ in range(2):  # the first warms up
            root, out = ground.copy(template, "traced"), path / "spans.json"
            began = time.perf_counter()
            ground.run(sys.executable, str(TRACED), str(out), "milestone", f"n={NUMBER}", cwd=root)
            ended = time.perf_counter()
        seen = json.loads(out.read_text())
        spans: list[Span] = [(name, start, end) for name, start, end in seen["spans"]]
        used = f"processor: {seen['self']:.2f} s its own, {seen['children']:.2f} s of what it started"
        title = f"(d) {items} items, {scratch.SLOTS} slots, {ended - began:.2f} s with the stopwatch in it; {used}"
        tables.show(f"{title}: phases", ("", "ms"), _phases(spans, began, ended))
        head = ("", "calls", "median ms", "sum ms")
        tables.show("steps and processes (those of threads overlap)", head, _sums(spans))
        tables.show("an item's way, by receipts", ("", "median ms", "worst ms"), _ways(root, items))


def _phases(spans: list[Span], began: float, ended: float) -> list[tuple[str, str]]:
    """Cut the run's wall time at the steps that all wait for."""
    starts, ends = {name: start for name, start, _ in reversed(spans)}, {name: end for name, _, end in spans}
    cuts = [
        ("interpreter starts", starts["begin"]),
        ("doit is imported", ends["import doit"]),
        ("the package is imported", ends["import work_milestone"]),
        ("settings and plan are read", ends["opening.open_run"]),
        ("the graph is built", starts["checks.check"]),
        ("preflight", ends["checks.check"]),
        ("integration branch", ends["integration.begin"]),
        ("first session starts", starts["attempts.start"]),
        ("until the last session is judged", ends["results.judge"]),
        ("until the last merge", ends["queue.merge"]),
        ("wave, relay, verdicts, gates", ends["landing.check"]),
        ("landing", ends["landing.land"]),
        ("close", ends["closing.close"]),
        ("summary", ends.get("summary.print_summary", ends["end"])),
        ("exit", ended),
    ]
    before = [began, *(at for _, at in cuts)]
    return [(name, f"{1000 * (at - last):.0f}") for (name, at), last in zip(cuts, before, strict=False)]


def _sums(spans: list[Span]) -> list[tuple[str, str, str, str]]:
    by_name: dict[str, list[float]] = defaultdict(list)
    for name, start, end in spans:
        by_name[name].append(1000 * (end - start))
    rows = sorted(by_name.items(), key=lambda row: -sum(row[1]))
    return [(name, str(len(found)), f"{statistics.median(found):.1f}", f"{sum(found):.0f}")
            for name, found in rows if sum(found) >= 1]  # fmt: skip


def _ways(root: Path, items: int) -> list[tuple[str, str, str]]:
    """Measure each item's way by the times in its receipts."""
    receipts = Receipts(RunFolder(root, NUMBER))
    rows = []
    for issue in range(1, items + 1):
        attempt = receipts.folder.attempt(issue, 1)
        session, record = (json.loads((attempt / name).read_text()) for name in ("session.json", "exit.json"))
        judged, merged = receipts.load(records.Work, issue), receipts.load(records.Merge, issue)
        assert judged
        assert merged
        cuts = [session["started"], record["started"], record["ended"], judged.ended, merged.ended]
        rows.append([1000 * (end - start) for start, end in itertools.pairwise(cuts)])
        rows[-1].append(1000 * (cuts[-1] - cuts[0]))
    columns = zip(*rows, strict=True)
    return [(name, f"{statistics.median(found):.1f}", f"{max(found):.1f}")
            for name, found in zip(WAY, columns, strict=True)]  # fmt: skip
