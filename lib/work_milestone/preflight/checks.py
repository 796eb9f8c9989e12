"""What can be known to fail, said before anything starts, all at once.

Rules: every check looks and changes nothing, once what a killed run has left half done in the user's checkout is
brought back; each fault names path, cause and the next command. Only when there is none does `beginning` take the run
lock's folder into use.
"""

from __future__ import annotations

from collections.abc import Iterator

from work_milestone.landing import advance, closing
from work_milestone.plan import list_plans
from work_milestone.preflight import agents, beginning, branches, checkout
from work_milestone.run import Run, step
from work_milestone.system import LockedError, MilestoneError, PreflightError
from work_milestone.text import render


def is_passed(run: Run) -> bool:
    """Tell whether there is nothing left to look at: the milestone is closed."""
    return not run.milestone.faults and closing.is_closed(run)


@step(is_done=is_passed)
def check(run: Run) -> None:
    """Take the run lock, look at everything, and begin. Raise PreflightError with every fault, the lock given back."""
    milestone = run.milestone
    faults = list(milestone.faults)
    if milestone.number is None:
        raise PreflightError(faults or [describe_call(run)])
    if outside := list(checkout.find_outside(run)):
        raise PreflightError([*faults, *outside])
    render.load()
    faults += [*_take_lock(run), *checkout.find_faults(run), *branches.find_faults(run)]
    if milestone.plan:
        settled = [issue for issue in run.dispatch.items if run.is_settled(issue)]
        faults += [*_find_ungroomed(run), *([] if milestone.settings_faults else agents.find_faults(run))]
        faults += run.tasks.find_faults(settled)
    if faults:
        run.lock.release()
        raise PreflightError([*faults, *run.receipts.notes.values()])
    beginning.begin(run)


def describe_call(run: Run) -> str:
    """Say how a run is called, with the plans that there are."""
    found = list_plans(run.milestone.root)
    if not found:
        return f"no plan: {run.milestone.root}/plan/milestone-N-dispatch.yaml is missing; write one (README, A plan)"
    return f"say which milestone: {' or '.join(f'doit milestone n={plan.number}' for plan in found[:9])}"


def _take_lock(run: Run) -> Iterator[str]:
    """Take the run lock; bring back what a move of main has left half done."""
    try:
        run.take()
        advance.repair(run)
    except LockedError:
        number = run.milestone.number
        yield (
            f"another run of milestone {number} is at work: process {run.lock.holder() or 'unknown'}; wait for it, or "
            f"stop it; doit status n={number} shows how far it is"
        )
    except MilestoneError as error:
        yield str(error)


def _find_ungroomed(run: Run) -> Iterator[str]:
    plan = run.milestone.require_plan()
    if not plan.items:
        yield f"{plan.path}: the plan has no items; there is nothing to build"
    for item in plan.ungroomed:
        yield f"{plan.path}: #{item.issue} {item.title!r} is not groomed; groom it, then set groomed: true"
