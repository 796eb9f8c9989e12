"""Follow-up items: what takes over the rest of an item, and the waves that they are worked in. Pure.

Rules:
- A follow-up takes over what is left of one item, its origin: the rest of partial work, or a conflict that nobody
  can be asked to resolve in passing. An origin has one follow-up at most.
- Follow-ups are dispatched in waves of their own after the planned ones, a wave a generation: a follow-up's own
  follow-up is of the next generation. Generations are bounded, so a run always ends.
- What depends on an origin comes after the follow-ups, in waves of its own, as long as they are not settled.
- A follow-up whose origin is gone from the plan, or whose number the plan has given to another item, is not worked;
  it stays on record, for a plan may be set back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from work_milestone.plan.model import MAX_NUMBER, Item, Wave
from work_milestone.text import one_line

_COMMIT = re.compile(r"[0-9a-f]{40,64}")


class Reason(StrEnum):
    """Why there is a follow-up."""

    CONFLICT = "conflict"
    REST = "rest"


@dataclass(frozen=True, kw_only=True)
class FollowUp:
    """A follow-up item. `head` is the commit of the origin's that was merged in part, or could not be merged.

    `against` names the items on the other side of a conflict, `onto` the integration branch's head then. Raises
    ValueError for what can be none.
    """

    issue: int
    title: str
    origin: int
    kind: Reason
    generation: int
    head: str
    base: str
    onto: str
    branch: str = ""
    notes: str = ""
    files: tuple[str, ...] = ()
    against: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        numbers = (self.issue, self.origin, self.generation, *self.against)
        if not (all(0 < number <= MAX_NUMBER for number in numbers) and self.title.strip()):
            raise ValueError("no number of an item, or no title")
        if not all(_COMMIT.fullmatch(commit) for commit in (self.head, self.base, self.onto)):
            raise ValueError("no id of a commit")

    @property
    def is_rest(self) -> bool:
        """Tell whether it is the rest of partial work, and not a conflict."""
        return self.kind is Reason.REST


def fit(followups: Mapping[int, FollowUp], items: Mapping[int, Item]) -> dict[int, FollowUp]:
    """Return the follow-ups that belong to a plan's items. No chain of them leads back to where it began."""
    found: dict[int, FollowUp] = {}
    origins: set[int] = set()
    for one in sorted(followups.values(), key=lambda one: (one.generation, one.issue)):
        planned, before = items.get(one.issue), followups.get(one.origin)
        its_own = planned is None or one_line(planned.title) == one_line(one.title)  # it was groomed since
        forward = one.origin != one.issue and (before is None or before.generation < one.generation)
        if its_own and forward and one.origin not in origins and (one.origin in items or one.origin in found):
            found[one.issue] = one
            origins.add(one.origin)
    return found


def arrange(waves: Sequence[Wave], followups: Mapping[int, FollowUp], settled: Callable[[int], bool]) -> list[Wave]:
    """Put follow-ups behind the planned waves, and behind them what has to wait for them."""
    items = {item.issue: item for wave in waves for item in wave.items}
    added = _added(items, followups, len(waves))
    if not added:
        return list(waves)
    open_origins = {one.origin for one in followups.values() if one.issue in added and not settled(one.origin)}
    held = _dependents(waves, open_origins, settled)
    arranged = [wave.model_copy(update={"items": tuple(i for i in wave.items if i.issue not in held)})
                for wave in waves]  # fmt: skip
    for number in sorted({item.wave for item in added.values()}):
        arranged.append(Wave(wave=number, items=tuple(item for item in added.values() if item.wave == number)))
    for wave in waves:
        late = [item for item in wave.items if item.issue in held]
        if late:
            number = len(arranged) + 1
            moved = tuple(item.model_copy(update={"wave": number}) for item in late)
            arranged.append(wave.model_copy(update={"wave": number, "items": moved}))
    return arranged


def _added(items: Mapping[int, Item], followups: Mapping[int, FollowUp], planned: int) -> dict[int, Item]:
    """Make items of follow-ups whose origin is still there; they are worked as their origins are."""
    everything, added, waves = dict(items), {}, dict[int, int]()
    for one in sorted(followups.values(), key=lambda one: (one.generation, one.issue)):
        if one.origin not in everything or one.issue in everything:
            continue  # gone from the plan with its origin, or groomed into it since
        own = {"title": one.title, "issue": one.issue, "depends_on": (), "conflict_group": None, "status": "pending",
               "groomed": True, "wave": waves.setdefault(one.generation, planned + len(waves) + 1)}  # fmt: skip
        everything[one.issue] = added[one.issue] = everything[one.origin].model_copy(update=own)
    return added


def _dependents(waves: Sequence[Wave], origins: set[int], settled: Callable[[int], bool]) -> set[int]:
    """Find what depends on an origin and is not settled itself, and all that depends on that."""
    held: set[int] = set()
    for wave in waves:
        for item in wave.items:  # nothing depends on an item of its own wave or of a later one
            waits = origins.intersection(item.depends_on) and not settled(item.issue)
            if waits or held.intersection(item.depends_on):  # also of one that was skipped: waves go in no circle
                held.add(item.issue)
    return held
