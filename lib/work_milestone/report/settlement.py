"""The verdict on an item: it passes when the item is settled, and keeps the landing back when not."""

from __future__ import annotations

from work_milestone.plan import Item
from work_milestone.run import Run, step
from work_milestone.system import MilestoneError


def is_settled(run: Run, item: Item) -> bool:
    """Tell whether nothing is left to do for an item."""
    return run.is_settled(item.issue)


@step(is_done=is_settled)
def require_settled(run: Run, item: Item) -> None:
    """Raise MilestoneError with the item's state and its reason, unless it is settled."""
    standing = run.standing(item.issue)
    if not standing.settled:
        raise MilestoneError(f"#{item.issue} {standing.word}: {standing.reason or 'not done'}")
