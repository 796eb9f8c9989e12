"""plan."""

from work_milestone.plan.model import (
    MAX_NUMBER,
    ConflictGroup,
    Gates,
    Item,
    Money,
    Number,
    Plan,
    PlanSummary,
    Priority,
    Seconds,
    Status,
    Text,
    Wave,
    list_plans,
    load_plan,
    plan_path,
)

__all__ = [
    "MAX_NUMBER",
    "ConflictGroup",
    "Gates",
    "Item",
    "Money",
    "Number",
    "Plan",
    "PlanSummary",
    "Priority",
    "Seconds",
    "Status",
    "Text",
    "Wave",
    "list_plans",
    "load_plan",
    "plan_path",
]
