"""The dispatch plan: which items a milestone has, in which waves, and what may run beside what.

Takes YAML that people write; gives items in waves, every fault told at once with its line. Follow-up items are laid
over it, in waves behind its own; `edges` says what each item waits for. Settings are written in the same kinds of
values (`fields`). Rule: a plan is valid as a whole or not used.
"""

from work_milestone.plan.followups import FollowUp, Reason
from work_milestone.plan.loading import list_plans, load_plan
from work_milestone.plan.model import MAX_NUMBER, Item, Money, Plan, Seconds, Text, Wave

__all__ = [
    "MAX_NUMBER", "FollowUp", "Item", "Money", "Plan", "Reason", "Seconds", "Text", "Wave", "branches", "edges",
    "fields", "followups", "list_plans", "load_plan",
]  # fmt: skip
