"""What a person asks of a run from outside: skip, retry, log.

Rule: what changes state refuses while a run is alive, for the run holds what it has read.
"""

from __future__ import annotations

import json
import sys

from work_milestone import report
from work_milestone.plan import Item
from work_milestone.run.run import Run
from work_milestone.sessions import exits
from work_milestone.store.outcomes import Merge
from work_milestone.system.errors import LockedError, MilestoneError
from work_milestone.text import masking
from work_milestone.text.lines import wants_color


def require_item(run: Run, issue: int, verb: str) -> Item:
    """Return an item of the plan. Raise MilestoneError with how to call the verb when there is none."""
    if run.number is None:
        raise MilestoneError(f"say which milestone: doit {verb}:{issue} n=N")
    if issue not in run.items:
        known = ", ".join(f"{verb}:{other}" for other in list(run.items)[:20])
        raise MilestoneError(f"milestone {run.number} has no item {issue}; it has {known or 'none'}")
    return run.items[issue]


def refuse(run: Run, verb: str) -> None:
    """Say how a verb is called that was typed without an item."""
    issue = next(iter(run.items), 42)
    raise MilestoneError(f"say which item: doit {verb}:{issue} n={run.number or 'N'}")


def print_status(run: Run) -> None:
    """Print where each item stands."""
    if sys.stdout is not None:
        report.print_status(run, report.Page(sys.stdout.write, color=wants_color(sys.stdout)))


def skip(run: Run, issue: int) -> None:
    """Leave an item out: it counts as settled, what depends on it waits."""
    item = _require_changeable(run, issue, "skip")
    run.folder.write(run.folder.receipt(issue, "merge"), "merge", Merge.SKIPPED.value, reason="by hand")
    run.tell("skip", "skipped", "by hand", issue=item.issue)
    left_out = {issue, *run.settles(issue)}
    held = [f"#{other.issue}" for other in run.items.values() if left_out & set(other.depends_on)]
    if held:
        say(f"#{issue} is skipped; {', '.join(held)} depend on it and wait until they are skipped too")
    else:
        say(f"#{issue} is skipped; next: doit milestone n={run.number}")


def retry(run: Run, issue: int) -> None:
    """Ask for a new session of an item that is not merged, also of one that was skipped."""
    item = _require_changeable(run, issue, "retry")
    earlier = run.result(issue) or {}
    run.folder.remove(run.folder.receipt(issue, "merge"))
    run.folder.write(
        run.folder.receipt(issue, "spawn"), "spawn", "retry", attempt=run.folder.attempts(issue),
        detail="a new session was asked for", notes=str(earlier.get("notes", "")), spent=earlier.get("spent"),
    )  # fmt: skip
    run.tell("retry", "asked", "by hand", issue=item.issue)
    say(f"#{issue} gets a new session; next: doit milestone n={run.number}")


def _require_changeable(run: Run, issue: int, verb: str) -> Item:
    """Raise MilestoneError where a verb would get in the way of a run or of what is merged."""
    item = require_item(run, issue, verb)
    try:
        run.take()
    except LockedError as error:
        raise MilestoneError(
            f"a run of milestone {run.number} is at work (process {run.lock.holder() or 'unknown'}); stop it, or wait "
            f"for its end, then: doit {verb}:{issue} n={run.number}"
        ) from error
    run.reread()
    if item.status in ("skipped", "complete"):
        raise MilestoneError(f"#{issue} is {item.status} in {run.require_plan().path}; change that line to {verb} it")
    if run.facts(issue).merged:
        raise MilestoneError(f"#{issue} is merged already; there is nothing to {verb}")
    if run.facts(issue).followed or run.facts(issue).followup_skipped:
        last = run.followers(issue)[-1]
        raise MilestoneError(
            f"#{issue} is followed up: #{last} has what is left of it; doit {verb}:{last} n={run.number}"
        )
    if run.attempt_state(issue) == "alive":
        raise MilestoneError(
            f"the session of #{issue} is still at work; doit milestone n={run.number} waits for it, then: "
            f"doit {verb}:{issue} n={run.number}"
        )
    return item


def log(run: Run, issue: int) -> None:
    """Print the output of an item's latest attempt to stdout, how it ended to stderr."""
    require_item(run, issue, "log")
    number = run.folder.attempts(issue)
    if number == 0:
        raise MilestoneError(f"#{issue} has not been worked yet; next: doit milestone n={run.number}")
    attempt = run.folder.attempt(issue, number)
    outputs = [path for name in ("stdout", "stderr") if (path := attempt / name).exists() and path.stat().st_size]
    for path in outputs:
        if len(outputs) > 1:
            print(f"==> {path} <==", flush=True)  # noqa: T201 - the verb's purpose
        with path.open("rb") as file:
            for block in masking.mask_stream(file):
                sys.stdout.buffer.write(block)
        sys.stdout.flush()
    if not outputs:
        say(f"{attempt}: no output yet")
    merge = run.merge(issue) or {}
    if merge.get("log"):
        say(f"gate's log: {merge['log']}")
    record = exits.read(attempt)
    if record:
        say(f"exit: {json.dumps(record)}")


def say(text: str) -> None:
    """Tell the person at the terminal, apart from what is piped on."""
    print(masking.mask(text), file=sys.stderr)  # noqa: T201 - the verb's purpose
