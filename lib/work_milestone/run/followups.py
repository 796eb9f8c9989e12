"""Follow-up items: made of what a merge could not bring, or of what a session left, and put into the backlog.

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
from collections.abc import Iterator, Sequence

from work_milestone import backlog
from work_milestone.backlog import files as backlog_files
from work_milestone.backlog import new_task
from work_milestone.git import trees
from work_milestone.plan import MAX_NUMBER, Item
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.context import TRAILER, Groomed
from work_milestone.run.run import Run
from work_milestone.store.outcomes import Session
from work_milestone.store.overlay import FollowUp, Kind
from work_milestone.store.receipts import Receipt
from work_milestone.system.errors import BacklogError, MilestoneError
from work_milestone.text import render
from work_milestone.text.lines import count, one_line

LABELS = {Kind.CONFLICT: "conflict-resolution", Kind.REST: "follow-up"}
MOST_FILES = 100  # that a command line names
MOST_DIFF = 20_000  # characters of a side's changes that a prompt carries


def add(run: Run, item: Item, kind: Kind, result: Receipt, onto: str, files: Sequence[str] = ()) -> FollowUp | None:
    """Add the follow-up of an item, and return it; None when the bound of generations is reached."""
    known = run.followup_of(item.issue)
    if known is not None:
        return known
    own = run.followups.get(item.issue)
    generation = (own.generation if own else 0) + 1
    if generation > run.settings.generations:
        return None
    base, head = str(result["base"]), str(result["head"])
    against = others(run, item, base, onto, files) if kind is Kind.CONFLICT else ()
    one = FollowUp(
        issue=_next_issue(run), title=_title(run, item, kind, against), origin=item.issue, kind=kind,
        generation=generation, head=head, base=base, onto=onto, branch=str(result.get("branch", "")),
        notes=str(result.get("notes", ""))[:4000], files=tuple(files), against=against,
    )  # fmt: skip
    run.add_followup(one)
    write_missing(run)
    run.tell("follow-up", "added", f"#{one.issue} {one_line(one.title)[:100]}", issue=item.issue)
    return one


def is_dispatched(run: Run) -> bool:
    """Tell whether every follow-up stands in a wave of this graph."""
    return not run.followups.keys() & run.items.keys() - run.dispatched.keys()


def require_dispatched(run: Run) -> None:
    """Raise MilestoneError when follow-ups came up, which the next generation's graph dispatches."""
    waiting = [issue for issue in run.items if issue not in run.dispatched]
    if waiting:
        names = ", ".join(f"#{issue}" for issue in waiting[:20])
        raise MilestoneError(f"{count(len(waiting), 'follow-up')} to be worked: {names}; doit milestone n={run.number}")


def _title(run: Run, item: Item, kind: Kind, against: Sequence[int]) -> str:
    title = one_line(item.title)
    if kind is Kind.REST:
        return f"Finish: {title.removeprefix('Finish: ')}"[:300]
    others = ", ".join(one_line(run.items[issue].title) for issue in against) or run.branch
    return f"Resolve merge conflict: {title} vs {others}"[:300]


def _next_issue(run: Run) -> int:
    """Return a number that neither the plan nor the backlog as it now is nor an earlier run has given away."""
    taken = {*run.items, *run.recorded, *run.folder.issues()}
    if run.backlog:
        taken |= run.backlog.content.tasks.keys()
        on_disk = backlog_files.load_backlog(run.root)
        taken |= on_disk.tasks.keys() if on_disk else set()
    after = max(taken) + 1
    return after if after <= MAX_NUMBER else next(number for number in range(1, after) if number not in taken)


# -- the backlog


def describe(run: Run, one: FollowUp) -> str:
    """Say what a follow-up is about, for people and for its session."""
    others = [run.items[issue] for issue in one.against if issue in run.items]
    partial = one.kind is Kind.REST or (run.result(one.origin) or {}).get("status") == Session.PARTIAL
    return render.render(
        run.root, "followup.md.j2", followup=one, origin=run.items[one.origin], others=others, partial=partial,
        origin_text=backlog_sync.describe(run, run.items[one.origin])[0] if partial else "",
        approaches=[(other, str((run.result(other.issue) or {}).get("notes", ""))[:2000]) for other in others],
        integration_branch=run.branch,
    )  # fmt: skip


def diffs(run: Run, one: FollowUp) -> dict[str, str]:
    """Return both sides' changes to the files that conflict, for the prompt."""
    if one.kind is not Kind.CONFLICT:
        return {}
    base = run.repo.merge_base(one.head, one.onto) or one.base
    return {"theirs": diff(run, base, one.head, one.files), "ours": diff(run, base, one.onto, one.files)}


def others(run: Run, item: Item, base: str, onto: str, files: Sequence[str]) -> tuple[int, ...]:
    """Name the items whose squash commits brought the other side of a conflict."""
    # Where a file stands against a folder, git tells the file by a name of its own: `name~branch`.
    names = {name for path in files[:MOST_FILES] for name in (path, path.partition("~")[0])}
    paths = [f":(literal,top){name}" for name in sorted(names)]
    touched = set(run.repo.text("log", "--format=%H", f"{base}..{onto}", "--", *paths).split())
    found = [int(trailers.get(f"{TRAILER}-Item", "0")) for commit, trailers in
             run.repo.trailers(TRAILER, f"{base}..{onto}") if commit in touched]  # fmt: skip
    return tuple(dict.fromkeys(issue for issue in reversed(found) if issue in run.items and issue != item.issue))


def diff(run: Run, old: str, new: str, files: Sequence[str]) -> str:
    """Return the changes between two commits in some files, as much of them as a prompt should carry."""
    paths = [f":(literal,top){name}" for name in files[:MOST_FILES]]
    done = run.repo.call("diff", "--no-color", "--no-ext-diff", "--no-textconv", old, new, "--", *paths)
    text = done.stdout[: 4 * MOST_DIFF].decode(errors="replace")
    return text if len(text) <= MOST_DIFF else f"{text[:MOST_DIFF]}\n[cut; the whole: git diff {old[:12]} {new[:12]}]\n"


def missing(run: Run, tree: str) -> dict[str, str | None]:
    """Return the files of follow-ups that a tree's tracked backlog does not have yet."""
    if run.backlog is None or not run.backlog.tracked or not run.followups:
        return {}
    found = backlog_files.read_backlog(trees.read_files(run.repo, tree, *backlog_files.PLACES))
    made: dict[str, str | None] = {}
    for one in run.followups.values():
        if one.issue not in found.tasks:
            with _noted(run, one):
                path, text = _task(run, found, one)
                made[path] = text
    return made


def write_missing(run: Run) -> None:
    """Put follow-ups into a backlog that git does not track: those that a killed run has not put there, too."""
    if run.backlog is None or run.backlog.tracked:
        return
    missing = [one for one in run.followups.values() if one.issue not in run.backlog.content.tasks]
    for one in missing:
        if not run.settled(one.issue):
            with _noted(run, one):
                backlog_files.write_task(run.root, *_task(run, run.backlog.content, one))
    content = backlog_files.load_backlog(run.root) if missing else None
    run.backlog = Groomed(content, tracked=False) if content else run.backlog


@contextlib.contextmanager
def _noted(run: Run, one: FollowUp) -> Iterator[None]:
    """Tell why a follow-up's task cannot be written: it is worked all the same."""
    try:
        yield
    except BacklogError as error:
        run.tell("follow-up", "note", str(error), issue=one.issue)


def _task(run: Run, found: backlog.Backlog, one: FollowUp) -> tuple[str, str]:
    origin = found.tasks.get(one.origin)
    plan = run.require_plan()
    like = origin or next(iter(found.tasks.values()), None)
    source = found.files[like.path] if like else ""
    prefix = re.search(r"^id:\s*['\"]?([A-Za-z][A-Za-z_-]*-)", source, re.MULTILINE)
    known = backlog.find_milestone(found.milestones, plan.number, plan.title)
    milestone = (origin.milestone if origin else None) or (f"m-{known.number}" if known else str(plan.number))
    return new_task.render(
        one.issue, one.title, prefix=prefix[1] if prefix else "TASK-", status=new_task.first_status(found),
        milestone=milestone, priority=run.items[one.origin].priority, labels=[LABELS[one.kind]],
        # Its origin's date, so that a candidate which is built again is the same one.
        description=describe(run, one), created=float((run.result(one.origin) or {}).get("ended", 0)),
    )  # fmt: skip
