"""The order in which ready tasks start, where doit alone would go first-in first-out.

Rules:
- Of what is ready, a merge goes before a session, a session before what prepares one; then by rank (`opening`): what is
  already at work before all others, P0 before P1, and then as the plan has them.
- An item enters at its worktree when one of the slots is free, and gives the slot back when its session is over. A
  session that mends takes a slot too, and goes before new items. No thread ever waits for a slot, so as many workers
  as slots and a few suffice.
- While memory is short an item enters only when no other is at work.
- One merge at a time, in the order of return: a merge is not handed to a worker while another is under way.

This replaces two methods of doit's TaskDispatcher, an internal of it: the version is pinned, and a test says so
when the pin moves.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import Any

from doit import control

from work_milestone.system import machine

STEPS = ("merge", "item", "mend", "spawn", "prompt", "lock", "worktree")
SPARE_WORKERS = 2  # one for the merge under way, one for relays and gates


class Dispatcher(control.TaskDispatcher):  # type: ignore[misc]  # doit has no types
    """doit's dispatcher with a sense of what is scarce: slots, and the merge queue."""

    def __init__(self, slots: int, rank: Callable[[int], int], mends: Callable[[int], bool], *args: Any) -> None:
        super().__init__(*args)
        self.ready = self  # doit appends to it, and asks it for nothing but the next node
        self._slots = slots
        self._rank = rank
        self._mends = mends
        self._holders: set[str] = set()
        self._merging: str | None = None
        self._count = 0
        self._open: list[tuple[tuple[int, int, int], Any]] = []
        self._held: dict[str, list[tuple[tuple[int, int, int], Any]]] = {"merge": [], "mend": [], "worktree": []}

    def append(self, node: Any) -> None:
        """Take a node that doit finds ready to go on."""
        heapq.heappush(self._open, (self._key(node), node))

    def _key(self, node: Any) -> tuple[int, int, int]:
        self._count += 1
        step, _, issue = node.task.name.partition(":")
        if step not in STEPS or not issue.isdecimal():
            return (-1, 0, self._count)
        rank = 0 if step == "merge" else self._rank(int(issue))
        return (STEPS.index(step), rank, self._count)

    def _get_next_node(self, _ready: Any, tasks_to_run: list[str]) -> Any:
        """Return the node to go on with, None when all that is left waits."""
        while True:
            if self._held["merge"] and self._merging is None:
                node = self._hand_over("merge")
                self._merging = node.task.name
                return node
            if not self._open:
                break
            key, node = heapq.heappop(self._open)
            step = node.task.name.partition(":")[0]
            if step not in self._held or not self._is_about_to_run(node) or self._is_idle(node):
                return node
            heapq.heappush(self._held[step], (key, node))
            self.waiting.add(node)  # so that doit does not take the work for done
        while tasks_to_run:
            if (node := self._gen_node(None, tasks_to_run.pop())) is not None:
                return node
        waiting = next((step for step in ("mend", "worktree") if self._held[step]), None)
        if waiting is None or len(self._holders) >= self._slots or (self._holders and not machine.has_room()):
            return None
        node = self._hand_over(waiting)
        issue = node.task.name.partition(":")[2]
        # `doit worktree:42` alone ends in no session that would give the slot back.
        if waiting == "mend" or f"spawn:{issue}" in self.nodes:
            self._holders.add(issue)
        return node

    def _hand_over(self, step: str) -> Any:
        node = heapq.heappop(self._held[step])[1]
        self.waiting.discard(node)
        return node

    def _is_idle(self, node: Any) -> bool:
        """Tell whether a step that mends has nothing to do, and so no slot to wait for."""
        step, _, issue = node.task.name.partition(":")
        return step == "mend" and not self._mends(int(issue))

    def _is_about_to_run(self, node: Any) -> bool:
        """Tell whether the next step of a node is its task, and not one more of what it depends on."""
        found = (self.nodes.get(name) for name in node.task.task_dep)
        return all(dep is not None and dep.run_status not in (None, "run") for dep in found)

    def _update_waiting(self, processed: Any) -> None:
        """Give back what a node held that has come to its end, then let doit wake who waited for it."""
        if processed is not None and processed.run_status not in (None, "run"):
            step, _, issue = processed.task.name.partition(":")
            if processed.task.name == self._merging:
                self._merging = None
            if step in ("spawn", "mend") or (step in STEPS and processed.run_status == "failure"):
                self._holders.discard(issue)
        super()._update_waiting(processed)


def install(slots: int, rank: Callable[[int], int], mends: Callable[[int], bool]) -> None:
    """Have doit use this order: `slots` sessions at once, `rank` of an issue, lower first, whether one is to mend."""
    control.TaskDispatcher = partial(Dispatcher, slots, rank, mends)
