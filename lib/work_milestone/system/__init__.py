"""The machine: processes, files, locks, memory, signals. It knows nothing of milestones.

Takes argument lists, paths and seconds; gives exit codes, bytes, and locks that end with their holder. Rules: nothing
else starts processes, but a supervisor its agent; whatever is started is ended as a whole tree; a fault is one class of
`errors`, with path, cause and the next command in its words.
"""

from work_milestone.system.errors import (
    BacklogError,
    GitError,
    LandingWaitsError,
    LockedError,
    MilestoneError,
    PlanError,
    PreflightError,
    ProcessError,
    ReceiptError,
    RenderError,
    SettingsError,
)
from work_milestone.system.locks import KernelLock

__all__ = [
    "BacklogError", "GitError", "KernelLock", "LandingWaitsError", "LockedError", "MilestoneError", "PlanError",
    "PreflightError", "ProcessError", "ReceiptError", "RenderError", "SettingsError", "command", "files", "machine",
    "process", "process_table", "signals",
]  # fmt: skip
