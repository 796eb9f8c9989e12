"""One pass of a run over merges and landing, as a process that tests kill and start again.

It does what a run does from preflight on, step by step in the plan's order, each only where it is not done. No agent
is started: an item of which no session is known gets the result of one from `$OUT/session-NAME.json`, `{path: text}`,
once what it depends on is merged. NAME is the item's issue, or `follow-42`.

With `$EVENT=n` the pass ends itself by SIGKILL just before the n-th time that it changes a file or starts a program.
What is left of n is in `$OUT/left` when it comes to its end.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from work_milestone import git
from work_milestone.gates import baseline
from work_milestone.git import edits
from work_milestone.graph import generations
from work_milestone.landing import closing, landing
from work_milestone.merging import integration, queue, remedies
from work_milestone.plan import Item
from work_milestone.preflight import checks
from work_milestone.report import settlement
from work_milestone.run import Run, followups
from work_milestone.store import records

git.repo.SHARED_PATIENCE = (
    0.1  # a git that was killed with its pass leaves locks often, and nobody else is at work here
)
ENDED = 1_700_000_000.5  # seconds since 1970
OUT = Path(os.environ["OUT"])
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.exec", "shutil.rmtree", "subprocess.Popen",
           "fcntl.flock", "os.truncate"}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR


class Countdown:
    """Ends this process at an event of its own."""

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if event not in CHANGES and not (event == "open" and isinstance(args[2], int) and args[2] & WRITES):
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if event == "os.exec":
            os.environ["EVENT"] = str(self.left)


def main() -> None:
    (OUT / "pid").write_text(str(os.getpid()))
    run = Run(Path.cwd(), {"n": "3"})
    generations.take_over(run)
    print("begun", flush=True)
    countdown = Countdown(int(os.environ.get("EVENT", "0")))
    if countdown.left:
        sys.addaudithook(countdown)
    if closing.is_closed(run):
        return
    checks.check(run)
    do(integration.is_ready, integration.begin, run)
    do(baseline.is_known, baseline.check, run)
    for item in run.dispatch.dispatched.values():
        work(run, item)
        if not queue.is_done(run, item):
            queue.merge(run, item)
        if not remedies.is_mended(run, item):
            remedies.mend(run, item)
    if not followups.is_dispatched(run):
        os.environ["EVENT"] = str(countdown.left)
        generations.follow(run)
    for item in run.dispatch.dispatched.values():
        settlement.require_settled(run, item)
    do(landing.is_gated, landing.check, run)
    do(landing.is_landed, landing.land, run)
    do(closing.is_closed, closing.close, run)
    (OUT / "left").write_text(str(countdown.left))


def do(fresh: Callable[[Run], bool], action: Callable[[Run], None], run: Run) -> None:
    if not fresh(run):
        action(run)


def work(run: Run, item: Item) -> None:
    """Leave what a finished session leaves, where one would have been started."""
    if not run.standing(item.issue).needs_session or run.find_unmet(item):
        return
    one = run.dispatch.followups.get(item.issue)
    name = f"follow-{one.origin}" if one else str(item.issue)
    files = json.loads((OUT / f"session-{name}.json").read_text())
    base = run.history.head()
    subject = f"feat: session of {name}"
    head = run.repo.commit_tree(edits.edit(run.repo, run.repo.tree_of(base), files), [base], subject, ENDED)
    branch = f"work/3/{item.issue}"
    run.milestone.folder.attempt(item.issue, 1).mkdir(parents=True, exist_ok=True)
    run.repo.move(f"refs/heads/{branch}", head)
    work = records.Work(
        status="complete", attempt=1, head=head, branch=branch, base=base, files=tuple(sorted(files)), ended=ENDED,
        commits=(records.Commit(id=head, subject=subject),),
    )  # fmt: skip
    run.receipts.write(work, item.issue)
    run.begin(item.issue)
    run.history.note_commit(head)


if __name__ == "__main__":
    main()
