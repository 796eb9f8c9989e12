"""What git says of a run: its branches, what of it is merged, which commits still exist.

Rules:
- Git has the last word: what bears the milestone's trailers on the integration branch or on main is merged, whatever
  the receipts say.
- It is asked once, and then kept up with what this process does; the run lock keeps others out.
- The integration branch is the one that the run began with, whatever the plan says since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property

from work_milestone import git
from work_milestone.run.milestone import Milestone
from work_milestone.store import Receipts, records
from work_milestone.system import MilestoneError

TRAILER = "Milestone"
MOST_FILES = 100  # that a command line names


class History:
    """The branches of a run, and what was merged into them."""

    def __init__(
        self, milestone: Milestone, repo: git.Repo, receipts: Receipts, named: Callable[[], Iterable[str]]
    ) -> None:
        self.repo = repo
        self.state = object()  # another one after each change: what was derived before is to be derived again
        self._milestone = milestone
        self._receipts = receipts
        self._named = named  # the commits that receipts name
        self._head: str | None = None

    # -- names

    @property
    def made(self) -> records.Branch | None:
        """The receipt of the integration branch, None when this run has made none."""
        return self._receipts.load(records.Branch)

    @property
    def branch(self) -> str:
        """The integration branch."""
        if self.made:
            return self.made.branch
        plan = self._milestone.plan
        return plan.integration_branch if plan else f"milestone/{self._milestone.number}"

    @property
    def ref(self) -> str:
        """The integration branch's ref."""
        return f"refs/heads/{self.branch}"

    @property
    def landed_ref(self) -> str:
        """Below it are heads of the integration branch that have landed in another form, squashed by somebody."""
        return f"refs/milestone/{self._milestone.number}/landed"

    def attempt_ref(self, issue: int, number: int) -> str:
        """Name the ref that keeps what an attempt made."""
        return f"refs/milestone/{self._milestone.number}/attempt/{issue}/{number}"

    @cached_property
    def remote(self) -> str | None:
        """The remote to push to: the one that is set, else origin, else the only one there is."""
        chosen = self._milestone.settings.remote
        if chosen is not None:
            return None if chosen == "none" else chosen
        names = self.repo.text("remote").split()
        return "origin" if "origin" in names else names[0] if len(names) == 1 else None

    @cached_property
    def main(self) -> str:
        """The branch to land on. Raise MilestoneError when none can be found."""
        if self._milestone.settings.main:
            return self._milestone.settings.main
        if self.made and self.made.main:
            return self.made.main
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
            f"{self._milestone.root}: no main branch found (looked for {', '.join(filter(None, names))}); "
            "name it: main: NAME in milestone.yaml, or main=NAME on the command line"
        )

    @property
    def main_ref(self) -> str:
        """Main's ref."""
        return f"refs/heads/{self.main}"

    # -- where they stand

    def head(self) -> str:
        """The integration branch's head, as this run left it. Raise MilestoneError when somebody has taken it away.

        Whoever builds on it moves the branch by compare and swap, which tells when it is not there any more.
        """
        found = self._head = self._head or self.repo.resolve(self.ref)
        if found is None:
            raise MilestoneError(
                f"branch {self.branch} is gone; `git reflog` may show where it was; "
                f"`git branch {self.branch} COMMIT` puts it back"
            )
        return found

    def move(self, new: str, old: str | None = None) -> None:
        """Move the integration branch; with `old` only from there. Raise RefMovedError when it is not there."""
        self.repo.move(self.ref, new, old)
        self._head = new

    def note_head(self, head: str) -> None:
        """Note where this process has put the integration branch."""
        self._head = head

    def forget_head(self) -> None:
        """Ask anew where the integration branch stands: a person may have been at it since."""
        self._head = None

    @cached_property
    def parts(self) -> dict[int, dict[str, bool]]:
        """By item, the heads that git shows as merged, and whether each was the whole of the item."""
        if not self.made:
            return {}
        tips = [ref for ref in (self.ref, self.main_ref) if self.repo.resolve(ref)]
        tips += self.repo.refs(self.landed_ref)
        return self._scan(*tips, f"^{self.made.base}") if tips else {}

    def _scan(self, *span: str) -> dict[int, dict[str, bool]]:
        """Find this milestone's squash commits in a span of history."""
        found: dict[int, dict[str, bool]] = {}
        for _, trailers in self.repo.trailers(TRAILER, *span):
            issue = trailers.get(f"{TRAILER}-Item", "")
            if trailers[TRAILER] == str(self._milestone.number) and issue.isdecimal():
                whole, head = f"{TRAILER}-Part" not in trailers, trailers.get(f"{TRAILER}-Head", "")
                settled = trailers.get(f"{TRAILER}-Settles", "").split() if whole else []
                for number in (issue, *settled):
                    found.setdefault(int(number), {})[head] = whole
        return found

    def note_part(self, issues: Iterable[int], head: str, *, whole: bool) -> None:
        """Note a merge that has just been made, of an item and of what that settles."""
        for issue in issues:
            self.parts[issue] = {**self.parts.get(issue, {}), head: whole}  # a standing holds what there was
        self.state = object()

    def find_others(self, base: str, onto: str, files: Sequence[str]) -> tuple[int, ...]:
        """Name the items whose squash commits, from `base` on, changed any of some files; the oldest first."""
        # Where a file stands against a folder, git tells the file by a name of its own: `name~branch`.
        names = {name for path in files[:MOST_FILES] for name in (path, path.partition("~")[0])}
        paths = [f":(literal,top){name}" for name in sorted(names)]
        touched = set(self.repo.text("log", "--format=%H", f"{base}..{onto}", "--", *paths).split())
        found = [int(trailers.get(f"{TRAILER}-Item", "0")) for commit, trailers in
                 self.repo.trailers(TRAILER, f"{base}..{onto}") if commit in touched]  # fmt: skip
        return tuple(dict.fromkeys(reversed(found)))

    def find_first_base(self, main: str) -> str:
        """Find the commit from which on this milestone's squash commits are looked for.

        Main's head, unless main bears some of them already, from a run whose folder is gone.
        """
        found = self.repo.trailers(TRAILER, main)
        ours = [commit for commit, trailers in found if trailers[TRAILER] == str(self._milestone.number)]
        return (self.repo.resolve(f"{ours[-1]}^") or main) if ours else main

    # -- commits

    @cached_property
    def _commits(self) -> set[str]:
        """The commits that finished sessions ended on, and those that gates refused, as far as they still exist."""
        named = "".join(f"{commit}\n" for commit in self._named())
        if not named:
            return set()
        done = self.repo.call("cat-file", "--batch-check", stdin=named.encode())
        lines = done.stdout.decode(errors="replace").splitlines()
        return {line.split()[0] for line in lines if " commit " in line}

    def exists(self, commit: str | None) -> bool:
        """Tell whether a commit that a session ended on, or that a gate refused, still exists."""
        return commit in self._commits

    def note_commit(self, commit: str) -> None:
        """Note a commit that a session has just ended on, or that a gate has refused."""
        self._commits.add(commit)
        self.state = object()

    def reread(self) -> None:
        """Ask git anew."""
        self._head = None
        for name in ("parts", "_commits"):
            self.__dict__.pop(name, None)
        self.state = object()
