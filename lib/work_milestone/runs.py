"""Where the items of a milestone stand, by receipts and git.

Rule: what git says is asked once and then kept up with what this process merges; the run lock keeps others out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from work_milestone import attempts
from work_milestone import plan as plans
from work_milestone.context import TRAILER, Context
from work_milestone.receipts import Receipt
from work_milestone.states import Facts, Merge, Session

Kind = TypeVar("Kind", Session, Merge)


class Run(Context):
    """The context that every step works in, and where each item stands."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        super().__init__(root, variables)
        self._facts: dict[int, tuple[int, Facts]] = {}
        self.head: str | None = None  # where this process knows the integration branch to stand

    @property
    def waves(self) -> tuple[plans.Wave, ...]:
        """The waves of the plan, none when there is no usable plan."""
        return self.plan.waves if self.plan else ()

    @property
    def items(self) -> Mapping[int, plans.Item]:
        """The items of the plan, in its order."""
        return self.plan.items if self.plan else {}

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
                part = found.setdefault(int(issue), {})
                part[trailers.get(f"{TRAILER}-Head", "")] = f"{TRAILER}-Part" not in trailers
        return found

    @cached_property
    def _heads(self) -> set[str]:
        """The commits that finished sessions ended on and that still exist."""
        heads = [str(receipt["head"]) for issue in self.folder.issues() & self.items.keys()
                 if (receipt := self.result(issue)) and receipt.get("head")]  # fmt: skip
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
        planned, parts = self.items[issue].status, self.parts.get(issue, {})
        if issue not in self._begun:
            return Facts(planned=planned, parts=parts)
        result, merge = self.result(issue) or {}, self.merge(issue) or {}
        head = result.get("head")
        return Facts(
            planned=planned,
            session=_member(Session, result.get("status")),
            head=head if head in self._heads else None,
            merge=_member(Merge, merge.get("status")),
            reason=str(merge.get("reason") or result.get("detail") or ""),
            parts=parts,
        )

    def settled(self, issue: int) -> bool:
        """Tell whether nothing is left to do for an item."""
        return self.facts(issue).settled

    @property
    def complete(self) -> bool:
        """Tell whether every item is settled."""
        return bool(self.items) and all(self.settled(issue) for issue in self.items)

    def unmet(self, item: plans.Item) -> list[int]:
        """Name the dependencies that an item still waits for."""
        return [issue for issue in item.depends_on if not self.facts(issue).merged]

    def attempt_state(self, issue: int) -> str:
        """Tell how the latest attempt stands: none, alive, finished, dead, or judged when its result is in."""
        number = self.folder.attempts(issue) if issue in self._begun else 0
        if number == 0:
            return "none"
        result = self.result(issue)
        if result is not None and result.get("attempt") == number:
            return "judged"
        return attempts.state(self.folder.attempt(issue, number))

    def begin(self, issue: int) -> None:
        """Note that an item has receipts from now on."""
        self._begun.add(issue)
        self.folder.changes += 1

    def note_head(self, head: str) -> None:
        """Note a commit that a session has just ended on."""
        self._heads.add(head)
        self.folder.changes += 1

    def note_part(self, issue: int, head: str, *, whole: bool) -> None:
        """Note a merge that has just been made."""
        self.parts.setdefault(issue, {})[head] = whole
        self.folder.changes += 1

    def reread(self) -> None:
        """Ask git and the receipts anew."""
        self.folder.forget()
        self.head = None
        for name in ("branch_receipt", "parts", "_heads", "_begun"):
            self.__dict__.pop(name, None)
        self.folder.changes += 1


def _attempt(result: Receipt | None) -> int:
    return int(result.get("attempt", 0)) if result else 0


def _member(kind: type[Kind], value: object) -> Kind | None:
    """Return the member of a closed set, None for what is not in it."""
    return kind(value) if isinstance(value, str) and value in kind.__members__.values() else None
