"""Follow-up items of a run: made of what a merge could not bring, or of what a session left, and put into the backlog.

Rules:
- A follow-up is in the overlay before what makes it necessary is written down, and an origin has one at most: so a
  run that was killed between the two makes the same one.
- It is the milestone's: in the backlog where there is one. A backlog that git tracks gets it with the next candidate
  that is gated, for the branch never stands on a tree that no gate has seen. One that cannot be written is told, and
  worked all the same.
- Where the bound of generations is reached there is none: the item waits for a person.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence

from work_milestone import backlog
from work_milestone.backlog import new_task
from work_milestone.git import edits, trees, worktrees
from work_milestone.plan import MAX_NUMBER, FollowUp, Item, Reason
from work_milestone.run.run import Run
from work_milestone.run.steps import step
from work_milestone.run.tasks import Changes
from work_milestone.store import Session, records
from work_milestone.system import BacklogError, MilestoneError
from work_milestone.text import count, one_line, render

LABELS = {Reason.CONFLICT: "conflict-resolution", Reason.REST: "follow-up"}


def is_dispatched(run: Run) -> bool:
    """Tell whether every follow-up stands in a wave of this graph."""
    return not run.dispatch.followups.keys() & set(run.dispatch.waiting)


@step(is_done=is_dispatched)
def require_dispatched(run: Run) -> None:
    """Raise MilestoneError when follow-ups came up, which the next generation's graph dispatches."""
    if waiting := run.dispatch.waiting:
        names = ", ".join(f"#{issue}" for issue in waiting[:20])
        raise MilestoneError(
            f"{count(len(waiting), 'follow-up')} to be worked: {names}; doit milestone n={run.milestone.number}"
        )


def add(
    run: Run, item: Item, kind: Reason, work: records.Work, onto: str, files: Sequence[str] = ()
) -> FollowUp | None:
    """Add the follow-up of an item, and return it; None when the bound of generations is reached."""
    known = run.dispatch.followup_of(item.issue)
    if known is not None:
        return known
    own = run.dispatch.followups.get(item.issue)
    generation = (own.generation if own else 0) + 1
    if generation > run.milestone.settings.generations:
        return None
    against = find_others(run, item.issue, work.base, onto, files) if kind is Reason.CONFLICT else ()
    one = FollowUp(
        issue=_next_issue(run), title=_title(run, item, kind, against), origin=item.issue, kind=kind,
        generation=generation, head=str(work.head), base=work.base, onto=onto, branch=work.branch,
        notes=work.notes[:4000], files=tuple(files), against=against,
    )  # fmt: skip
    run.dispatch.add(one)
    write_missing(run)
    run.tell("follow-up", "added", f"#{one.issue} {one_line(one.title)[:100]}", issue=item.issue)
    return one


def find_others(run: Run, issue: int, base: str, onto: str, files: Sequence[str]) -> tuple[int, ...]:
    """Name the other items whose squash commits brought the other side of a conflict."""
    found = run.history.find_others(base, onto, files)
    return tuple(other for other in found if other in run.dispatch.items and other != issue)


def _title(run: Run, item: Item, kind: Reason, against: Sequence[int]) -> str:
    title = one_line(item.title)
    if kind is Reason.REST:
        return f"Finish: {title.removeprefix('Finish: ')}"[:300]
    others = ", ".join(one_line(run.dispatch.items[issue].title) for issue in against) or run.history.branch
    return f"Resolve merge conflict: {title} vs {others}"[:300]


def _next_issue(run: Run) -> int:
    """Return a number that neither the plan nor the backlog as it now is nor an earlier run has given away."""
    taken = {*run.dispatch.items, *run.dispatch.recorded, *run.milestone.folder.issues()}
    if run.tasks.groomed:
        taken |= run.tasks.groomed.content.tasks.keys()
        on_disk = backlog.load_backlog(run.milestone.root)
        taken |= on_disk.tasks.keys() if on_disk else set()
    after = max(taken) + 1
    return after if after <= MAX_NUMBER else next(number for number in range(1, after) if number not in taken)


# -- what they are about


def describe(run: Run, one: FollowUp) -> str:
    """Say what a follow-up is about, for people and for its session."""
    items, origin = run.dispatch.items, run.standing(one.origin).work
    others = [items[issue] for issue in one.against if issue in items]
    partial = one.is_rest or (origin is not None and origin.outcome is Session.PARTIAL)
    works = [(other, run.standing(other.issue).work) for other in others]
    return render.render(
        run.milestone.root, "followup.md.j2", followup=one, origin=items[one.origin], others=others, partial=partial,
        origin_text=run.tasks.describe(one.origin)[0] if partial else "",
        approaches=[(other, work.notes[:2000] if work else "") for other, work in works],
        integration_branch=run.history.branch,
    )  # fmt: skip


def diffs(run: Run, one: FollowUp) -> dict[str, str]:
    """Return both sides' changes to the files that conflict, for the prompt."""
    if one.is_rest:
        return {}
    base = run.repo.merge_base(one.head, one.onto) or one.base
    return {name: trees.show_changes(run.repo, base, side, one.files)
            for name, side in (("theirs", one.head), ("ours", one.onto))}  # fmt: skip


# -- in the backlog


def finish(run: Run, tree: str, files: Collection[str], change: Callable[[str], Changes]) -> str:
    """Put into a merged tree what the run itself changes in a tracked backlog: follow-ups, then what `change` says.

    The tool's own lock file is taken out where it is among the `files` that were changed: on main it would refuse every
    later run.
    """
    tree = edits.edit(run.repo, tree, _find_missing(run, tree))
    tree = edits.edit(run.repo, tree, change(tree))
    return edits.edit(run.repo, tree, {worktrees.LOCK_FILE: None}) if worktrees.LOCK_FILE in files else tree


def _find_missing(run: Run, tree: str) -> Changes:
    """Return the files of follow-ups that a tree's tracked backlog does not have yet."""
    if run.tasks.tracked is None or not run.dispatch.followups:
        return {}
    found = run.tasks.read_tree(tree)
    made: Changes = {}
    for one in run.dispatch.followups.values():
        if one.issue not in found.tasks:
            with _noted(run, one):
                path, text = _task(run, found, one)
                made[path] = text
    return made


def write_missing(run: Run) -> None:
    """Put follow-ups into a backlog that git does not track: those that a killed run has not put there, too."""
    content = run.tasks.untracked
    if content is None:
        return
    missing = [one for one in run.dispatch.followups.values() if one.issue not in content.tasks]
    for one in missing:
        if not run.is_settled(one.issue):
            with _noted(run, one):
                backlog.write_task(run.milestone.root, *_task(run, content, one))
    if missing:
        run.tasks.reload()


@contextlib.contextmanager
def _noted(run: Run, one: FollowUp) -> Iterator[None]:
    """Tell why a follow-up's task cannot be written: it is worked all the same."""
    try:
        yield
    except BacklogError as error:
        run.tell("follow-up", "note", str(error), issue=one.issue)


def _task(run: Run, found: backlog.Backlog, one: FollowUp) -> tuple[str, str]:
    origin, work = found.tasks.get(one.origin), run.standing(one.origin).work
    plan = run.milestone.require_plan()
    like = origin or next(iter(found.tasks.values()), None)
    source = found.files[like.path] if like else ""
    prefix = re.search(r"^id:\s*['\"]?([A-Za-z][A-Za-z_-]*-)", source, re.MULTILINE)
    known = backlog.find_milestone(found.milestones, plan.number, plan.title)
    milestone = (origin.milestone if origin else None) or (f"m-{known.number}" if known else str(plan.number))
    return new_task.render(
        one.issue, one.title, prefix=prefix[1] if prefix else "TASK-", status=new_task.first_status(found),
        milestone=milestone, priority=run.dispatch.items[one.origin].priority, labels=[LABELS[one.kind]],
        # Its origin's date, so that a candidate which is built again is the same one.
        description=describe(run, one), created=work.ended if work else 0.0,
    )  # fmt: skip
