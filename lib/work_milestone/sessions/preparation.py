"""What an item needs before its session: a clean worktree, the lock file, the prompt.

Rule: nothing is prepared while an attempt is alive or waits to be judged: its worktree is its own.
"""

from __future__ import annotations

from work_milestone.plan import Item
from work_milestone.run import Run, followups, step
from work_milestone.sessions import places
from work_milestone.store import Kind, Session, records, shapes
from work_milestone.system import files
from work_milestone.text import one_line, render

IDLE = ("none", "judged")  # states of an attempt in which the next one may begin


def is_prepared(run: Run, item: Item) -> bool:
    """Tell whether worktree, lock and prompt are not needed: no session is, or there is one that is not judged.

    One that died since the run began too: its branch is not to be moved while its worktree is not looked at.
    """
    return not run.standing(item.issue).needs_session or run.find_attempt(item.issue)[1] not in IDLE


def _starts(run: Run, item: Item) -> bool:
    """Tell whether a new attempt is to be begun now."""
    ready = not is_prepared(run, item) and not run.find_unmet(item) and not run.breaker.halted
    return ready and not find_overspent(run, item.issue)


def find_overspent(run: Run, issue: int) -> str:
    """Say that the sessions of an item have spent its budget, "" when something is left."""
    budget, spent = run.session_settings(issue).budget_usd, run.standing(issue).spent
    return "" if budget is None or spent < budget else f"${spent:.2f} of ${budget:g} are spent; raise budget_usd"


@step(is_done=is_prepared, leaves=records.Worktree)
def prepare(run: Run, item: Item) -> None:
    """Take a clean worktree on the item's branch, at the integration branch's head."""
    if _starts(run, item):
        _take_place(run, item)


@step(is_done=is_prepared, leaves=records.Lock)
def write_lock(run: Run, item: Item) -> None:
    """Put the lock file into the worktree that stops this tool from being started inside it."""
    if _starts(run, item):
        places.claim(run, item.issue)


@step(is_done=is_prepared)
def write_prompt(run: Run, item: Item) -> None:
    """Render the prompt."""
    if _starts(run, item):
        _write_prompt(run, item)


def begin_anew(run: Run, item: Item) -> None:
    """Prepare a further attempt within one session step."""
    _take_place(run, item)
    places.claim(run, item.issue)
    _write_prompt(run, item)


def _take_place(run: Run, item: Item) -> None:
    if not places.resume(run, item.issue, run.standing(item.issue).work, Kind.WORK):
        places.take(run, item.issue, run.history.head(), Kind.WORK)


def _write_prompt(run: Run, item: Item) -> None:
    taken, earlier = places.require(run, item.issue), run.standing(item.issue).work
    if earlier is None:
        earlier = records.Work(status=Session.CRASHED.value if taken.attempt > 1 else "", attempt=taken.attempt)
    description, criteria = run.tasks.describe(item.issue)
    followup = run.dispatch.followups.get(item.issue)
    if followup and not description:
        description = followups.describe(run, followup)
    plan = run.milestone.require_plan()
    text = render.render(
        run.milestone.root,
        "resume.md.j2" if taken.conversation else "prompt.md.j2",
        plan=plan,
        item=item,
        title=one_line(item.title),
        branch=taken.branch,
        integration_branch=run.history.branch,
        attempt=taken.attempt,
        earlier=shapes.write(earlier),
        description=description,
        criteria=criteria,
        diffs=followups.diffs(run, followup) if followup else {},
        gates=plan.gates,
        relay=read_relay(run, item).strip(),
    )
    files.write_atomic(run.milestone.folder.item(item.issue) / "prompt.md", text)


def read_relay(run: Run, item: Item) -> str:
    """Return what the latest wave before an item's own has told, empty when there is none."""
    for number in range(item.wave - 1, 0, -1):
        try:
            return (run.milestone.folder.wave(number) / "relay.md").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
    return ""
