"""What each item waits for, as edges of the graph.

Rules:
- `schedule: waves`: an item waits for the relay of the wave before, so that a wave starts when all of the one
  before is settled. `schedule: eager`: it waits for what it depends on, and for the earlier items of its conflict
  group, each until its merge and its mending are over, however they ended: whether an item that depends on one which
  was not merged starts all the same is asked then (`Run.find_unmet`).
- In a wave with `parallel: false` an item waits for the one before it.
- Nothing starts before the baseline of the gates is known.
- When single items were named, barriers are left out: what an item depends on is what it waits for.
"""

from __future__ import annotations

from collections.abc import Sequence

from work_milestone.plan.model import Wave


def find_awaited(waves: Sequence[Wave], *, eager: bool = False, partial: bool = False) -> dict[int, list[str]]:
    """Name, by item, the tasks that its worktree waits for. `partial`: single items were named."""
    edges: dict[int, list[str]] = {}
    in_group: dict[int, int] = {}
    for wave in waves:
        earlier_groups, previous = dict(in_group), None
        for item in wave.items:
            after = list(item.depends_on)
            if not partial:
                if eager and item.conflict_group in earlier_groups:
                    after.append(earlier_groups[item.conflict_group])
                if not wave.parallel and previous is not None:
                    after.append(previous)
            barrier = [f"relay:{wave.wave - 1}"] if wave.wave > 1 and not eager and not partial else []
            edges[item.issue] = ["baseline", *barrier, *(f"mend:{issue}" for issue in dict.fromkeys(after))]
            if item.conflict_group is not None:
                in_group[item.conflict_group] = item.issue
            previous = item.issue
    return edges
