"""Where an item stands, as pure functions of what its receipts and git say.

Rules:
- Git has the last word: an item whose whole work bears its trailer on the integration branch or on main is
  merged, whatever the receipts say.
- An item is *settled* when it is merged, was complete before, or was skipped by a person. Every step of a
  settled item is fresh.
- A finished session is never paid for twice: it stays valid as long as the commit that it ended on exists.
- A dependency is met by merged or complete work alone: whoever skips an item has its dependents wait.
- A follow-up takes over what is left of an item: that needs no session of its own any more, is merged when its
  follow-up is (whose commit says so), and skipped when that is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Session(StrEnum):
    """How an attempt ended. The first three are its own report."""

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


class Merge(StrEnum):
    """How the merge of an item ended."""

    MERGED = "merged"
    CONFLICT = "conflict"
    GATE = "gate"
    DROPPED = "dropped"
    WAITING = "waiting"
    SKIPPED = "skipped"


WITH_WORK = frozenset({Session.COMPLETE, Session.PARTIAL})
REFUSED = frozenset({Merge.CONFLICT, Merge.GATE, Merge.DROPPED})
RETRIED = frozenset({Session.TIMEOUT, Session.TURNS, Session.TRANSIENT})
# A conversation that was cut short, and that can be gone on with where it is still known.
RESUMED = RETRIED | {Session.QUOTA, Session.BUDGET, Session.STOPPED, Session.CRASHED}


@dataclass(frozen=True)
class Facts:
    """What is known of an item.

    `planned` is the plan's own status; `head` the commit that the last session ended on, None when it is gone;
    `parts` the heads merged so far, with whether each was the whole of the item's work; `followup` what an
    item that follows it up has taken over, `rest` or `conflict`; `followup_skipped` when a person has left that out.
    """

    planned: str = "pending"
    session: Session | None = None
    head: str | None = None
    merge: Merge | None = None
    reason: str = ""
    parts: Mapping[str, bool] = field(default_factory=dict)
    followup: str | None = None
    followup_skipped: bool = False

    @property
    def skipped(self) -> bool:
        """A person, or the plan, left the item out."""
        left_out = self.merge is Merge.SKIPPED or self.planned == "skipped" or self.followup_skipped
        return left_out and not self.merged

    @property
    def merged(self) -> bool:
        """All of the item's work is on the branch, or was before the plan was made."""
        return self.planned == "complete" or any(self.parts.values())

    @property
    def settled(self) -> bool:
        """Nothing is left to do."""
        return self.merged or self.skipped

    @property
    def mergeable(self) -> bool:
        """A finished session's work waits to be merged."""
        waits = self.session in WITH_WORK and self.head is not None and self.head not in self.parts
        return waits and not self.settled and self.followup != "conflict"

    @property
    def followed(self) -> bool:
        """A follow-up has taken over: what could not be merged, or the rest of what is merged in part."""
        taken = self.followup == "conflict" or (self.followup == "rest" and bool(self.parts))
        return taken and not self.settled and not self.mergeable

    @property
    def needs_session(self) -> bool:
        """A session is to be started, or taken up."""
        return not self.settled and not self.mergeable and not self.followed

    @property
    def word(self) -> str:
        """The state in one word, as tables show it."""
        if self.planned == "complete" and not self.parts:
            return "complete"
        if self.settled:
            return Merge.MERGED.value if self.merged else Merge.SKIPPED.value
        if self.followed:
            return "partial" if self.parts else Merge.CONFLICT.value
        if self.mergeable:
            return self.merge.value if self.merge in REFUSED else "ready"
        if self.merge is Merge.WAITING:
            return self.merge.value
        return self.session.value if self.session else "pending"
