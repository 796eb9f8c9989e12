"""What only looks at a run: `status`, and `log` with the output of an item's latest attempt."""

from __future__ import annotations

import json
import sys

from work_milestone.report import Page, summary
from work_milestone.run import Run
from work_milestone.supervision import record
from work_milestone.system import MilestoneError
from work_milestone.text import masking, wants_color
from work_milestone.verbs import speech


def print_status(run: Run) -> None:
    """Print where each item stands."""
    if sys.stdout is not None:
        summary.print_status(run, Page(sys.stdout.write, color=wants_color(sys.stdout)))


def print_log(run: Run, issue: int) -> None:
    """Print the output of an item's latest attempt to stdout, how it ended to stderr."""
    speech.require_item(run, issue, "log")
    number = run.milestone.folder.attempts(issue)
    if number == 0:
        raise MilestoneError(f"#{issue} has not been worked yet; next: doit milestone n={run.milestone.number}")
    attempt = run.milestone.folder.attempt(issue, number)
    outputs = [path for name in ("stdout", "stderr") if (path := attempt / name).exists() and path.stat().st_size]
    for path in outputs:
        if len(outputs) > 1:
            print(f"==> {path} <==", flush=True)  # noqa: T201 - the verb's purpose
        with path.open("rb") as file:
            for block in masking.mask_stream(file):
                sys.stdout.buffer.write(block)
        sys.stdout.flush()
    if not outputs:
        speech.say(f"{attempt}: no output yet")
    merge = run.standing(issue).merge
    if merge and merge.log:
        speech.say(f"gate's log: {merge.log}")
    if end := record.read_fields(attempt):
        speech.say(f"exit: {json.dumps(end)}")
