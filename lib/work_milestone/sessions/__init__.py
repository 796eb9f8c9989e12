"""sessions."""

from work_milestone.sessions.work import (
    DEPTH,
    UNDECIDED,
    adopt,
    await_end,
    await_quota,
    depth,
    is_done,
    see_through,
    start,
    take_up,
    work,
)

__all__ = [
    "DEPTH",
    "UNDECIDED",
    "adopt",
    "await_end",
    "await_quota",
    "depth",
    "is_done",
    "see_through",
    "start",
    "take_up",
    "work",
]
