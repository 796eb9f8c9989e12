"""What is dispatched: the items of the plan, and the follow-ups that the run has added to it, in waves.

Rules:
- The graph is built from plan and overlay. What comes up since is worked by a further generation, a graph of its own.
- A follow-up stands in the merge receipt of its origin too, so that a damaged overlay loses none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from work_milestone.plan import FollowUp, Item, Plan, Wave, followups
from work_milestone.store import Receipts, records


class Dispatch:
    """The items of one run, and who takes over from whom."""

    def __init__(self, plan: Plan | None, receipts: Receipts, is_settled: Callable[[int], bool]) -> None:
        self.plan = plan
        self.state = object()  # another one after each change: what was derived before is to be derived again
        self._receipts = receipts
        self._is_settled = is_settled

    @cached_property
    def recorded(self) -> Mapping[int, FollowUp]:
        """Every follow-up that was ever added, by issue, also those that the plan has no place for any more."""
        merges = [self._receipts.load(records.Merge, issue) for issue in sorted(self._receipts.folder.issues())]
        overlay = self._receipts.load(records.Overlay)
        kept = [merge.followup for merge in merges if merge and merge.followup]
        return {one.issue: one for one in (*kept, *(overlay.items if overlay else ()))}

    @cached_property
    def followups(self) -> Mapping[int, FollowUp]:
        """The follow-up items by issue, those that this process adds included."""
        return followups.fit(self.recorded, self.plan.items) if self.plan else {}

    @cached_property
    def waves(self) -> tuple[Wave, ...]:
        """The waves of the plan and those of the follow-ups that were there at the beginning; none without a plan."""
        return tuple(self._arrange())

    @cached_property
    def dispatched(self) -> Mapping[int, Item]:
        """The items that stand in a wave, in the order of the waves."""
        return {item.issue: item for wave in self.waves for item in wave.items}

    @cached_property
    def items(self) -> Mapping[int, Item]:
        """Every item: those of the waves, and the follow-ups that came up since, for a further generation."""
        return {**{item.issue: item for wave in self._arrange() for item in wave.items}, **self.dispatched}

    def _arrange(self) -> list[Wave]:
        return followups.arrange(self.plan.waves, self.followups, self._is_settled) if self.plan else []

    @property
    def waiting(self) -> list[int]:
        """The items that stand in no wave of this graph yet."""
        return [issue for issue in self.items if issue not in self.dispatched]

    def add(self, one: FollowUp) -> None:
        """Write a follow-up down, and count it among the items from now on."""
        everything = {**self.recorded, one.issue: one}
        self._receipts.write(records.Overlay(status="written", items=tuple(everything.values())), durable=True)
        # Replaced and not changed: other threads may be looking through what was there.
        self.recorded, self.followups = everything, {**self.followups, one.issue: one}
        self.__dict__.pop("items", None)
        self.state = object()

    def followup_of(self, issue: int) -> FollowUp | None:
        """Return the follow-up that has taken over what is left of an item."""
        return next((one for one in self.followups.values() if one.origin == issue != one.issue), None)

    def followers(self, issue: int) -> list[int]:
        """Name the follow-ups that settle an item: its own, that one's, and so on."""
        found: list[int] = []
        while one := self.followup_of(found[-1] if found else issue):
            found.append(one.issue)
        return found

    def settled_by(self, issue: int) -> list[int]:
        """Name the items that an item's merge settles: its origin, that one's origin, and so on."""
        found: list[int] = []
        while (one := self.followups.get(found[-1] if found else issue)) and one.origin not in found:
            found.append(one.origin)
        return found

    def reread(self) -> None:
        """Read the follow-ups anew; the waves stay as the graph has them."""
        for name in ("recorded", "followups", "items"):
            self.__dict__.pop(name, None)
        self.state = object()
