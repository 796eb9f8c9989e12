"""What bringing one small branch onto the integration branch costs in a repository of many files.

The tool's merge step, on an opened run as a real run has it, takes turns with the same by hand in the same
repository: squash and commit in a fresh worktree and in one that stays, and the least that git needs for a squash
commit, three plumbing commands. Each way has a branch of its own to merge onto, and each merge a branch that was
never seen before.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from math import inf
from pathlib import Path

from work_milestone.merging import integration, queue
from work_milestone.preflight import checks
from work_milestone.run import Run
from work_milestone.store import records

from tests.bench import scratch
from tests.bench.scratch import BRANCH, CHANGE, NUMBER, Ground, Sample
from tests.bench.tables import Pairs

FILES, FOLDERS = 20_000, 200
TOOL, FLOOR, WARM, FRESH = "tool", "plumbing by hand", "squash in a warm worktree", "squash in a fresh worktree"
BOUNDS = {FLOOR: 3.0, WARM: 1.0, FRESH: 1.0}
REFS = {TOOL: BRANCH, FLOOR: "hand/floor", WARM: "hand/warm", FRESH: "hand/fresh"}
AT_HEAD, BEHIND, FIRST = "from the head", "from behind the head", "first of a run"
PLAIN, ATTRIBUTES, BACKLOG = "", ", attributes", ", tracked backlog"
STATES = {PLAIN: (AT_HEAD, BEHIND, FIRST), ATTRIBUTES: (BEHIND,), BACKLOG: (BEHIND,)}
TASK = "---\nid: TASK-{0}\ntitle: Change number {0}\nstatus: To Do\nmilestone: x\n---\n\nText.\n"
WARM_UP = 2


def merge(where: Path | None, rounds: int) -> list[Pairs]:
    """Measure each state; the first merge of a run prepares what the others have, and keeps no bound to the floor."""
    found = []
    for more, states in STATES.items():
        with scratch.folder(where) as path:
            ground = Ground(path)
            with scratch.inside(ground.env):
                field = Field(ground, len(states) * (rounds + WARM_UP), more)
                for state in states:
                    taken = [field.turn(state, number) for number in range(rounds + WARM_UP)][WARM_UP:]
                    found += _pairs(f"{state}{more}", taken)
                field.check()
    return found


def _pairs(title: str, taken: Sequence[Mapping[str, Sample]]) -> list[Pairs]:
    """Set the tool beside each other way."""
    sides = {name: tuple(samples[name] for samples in taken) for name in REFS}
    return [Pairs(f"{title}: {other}", sides[TOOL], sides[other], inf if title == FIRST and other != FRESH else bound)
            for other, bound in BOUNDS.items()]  # fmt: skip


class Field:
    """A repository of many files, the ways to merge in it, and new branches without end."""

    def __init__(self, ground: Ground, items: int, more: str) -> None:
        self.ground, self.numbers, self.issues = ground, count(1), iter(range(1, items + 1))
        files = {_path(number): f"{number}\n" * 10 for number in range(FILES)}
        if more == ATTRIBUTES:
            files[".gitattributes"] = "*.txt text\n"
        if more == BACKLOG:
            files |= {_task(issue): TASK.format(issue) for issue in range(1, items + 1)}
        self.more, self.tasks = more, iter(range(1, items + 1))
        self.root = ground.repository("repository", {**files, **scratch.files([range(1, items + 1)], CHANGE)})
        self.git("repack", "-a", "-d", "-q")
        self.base = self.git("rev-parse", "main")
        self.places = {WARM: ground.path / "warm", FRESH: ground.path / "fresh"}
        for name in BOUNDS:
            self.git("branch", REFS[name], self.base)
        self._add_worktree(WARM)
        self.run = self._open()

    def git(self, *words: str) -> str:
        """Run a git command in the repository."""
        return self.ground.git(*words, cwd=self.root)

    def turn(self, state: str, number: int) -> dict[str, Sample]:
        """Merge a branch each way, another first each time; return what each took."""
        names, found = list(REFS), {}
        first = number % len(names)
        for name in names[first:] + names[:first]:
            if name == TOOL and state == FIRST:
                self.run.pool.remove_all(self.run.place)
                self.run.lock.release()
                self.run = self._open()
            old = self.git("rev-parse", REFS[name])
            branch = next(self.numbers)
            head = self._branch(branch, self.base if state == BEHIND else old)
            os.sync()  # or who makes sure that a merge is on disk waits for the 20,000 files of who does not
            if name == TOOL:
                found[name] = self._tool(branch, head, self.base if state == BEHIND else old)
            elif name == FLOOR:
                found[name] = scratch.clock(partial(self._plumb, old, head))
            else:
                found[name] = scratch.clock(partial(self._squash, name, head))
        self.git("worktree", "remove", "-f", str(self.places[FRESH]))
        return found

    def check(self) -> None:
        """Make sure that every way has merged all that it was given. Raise SystemExit when one has not."""
        found = {}
        for name, ref in REFS.items():
            files = self.git("diff-tree", "-r", "--name-only", self.base, ref, "--", "src").splitlines()
            found[name] = (self.git("rev-list", "--count", f"{self.base}..{ref}"), len(files))
        if len(set(found.values())) != 1:
            raise SystemExit(f"{self.root}: commits and files that each way has merged differ: {found}")

    def _open(self) -> Run:
        """Open a run and go as far as its first session has."""
        run = Run(self.root, {"n": str(NUMBER)})
        checks.check(run)
        integration.begin(run)
        for issue in run.dispatch.items:  # as doit does, who asks of each step whether it is done
            run.standing(issue)
        return run

    def _branch(self, number: int, parent: str) -> str:
        """Make a branch as a session leaves it: two files changed, one added, in loose objects."""
        lines = [f"commit refs/heads/session/{number}", "committer Bench <bench@localhost> 1700000000 +0000",
                 "data <<END", f"fix: branch {number}", "END", f"from {parent}"]  # fmt: skip
        for path in _changed(number):
            lines += [f"M 100644 inline {path}", "data <<END", f"changed by {number}", "END"]
        self.ground.run("git", "fast-import", "--quiet", cwd=self.root, stdin="\n".join([*lines, ""]).encode())
        return self.git("rev-parse", f"refs/heads/session/{number}")

    def _tool(self, branch: int, head: str, base: str) -> Sample:
        """Merge what a finished session has left, off the clock, as its judge leaves it."""
        run, item = self.run, self.run.dispatch.items[next(self.issues)]
        work = records.Work(
            status="complete", attempt=1, head=head, branch=f"session/{branch}", files=tuple(_changed(branch)),
            base=base, rooted=True, commits=(records.Commit(id=head, subject="fix: it"),),
        )  # fmt: skip
        run.receipts.write(work, item.issue)
        run.begin(item.issue)
        run.history.note_commit(head)
        taken = scratch.clock(lambda: queue.merge(run, item))
        found = run.standing(item.issue).merge
        if found is None or (found.status, found.head) != ("merged", head):
            raise SystemExit(f"{self.root}: #{item.issue} is not merged: {found}")
        if self.more == BACKLOG and "status: Done" not in self.git("show", f"{BRANCH}:{_task(item.issue)}"):
            raise SystemExit(f"{self.root}: the backlog does not say that #{item.issue} is done")
        return taken

    def _plumb(self, old: str, head: str) -> None:
        """Merge by the least commands; with a tracked backlog the item's task is set done by hand too."""

        def git(*words: str, stdin: str = "") -> str:
            done = subprocess.run(["git", *words], cwd=self.root, env=self.ground.env, input=stdin.encode(),
                                  capture_output=True, check=True)  # fmt: skip
            return done.stdout.decode().strip()

        tree = git("merge-tree", "--write-tree", old, head)
        if self.more == BACKLOG:
            path = _task(next(self.tasks))
            text = git("cat-file", "blob", f"{tree}:{path}").replace("status: To Do", "status: Done")
            made, name = git("hash-object", "-w", "--stdin", stdin=f"{text}\n"), Path(path).name
            for folder in ("backlog/tasks", "backlog", ""):
                rows = git("ls-tree", f"{tree}:{folder}").splitlines()
                changed = [f"{row.split()[0]} {row.split()[1]} {made}\t{name}" if row.endswith(f"\t{name}") else row
                           for row in rows]  # fmt: skip
                made, name = git("mktree", stdin="\n".join(changed) + "\n"), Path(folder).name
            tree = made
        commit = git("commit-tree", tree, "-p", old, "-m", f"fix: merge {head}")
        git("update-ref", f"refs/heads/{REFS[FLOOR]}", commit, old)

    def _squash(self, name: str, head: str) -> None:
        if name == FRESH:
            self._add_worktree(name)
        self.ground.run("git", "merge", "-q", "--squash", head, cwd=self.places[name])
        self.ground.run("git", "commit", "-q", "-m", f"fix: merge {head}", cwd=self.places[name])

    def _add_worktree(self, name: str) -> None:
        self.git("worktree", "add", "-q", str(self.places[name]), REFS[name])


def _path(number: int) -> str:
    return f"src/part-{number % FOLDERS}/code-{number}.txt"


def _changed(number: int) -> list[str]:
    return [_path(2 * number), _path(2 * number + 1), f"src/part-{number % FOLDERS}/new-{number}.txt"]


def _task(issue: int) -> str:
    return f"backlog/tasks/task-{issue} - Change-number-{issue}.md"
