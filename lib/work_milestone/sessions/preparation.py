"""What an item needs before its session: a clean worktree, the lock file, the prompt.

Rules:
- Nothing is prepared while an attempt is alive or waits to be judged: its worktree is its own.
- What a branch held is pinned before it is set anew.
- Branch and path come from the receipt, so that an edited title changes nothing under way.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

from work_milestone.git import salvage, worktrees
from work_milestone.plan import Item, branches
from work_milestone.run import followups, integration
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.run import Run
from work_milestone.sessions import relay
from work_milestone.settings import session_settings
from work_milestone.store.outcomes import RESUMED, Kind, Session
from work_milestone.store.receipts import LANDING, Receipt, write_atomic
from work_milestone.supervision import attempts
from work_milestone.system.errors import MilestoneError
from work_milestone.text import render
from work_milestone.text.lines import one_line


def is_prepared(run: Run, item: Item) -> bool:
    """Tell whether worktree, lock and prompt are not needed: no session is, or there is one that is not judged.

    One that died since the run began too: its branch is not to be moved while its worktree is not looked at.
    """
    return not run.needs_session(item.issue) or run.attempt_state(item.issue) not in ("none", "judged")


def starts(run: Run, item: Item) -> bool:
    """Tell whether a new attempt is to be begun now."""
    ready = not is_prepared(run, item) and not run.unmet(item) and not run.breaker.halted
    return ready and not find_overspent(run, item.issue)


def find_overspent(run: Run, issue: int) -> str:
    """Say that the sessions of an item have spent its budget, "" when something is left."""
    budget, spent = session_settings(run.settings, run.items.get(issue)).budget_usd, run.spent_on(issue)
    return "" if budget is None or spent < budget else f"${spent:.2f} of ${budget:g} are spent; raise budget_usd"


def prepare(run: Run, item: Item) -> None:
    """Take a clean worktree on the item's branch, at the integration branch's head."""
    if starts(run, item):
        _prepare(run, item)


def _prepare(run: Run, item: Item) -> None:
    if not resume_worktree(run, item.issue, run.result(item.issue), Kind.WORK):
        take_worktree(run, item.issue, branch_of(run, item), integration.head(run), Kind.WORK)


def take_worktree(run: Run, issue: int, branch: str, base: str, kind: Kind) -> Path:
    """Take a worktree for the next attempt, on its branch at `base`; what the branch held is kept."""
    number = run.folder.attempts(issue) + 1
    _keep_branch(run, issue, branch, base, number - 1)
    _give_up_conversations(run, issue)
    run.begin(issue)
    place = run.pool.take(branch, base)
    run.folder.write(
        run.folder.receipt(issue, "worktree"), "worktree", "ready", branch=branch, path=str(place), base=base,
        attempt=number, kind=kind.value,
    )  # fmt: skip
    return place


def is_resumable(receipt: Receipt | None) -> bool:
    """Tell whether a session was cut short in a conversation that can be gone on with, where it stood."""
    if receipt is None or receipt["status"] not in RESUMED or not receipt.get("conversation"):
        return False
    return worktrees.is_claimed(Path(str(receipt["path"])), str(receipt["mark"]))


def resume_worktree(run: Run, issue: int, receipt: Receipt | None, kind: Kind) -> bool:
    """Take the worktree of a session that was cut short for the next attempt, as it is; tell whether it could be."""
    if receipt is None or not is_resumable(receipt):
        return False
    if receipt.get("agent") not in ([run.chosen[issue]] if issue in run.chosen else find_agents(run, issue)):
        return False  # another agent knows nothing of it
    since = range(int(receipt["attempt"]) + 1, run.folder.attempts(issue) + 1)
    if any(attempts.state(run.folder.attempt(issue, number)) != "none" for number in since):
        return False
    run.pool.keep(Path(str(receipt["path"])))
    run.folder.write(
        run.folder.receipt(issue, "worktree"), "worktree", "ready", branch=receipt["branch"], path=receipt["path"],
        base=receipt["base"], attempt=run.folder.attempts(issue) + 1, kind=kind.value,
        conversation=receipt["conversation"], mark=receipt["mark"], agent=receipt["agent"],
    )  # fmt: skip
    return True


def find_agents(run: Run, issue: int) -> tuple[str, ...]:
    """Name the agents that may work an item: whose conversation can go on, the one that was chosen, who stands in."""
    known = (session_settings(run.settings, run.items.get(issue)).agent, *run.settings.fallback)
    cut_short = [
        receipt["agent"] for receipt in (run.result(issue), run.mend(issue)) if receipt and is_resumable(receipt)
    ]
    return tuple(dict.fromkeys((*(name for name in known if name in cut_short), *known)))


def is_anothers(run: Run, issue: int) -> bool:
    """Tell whether a worktree was taken to go on with a conversation of another agent than now starts."""
    worktree = run.folder.load(run.folder.receipt(issue, "worktree")) or {}
    return bool(worktree.get("conversation")) and worktree.get("agent") != run.chosen.get(issue, worktree.get("agent"))


def _give_up_conversations(run: Run, issue: int) -> None:
    """Free the worktrees that were kept for conversations of an item with which nobody goes on; all is pinned."""
    for receipt in (run.result(issue), run.mend(issue)):
        if receipt and is_resumable(receipt):
            place = Path(str(receipt["path"]))
            worktrees.disown(place)
            (place / worktrees.LOCK_FILE).unlink(missing_ok=True)
            run.pool.free(place)


def branch_of(run: Run, item: Item | None) -> str:
    """Name an item's branch, or the landing's: the one that it began with, whatever its title is by now."""
    issue = item.issue if item else LANDING
    earlier = run.folder.load(run.folder.receipt(issue, "worktree"))
    if earlier:
        return str(earlier["branch"])
    slug = branches.slugify(item.title) if item else "landing"
    return f"work/{run.number}/{issue}" + (f"-{slug}" if slug else "")


def _keep_branch(run: Run, issue: int, branch: str, base: str, number: int) -> None:
    """Keep the commits, an earlier attempt's or a person's, that a branch is about to leave."""
    old = run.repo.resolve(f"refs/heads/{branch}")
    if old and old != base and not run.repo.is_ancestor(old, base):
        salvage.keep(run.repo, attempt_ref(run, issue, number), old)


def attempt_ref(run: Run, issue: int, number: int) -> str:
    """Name the ref that keeps what an attempt made."""
    return f"refs/milestone/{run.number}/attempt/{issue}/{number}"


def write_lock(run: Run, item: Item) -> None:
    """Put the lock file into the worktree that stops this tool from being started inside it."""
    if starts(run, item):
        claim_worktree(run, item.issue, item)


def claim_worktree(run: Run, issue: int, item: Item | None) -> None:
    """Write the lock file into the worktree that was taken, and the mark of its session into its git dir."""
    worktree = run.folder.load(run.folder.receipt(issue, "worktree")) or {}
    # A session that goes on keeps its mark: a run that ends before it has started leaves the worktree the session's.
    mark = str(worktree.get("mark") or uuid.uuid4())
    content = {
        "session_id": mark,
        "parent_pid": os.getpid(),
        "spawned_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "item": title_of(run, item)[:100],
        "model": session_settings(run.settings, item, run.chosen.get(issue)).model,
    }
    path = Path(worktree["path"]) / worktrees.LOCK_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise MilestoneError(
            f"{path}: cannot be written ({error.strerror}); the lock file must have its place"
        ) from error
    worktrees.claim(Path(worktree["path"]), mark)
    run.folder.write(run.folder.receipt(issue, "lock"), "lock", "ready", mark=mark, path=str(path))


def title_of(run: Run, item: Item | None) -> str:
    """Name an item, or the landing, in one line."""
    return one_line(item.title) if item else f"Landing of milestone {run.number}"


def write_prompt(run: Run, item: Item) -> None:
    """Render the prompt."""
    if starts(run, item):
        _write_prompt(run, item)


def _write_prompt(run: Run, item: Item) -> None:
    worktree = run.folder.load(run.folder.receipt(item.issue, "worktree")) or {}
    earlier = run.result(item.issue) or {}
    if worktree["attempt"] > 1 and not earlier:
        earlier = {"status": Session.CRASHED.value}
    description, criteria = backlog_sync.describe(run, item)
    followup = run.followups.get(item.issue)
    if followup and not description:
        description = followups.describe(run, followup)
    plan = run.require_plan()
    text = render.render(
        run.root,
        "resume.md.j2" if worktree.get("conversation") else "prompt.md.j2",
        plan=plan,
        item=item,
        title=one_line(item.title),
        branch=worktree["branch"],
        integration_branch=run.branch,
        attempt=worktree["attempt"],
        earlier={"status": "", "detail": "", "notes": "", **earlier},
        description=description,
        criteria=criteria,
        diffs=followups.diffs(run, followup) if followup else {},
        gates=plan.gates,
        relay=relay.for_prompt(run, item).strip(),
    )
    write_atomic(run.folder.item(item.issue) / "prompt.md", text)


def begin_anew(run: Run, item: Item) -> None:
    """Prepare a further attempt within one session step."""
    _prepare(run, item)
    claim_worktree(run, item.issue, item)
    _write_prompt(run, item)
