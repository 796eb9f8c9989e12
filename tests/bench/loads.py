"""What looking costs: `doit list` and a rerun with nothing to do, against an empty doit graph of as many tasks."""

from __future__ import annotations

from pathlib import Path

from tests.bench import landed, rivals, scratch
from tests.bench.scratch import CHANGE, DOIT, NUMBER, Ground, Sample
from tests.bench.tables import Pairs, take_turns

WIDTH = 50
BOUND = 3.0
SIZES = (100, 1_000, 10_000)


def look(where: Path | None, rounds: int, sizes: tuple[int, ...] = SIZES) -> list[Pairs]:
    """Measure each size: a plan that is done, listed and run again, and one that was never run, listed."""
    found = []
    for items in sizes:
        with scratch.folder(where) as path:
            ground = Ground(path)
            done = landed.build(ground, "done", items, WIDTH)
            landed.check(ground, done, items)
            new = ground.repository("new", scratch.files(landed.waves_of(items, WIDTH), CHANGE))
            empty = rivals.write_graph(path / "empty", items, WIDTH)
            turns = rounds if items < 5_000 else max(3, rounds // 2)
            for title, root, words in (
                ("list, done", done, ("list",)),
                ("list, never run", new, ("list",)),
                ("rerun, done", done, ("milestone",)),
            ):
                found.append(_pair(ground, f"{items} items: {title}", root, empty, words, turns))
    return found


def _pair(ground: Ground, title: str, ours: Path, empty: Path, words: tuple[str, ...], rounds: int) -> Pairs:
    def tool() -> Sample:
        return ground.time(str(DOIT), *words, f"n={NUMBER}", cwd=ours)

    def other() -> Sample:
        return ground.time(str(DOIT), *words, cwd=empty)

    tool()
    other()
    return take_turns(title, tool, other, rounds, BOUND)
