"""The closed sets of how things end: sessions, merges, and what a session is for."""

from __future__ import annotations

from enum import StrEnum


class Session(StrEnum):
    """How an attempt ended. The first four are its own report."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    BLOCKED = "blocked"
    FAILED = "failed"
    TIMEOUT = "timeout"
    TURNS = "turns"
    BUDGET = "budget"
    QUOTA = "quota"
    TRANSIENT = "transient"
    AUTH = "auth"
    STOPPED = "stopped"
    CRASHED = "crashed"


class Kind(StrEnum):
    """What a session is for: an item's work, or mending what its merge ran into."""

    WORK = "work"
    RESOLVE = "resolve"
    FIX = "fix"


class MergeStatus(StrEnum):
    """How the merge of an item ended."""

    MERGED = "merged"
    CONFLICT = "conflict"
    GATE = "gate"
    DROPPED = "dropped"
    WAITING = "waiting"
    SKIPPED = "skipped"


WITH_WORK = frozenset({Session.COMPLETE, Session.PARTIAL})
REFUSED = frozenset({MergeStatus.CONFLICT, MergeStatus.GATE, MergeStatus.DROPPED})
RETRIED = frozenset({Session.TIMEOUT, Session.TURNS, Session.TRANSIENT})
# A conversation that was cut short, and that can be gone on with where it is still known.
RESUMED = RETRIED | {Session.QUOTA, Session.BUDGET, Session.STOPPED, Session.CRASHED}
