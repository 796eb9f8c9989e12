"""How a step becomes a doit task.

Rules:
- A record decides: it is the target, and the step's `is_done` reads it and git. doit's own database is kept in memory
  alone, for it is written at the end only and would lose every step of a killed run.
- A fault of the user's, a full disk too, fails its task with its message; everything else escapes as what it is.
"""

from __future__ import annotations

import errno
import inspect
from collections.abc import Callable, Iterable
from typing import Any

from doit.exceptions import TaskFailed

from work_milestone.plan import Item, Wave, list_plans
from work_milestone.run import Run, Step, find_place
from work_milestone.system import MilestoneError, files, signals
from work_milestone.text import count, one_line

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG)  # any write may meet them
Task = dict[str, Any]


def task(
    name: str, step: Step[...] | Callable[..., None], run: Run, *where: Any, doc: str, after: Iterable[str] = ()
) -> Task:
    """Make a task of a step, which `after` names the tasks before; a plain function is never done before."""
    known = step if isinstance(step, Step) else None
    record = run.receipts.path(known.leaves, *find_place(*where)) if known and known.leaves else None
    return {
        "basename": name,
        "actions": [(_guard, [run, step, *where])],
        "task_dep": list(after),
        "uptodate": [_Fresh(known, run, *where) if known else False],
        # A missing target overrides `uptodate`: what git shows as done needs no record.
        "targets": [str(record)] if record is not None and record.exists() else [],
        "doc": doc,
        "io": {"capture": False},
    }


class _Fresh:
    """Tells whether there is nothing to do; what cannot be told is done, and says then what is wrong."""

    __signature__ = inspect.Signature()  # doit asks for it at each call, and working it out costs more than the call

    def __init__(self, step: Step[...], *args: Any) -> None:
        self._step = step
        self._args = args

    def __call__(self) -> bool:
        try:
            return self._step.is_done(*self._args)
        except MilestoneError:
            return False


def _guard(run: Run, action: Callable[..., None], *where: Any) -> TaskFailed | None:
    try:
        with signals.at_work:
            action(run, *where)
    except MilestoneError as error:
        return TaskFailed(str(error), report=True)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        place = error.filename or run.milestone.folder.path
        return TaskFailed(f"{place}: cannot be written ({error.strerror}); {files.REMEDY}", report=True)
    return None


def describe(wave: Wave, item: Item) -> str:
    """Say in a line what an item's step is: `wave 1 · P0 · Add auth middleware`."""
    return f"wave {wave.wave} · {item.priority} · {one_line(item.title)[:100]}"


def describe_milestone(run: Run) -> str:
    """Say in a line what the milestone is, or which there are."""
    number, plan, faults = run.milestone.number, run.milestone.plan, run.milestone.faults
    if plan:
        return f"milestone {number} · {count(len(run.dispatch.items), 'item')} · {one_line(plan.title)[:100]}"
    if faults:
        return f"cannot be planned: {len(faults)} faults; doit preflight n={number or 'N'} tells them"
    found = ", ".join(f"n={plan.number} ({one_line(plan.title)[:50]})" for plan in list_plans(run.milestone.root))
    return f"build a milestone: doit milestone n=N; plans: {found or 'none in plan/'}"
