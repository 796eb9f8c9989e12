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

from work_milestone import git
from work_milestone.git import merges
from work_milestone.merging.needs import Need
from work_milestone.run import Run
from work_milestone.sessions import places, results, starts, work
from work_milestone.store import Kind, Session, records
from work_milestone.system import files
from work_milestone.text import render


def find_source(repo: git.Repo, mend: records.Mend | None, head: str) -> str:
    """Return the commit to build from: what has mended `head`, else that itself."""
    made = mend.head if mend and mend.of == head else None
    return made if made and repo.resolve(made) else head


def reject(run: Run, issue: int) -> Kind | None:
    """Take back what the latest session brought, for it is not what it should be; return what that was for.

    Its commits are pinned.
    """
    mend = run.standing(issue).mend
    if mend is None:
        return None
    if mend.head:
        run.repo.move(run.history.attempt_ref(issue, mend.attempt), mend.head)
    rejected = mend.replace(status="rejected", ended=0.0)
    run.receipts.write(records.Mend.describe(rejected, mend.of, mend.before, mend.before), issue)
    return mend.kind


def give_up(run: Run, issue: int) -> None:
    """Take back fixes that have not made the gates green: what is tried next starts without them."""
    mend = run.standing(issue).mend
    if mend and mend.head and mend.kind is Kind.FIX:
        reject(run, issue)


def mend(run: Run, issue: int, need: Need) -> Session:
    """Work a session that mends, and its retries."""
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
        earlier=run.standing(issue).mend or records.Work(status="", attempt=0), attempt=taken.attempt, **need.values,
    )  # fmt: skip
