"""Faults of the user's world, one class per kind.

Rule: a message says what is wrong, where, and the next command. Whatever is raised as one of these is shown
to the user as it is, without a traceback; anything else that escapes is a fault of this tool.
"""


class MilestoneError(Exception):
    """Base of every fault that is told to the user in plain words."""


class PlanError(MilestoneError):
    """The dispatch plan cannot be used. Holds every fault found, one `file:line:column: what` a line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class SettingsError(PlanError):
    """`milestone.yaml` or a variable on the command line cannot be used. Holds every fault found."""


class ReceiptError(MilestoneError):
    """A receipt is of a version that this tool does not know, or the run folder cannot be written."""


class ProcessError(MilestoneError):
    """A program failed that must not fail. `returncode` is its exit code, `stderr` the end of its words."""

    def __init__(self, message: str, returncode: int, stderr: str = "") -> None:
        super().__init__(message)
        self.returncode = returncode
        self.stderr = stderr


class GitError(ProcessError):
    """A git command failed where the tool had no answer to its failure."""


class LockedError(MilestoneError):
    """Another process holds the lock; the message names its pid."""


class BacklogError(MilestoneError):
    """An item of the backlog cannot be read or written. Names the file."""


class RenderError(MilestoneError):
    """A template is missing, broken, or uses a name that it is not given. Names the template and the line."""


class PreflightError(PlanError):
    """What stands in the way of a run, all at once."""


class LandingWaitsError(MilestoneError):
    """Everything is ready, but main cannot be moved now; says what is in the way. The same line later goes on."""
