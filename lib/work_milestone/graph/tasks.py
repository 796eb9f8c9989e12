"""How a step becomes a doit task.

Rules:
- A receipt decides: it is the target, and `fresh` reads it and git. doit's own database is kept in memory alone,
  for it is written at the end only and would lose every step of a killed run.
- A fault of the user's, a full disk too, fails its task with its message; everything else escapes as what it is.
- Loading never fails for want of a number or a plan: there are fewer tasks then, and preflight says why.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import inspect
import io
import signal
import sys
from collections.abc import Callable, Iterable
from importlib import util
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile, TaskFailed

from work_milestone.graph import commandline, generations, reporter, schedule
from work_milestone.merging import remedies
from work_milestone.plan import Item, Wave, list_plans
from work_milestone.run.run import Run
from work_milestone.store.receipts import MEND
from work_milestone.system import signals
from work_milestone.system.errors import MilestoneError
from work_milestone.text import masking
from work_milestone.text.lines import count, one_line

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)  # any write may meet them
Task = dict[str, Any]
Action = Callable[[Run, Item], None]
Check = Callable[[Run, Item], bool]


def open_run(root: Path) -> Run:
    """Open the run that the command line asks for. Raise doit's InvalidDodoFile for what nothing can go on with."""
    _remove_bytecode(root)
    if commandline.is_run():
        signals.handle()
    else:
        for number in (signal.SIGPIPE, signal.SIGINT):  # `doit list | head` ends as every filter does
            signal.signal(number, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # titles hold any letter, terminals do not
    atexit.register(gc.freeze)  # at the end there is nothing to collect either
    gc.set_threshold(100_000)  # a graph of 60,000 tasks makes nothing to collect, and is looked through again and again
    run = Run(root, commandline.variables())
    generations.take_over(run)
    _look_at_receipts(run)
    # The first two tell them in order; to stop a run, none of what they are about is needed.
    if run.faults and not {"milestone", "preflight", "stop"} & {word.partition(":")[0] for word in commandline.words()}:
        raise InvalidDodoFile(masking.mask("\n".join(run.faults)))
    _require_known(run)
    if run.plan:
        in_order = sorted(run.dispatched.values(), key=lambda item: item.priority)
        ranks = {item.issue: rank for rank, item in enumerate(in_order)}
        schedule.install(
            run.settings.max_sessions,
            lambda issue: _rank(run, issue, ranks),
            lambda issue: not remedies.is_mended(run, run.dispatched[issue]),
        )
    return run


def _rank(run: Run, issue: int, ranks: dict[int, int]) -> int:
    """Rank an item: what is already at work before all others, then by priority, then by its place in the plan."""
    if not run.settled(issue) and run.attempt_state(issue) == "alive":
        return -1
    return ranks.get(issue, len(ranks))


def _require_known(run: Run) -> None:
    """Raise InvalidDodoFile for a word such as `item:99` or `wave:9` that names nothing, with what there is."""
    for word, kind, number in commandline.named_steps():
        if run.number is None:
            raise InvalidDodoFile(f"{word}: say which milestone: doit {word} n=N")
        known = [wave.wave for wave in run.waves] if kind in ("wave", "relay") else list(run.dispatched)
        if run.plan and number not in known:
            told = ", ".join(f"{kind}:{other}" for other in known[:20])
            raise InvalidDodoFile(f"{word}: milestone {run.number} has no such step; it has {told or 'none'}")


def _look_at_receipts(run: Run) -> None:
    """Put what makes the run folder unusable among the faults: everything rests on it."""
    try:
        for issue in run.folder.issues() & run.items.keys():
            run.result(issue), run.merge(issue)
        for name in ("branch", "baseline", "overlay", "gates", "advance", "land", "milestone"):
            run.folder.load(run.folder.path / f"{name}.json")
    except MilestoneError as error:
        run.faults.append(str(error))
        run.drop_plan()


def _remove_bytecode(root: Path) -> None:
    """Take away what Python has just written beside the user's dodo.py: it would show in `git status`."""
    cached = Path(util.cache_from_source(str(root / "dodo.py")))
    if "dodo" in sys.modules:
        with contextlib.suppress(OSError):  # another doit may be doing the same
            cached.unlink(missing_ok=True)
            cached.parent.rmdir()  # refused while anything else is in it


def configure(run: Run) -> dict[str, Any]:
    """Return DOIT_CONFIG."""
    return {
        "default_tasks": ["status"],
        "dep_file": ":memory:",
        "backend": "sqlite3",
        "reporter": reporter.make(run),
        "continue": True,
        "par_type": "thread",
        "num_process": run.settings.max_sessions + schedule.SPARE_WORKERS if commandline.is_run() else 0,
        "verbosity": 2,
        "subtasks": True,
        "status": True,
        "sort": "definition",
        "quiet": False,
    }


def step(
    name: str, action: Callable[..., None], *args: Any, doc: str, after: Iterable[str] = (),
    fresh: Callable[[], bool] | None = None, receipt: Path | None = None,
) -> Task:  # fmt: skip
    """Make a task: `after` names the tasks before it, `fresh` says that there is nothing to do."""
    return {
        "basename": name,
        "actions": [(_guard, [action, *args])],
        "task_dep": list(after),
        "uptodate": [_Fresh(fresh) if fresh else False],
        # A missing target overrides `fresh`: what git shows as done needs no receipt.
        "targets": [str(receipt)] if receipt is not None and receipt.exists() else [],
        "doc": doc,
        "io": {"capture": False},
    }


class _Fresh:
    """Tells whether there is nothing to do; what cannot be told is done, and says then what is wrong."""

    __signature__ = inspect.Signature()  # doit asks for it at each call, and working it out costs more than the call

    def __init__(self, fresh: Callable[[], bool]) -> None:
        self.fresh = fresh

    def __call__(self) -> bool:
        try:
            return self.fresh()
        except MilestoneError:
            return False


def _guard(action: Callable[..., None], *args: Any) -> TaskFailed | None:
    try:
        with signals.at_work:
            action(*args)
    except MilestoneError as error:
        return TaskFailed(str(error), report=True)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = error.filename or next((arg.folder.path for arg in args if isinstance(arg, Run)), Path.cwd())
        return TaskFailed(f"{place}: cannot be written ({error.strerror}); {MEND}", report=True)
    return None


def describe(wave: Wave, item: Item) -> str:
    """Say in a line what an item's step is: `wave 1 · P0 · Add auth middleware`."""
    return f"wave {wave.wave} · {item.priority} · {one_line(item.title)[:100]}"


def describe_milestone(run: Run) -> str:
    """Say in a line what the milestone is, or which there are."""
    if run.plan:
        return f"milestone {run.number} · {count(len(run.items), 'item')} · {one_line(run.plan.title)[:100]}"
    if run.faults:
        return f"cannot be planned: {len(run.faults)} faults; doit preflight n={run.number or 'N'} tells them"
    found = ", ".join(f"n={plan.number} ({one_line(plan.title)[:50]})" for plan in list_plans(run.root))
    return f"build a milestone: doit milestone n=N; plans: {found or 'none in plan/'}"
