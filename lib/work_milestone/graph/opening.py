"""The run that the command line asks for, and how doit is to work it.

Rule: loading never fails for want of a number or a plan: there are fewer tasks then, and preflight says why.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import signal
import sys
from importlib import util
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile

from work_milestone.graph import commandline, generations, reporter, schedule, waiting
from work_milestone.merging import remedies
from work_milestone.run import Run
from work_milestone.store import records
from work_milestone.system import MilestoneError, signals
from work_milestone.text import masking


def open_run(root: Path) -> Run:
    """Open the run that the command line asks for. Raise doit's InvalidDodoFile for what nothing can go on with."""
    _remove_bytecode(root)
    _handle_signals()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # titles hold any letter, terminals do not
    gc.freeze()  # what modules are made of is never to be looked through
    atexit.register(gc.freeze)  # at the end there is nothing to collect either
    run = Run(root, commandline.variables())
    generations.take_over(run)
    _look_at_records(run)
    faults = run.milestone.faults
    # The first two tell them in order; to stop a run, none of what they are about is needed.
    if faults and not {"milestone", "preflight", "stop"} & {word.partition(":")[0] for word in commandline.words()}:
        raise InvalidDodoFile(masking.mask("\n".join(faults)))
    _require_known(run)
    if run.milestone.plan:
        _install_schedule(run)
    return run


def _handle_signals() -> None:
    if commandline.is_run():
        waiting.install()
        signals.handle()
        return
    for number in (signal.SIGPIPE, signal.SIGINT):  # `doit list | head` ends as every filter does
        signal.signal(number, signal.SIG_DFL)


def _install_schedule(run: Run) -> None:
    dispatched = run.dispatch.dispatched
    in_order = sorted(dispatched.values(), key=lambda item: item.priority)
    ranks = {item.issue: rank for rank, item in enumerate(in_order)}
    schedule.install(
        run.milestone.settings.max_sessions,
        lambda issue: _rank(run, issue, ranks),
        lambda issue: not remedies.is_mended(run, dispatched[issue]),
    )


def _rank(run: Run, issue: int, ranks: dict[int, int]) -> int:
    """Rank an item: what is already at work before all others, then by priority, then by its place in the plan."""
    if not run.is_settled(issue) and run.is_alive(issue):
        return -1
    return ranks.get(issue, len(ranks))


def _require_known(run: Run) -> None:
    """Raise InvalidDodoFile for a word such as `item:99` or `wave:9` that names nothing, with what there is."""
    milestone, dispatch = run.milestone, run.dispatch
    for word, kind, number in commandline.named_steps():
        if milestone.number is None:
            raise InvalidDodoFile(f"{word}: say which milestone: doit {word} n=N")
        known = [wave.wave for wave in dispatch.waves] if kind in ("wave", "relay") else list(dispatch.dispatched)
        if milestone.plan and number not in known:
            told = ", ".join(f"{kind}:{other}" for other in known[:20])
            raise InvalidDodoFile(f"{word}: milestone {milestone.number} has no such step; it has {told or 'none'}")


def _look_at_records(run: Run) -> None:
    """Put what makes the run folder unusable among the faults: everything rests on it."""
    try:
        for issue in run.milestone.folder.issues() & run.dispatch.items.keys():
            for kind in (records.Work, records.Merge):
                run.receipts.load(kind, issue)
        for once in (records.Branch, records.Baseline, records.Overlay, records.Gates, records.Advance, records.Land,
                     records.Milestone):  # fmt: skip
            run.receipts.load(once)
    except MilestoneError as error:
        run.go_without_plan(str(error))


def _remove_bytecode(root: Path) -> None:
    """Take away what Python has just written beside the user's dodo.py: it would show in `git status`."""
    cached = Path(util.cache_from_source(str(root / "dodo.py")))
    if "dodo" in sys.modules:
        with contextlib.suppress(OSError):  # another doit may be doing the same
            cached.unlink(missing_ok=True)
            cached.parent.rmdir()  # refused while anything else is in it


def configure(run: Run) -> dict[str, Any]:
    """Return DOIT_CONFIG."""
    workers = run.milestone.settings.max_sessions + schedule.SPARE_WORKERS if commandline.is_run() else 0
    return {
        "default_tasks": ["status"],
        "dep_file": ":memory:",
        "backend": "sqlite3",
        "reporter": reporter.make(run),
        "continue": True,
        "par_type": "thread",
        "num_process": workers,
        "verbosity": 2,
        "subtasks": True,
        "status": True,
        "sort": "definition",
        "quiet": False,
    }
