"""Mending: sessions that resolve a conflict, or fix what a gate found, for an item or for the landing.

Rules:
- A resolution starts from the integration branch's head with the work merged in, conflict markers and all; a fix from
  the candidate that the gate refused.
- Such a session is one more attempt among the item's: adopted, judged, pinned and logged as every other.
- What it made stands beside the work, which stays as it is: what is merged is then built from the mended commit, and
  the trailers still name the work's own head. One that fails leaves standing what an earlier one had brought.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from work_milestone import git
from work_milestone.conflicts import completeness
from work_milestone.git import merges
from work_milestone.merging.needs import Need
from work_milestone.run import Run
from work_milestone.sessions import places, results, starts, work
from work_milestone.store import Kind, Session, records, shapes
from work_milestone.system import files
from work_milestone.text import render


class Rejected(NamedTuple):
    """That what a session has mended is rejected: what it was to do, and what is wrong with it."""

    kind: Kind | None
    fault: completeness.Fault


def find_source(repo: git.Repo, mend: records.Mend | None, head: str) -> str:
    """Return the commit to build from: what has mended `head`, else that itself."""
    made = mend.head if mend and mend.of == head else None
    return made if made and repo.resolve(made) else head


def find_sound_source(run: Run, issue: int, head: str) -> tuple[str, Rejected | None]:
    """Return the commit to build from, and what was rejected for it: what does not mend `head` as it should."""
    mend = run.standing(issue).mend
    source = find_source(run.repo, mend, head)
    if mend is None or source != mend.head:
        return source, None
    fault = _check(run, mend, source)
    if fault is None:
        return source, None
    _reject(run, issue, mend)
    return find_source(run.repo, run.standing(issue).mend, head), Rejected(mend.kind, fault)


def _check(run: Run, mend: records.Mend, source: str) -> completeness.Fault | None:
    """Say what is wrong with what a session has mended, None when nothing is."""
    repo, onto, work = run.repo, mend.onto, mend.merged
    if mend.kind is Kind.RESOLVE:
        return completeness.check_resolution(repo, onto, work, source, merges.provide(run.pool, run.place, onto))
    if repo.merge_base(work, source) is None:
        return completeness.Fault(f"the fix {source[:10]} has no history in common with {work[:10]}")
    before = repo.resolve(f"{work}^")
    taken_back = before and completeness.is_taken_back(repo, before, work, before, source)
    return completeness.Fault("the fix takes all of the work back") if taken_back else None


def _reject(run: Run, issue: int, mend: records.Mend) -> None:
    """Take back what the latest session brought; its commits are pinned."""
    if mend.head:
        run.repo.move(run.history.attempt_ref(issue, mend.attempt), mend.head)
    rejected = mend.replace(status="rejected", ended=0.0)
    run.receipts.write(records.Mend.describe(rejected, mend.of, mend.before, mend.before), issue)


def give_up(run: Run, issue: int) -> None:
    """Take back fixes that have not made the gates green: what is tried next starts without them."""
    mend = run.standing(issue).mend
    if mend and mend.head and mend.kind is Kind.FIX:
        _reject(run, issue, mend)


def mend(run: Run, issue: int, need: Need) -> Session:
    """Work a session that mends, and its retries; return how it ended, `stopped` also where none may start."""
    _prepare(run, issue, need)
    return work.see_through(run, issue, lambda: _attempt(run, issue, need), lambda: _prepare(run, issue, need))


def take_up(run: Run, issue: int) -> None:
    """See a session that mends, begun by an earlier run, to its end."""
    starts.take_up(run, issue)


def _attempt(run: Run, issue: int, need: Need) -> Session:
    number = run.milestone.folder.attempts(issue) + 1
    if places.is_anothers(run, issue):
        _prepare(run, issue, need)
    prompt = run.milestone.folder.attempt(issue, number) / "prompt.md"
    files.write_atomic(prompt, _write_prompt(run, issue, need))
    begun = starts.start(run, issue, prompt, of=need.of, merged=need.work)
    starts.await_end(run, issue, number, begun.wait)
    return results.judge(run, issue, number)


def _prepare(run: Run, issue: int, need: Need) -> None:
    """Take a worktree and bring it to where the session starts."""
    earlier = run.standing(issue).mend
    if not (_is_cut_short(run, issue, earlier, need) and places.resume(run, issue, earlier, need.kind)):
        place = places.take(run, issue, need.base, need.kind)
        if need.kind is Kind.RESOLVE:
            merges.begin(run.repo, place, need.work, run.pool.environment())
    places.claim(run, issue)


def _is_cut_short(run: Run, issue: int, earlier: records.Mend | None, need: Need) -> bool:
    """Tell whether the latest session that mends was to do just what is needed now."""
    session = run.receipts.load(records.Started, issue, earlier.attempt if earlier else 0)
    return session is not None and (session.kind, session.of, session.merged) == (need.kind, need.of, need.work)


def _write_prompt(run: Run, issue: int, need: Need) -> str:
    taken, plan = places.require(run, issue), run.milestone.require_plan()
    template = "resume.md.j2" if taken.conversation else f"{need.kind.value}.md.j2"
    return render.render(
        run.milestone.root, template, plan=plan, item=run.dispatch.items.get(issue), title=places.name(run, issue),
        branch=taken.branch, integration_branch=run.history.branch, gates=plan.gates,
        marked=merges.show_conflicts(run.repo, Path(taken.path)) if need.kind is Kind.RESOLVE else "",
        earlier=shapes.write(run.standing(issue).mend or records.Work(status="", attempt=0)), attempt=taken.attempt,
        **need.values,
    )  # fmt: skip
