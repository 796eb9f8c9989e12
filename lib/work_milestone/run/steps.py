"""Steps of the graph: one function each, and what the graph has to know of it.

Rules:
- A step is done when its record, or git, says so: `is_done` reads both and changes nothing. Where a step does not say
  how that is seen, it is done when its record is there.
- A step that is called does what is left to do, and nothing where nothing is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec

from work_milestone.plan import Item, Wave
from work_milestone.run.run import Run
from work_milestone.store import Record

P = ParamSpec("P")


@dataclass(frozen=True)
class Step(Generic[P]):
    """What a step does to a run, an item or a wave of it; when there is nothing to do; the record that it leaves."""

    act: Callable[P, None]
    is_done: Callable[..., bool]
    leaves: type[Record] | None = None

    def __call__(self, *args: P.args, **words: P.kwargs) -> None:
        """Do what is left to do."""
        self.act(*args, **words)


def step(
    *, is_done: Callable[..., bool] | None = None, leaves: type[Record] | None = None
) -> Callable[[Callable[P, None]], Step[P]]:
    """Make a function a step of the graph."""

    def is_there(run: Run, *where: Any) -> bool:
        return leaves is not None and run.receipts.load(leaves, *find_place(*where)) is not None

    return lambda act: Step(act, is_done or is_there, leaves)


def find_place(*where: Any) -> tuple[int, ...]:
    """Say where the records of a step lie: by issue, by wave, or nowhere in particular."""
    return tuple(one.issue if isinstance(one, Item) else one.wave for one in where if isinstance(one, Item | Wave))
