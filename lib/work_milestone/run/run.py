"""Where the items of a milestone stand, by receipts and git.

Rule: what git says is asked once and then kept up with what this process merges; the run lock keeps others out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from work_milestone import plan as plans
from work_milestone.backlog import files as backlog_files
from work_milestone.git import trees
from work_milestone.run.context import TRAILER, Context, Groomed
from work_milestone.store import overlay
from work_milestone.store.outcomes import REFUSED, Facts, Merge, Session
from work_milestone.store.receipts import LANDING, Receipt
from work_milestone.supervision import attempts

Kind = TypeVar("Kind", Session, Merge)


class Run(Context):
    """The context that every step works in, and where each item stands."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        super().__init__(root, variables)
        self._facts: dict[int, tuple[int, Facts]] = {}
        self.head: str | None = None  # where this process knows the integration branch to stand
        self.continues = False  # whether this process is a further generation of a run

    @cached_property
    def recorded(self) -> Mapping[int, overlay.FollowUp]:
        """Every follow-up that was ever added, by issue, also those that the plan has no place for any more."""
        return overlay.load(self.folder)

    @cached_property
    def followups(self) -> Mapping[int, overlay.FollowUp]:
        """The follow-up items by issue, those that this process adds included."""
        return overlay.fit(self.recorded, self.plan.items) if self.plan else {}

    @cached_property
    def waves(self) -> tuple[plans.Wave, ...]:
        """The waves of the plan and those of the follow-ups that were there at the beginning; none without a plan."""
        if self.plan is None:
            return ()
        return tuple(overlay.arrange(self.plan.waves, self.followups, self.settled))

    @cached_property
    def dispatched(self) -> Mapping[int, plans.Item]:
        """The items that stand in a wave, in the order of the waves."""
        return {item.issue: item for wave in self.waves for item in wave.items}

    @cached_property
    def items(self) -> Mapping[int, plans.Item]:
        """Every item: those of the waves, and the follow-ups that came up since, for a further generation."""
        if self.plan is None:
            return {}
        everything = overlay.arrange(self.plan.waves, self.followups, self.settled)
        return {**{item.issue: item for wave in everything for item in wave.items}, **self.dispatched}

    def drop_plan(self) -> None:
        """Go on without a plan, as what must be known beside it cannot be read."""
        self.plan = None
        for name in ("followups", "waves", "dispatched", "items"):
            self.__dict__.pop(name, None)

    def add_followup(self, one: overlay.FollowUp) -> None:
        """Write a follow-up down, and count it among the items from now on."""
        everything = {**self.recorded, one.issue: one}
        overlay.write(self.folder, everything.values())
        # Replaced and not changed: other threads may be looking through what was there.
        self.recorded, self.followups = everything, {**self.followups, one.issue: one}
        self.__dict__.pop("items", None)
        self.folder.changes += 1

    def followup_of(self, issue: int) -> overlay.FollowUp | None:
        """Return the follow-up that has taken over what is left of an item."""
        return next((one for one in self.followups.values() if one.origin == issue != one.issue), None)

    def followers(self, issue: int) -> list[int]:
        """Name the follow-ups that settle an item: its own, that one's, and so on."""
        found: list[int] = []
        while one := self.followup_of(found[-1] if found else issue):
            found.append(one.issue)
        return found

    def settles(self, issue: int) -> list[int]:
        """Name the items that an item's merge settles: its origin, that one's origin, and so on."""
        found: list[int] = []
        while (one := self.followups.get(found[-1] if found else issue)) and one.origin not in found:
            found.append(one.origin)
        return found

    @cached_property
    def backlog(self) -> Groomed | None:
        """The backlog: git's where git tracks one, else what lies in the checkout, None when there is none."""
        rev = self.repo.resolve(self.ref)
        if rev is None or self.is_behind(rev):
            rev = self.repo.resolve(self.main_ref)
        blobs = trees.read_files(self.repo, rev, *backlog_files.PLACES) if rev else {}
        if any(path.startswith("backlog/tasks/") for path in blobs):
            return Groomed(backlog_files.read_backlog(blobs), tracked=True)
        content = backlog_files.load_backlog(self.root)
        return Groomed(content, tracked=False) if content else None

    def is_behind(self, head: str) -> bool:
        """Tell whether main has moved on from the integration branch's head, on which nothing rests yet."""
        if self.branch_receipt is None or any(self.folder.attempts(issue) for issue in self.folder.issues()):
            return False
        main = self.repo.resolve(self.main_ref)
        if main in (None, head) or self.parts or self.complete:
            return False
        return head == self.branch_receipt["base"] or self.repo.is_ancestor(head, str(main))

    @cached_property
    def parts(self) -> dict[int, dict[str, bool]]:
        """By item, the heads that git shows as merged, and whether each was the whole of the item."""
        if not self.branch_receipt:
            return {}
        tips = [ref for ref in (self.ref, self.main_ref) if self.repo.resolve(ref)]
        tips += self.repo.refs(self.landed_ref)
        return self.scan(*tips, f"^{self.branch_receipt['base']}") if tips else {}

    def scan(self, *span: str) -> dict[int, dict[str, bool]]:
        """Find this milestone's squash commits in a span of history."""
        found: dict[int, dict[str, bool]] = {}
        for _, trailers in self.repo.trailers(TRAILER, *span):
            issue = trailers.get(f"{TRAILER}-Item", "")
            if trailers[TRAILER] == str(self.number) and issue.isdecimal():
                whole, head = f"{TRAILER}-Part" not in trailers, trailers.get(f"{TRAILER}-Head", "")
                settled = trailers.get(f"{TRAILER}-Settles", "").split() if whole else []
                for number in (issue, *settled):
                    found.setdefault(int(number), {})[head] = whole
        return found

    @cached_property
    def _heads(self) -> set[str]:
        """The commits that finished sessions ended on, and those that gates refused, as far as they still exist."""
        begun = self._begun & self._known
        known = [(self.result(issue), "head") for issue in begun] + [
            (self.merge(issue), "candidate") for issue in begun
        ]
        heads = [str(receipt[name]) for receipt, name in known if receipt and receipt.get(name)]
        if not heads:
            return set()
        done = self.repo.call("cat-file", "--batch-check", stdin="".join(f"{head}\n" for head in heads).encode())
        lines = done.stdout.decode(errors="replace").splitlines()
        return {line.split()[0] for line in lines if " commit " in line}

    def result(self, issue: int) -> Receipt | None:
        """The receipt of an item's latest finished session."""
        return self.folder.load(self.folder.receipt(issue, "spawn"))

    def merge(self, issue: int) -> Receipt | None:
        """The receipt of an item's latest merge, None when a session has ended since."""
        found = self.folder.load(self.folder.receipt(issue, "merge"))
        stale = found and found["status"] != Merge.SKIPPED and found.get("attempt") != _attempt(self.result(issue))
        return None if stale else found

    def mend(self, issue: int) -> Receipt | None:
        """The receipt of the latest session that mended an item's conflict or gate."""
        return self.folder.load(self.folder.receipt(issue, "mend"))

    @property
    def _known(self) -> set[int]:
        return (self.plan.items.keys() if self.plan else set()) | self.followups.keys()

    @cached_property
    def _begun(self) -> set[int]:
        return self.folder.issues()

    def facts(self, issue: int) -> Facts:
        """Gather what is known of an item, anew only when something has changed since."""
        changes = self.folder.changes
        known = self._facts.get(issue)
        if known is None or known[0] != changes:
            known = self._facts[issue] = (changes, self._gather(issue))
        return known[1]

    def _gather(self, issue: int) -> Facts:
        planned_item = self.plan.items.get(issue) if self.plan else None
        planned, parts = planned_item.status if planned_item else "pending", self.parts.get(issue, {})
        if issue not in self._begun:
            return Facts(planned=planned, parts=parts)
        result, merge = self.result(issue) or {}, self.merge(issue) or {}
        head, followup = result.get("head"), self.followup_of(issue)
        return Facts(
            planned=planned,
            session=_member(Session, result.get("status")),
            head=head if head in self._heads else None,
            merge=_member(Merge, merge.get("status")),
            reason=self._reason(result, merge, followup),
            parts=parts,
            followup=followup.kind.value if followup else None,
            followup_skipped=followup is not None and self.facts(followup.issue).skipped,
        )

    def _reason(self, result: Receipt, merge: Receipt, followup: overlay.FollowUp | None) -> str:
        told = str(merge.get("reason") or result.get("detail") or "")
        if followup is None or str(followup.issue) in told:
            return told
        return f"{told or 'partial'}; follow-up #{followup.issue} has the rest"

    def needs_session(self, issue: int) -> bool:
        """Tell whether a session is to be started, or taken up, and the item has not had its turn in this run."""
        return self.facts(issue).needs_session and not self._had(self.result(issue))

    def was_refused(self, issue: int) -> bool:
        """Tell whether an earlier generation of this run has merged, and mended, as often as it may, in vain."""
        return self._had(self.merge(issue)) and self.facts(issue).merge in REFUSED

    def _had(self, receipt: Receipt | None) -> bool:
        """Tell whether an earlier generation of this run wrote a receipt: the same process, before it replaced itself.

        By who wrote it and not by when: somebody may have set the clock.
        """
        return self.continues and receipt is not None and receipt.get("writer") == self.folder.writer

    def settled(self, issue: int) -> bool:
        """Tell whether nothing is left to do for an item."""
        return self.facts(issue).settled

    @property
    def spent(self) -> float:
        """What all sessions have cost so far, in US dollars, as far as their agents say."""
        return sum(self.spent_on(issue) for issue in (*self.folder.issues(), LANDING))

    def spent_on(self, issue: int) -> float:
        """What the sessions of an item, or of the landing, have cost: its work's, and those that mended."""
        return sum(float((receipt or {}).get("spent") or 0) for receipt in (self.result(issue), self.mend(issue)))

    @property
    def complete(self) -> bool:
        """Tell whether every item is settled."""
        return bool(self.items) and all(self.settled(issue) for issue in self.items)

    def unmet(self, item: plans.Item) -> list[int]:
        """Name the items that an item still waits for."""
        # A follow-up that was groomed into the plan may well name what it settles.
        own = self.settles(item.issue)
        unmet = [issue for issue in item.depends_on if issue not in own and not self.facts(issue).merged]
        one = self.followups.get(item.issue)
        if one and one.kind is overlay.Kind.REST and one.head not in self.parts.get(one.origin, {}):
            unmet.append(one.origin)  # its finished part comes first
        return unmet

    def attempt_state(self, issue: int) -> str:
        """Tell how the latest attempt stands: none, alive, finished, dead, or judged when its result is in."""
        number = self.folder.attempts(issue) if issue in self._begun or issue == LANDING else 0
        if number == 0:
            return "none"
        if number in (_attempt(self.result(issue)), _attempt(self.mend(issue))):
            return "judged"
        return attempts.state(self.folder.attempt(issue, number))

    def begin(self, issue: int) -> None:
        """Note that an item has receipts from now on."""
        self._begun.add(issue)
        self.folder.changes += 1

    def stands(self, commit: object) -> bool:
        """Tell whether a commit that a session ended on, or that a gate refused, still exists."""
        return commit in self._heads

    def note_head(self, head: str) -> None:
        """Note a commit that a session has just ended on, or that a gate has refused."""
        self._heads.add(head)
        self.folder.changes += 1

    def note_part(self, issue: int, head: str, *, whole: bool) -> None:
        """Note a merge that has just been made."""
        for number in (issue, *(self.settles(issue) if whole else ())):
            self.parts.setdefault(number, {})[head] = whole
        self.folder.changes += 1

    def reread(self) -> None:
        """Ask git and the receipts anew."""
        self.folder.forget()
        self.head = None
        for name in ("branch_receipt", "parts", "_heads", "_begun", "recorded", "followups", "items"):
            self.__dict__.pop(name, None)
        self.folder.changes += 1


def _attempt(result: Receipt | None) -> int:
    return int(result.get("attempt", 0)) if result else 0


def _member(kind: type[Kind], value: object) -> Kind | None:
    """Return the member of a closed set, None for what is not in it."""
    return kind(value) if isinstance(value, str) and value in kind.__members__.values() else None
