"""The verdict on an item: it passes when the item is settled, and keeps the landing back when not."""

from __future__ import annotations

from work_milestone.plan import Item
from work_milestone.run.run import Run
from work_milestone.system.errors import MilestoneError


def is_settled(run: Run, item: Item) -> bool:
    """Tell whether nothing is left to do for an item."""
    return run.settled(item.issue)


def require_settled(run: Run, item: Item) -> None:
    """Raise MilestoneError with the item's state and its reason, unless it is settled."""
    facts = run.facts(item.issue)
    if not facts.settled:
        raise MilestoneError(f"#{item.issue} {facts.word}: {facts.reason or 'not done'}")
