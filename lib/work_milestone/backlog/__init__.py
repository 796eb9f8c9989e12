"""backlog."""

from work_milestone.backlog.tasks import (
    CONFIG_PATHS,
    DONE,
    Backlog,
    Milestone,
    Staleness,
    Task,
    belongs,
    close_milestone,
    compare,
    done_status,
    find_milestone,
    is_backlog_file,
    parse_backlog,
    parse_milestones,
    parse_task,
)

__all__ = [
    "CONFIG_PATHS",
    "DONE",
    "Backlog",
    "Milestone",
    "Staleness",
    "Task",
    "belongs",
    "close_milestone",
    "compare",
    "done_status",
    "find_milestone",
    "is_backlog_file",
    "parse_backlog",
    "parse_milestones",
    "parse_task",
]
