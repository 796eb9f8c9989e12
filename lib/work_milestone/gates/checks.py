"""Quality gates: shell lines that must exit 0 on exactly the tree that is to be merged.

Rules:
- Each gate has its own log, time limit and exit code; one that changes tracked files, or commits, has failed, for
  what it passed is not what would be merged.
- What has been green on a tree is not run on it again: a gate judges files and not history, and stands for itself,
  not for what it leaves.
- A gate that has outlived its run, which was killed, is ended before anything else happens where it works.
- A row of gates ends with the first failure that blocks. One that was accepted beforehand, by its exit code, does
  not block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from work_milestone.gates import ledger
from work_milestone.git import checkouts, detached, worktrees
from work_milestone.system import command as shell
from work_milestone.system import process_table
from work_milestone.text import count, last_line, last_lines, masking

LEDGER = "green"


class Place(NamedTuple):
    """Where gates run: a worktree of the pool's repository, the folder of logs and ledger, seconds for each."""

    pool: worktrees.Pool
    path: Path
    folder: Path
    timeout: float

    @property
    def mark(self) -> str:
        """What the gates of a run bear, one of which is at work at a time: by it the next run finds one left over."""
        return f"gate {self.path}"

    @property
    def ledger(self) -> Path:
        """The file of what has been green."""
        return self.folder / LEDGER


class Failure(NamedTuple):
    """A gate that said no: its exit code (124 time limit, 127 not found, 0 when it changed files), its log, why.

    `tail` has the log's last lines.
    """

    command: str
    code: int
    log: Path
    reason: str
    tail: tuple[str, ...] = ()


class Result(NamedTuple):
    """A gate's end: `known` when it was green on the tree before, and not run."""

    command: str
    failure: Failure | None = None
    known: bool = False


class Report(NamedTuple):
    """The end of a row of gates: each one's, and the failure that blocks."""

    results: tuple[Result, ...] = ()
    failure: Failure | None = None

    def describe(self, commit: str) -> str:
        """Say what was run, and what not: `3 gates on abc1234567, 2 of them green on this tree before`."""
        total, before = len(self.results), sum(result.known for result in self.results)
        red = sum(result.failure is not None for result in self.results)
        number = "all" if before == total else f"{before} of them"
        known = f", {number} green on this tree before" if before else ""
        return f"{count(total, 'gate')} on {commit[:10]}{known}" + (f", {red} red as in the baseline" if red else "")


def end_left(place: Place) -> None:
    """End the gate of a run that was killed, with all that it started."""
    if place.path.exists():
        process_table.sweep(place.mark)


def check(
    place: Place, commit: str, tree: str, commands: Sequence[str], name: str, accepted: Mapping[str, int]
) -> Report:
    """Run the gates on a commit up to the failure that blocks; `accepted` has exit codes, by command, that do not."""
    results = []
    for result in run_each(place, commit, tree, commands, name):
        results.append(result)
        if result.failure and accepted.get(result.command) != result.failure.code:
            return Report(tuple(results), result.failure)
    return Report(tuple(results))


def run_each(place: Place, commit: str, tree: str, commands: Sequence[str], name: str) -> Iterator[Result]:
    """Run the gates on a commit, whose tree is `tree`, one after another; `name` is the stem of their logs' names."""
    known, clean = ledger.known(place.ledger, tree, commands), False
    for number, command in enumerate(commands, 1):
        if command in known:
            yield Result(command, known=True)
            continue
        if not clean:
            detached.checkout(place.pool, place.path, commit)
        failure = _run(place, commit, command, place.folder / f"{name}-{number}.log")
        clean = failure is None  # what one leaves that failed is not the next one's
        if clean:
            ledger.add(place.ledger, tree, command)
        yield Result(command, failure)


def _run(place: Place, commit: str, command: str, log: Path) -> Failure | None:
    env = {**place.pool.environment(), process_table.MARK: place.mark}
    done = shell.run(["/bin/sh", "-c", command], cwd=place.path, env=env, log=log, timeout=place.timeout)
    if done.code != 0:
        text = masking.read_end(log)
        why = f"over its time limit of {place.timeout:g} s" if done.timed_out else f"exit {done.code}"
        said = [why, "" if done.timed_out else done.reason, last_line(text)]
        reason = f"gate `{command}`: {': '.join(filter(None, said))}"
        return Failure(command, done.code, log, reason, tuple(last_lines(text)))
    state = checkouts.read_state(place.pool.repo, place.path, untracked=False, env=env)
    changed = (*state.tracked, *state.unmerged)
    if not changed and state.head == commit:
        return None
    what = f"changed tracked files: {', '.join(changed[:5])}" if changed else f"moved HEAD to {state.head}"
    return Failure(command, 0, log, f"gate `{command}` {what}", tuple(last_lines(masking.read_end(log))))
