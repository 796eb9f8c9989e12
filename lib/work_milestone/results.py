"""How an attempt ended, and what it made: from its exit, its output, its report, and git.

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

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from work_milestone import (
    agent,
    agents,
    api_errors,
    checkouts,
    completion,
    content,
    gates,
    git,
    halting,
    masking,
    preparation,
    process_table,
    progress,
    salvage,
    supervisor,
    trees,
    worktrees,
)
from work_milestone.errors import GitError, MilestoneError
from work_milestone.receipts import LANDING, MEND, Receipt
from work_milestone.runs import Run
from work_milestone.states import WITH_WORK, Kind, Session
from work_milestone.texts import count, last_line, one_line, shown

REASONS = ("exited", "signalled", "timeout", "stopped", "not-started")
MOST_BEFORE = 1_000_000  # bytes before which an agent has told the id of its conversation
REFUSAL = ("agent", "model", "until", "started", "elapsed", "detail")
MOST_TOLD = 1000  # characters of the reason why a session has ended
REST_SUBJECT = "chore: commit what the session left uncommitted"


def judge(run: Run, issue: int, number: int) -> Session:
    """Say how an attempt ended, keep what it made, write the result, free its worktree."""
    attempt, kind = run.folder.attempt(issue, number), kind_of(run, issue)
    session, record = _session(run, issue, number), read_exit(attempt)
    if record is None and session:
        process_table.sweep(str(session["mark"]))
    worker = agents.find(str(session.get("agent")), run.settings.agents)
    outcome, report = _read(worker, session, record, attempt)
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
    told = outcome.conversation or session.get("conversation") or _find_conversation(worker, attempt)
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


def _find_conversation(worker: agent.Agent, attempt: Path) -> str:
    """Find the conversation of an agent that makes its own ids, in what it has printed."""
    if not worker.resumes or worker.names_conversations:
        return ""
    try:
        with (attempt / "stdout").open("rb") as file:
            beginning = file.read(MOST_BEFORE).decode(errors="replace")
    except OSError:
        return ""
    return worker.find_conversation(beginning)


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


def _read(
    worker: agent.Agent, session: dict[str, Any], record: dict[str, Any] | None, attempt: Path
) -> tuple[agent.Outcome, completion.Report]:
    """Read exit and report; the report can take a success back, never a failure."""
    outcome = _outcome(worker, session, record, attempt)
    report = completion.parse_report(outcome.text)
    if outcome.status is Session.COMPLETE and report.status:
        detail = "" if report.status in WITH_WORK else one_line(report.blocker or f"it reported {report.status}")
        outcome = replace(outcome, status=report.status, detail=detail[:300])
    return outcome, report


def read_exit(attempt: Path) -> dict[str, Any] | None:
    """Read the supervisor's record of an attempt, None when there is none."""
    try:
        record = json.loads((attempt / "exit.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("reason") not in REASONS:
        return None
    timed = all(isinstance(record.get(name), int | float) for name in ("started", "ended"))
    return record if timed and isinstance(record.get("code"), int | None) else None


def _outcome(
    worker: agent.Agent, session: dict[str, Any], record: dict[str, Any] | None, attempt: Path
) -> agent.Outcome:
    """Say what the exit of an attempt means, before git is asked."""
    if record is None:
        return agent.Outcome(Session.CRASHED, detail="its supervisor is gone without a record")
    if not session:
        return agent.Outcome(Session.CRASHED, detail=f"{attempt}: what was known of it is damaged")
    stdout, stderr = (gates.read_end(attempt / name, progress.MOST) for name in ("stdout", "stderr"))
    reason = record.get("reason")
    if reason == "exited":
        return _judge_words(worker, record, attempt, stdout, stderr)
    told = progress.measure(stdout, worker)
    if reason == "stopped" and told.fault:
        return _judge_words(worker, record, attempt, stdout, stderr)
    if reason == "timeout":
        limit = float(session.get("timeout", 0))
        return agent.Outcome(Session.TIMEOUT, stdout, f"over its time limit of {limit:g} s", told.cost)
    if reason == "stopped":
        by_hand = (attempt / halting.ASKED).exists()
        return agent.Outcome(Session.STOPPED, stdout, f"stopped {'by hand' if by_hand else 'with the run'}", told.cost)
    if reason == "signalled":
        return agent.Outcome(Session.FAILED, stdout, f"ended by signal {record.get('signal')}", told.cost)
    return agent.Outcome(Session.FAILED, "", last_line(stderr) or "the agent could not be started")


def _judge_words(worker: agent.Agent, record: dict[str, Any], attempt: Path, stdout: str, stderr: str) -> agent.Outcome:
    """Have the agent say what its exit and its output mean."""
    code, fault = record.get("code"), str(record.get("error") or "")
    outcome = worker.judge(code if isinstance(code, int) else 1, stdout, stderr)
    # What it said last may be missing, and with it that it is not done.
    cut = fault.endswith(supervisor.CUT) and outcome.status not in (Session.AUTH, Session.QUOTA)
    return replace(outcome, status=Session.FAILED, detail=f"{attempt}: {fault}; make room") if cut else outcome


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
