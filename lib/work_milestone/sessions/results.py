"""What an attempt made: its exit, and what git shows of it, become the result of its item.

Rules:
- Success is the agent's word AND git's: on its own branch, with commits since its base.
- What a successful session left uncommitted is committed for it, in a commit that says so. Of any other, head
  and uncommitted work are pinned under a ref.
- The result is written before the worktree is given back, and a worktree that has become another session's is not
  touched: the branch has what was committed.
- Whatever an agent did to its worktree is its own outcome, and never stops the others. An attempt whose work cannot be
  kept, for want of room, is not judged until it can.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from work_milestone import agents, git
from work_milestone.agents import api as agent
from work_milestone.agents import api_errors
from work_milestone.conflicts import content
from work_milestone.git import checkouts, salvage, trees, worktrees
from work_milestone.run.run import Run
from work_milestone.sessions import exits, preparation
from work_milestone.store.outcomes import WITH_WORK, Kind, Session
from work_milestone.store.receipts import LANDING, MEND, Receipt
from work_milestone.system import process_table
from work_milestone.system.errors import GitError, MilestoneError
from work_milestone.text import masking
from work_milestone.text.lines import count, one_line, shown

REFUSAL = ("agent", "model", "until", "started", "elapsed", "detail")
MOST_TOLD = 1000  # characters of the reason why a session has ended
REST_SUBJECT = "chore: commit what the session left uncommitted"


def judge(run: Run, issue: int, number: int) -> Session:
    """Say how an attempt ended, keep what it made, write the result, free its worktree."""
    attempt, kind = run.folder.attempt(issue, number), kind_of(run, issue)
    session, record = _session(run, issue, number), exits.read(attempt)
    if record is None and session:
        process_table.sweep(str(session["mark"]))
    worker = agents.find(str(session.get("agent")), run.settings.agents)
    outcome, report = exits.judge(worker, session, record, attempt)
    made: dict[str, Any] = {"head": None}
    if session:
        outcome, made = _keep(run, issue, number, session, outcome)
    until = None
    if record and outcome.status is Session.QUOTA:
        until = api_errors.find_renewal(outcome.detail, float(record["ended"]))
    began = float(session.get("started") or time.time())
    elapsed = max(0.0, record["ended"] - record["started"] if record else time.time() - began)
    step = "spawn" if kind is Kind.WORK else "mend"
    earlier = run.folder.load(run.folder.receipt(issue, step)) or {}
    costs = _cost(outcome.cost, earlier, session, sums=worker.sums_cost)
    told = outcome.conversation or session.get("conversation") or exits.find_conversation(worker, attempt)
    other = earlier if earlier.get("status") == Session.QUOTA else earlier.get("refused") or {}
    fields = {
        "attempt": number, "detail": masking.mask(outcome.detail)[:MOST_TOLD], "conversation": agent.as_id(told),
        "notes": masking.mask(report.notes)[:4000], "blocker": masking.mask(report.blocker)[:2000],
        "until": until, "started": began, "elapsed": elapsed, "log": str(attempt), **costs, **made,
        **{name: session.get(name) for name in ("path", "mark", "agent", "model")},
        # Who was refused before is known on, though another stood in.
        "refused": {name: other.get(name) for name in REFUSAL} if other.get("agent") != session.get("agent") else None,
    }  # fmt: skip
    if record and outcome.status is Session.CRASHED:
        fields["conversation"] = ""  # its agent has said that nobody knows it any more
    if kind is not Kind.WORK:
        fields |= _mended(session, earlier, made)
    run.folder.write(run.folder.receipt(issue, step), step, outcome.status.value, **fields)
    run.begin(issue)
    if made["head"] and kind is Kind.WORK:
        run.note_head(str(made["head"]))
    if session and not preparation.is_resumable(run.folder.load(run.folder.receipt(issue, step))):
        _give_back(run, Path(session["path"]), str(session["mark"]))
    commits, files = len(made.get("commits") or ()), len(made.get("files") or ())
    run.tell(
        "spawn" if kind is Kind.WORK else kind.value, outcome.status.value,
        str(fields["detail"]) or f"{count(commits, 'commit')}, {count(files, 'file')}", issue=issue or None,
        elapsed=elapsed, cost=outcome.cost,
    )  # fmt: skip
    return outcome.status


def _cost(cost: float | None, earlier: Receipt, session: Receipt, *, sums: bool) -> dict[str, float | None]:
    """Add a session's cost up, in US dollars; where its agent sums, it holds what the conversation had cost before."""
    spent = float(earlier.get("spent") or 0)
    if session.get("resumed"):
        before = float(earlier.get("cost") or 0)
        cost = cost if cost is None or sums else before + cost
        return {"cost": before if cost is None else cost, "spent": spent - before + max(before, cost or 0.0)}
    return {"cost": cost, "spent": spent + (cost or 0)}


def _mended(session: dict[str, Any], earlier: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Say whose work a session has mended; one that failed leaves standing what an earlier one had brought.

    `before` is what there was before it, and before the fixes that it goes on with.
    """
    of = str(session.get("of", ""))
    known = earlier if of and earlier.get("of") == of else {}
    kept = {name: known.get(name) for name in ("head", "merged", "onto", "kind")}
    goes_on = session.get("kind") == known.get("kind") == Kind.FIX
    now = {"merged": session.get("merged"), "onto": session.get("base"), "kind": session.get("kind")}
    return {"of": of, "before": known["before"] if goes_on else kept, **(now if made["head"] else kept)}


def kind_of(run: Run, issue: int) -> Kind:
    """Tell what the latest attempt is for; where that is damaged, by what there was to do."""
    number = run.folder.attempts(issue)
    for path in (run.folder.attempt(issue, number) / "session.json", run.folder.receipt(issue, "worktree")):
        found = run.folder.load(path) or {}
        if found.get("attempt") == number and found.get("kind") in Kind.__members__.values():
            return Kind(found["kind"])
    return Kind.WORK if issue != LANDING and run.facts(issue).needs_session else Kind.RESOLVE


def _session(run: Run, issue: int, number: int) -> dict[str, Any]:
    """Read where an attempt works, from what was written for it first where its own receipt is damaged."""
    session = run.folder.load(run.folder.attempt(issue, number) / "session.json")
    worktree = run.folder.load(run.folder.receipt(issue, "worktree")) or {}
    lock = run.folder.load(run.folder.receipt(issue, "lock"))
    if session is None and lock is not None and worktree.get("attempt") == number:
        return {**worktree, "mark": lock["mark"], "started": worktree["ended"]}
    return session or {}


def _keep(
    run: Run, issue: int, number: int, session: dict[str, Any], outcome: agent.Outcome
) -> tuple[agent.Outcome, dict[str, Any]]:
    """Bring what a session made into refs, from its worktree, or from its branch where that is not its own any more."""
    place, branch, base = Path(session["path"]), str(session["branch"]), str(session["base"])
    made: dict[str, Any] = {"branch": branch, "base": base, "head": None}
    ref, env = preparation.attempt_ref(run, issue, number), run.pool.environment()
    claimed = worktrees.is_claimed(place, str(session["mark"]))
    try:
        if claimed:
            state = checkouts.read_state(run.repo, place, env=env)
        else:
            state = checkouts.State(run.repo.resolve(f"refs/heads/{branch}"), branch)
            if state.head and place.is_dir() and checkouts.git_dir(place) is None:
                salvage.rescue(run.repo, place, env, ref, state.head, time.time())
                run.pool.drop(place)
        if outcome.status in WITH_WORK:
            state, fault = _commit_rest(run, place, branch, state, kind_of(run, issue))
            commits, files = run.repo.commits(base, state.head) if state.head and not fault else ([], [])
            marked = _find_markers(run, base, state.head, files) if files and state.head else ""
            if marked:
                outcome = replace(outcome, status=Session.FAILED, detail=marked)
            elif files:
                made |= {
                    "head": state.head,
                    "rooted": run.repo.is_ancestor(base, str(state.head)),
                    "files": files,
                    "commits": [{"id": commit.id, "subject": commit.subject} for commit in commits],
                }
            else:
                words = "its commits change nothing" if commits else _find_elsewhere(run, session)
                outcome = replace(outcome, status=Session.FAILED, detail=fault or words)
        if outcome.status not in WITH_WORK and claimed and (state.head != base or state.is_dirty):
            salvage.pin(run.repo, place, env, ref, time.time())
    except GitError as error:
        # Whatever an agent has done to its worktree is its own outcome, and no reason for the others to stop.
        outcome = replace(outcome, status=Session.FAILED, detail=one_line(str(error))[:500])
        made["head"] = None
        _keep_anyway(run, place if claimed else None, ref, run.repo.resolve(f"refs/heads/{branch}") or base)
    return outcome, made


def _keep_anyway(run: Run, place: Path | None, ref: str, head: str) -> None:
    """Keep a commit, and what lies in a worktree that git refuses, which goes away then.

    Raise MilestoneError where that cannot be kept, as on a full disk: the attempt is judged by the same line again.
    """
    env = run.pool.environment()
    try:
        if place:
            try:
                salvage.pin(run.repo, place, env, ref, time.time())
            except GitError:
                salvage.rescue(run.repo, place, env, ref, head, time.time())
        salvage.keep(run.repo, ref, head)  # beside the other, where that was made elsewhere
    except GitError as error:
        raise MilestoneError(f"what a session has left cannot be kept: {one_line(str(error))}; {MEND}") from error
    if place:
        run.pool.drop(place)


def _find_elsewhere(run: Run, session: dict[str, Any]) -> str:
    """Say that a session committed nothing, or where it did instead."""
    form = "%(committerdate:unix) %(refname:lstrip=2)"
    rows = run.repo.text(  # what its base holds was there before, be it in the same second
        "for-each-ref", "--sort=-committerdate", f"--no-merged={session['base']}", f"--format={form}", "refs/heads"
    ).split("\n")
    for when, _, name in (row.partition(" ") for row in rows if row):
        ours = name == run.branch or name.startswith(f"work/{run.number}/")
        if int(when or 0) >= int(float(session["started"])) and not ours:
            return f"it committed nothing on {session['branch']}; {name} has got a commit meanwhile"
    return "it committed nothing"


def _find_markers(run: Run, base: str, head: str, files: list[str]) -> str:
    """Say that a session committed conflict markers, "" when it did not."""
    named = files if len(files) <= git.MOST_NAMED else []
    found = run.repo.call("grep", "-l", "-z", "-I", "-E", r"^(<{7}|>{7}) ", head, "--", *named, accept=(0, 1),
                          env={"GIT_LITERAL_PATHSPECS": "1"}).stdout  # fmt: skip
    marked = {name.removeprefix(f"{head}:") for name in git.split(found)}.intersection(files)
    for path in sorted(marked):
        before, now = (trees.read_file(run.repo, rev, path) or b"" for rev in (base, head))
        if content.has_markers(now, before):
            return f"it committed conflict markers in {shown(path)}"
    return ""


def _commit_rest(run: Run, place: Path, branch: str, state: checkouts.State, kind: Kind) -> tuple[checkouts.State, str]:
    """Commit what is left, where the session is on its branch; say what is wrong where it is not."""
    if state.branch != branch:
        on = f"branch {state.branch}" if state.branch else "a detached HEAD"
        return state, f"it ended on {on}, not on {branch}"
    if state.unmerged and kind is not Kind.RESOLVE:  # markers that a resolution leaves are found in what it commits
        return state, f"it left a merge unfinished: {', '.join(state.unmerged[:5])}"
    if not state.is_dirty:
        return state, ""
    env = run.pool.environment()
    salvage.commit_rest(run.repo, place, env, REST_SUBJECT)
    return checkouts.read_state(run.repo, place, env=env), ""


def _give_back(run: Run, place: Path, mark: str) -> None:
    """Free a worktree that is still this session's, once the result is written."""
    if worktrees.is_claimed(place, mark):
        (place / worktrees.LOCK_FILE).unlink(missing_ok=True)
        run.pool.free(place)
