"""Mending: sessions that resolve a conflict, or fix what a gate found, for an item or for the landing.

Rules:
- A resolution starts from the integration branch's head with the work merged in, conflict markers and all; a fix from
  the candidate that the gate refused.
- Such a session is one more attempt among the item's: adopted, judged, pinned and logged as every other.
- What it made stands beside the work, which stays as it is: what is merged is then built from the mended commit, and
  the trailers still name the work's own head. One that fails leaves standing what an earlier one had brought.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from work_milestone import git, sessions
from work_milestone.plan import Item
from work_milestone.run.run import Run
from work_milestone.sessions import preparation, results
from work_milestone.store.outcomes import Kind, Session
from work_milestone.store.receipts import LANDING, write_atomic
from work_milestone.text import render

MOST_MARKED = 20_000  # characters of conflicts that a prompt carries


@dataclass(frozen=True)
class Need:
    """What is to be mended: `work` (a commit) on top of `base`; `of` is the head that the trailers will name."""

    kind: Kind
    base: str
    work: str
    of: str
    values: Mapping[str, Any]


def is_under_way(run: Run, issue: int) -> bool:
    """Tell whether a session that mends is at work, or has ended and is not judged."""
    return run.attempt_state(issue) in ("alive", "finished", "dead") and results.kind_of(run, issue) is not Kind.WORK


def source(run: Run, issue: int, head: str) -> str:
    """Return the commit to build from: what has mended `head`, else that itself."""
    mend = run.mend(issue) or {}
    made = mend.get("head") if mend.get("of") == head else None
    return str(made) if made and run.repo.resolve(str(made)) else head


def reject(run: Run, issue: int) -> Kind:
    """Take back what the latest session brought, for it is not what it should be; return what that was for.

    Its commits are pinned.
    """
    mend = run.mend(issue) or {}
    if mend.get("head"):
        run.repo.move(preparation.attempt_ref(run, issue, int(mend["attempt"])), str(mend["head"]))
    kept = {key: value for key, value in mend.items() if key not in ("version", "step", "status", "ended")}
    before = mend.get("before") or {}
    run.folder.write(run.folder.receipt(issue, "mend"), "mend", "rejected", **(kept | dict(before)))
    return Kind(mend["kind"])


def give_up(run: Run, issue: int) -> None:
    """Take back fixes that have not made the gates green: what is tried next starts without them."""
    mend = run.mend(issue) or {}
    if mend.get("head") and mend.get("kind") == Kind.FIX:
        reject(run, issue)


def mend(run: Run, item: Item | None, need: Need) -> Session:
    """Work a session that mends, and its retries."""
    issue = item.issue if item else LANDING
    _prepare(run, issue, item, need)
    return sessions.see_through(
        run, issue, lambda: _attempt(run, issue, item, need), lambda: _prepare(run, issue, item, need)
    )


def take_up(run: Run, issue: int) -> None:
    """See a session that mends, begun by an earlier run, to its end."""
    sessions.take_up(run, issue)


def _attempt(run: Run, issue: int, item: Item | None, need: Need) -> Session:
    number = run.folder.attempts(issue) + 1
    if preparation.is_anothers(run, issue):
        _prepare(run, issue, item, need)
    prompt = run.folder.attempt(issue, number) / "prompt.md"
    write_atomic(prompt, _prompt(run, issue, item, need))
    begun = sessions.start(run, issue, item, prompt, of=need.of, merged=need.work)
    sessions.await_end(run, issue, number, begun.wait)
    return results.judge(run, issue, number)


def _prepare(run: Run, issue: int, item: Item | None, need: Need) -> None:
    """Take a worktree and bring it to where the session starts."""
    if _is_cut_short(run, issue, need) and preparation.resume_worktree(run, issue, run.mend(issue), need.kind):
        preparation.claim_worktree(run, issue, item)
        return
    branch = preparation.branch_of(run, item)
    place = preparation.take_worktree(run, issue, branch, need.base, need.kind)
    if need.kind is Kind.RESOLVE:
        quiet = ("-c", "merge.conflictStyle=zdiff3", "-c", "rerere.enabled=false", "-c", "commit.gpgsign=false")
        how = ("--no-commit", "--no-ff", "--quiet", "--no-verify-signatures", "--no-autostash")
        run.repo.call(*quiet, "merge", *how, need.work, cwd=place, accept=(0, 1), env=run.pool.environment())
    preparation.claim_worktree(run, issue, item)


def _is_cut_short(run: Run, issue: int, need: Need) -> bool:
    """Tell whether the latest session that mends was to do just what is needed now."""
    number = int((run.mend(issue) or {}).get("attempt") or 0)
    session = run.folder.load(run.folder.attempt(issue, number) / "session.json") or {}
    return (session.get("kind"), session.get("of"), session.get("merged")) == (need.kind, need.of, need.work)


def _prompt(run: Run, issue: int, item: Item | None, need: Need) -> str:
    worktree = run.folder.load(run.folder.receipt(issue, "worktree")) or {}
    plan = run.require_plan()
    earlier = {"status": "", "detail": "", **(run.mend(issue) or {})}
    template = "resume.md.j2" if worktree.get("conversation") else f"{need.kind.value}.md.j2"
    return render.render(
        run.root, template, plan=plan, item=item, title=preparation.title_of(run, item),
        branch=worktree["branch"], integration_branch=run.branch, gates=plan.gates,
        marked=_marked(run, Path(worktree["path"])) if need.kind is Kind.RESOLVE else "",
        earlier=earlier, attempt=worktree["attempt"], **need.values,
    )  # fmt: skip


def _marked(run: Run, place: Path) -> str:
    """Return the conflicts as they stand in a worktree, markers included, as many as a prompt should carry."""
    paths = git.split(run.repo.call("diff", "--name-only", "-z", "--diff-filter=U", cwd=place).stdout)
    found: list[str] = []
    for path in dict.fromkeys(paths):
        inside = False
        found.append(f"--- {path}")
        try:
            text = (place / path).read_bytes().decode(errors="replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            inside = inside or line.startswith("<<<<<<< ")
            if inside:
                found.append(f"{number}: {line}")
            inside = inside and not line.startswith(">>>>>>> ")
    text = "\n".join(found)
    return text if len(text) <= MOST_MARKED else f"{text[:MOST_MARKED]}\n[cut; the worktree has all of it]"
