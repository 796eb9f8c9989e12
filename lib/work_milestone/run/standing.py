"""Where an item stands: its records and what git says of it, gathered once; what follows from them. Pure.

Rules:
- Git has the last word: an item whose whole work bears its trailer on the integration branch or on main is
  merged, whatever the receipts say.
- An item is *settled* when it is merged, was complete before, or was skipped by a person. Every step of a
  settled item is fresh.
- A finished session is never paid for twice: it stays valid as long as the commit that it ended on exists.
- A dependency is met by merged or complete work alone: whoever skips an item has its dependents wait.
- A follow-up takes over what is left of an item: that needs no session of its own any more, is merged when its
  follow-up is (whose commit says so), and skipped when that is skipped.
- What has had its turn in this run, and failed, is not tried again by a later generation of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from work_milestone.plan import FollowUp, Reason
from work_milestone.store import REFUSED, MergeStatus, records


@dataclass(frozen=True)
class Standing:
    """What is known of an item.

    `planned` is the plan's own status; `work` its latest session's end, `merge` its latest merge, None when a session
    has ended since, `mend` the latest session that mended; `head_exists` and `candidate_exists` tell of the commits
    that they name. `parts` are the heads merged so far, with whether each was the whole of the item's work; `followup`
    is what has taken over from it, `followup_skipped` when a person has left that out, `settles` the items that it
    settles itself, as a follow-up. `had_work` and `had_merge`: an earlier generation of this run has written them.
    """

    issue: int
    planned: str = "pending"
    work: records.Work | None = None
    head_exists: bool = False
    merge: records.Merge | None = None
    candidate_exists: bool = False
    mend: records.Mend | None = None
    parts: Mapping[str, bool] = field(default_factory=dict)
    followup: FollowUp | None = None
    followup_skipped: bool = False
    settles: tuple[int, ...] = ()
    had_work: bool = False
    had_merge: bool = False

    @property
    def head(self) -> str | None:
        """The commit that the last session ended on, None when it is gone."""
        return self.work.head if self.work and self.head_exists else None

    @property
    def merging(self) -> MergeStatus | None:
        """How the latest merge ended."""
        return self.merge.outcome if self.merge else None

    @property
    def skipped(self) -> bool:
        """A person, or the plan, left the item out."""
        left_out = self.merging is MergeStatus.SKIPPED or self.planned == "skipped" or self.followup_skipped
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
        waits = self.work is not None and self.work.has_work and self.head is not None and self.head not in self.parts
        return waits and not self.settled and not self._taken_over(Reason.CONFLICT)

    @property
    def followed(self) -> bool:
        """A follow-up has taken over: what could not be merged, or the rest of what is merged in part."""
        taken = self._taken_over(Reason.CONFLICT) or (self._taken_over(Reason.REST) and bool(self.parts))
        return taken and not self.settled and not self.mergeable

    def _taken_over(self, reason: Reason) -> bool:
        return self.followup is not None and self.followup.kind is reason

    @property
    def lacks_work(self) -> bool:
        """No finished session's work is there, and nobody else has it."""
        return not self.settled and not self.mergeable and not self.followed

    @property
    def needs_session(self) -> bool:
        """A session is to be started, or taken up, and the item has not had its turn in this run."""
        return self.lacks_work and not self.had_work

    @property
    def was_refused(self) -> bool:
        """An earlier generation of this run has merged, and mended, as often as it may, in vain."""
        return self.had_merge and self.merging in REFUSED

    @property
    def reason(self) -> str:
        """Why it stands so, as its merge or its session has told."""
        told = (self.merge.reason if self.merge else "") or (self.work.detail if self.work else "")
        if self.followup is None or str(self.followup.issue) in told:
            return told
        return f"{told or 'partial'}; follow-up #{self.followup.issue} has the rest"

    @property
    def spent(self) -> float:
        """What the sessions of the item have cost, its work's and those that mended, in US dollars."""
        return sum(record.spent for record in (self.work, self.mend) if record)

    @property
    def word(self) -> str:
        """The state in one word, as tables show it."""
        if self.planned == "complete" and not self.parts:
            return "complete"
        if self.settled:
            return (MergeStatus.MERGED if self.merged else MergeStatus.SKIPPED).value
        if self.followed:
            return "partial" if self.parts else MergeStatus.CONFLICT.value
        if self.mergeable:
            return self.merging.value if self.merging in REFUSED and self.merging else "ready"
        if self.merging is MergeStatus.WAITING:
            return self.merging.value
        outcome = self.work.outcome if self.work else None
        return outcome.value if outcome else "pending"
