"""What verbs say, apart from what is piped on, and how one is called that was typed wrongly."""

from __future__ import annotations

import sys

from work_milestone.plan import Item
from work_milestone.run import Run
from work_milestone.system import MilestoneError
from work_milestone.text import masking


def say(text: str) -> None:
    """Tell the person at the terminal, on stderr."""
    print(masking.mask(text), file=sys.stderr)  # noqa: T201 - the verb's purpose


def require_number(run: Run, verb: str) -> int:
    """Return the milestone's number. Raise MilestoneError with how to call a verb when there is none."""
    if run.milestone.number is None:
        raise MilestoneError(f"say which milestone: doit {verb} n=N")
    return run.milestone.number


def require_item(run: Run, issue: int, verb: str) -> Item:
    """Return an item of the plan. Raise MilestoneError with how to call the verb when there is none."""
    number, items = require_number(run, f"{verb}:{issue}"), run.dispatch.items
    if issue not in items:
        known = ", ".join(f"{verb}:{other}" for other in list(items)[:20])
        raise MilestoneError(f"milestone {number} has no item {issue}; it has {known or 'none'}")
    return items[issue]


def refuse(run: Run, verb: str) -> None:
    """Say how a verb is called that was typed without an item."""
    issue = next(iter(run.dispatch.items), 42)
    raise MilestoneError(f"say which item: doit {verb}:{issue} n={run.milestone.number or 'N'}")
