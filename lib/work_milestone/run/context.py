"""One milestone of one repository, as one process sees it: plan, settings, branches, backlog, locks.

Rule: opening it never fails and changes nothing: what is wrong with plan or settings is kept in `faults`, for
preflight to tell with everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from work_milestone import backlog, git, settings
from work_milestone import plan as plans
from work_milestone.git import worktrees
from work_milestone.run.breaker import Breaker
from work_milestone.store.journal import Event, Journal
from work_milestone.store.receipts import KernelLock, Receipt, RunFolder
from work_milestone.system.errors import MilestoneError, PlanError
from work_milestone.text import masking

TRAILER = "Milestone"
EXCLUDED = "/.milestone/[0-9]*/"


class Groomed(NamedTuple):
    """A backlog, and whether git tracks it."""

    content: backlog.Backlog
    tracked: bool


class Context:
    """What a run works with."""

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
        self.kept_back: dict[int, str] = {}  # why no session of an item could be started
        self.chosen: dict[int, str] = {}  # the agent that works an item now, where another stands in for its own
        self.breaker = Breaker(self.settings.backoff, lambda outcome, detail: self.tell("sessions", outcome, detail))
        self.lock = KernelLock(self.folder.path / "run.lock")

    def _number(self, variables: Mapping[str, str]) -> int | None:
        try:
            return settings.parse_number(variables.get("n"))
        except PlanError as error:
            self.faults += error.faults
            return None

    def _settings(self, variables: Mapping[str, str]) -> settings.Settings:
        try:
            found = settings.load_settings(self.root, variables)
        except PlanError as error:
            self.faults += error.faults
            self.settings_faults = True
            return settings.Settings()
        masking.learn(found.set_env)
        return found

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

    def require_plan(self) -> plans.Plan:
        """Return the plan. Raise MilestoneError when there is none that can be used."""
        if self.plan is None:
            raise MilestoneError(
                f"milestone {self.number} has no usable plan; doit preflight n={self.number or 'N'} says why"
            )
        return self.plan

    def tell(self, step: str, outcome: str, detail: str = "", *, issue: int | None = None,
             elapsed: float | None = None, cost: float | None = None) -> None:  # fmt: skip
        """Put an event into the journal."""
        self.journal.tell(Event(step, outcome, detail, issue, elapsed, cost))

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
