"""A run: one milestone as one process works it.

Three things, each on its own: who it is (`milestone`), the records of its steps (`receipts`), what git says
(`history`). `dispatch` has the items in waves, `tasks` the backlog's part; `standing` puts together where an item
stands, anew only when something has changed since.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

from work_milestone import git
from work_milestone.git import worktrees
from work_milestone.plan import Item
from work_milestone.run.breaker import Breaker
from work_milestone.run.dispatch import Dispatch
from work_milestone.run.history import History
from work_milestone.run.milestone import Milestone, open_milestone
from work_milestone.run.standing import Standing
from work_milestone.run.tasks import Tasks
from work_milestone.settings import SessionSettings, session_settings
from work_milestone.store import LANDING, Event, Journal, Kind, MergeStatus, Receipts, records
from work_milestone.supervision import attempts
from work_milestone.system import KernelLock

EXCLUDED = "/.milestone/[0-9]*/"
AttemptState = Literal["none", "alive", "finished", "dead", "judged"]


class Run:
    """What every step works with."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        milestone = open_milestone(root, variables)
        folder, settings = milestone.folder, milestone.settings
        self.receipts = Receipts(folder)
        self.repo = git.Repo(root, f"git {folder.path}")
        self._become(milestone)
        self.journal = Journal(folder.path / "journal.jsonl")
        self.pool = worktrees.Pool(self.repo, folder.path / "worktrees", settings.links)
        self.breaker = Breaker(settings.backoff, lambda outcome, detail: self.tell("sessions", outcome, detail))
        self.lock = KernelLock(folder.path / "run.lock")
        self.kept_back: dict[int, str] = {}  # why no session of an item could be started
        self.chosen: dict[int, str] = {}  # the agent that works an item now, where another stands in for its own
        self.continues = False  # whether this process is a further generation of a run
        self._standings: dict[int, tuple[tuple[object, ...], Standing]] = {}
        self._state = object()

    def _become(self, milestone: Milestone) -> None:
        self.milestone = milestone
        self.history = History(milestone, self.repo, self.receipts, self._named)
        self.dispatch = Dispatch(milestone.plan, self.receipts, self.is_settled)
        self.tasks = Tasks(milestone, self.repo, self.dispatch, self._find_rev_of_tasks)

    def go_without_plan(self, fault: str) -> None:
        """Keep a fault that makes the plan useless, as what must be known beside it cannot be read."""
        self._become(self.milestone.without_plan(fault))

    @property
    def place(self) -> Path:
        """The worktree where gates run."""
        return self.milestone.folder.path / "integration"

    def take(self) -> None:
        """Take the run lock, its folder out of git's sight first. Raise LockedError when another run holds it."""
        exclude = self.repo.common / "info" / "exclude"
        text = exclude.read_text(errors="surrogateescape") if exclude.exists() else ""
        if EXCLUDED not in text.splitlines():
            exclude.parent.mkdir(exist_ok=True)
            with exclude.open("a", errors="surrogateescape") as file:
                file.write(("" if text.endswith("\n") or not text else "\n") + EXCLUDED + "\n")
        self.lock.acquire()

    def tell(self, step: str, outcome: str, detail: str = "", *, issue: int | None = None,
             elapsed: float | None = None, cost: float | None = None) -> None:  # fmt: skip
        """Put an event into the journal; the landing has no issue there."""
        self.journal.tell(Event(step, outcome, detail, issue or None, elapsed, cost))

    # -- where items stand

    def standing(self, issue: int) -> Standing:
        """Gather what is known of an item, or of the landing, anew only when something has changed since."""
        state = (self.receipts.state, self.history.state, self.dispatch.state, self._state)
        known = self._standings.get(issue)
        if known is None or known[0] != state:
            known = self._standings[issue] = (state, self._gather(issue))
        return known[1]

    def _gather(self, issue: int) -> Standing:
        item = self.milestone.plan.items.get(issue) if self.milestone.plan else None
        planned, parts = item.status if item else "pending", self.history.parts.get(issue, {})
        if issue not in self._begun and issue != LANDING:
            return Standing(issue, planned, parts=parts)
        work, merge = self.receipts.load(records.Work, issue), self._find_merge(issue)
        followup = self.dispatch.followup_of(issue)
        return Standing(
            issue,
            planned,
            work=work,
            head_exists=work is not None and self.history.exists(work.head),
            merge=merge,
            candidate_exists=merge is not None and self.history.exists(merge.candidate),
            mend=self.receipts.load(records.Mend, issue),
            parts=parts,
            followup=followup,
            followup_skipped=followup is not None and self.standing(followup.issue).skipped,
            settles=tuple(self.dispatch.settled_by(issue)),
            had_work=self._had(work),
            had_merge=self._had(merge),
        )

    def _find_merge(self, issue: int) -> records.Merge | None:
        """Return an item's latest merge, None when a session has ended since."""
        work, merge = self.receipts.load(records.Work, issue), self.receipts.load(records.Merge, issue)
        stands = merge and (merge.outcome is MergeStatus.SKIPPED or merge.attempt == (work.attempt if work else 0))
        return merge if stands else None

    def _had(self, record: records.Record | None) -> bool:
        """Tell whether an earlier generation of this run wrote a receipt: the same process, before it replaced itself.

        By who wrote it and not by when: somebody may have set the clock.
        """
        return self.continues and record is not None and record.writer == self.receipts.writer

    @cached_property
    def _begun(self) -> set[int]:
        return self.milestone.folder.issues()

    def begin(self, issue: int) -> None:
        """Note that an item has receipts from now on."""
        self._begun.add(issue)
        self._state = object()

    def _named(self) -> Iterator[str]:
        """Give the commits that sessions ended on, and those that gates refused."""
        planned = self.milestone.plan.items.keys() if self.milestone.plan else set()
        for issue in self._begun & (planned | self.dispatch.followups.keys()):
            work, merge = self.receipts.load(records.Work, issue), self._find_merge(issue)
            yield from filter(None, (work and work.head, merge and merge.candidate))

    def is_settled(self, issue: int) -> bool:
        """Tell whether nothing is left to do for an item."""
        return self.standing(issue).settled

    @property
    def is_complete(self) -> bool:
        """Tell whether every item is settled."""
        return bool(self.dispatch.items) and all(self.is_settled(issue) for issue in self.dispatch.items)

    def find_unmet(self, item: Item) -> list[int]:
        """Name the items that an item still waits for."""
        # A follow-up that was groomed into the plan may well name what it settles.
        own = self.dispatch.settled_by(item.issue)
        unmet = [issue for issue in item.depends_on if issue not in own and not self.standing(issue).merged]
        one = self.dispatch.followups.get(item.issue)
        if one and one.is_rest and one.head not in self.standing(one.origin).parts:
            unmet.append(one.origin)  # its finished part comes first
        return unmet

    def find_attempt(self, issue: int) -> tuple[int, AttemptState]:
        """Return the number of the latest attempt, and how it stands: judged when its result is in."""
        folder, standing = self.milestone.folder, self.standing(issue)
        number = folder.attempts(issue) if issue in self._begun or issue == LANDING else 0
        if number == 0:
            return 0, "none"
        if any(record and record.attempt == number for record in (standing.work, standing.mend)):
            return number, "judged"
        return number, attempts.state(folder.attempt(issue, number))

    def find_kind(self, issue: int) -> Kind:
        """Tell what the latest attempt is for; where that is damaged, by what there was to do."""
        number = self.milestone.folder.attempts(issue)
        for found in (self.receipts.load(records.Started, issue, number), self.receipts.load(records.Worktree, issue)):
            if found and found.attempt == number:
                return found.kind
        return Kind.WORK if issue != LANDING and self.standing(issue).lacks_work else Kind.RESOLVE

    def is_being_mended(self, issue: int) -> bool:
        """Tell whether a session that mends is at work, or has ended and is not judged."""
        is_begun = self.find_attempt(issue)[1] in ("alive", "finished", "dead")
        return is_begun and self.find_kind(issue) is not Kind.WORK

    def is_alive(self, issue: int) -> bool:
        """Tell whether a session of an item, or of the landing, is at work."""
        return self.find_attempt(issue)[1] == "alive"

    @property
    def issues(self) -> tuple[int, ...]:
        """Every item that has left anything, in order, and the landing."""
        return (*sorted(self.milestone.folder.issues()), LANDING)

    @property
    def spent(self) -> float:
        """What all sessions have cost so far, in US dollars, as far as their agents say."""
        return sum(self.standing(issue).spent for issue in self.issues)

    def session_settings(self, issue: int, agent: str | None = None) -> SessionSettings:
        """Return what a session of an item, or of the landing, is started with; `agent` stands in for its own."""
        return session_settings(self.milestone.settings, self.dispatch.items.get(issue), agent)

    # -- the integration branch, while nothing rests on it

    def is_behind(self, head: str) -> bool:
        """Tell whether main has moved on from the integration branch's head, on which nothing rests yet."""
        folder, made = self.milestone.folder, self.history.made
        if made is None or any(folder.attempts(issue) for issue in folder.issues()):
            return False
        main = self.repo.resolve(self.history.main_ref)
        if main in (None, head) or self.history.parts or self.is_complete:
            return False
        return head == made.base or self.repo.is_ancestor(head, str(main))

    def _find_rev_of_tasks(self) -> str | None:
        """Find where a backlog that git tracks is read: the integration branch, or main where that will stand."""
        rev = self.repo.resolve(self.history.ref)
        return self.repo.resolve(self.history.main_ref) if rev is None or self.is_behind(rev) else rev

    def reread(self) -> None:
        """Ask git and the receipts anew."""
        self.receipts.forget()
        self.history.reread()
        self.dispatch.reread()
        self.__dict__.pop("_begun", None)
        self._state = object()
