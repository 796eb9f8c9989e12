"""How long a milestone takes: against the same protocol by hand, and against the agents' own time."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

from tests.bench import rivals, scratch
from tests.bench.scratch import CHANGE, DOIT, NUMBER, SLOTS, Ground, Sample
from tests.bench.tables import Pairs, take_turns

BY_HAND = {16: 1.6, 64: 1.1}
IDEAL = {16: 1.5, 64: 1.25}
LINE = (str(DOIT), "milestone", f"n={NUMBER}")


def by_hand(where: Path | None, rounds: int) -> list[Pairs]:
    """Zero-length agents: the tool against the shell loop."""
    found = []
    for items, bound in BY_HAND.items():
        with scratch.folder(where) as path:
            ground = Ground(path)
            template = ground.repository("template", scratch.files([range(1, items + 1)], CHANGE))
            tool, loop = (partial(work, ground, template, items) for work in (_tool, _loop))
            tool()
            loop()
            found.append(take_turns(f"{items} items", tool, loop, rounds, bound))
    return found


def _tool(ground: Ground, template: Path, items: int) -> Sample:
    root = ground.copy(template, "tool")
    taken = ground.time(*LINE, cwd=root)
    rivals.check_loop(ground, root, items)
    return taken


def _loop(ground: Ground, template: Path, items: int) -> Sample:
    root = ground.copy(template, "loop")
    taken = ground.time("/bin/sh", "-c", rivals.LOOP, cwd=root, env={"N": str(items), "AGENT": CHANGE})
    rivals.check_loop(ground, root, items)
    return taken


def ideal(where: Path | None, rounds: int) -> list[Pairs]:
    """Agents of one second: the tool against the time that the agents alone take in as many slots."""
    found = []
    for items, bound in IDEAL.items():
        with scratch.folder(where) as path:
            ground = Ground(path)
            files = scratch.files([range(1, items + 1)], f"sleep 1 && {CHANGE}")
            template = ground.repository("template", files)
            best = float(math.ceil(items / SLOTS))
            ours = tuple(_tool(ground, template, items) for _ in range(rounds))
            found.append(Pairs(f"{items} items", ours, (Sample(best, 0.0),) * rounds, bound))
    return found
