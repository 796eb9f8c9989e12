"""One milestone of one repository, as one process sees it: what is planned, and where each item stands.

Rules:
- Opening a run never fails and changes nothing: what is wrong with plan or settings is kept in `faults`, for
  preflight to tell with everything else.
- What git says is asked once and then kept up with what this process merges; the run lock keeps others out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

from work_milestone import attempts, backlog, backlog_files, git, settings, trees, worktrees
from work_milestone import plan as plans
from work_milestone.errors import MilestoneError, PlanError
from work_milestone.journal import Event, Journal
from work_milestone.receipts import KernelLock, Receipt, RunFolder
from work_milestone.states import Facts, Merge, Session

TRAILER = "Milestone"
EXCLUDED = "/.milestone/[0-9]*/"
Kind = TypeVar("Kind", Session, Merge)


class Groomed(NamedTuple):
    """A backlog, and whether git tracks it."""

    content: backlog.Backlog
    tracked: bool


class Run:
    """The context that every step works in."""

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self.root = root
        self.faults: list[str] = []
        self.settings_faults = False
        self.number = self._number(variables)
        self.settings = self._settings(variables)
        self.plan = self._plan()
        self.folder = RunFolder(root, self.number or 0)
        self.journal = Journal(self.folder.path / "journal.jsonl")
        self.repo = git.Repo(root, f"git {self.folder.path}")
        self.pool = worktrees.Pool(self.repo, self.folder.path / "worktrees", self.settings.links)
        self.lock = KernelLock(self.folder.path / "run.lock")
        self._facts: dict[int, tuple[int, Facts]] = {}
        self.head: str | None = None  # where this process knows the integration branch to stand

    def _number(self, variables: Mapping[str, str]) -> int | None:
        try:
            return settings.parse_number(variables.get("n"))
        except PlanError as error:
            self.faults += error.faults
            return None

    def _settings(self, variables: Mapping[str, str]) -> settings.Settings:
        try:
            return settings.load_settings(self.root, variables)
        except PlanError as error:
            self.faults += error.faults
            self.settings_faults = True
            return settings.Settings()

    def _plan(self) -> plans.Plan | None:
        if self.number is None:
            return None
        try:
            return plans.load_plan(self.root, self.number)
        except PlanError as error:
            self.faults += error.faults
            return None

    def take(self) -> None:
        """Take the run lock, its folder out of git's sight first. Raise LockedError when another run holds it."""
        exclude = self.repo.common / "info" / "exclude"
        text = exclude.read_text(errors="surrogateescape") if exclude.exists() else ""
        if EXCLUDED not in text.splitlines():
            exclude.parent.mkdir(exist_ok=True)
            with exclude.open("a", errors="surrogateescape") as file:
                file.write(("" if text.endswith("\n") or not text else "\n") + EXCLUDED + "\n")
        self.lock.acquire()

    # -- the plan

    def require_plan(self) -> plans.Plan:
        """Return the plan. Raise MilestoneError when there is none that can be used."""
        if self.plan is None:
            raise MilestoneError(
                f"milestone {self.number} has no usable plan; doit preflight n={self.number or 'N'} says why"
            )
        return self.plan

    @property
    def waves(self) -> tuple[plans.Wave, ...]:
        """The waves of the plan, none when there is no usable plan."""
        return self.plan.waves if self.plan else ()

    @property
    def items(self) -> Mapping[int, plans.Item]:
        """The items of the plan, in its order."""
        return self.plan.items if self.plan else {}

    def tell(self, step: str, outcome: str, detail: str = "", *, issue: int | None = None,
             elapsed: float | None = None, cost: float | None = None) -> None:  # fmt: skip
        """Put an event into the journal."""
        self.journal.tell(Event(step, outcome, detail, issue, elapsed, cost))

    # -- branches

    @cached_property
    def branch_receipt(self) -> Receipt | None:
        """The receipt of the integration branch, None when this run has made none."""
        return self.folder.load(self.folder.path / "branch.json")

    @property
    def branch(self) -> str:
        """The integration branch: the one that the run began with, whatever the plan says since."""
        if self.branch_receipt:
            return str(self.branch_receipt["branch"])
        return self.plan.integration_branch if self.plan else f"milestone/{self.number}"

    @property
    def ref(self) -> str:
        """The integration branch's ref."""
        return f"refs/heads/{self.branch}"

    @cached_property
    def remote(self) -> str | None:
        """The remote to push to: the one that is set, else origin, else the only one there is."""
        if self.settings.remote is not None:
            return None if self.settings.remote == "none" else self.settings.remote
        names = self.repo.text("remote").split()
        return "origin" if "origin" in names else names[0] if len(names) == 1 else None

    @cached_property
    def main(self) -> str:
        """The branch to land on. Raise MilestoneError when none can be found."""
        if self.settings.main:
            return self.settings.main
        if self.branch_receipt and self.branch_receipt.get("main"):
            return str(self.branch_receipt["main"])
        names = []
        if self.remote:
            head = self.repo.call("symbolic-ref", "--quiet", f"refs/remotes/{self.remote}/HEAD", accept=(0, 1, 128))
            names.append(git.decode(head.stdout).strip().removeprefix(f"refs/remotes/{self.remote}/"))
        names += [self.repo.config("init.defaultBranch") or "", "main", "master"]
        local = self.repo.refs("refs/heads")
        for name in names:
            if f"refs/heads/{name}" in local:
                return name
        raise MilestoneError(
            f"{self.root}: no main branch found (looked for {', '.join(filter(None, names))}); "
            "name it: main: NAME in milestone.yaml, or main=NAME on the command line"
        )

    @property
    def landed_ref(self) -> str:
        """Below it are heads of the integration branch that have landed in another form, squashed by somebody."""
        return f"refs/milestone/{self.number}/landed"

    @property
    def main_ref(self) -> str:
        """Main's ref."""
        return f"refs/heads/{self.main}"

    @cached_property
    def backlog(self) -> Groomed | None:
        """The backlog: git's where git tracks one, else what lies in the checkout, None when there is none."""
        rev = self.repo.resolve(self.ref) or self.repo.resolve(self.main_ref)
        blobs = trees.read_files(self.repo, rev, *backlog_files.PLACES) if rev else {}
        if any(path.startswith("backlog/tasks/") for path in blobs):
            return Groomed(backlog_files.read_backlog(blobs), tracked=True)
        content = backlog_files.load_backlog(self.root)
        return Groomed(content, tracked=False) if content else None

    # -- where items stand

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

    # -- what this process changed

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
