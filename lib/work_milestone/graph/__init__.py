"""graph."""

from work_milestone.graph.tasks import (
    UNWRITABLE,
    Action,
    Check,
    Task,
    configure,
    describe,
    describe_milestone,
    open_run,
    step,
)

__all__ = ["UNWRITABLE", "Action", "Check", "Task", "configure", "describe", "describe_milestone", "open_run", "step"]
