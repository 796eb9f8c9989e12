"""How an attempt ended, and what it made: from its exit, its output, its report, and git.

Rules:
- Success is the agent's word AND git's: on its own branch, with commits since its base.
- What a successful session left uncommitted is committed for it, in a commit that says so. Of any other, head
  and uncommitted work are pinned under a ref.
- The worktree is given back only when all of that is done, and the result is written last.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from work_milestone import agents, completion, gates, git, preparation, process, worktrees
from work_milestone.plan import Item
from work_milestone.runs import Run
from work_milestone.states import WITH_WORK, Session
from work_milestone.texts import count, last_line, one_line

REST_SUBJECT = "chore: commit what the session left uncommitted"


def judge(run: Run, item: Item, number: int) -> Session:
    """Say how an attempt ended, keep what it made, free its worktree, write the result."""
    attempt = run.folder.attempt(item.issue, number)
    session = run.folder.load(attempt / "session.json") or run.folder.load(run.folder.receipt(item.issue, "worktree"))
    record, session = read_exit(attempt), session or {}
    if record is None and session.get("mark"):
        process.sweep(str(session["mark"]))
    outcome, report = _read(session, record, attempt)
    made: dict[str, Any] = {"head": None}
    if "path" in session:
        outcome, made = _keep(run, item, number, session, outcome)
    started = float(session.get("started") or time.time())
    elapsed = max(0.0, float((record or {}).get("ended") or time.time()) - started)
    run.folder.write(
        run.folder.receipt(item.issue, "spawn"), "spawn", outcome.status.value, durable=True, attempt=number,
        detail=outcome.detail, notes=report.notes[:4000], blocker=report.blocker[:2000], cost=outcome.cost,
        started=started, elapsed=elapsed, log=str(attempt), **made,
    )  # fmt: skip
    run.begin(item.issue)
    detail = (
        outcome.detail
        or f"{count(len(made.get('commits', [])), 'commit')}, {count(len(made.get('files', [])), 'file')}"
    )
    run.tell("spawn", outcome.status.value, detail, item=item, elapsed=elapsed, cost=outcome.cost)
    return outcome.status


def _read(
    session: dict[str, Any], record: dict[str, Any] | None, attempt: Path
) -> tuple[agents.Outcome, completion.Report]:
    """Read exit and report; the report can take a success back, never a failure."""
    outcome = _outcome(session, record, attempt)
    report = completion.parse_report(outcome.text)
    if outcome.status is Session.COMPLETE and report.status:
        detail = "" if report.status in WITH_WORK else one_line(report.blocker or f"it reported {report.status}")
        outcome = replace(outcome, status=report.status, detail=detail[:300])
    return outcome, report


def read_exit(attempt: Path) -> dict[str, Any] | None:
    """Read the supervisor's record of an attempt, None when there is none."""
    try:
        record = json.loads((attempt / "exit.json").read_text())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _outcome(session: dict[str, Any], record: dict[str, Any] | None, attempt: Path) -> agents.Outcome:
    """Say what the exit of an attempt means, before git is asked."""
    if record is None:
        return agents.Outcome(Session.CRASHED, detail="its supervisor is gone without a record")
    stdout, stderr = (gates.read_end(attempt / name, 16_000_000) for name in ("stdout", "stderr"))
    reason = record.get("reason")
    agent = agents.REGISTRY.get(str(session.get("agent")), agents.REGISTRY["command"])
    if reason == "timeout":
        limit = float(session.get("timeout", 0))
        return agents.Outcome(Session.TIMEOUT, stdout, f"over its time limit of {limit:g} s")
    if reason == "stopped":
        return agents.Outcome(Session.STOPPED, stdout, "stopped with the run")
    if reason == "signalled":
        return agents.Outcome(Session.FAILED, stdout, f"ended by signal {record.get('signal')}")
    if reason == "not-started":
        return agents.Outcome(Session.FAILED, "", last_line(stderr) or "the agent could not be started")
    code = record.get("code")
    return agent.judge(code if isinstance(code, int) else 1, stdout, stderr)


def _keep(
    run: Run, item: Item, number: int, session: dict[str, Any], outcome: agents.Outcome
) -> tuple[agents.Outcome, dict[str, Any]]:
    """Bring what a session made into refs and free its worktree."""
    place, branch, base = Path(session["path"]), str(session["branch"]), str(session["base"])
    made: dict[str, Any] = {"branch": branch, "base": base, "head": None}
    if not (place / ".git").exists():
        run.pool.free(place)
        return replace(outcome, status=Session.CRASHED, detail=f"its worktree {place} is gone"), made
    env = run.pool.environment()
    state = run.repo.state(place, env=env)
    if outcome.status in WITH_WORK:
        state, fault = _commit_rest(run, place, branch, state)
        commits = run.repo.commits(base, state.head) if state.head and not fault else []
        if commits and state.head:
            files = run.repo.changed(base, state.head)
            made |= {
                "head": state.head,
                "files": files,
                "commits": [{"id": commit.id, "subject": commit.subject} for commit in commits],
            }
            run.note_head(state.head)
        else:
            outcome = replace(outcome, status=Session.FAILED, detail=fault or "it committed nothing")
    if outcome.status not in WITH_WORK and (state.head != base or _is_dirty(state)):
        worktrees.pin(run.repo, place, env, preparation.attempt_ref(run, item, number), time.time())
    (place / worktrees.LOCK_FILE).unlink(missing_ok=True)
    run.pool.free(place)
    return outcome, made


def _commit_rest(run: Run, place: Path, branch: str, state: git.TreeState) -> tuple[git.TreeState, str]:
    """Commit what is left, where the session is on its branch; say what is wrong where it is not."""
    if state.branch != branch:
        on = f"branch {state.branch}" if state.branch else "a detached HEAD"
        return state, f"it ended on {on}, not on {branch}"
    if state.unmerged:
        return state, f"it left a merge unfinished: {', '.join(state.unmerged[:5])}"
    if not _is_dirty(state):
        return state, ""
    env = run.pool.environment()
    worktrees.commit_rest(run.repo, place, env, REST_SUBJECT)
    return run.repo.state(place, env=env), ""


def _is_dirty(state: git.TreeState) -> bool:
    return bool(state.tracked or state.untracked or state.unmerged)
