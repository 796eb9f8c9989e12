"""The landing: integration onto main, by one `--no-ff` commit that the gates were green on.

Rules:
- What is landed is a candidate made from main and integration, gated as it is. When main has moved since, it is
  made and gated anew, a bounded number of times. What a gate refuses, or main conflicts with, a session may mend.
- When something of a person's keeps main from being moved, the landing waits, says what is in the way, and the
  same line finishes it.
- The remote comes first: what it refuses is not on the local main either.
- Landed means that git says so: main contains the integration branch, whoever merged it.
"""

from __future__ import annotations

import time
from typing import Any

from work_milestone import gates, git
from work_milestone.gates import baseline
from work_milestone.landing import advance
from work_milestone.landing import candidate as landing_candidate
from work_milestone.landing.candidate import Candidate, Conflict
from work_milestone.merging import mending
from work_milestone.merging.mending import Need
from work_milestone.run.run import Run
from work_milestone.store.outcomes import Session
from work_milestone.store.receipts import LANDING
from work_milestone.system.errors import LandingWaitsError, MilestoneError

TRIES = 3
NAME = "landing"  # of its gates' logs


def is_landed(run: Run) -> bool:
    """Tell whether every item is settled and main contains the integration branch."""
    if run.branch_receipt is None or not run.complete:
        return False
    refs = run.repo.refs(run.ref, run.main_ref)
    head, main = refs.get(run.ref), refs.get(run.main_ref)
    if main is None:
        return False
    if head is not None and run.repo.is_ancestor(head, main):
        return True
    if head is None and run.parts:
        return True  # all of it bears its trailers, and where they can be is main alone
    receipt = run.folder.load(run.folder.path / "land.json") or {}
    if receipt.get("status") != "landed" or head not in (None, receipt.get("head")):
        return False
    commit = run.repo.resolve(str(receipt.get("commit")))
    return commit is not None and run.repo.is_ancestor(commit, main)


def is_gated(run: Run) -> bool:
    """Tell whether the gates were green on just what would be landed now."""
    return is_landed(run) or _gated(run) is not None


def _gated(run: Run) -> Candidate | None:
    receipt = run.folder.load(run.folder.path / "gates.json") or {}
    if receipt.get("status") != "passed":
        return None
    candidate = Candidate(str(receipt["commit"]), str(receipt["onto"]), str(receipt["head"]))
    stands = run.repo.resolve(candidate.commit) is not None
    return (
        candidate
        if stands and (candidate.onto, candidate.head) == (landing_candidate.tip(run), run.repo.resolve(run.ref))
        else None
    )


def check(run: Run) -> None:
    """Build the candidate for main and run every gate on it; have sessions mend what is in the way, a bounded number.

    Raise MilestoneError with the log of a gate that fails, LandingWaitsError with a conflict that waits for a person.
    """
    if is_landed(run):
        return
    _fetch(run)
    if mending.is_under_way(run, LANDING):
        mending.take_up(run, LANDING)
    for left in range(run.settings.mends, -1, -1):
        built = landing_candidate.build(run)
        fault, need = _refuse_conflict(run, built) if isinstance(built, Conflict) else _gate(run, built)
        if fault is None:
            return
        if need is None or not left:
            mending.give_up(run, LANDING)
            raise fault
        if mending.mend(run, None, need) is Session.STOPPED:
            raise fault


def _refuse_conflict(run: Run, conflict: Conflict) -> tuple[MilestoneError, Need | None]:
    run.tell("gates", "conflict", conflict.reason)
    fault = LandingWaitsError(
        f"{run.main} has moved and conflicts with {run.branch}: {conflict.reason}; merge {run.main} into {run.branch} "
        f"by hand (git switch {run.branch} && git merge {run.main}), switch back, then: doit milestone n={run.number}"
    )
    return fault, conflict.need


def _gate(run: Run, candidate: Candidate) -> tuple[MilestoneError | None, Need | None]:
    """Run the gates on the candidate, and write down how they ended."""
    wanted = run.require_plan().gates
    commands = (*wanted.pre_merge, *wanted.post_merge) if candidate.commit != candidate.onto else ()
    began = time.time()
    report = baseline.judge(run, candidate.commit, candidate.tree, commands, NAME, strict=wanted.post_merge)
    failure, path = report.failure, run.folder.path / "gates.json"
    where: dict[str, Any] = {"commit": candidate.commit, "onto": candidate.onto, "head": candidate.head}
    if failure:
        where |= {"log": str(failure.log), "code": failure.code, "tail": list(failure.tail)}
        run.folder.write(path, "gates", "failed", reason=failure.reason, **where)
        run.tell("gates", "failed", failure.reason, elapsed=time.time() - began)
        told = {"reason": failure.reason, "command": failure.command, "log": gates.read_log(failure.log, 8000)}
        fault = MilestoneError(
            f"{failure.reason}; {run.main} is untouched; log: {failure.log}; mend it on {run.branch} (or skip the "
            f"item that brought it), then: doit milestone n={run.number}"
        )
        return fault, landing_candidate.fix(run, candidate, told)
    if candidate.moved_from:  # what was mended is the branch's, now that gates were green on it
        try:
            run.repo.move(run.ref, candidate.head, candidate.moved_from)
        except git.RefMovedError as error:
            raise MilestoneError(f"{error}: it moved while this was gated; doit milestone n={run.number}") from error
        run.head = candidate.head
    run.folder.write(path, "gates", "passed", **where)
    run.tell("gates", "passed", report.describe(candidate.commit), elapsed=time.time() - began)
    return None, None


def land(run: Run) -> None:
    """Move main to the gated candidate. Raise LandingWaitsError when something of a person's is in the way."""
    if is_landed(run):
        return
    for _ in range(TRIES):
        candidate = _gated(run)
        if candidate is None:
            check(run)
            continue
        try:
            _push(run, candidate)
            advance.move_main(run, candidate.commit)
        except git.RefMovedError:
            continue  # main moved: what was gated is not what main would become
        except advance.RefusedError as error:
            raise _wait(run, str(error)) from error
        record(run, candidate)
        run.tell("land", "landed", f"{run.main} at {candidate.commit[:10]}")
        return
    raise LandingWaitsError(f"{run.main} moved {TRIES} times while this was gated; then: doit land n={run.number}")


def record(run: Run, candidate: Candidate) -> None:
    """Write down what has landed; where main has it in another form, a ref keeps the commits with the trailers."""
    if not run.repo.is_ancestor(candidate.head, candidate.commit):
        run.repo.move(f"{run.landed_ref}/{candidate.head[:12]}", candidate.head)
    earlier = run.folder.load(run.folder.path / "land.json") or {}
    run.folder.write(
        run.folder.path / "land.json", "land", "landed", durable=True, commit=candidate.commit, main=run.main,
        head=candidate.head, pushed_branch=bool(earlier.get("pushed_branch")),
    )  # fmt: skip


def _wait(run: Run, reason: str, *, pushed_branch: bool = False) -> LandingWaitsError:
    path = run.folder.path / "land.json"
    pushed = pushed_branch or bool((run.folder.load(path) or {}).get("pushed_branch"))
    run.folder.write(path, "land", "waiting", reason=reason, pushed_branch=pushed)
    return LandingWaitsError(f"ready to land, but {reason}; then: doit land n={run.number}")


def _fetch(run: Run) -> None:
    """Learn where the remote's main is. A remote out of reach is told by the push."""
    if run.remote:
        tracked = f"refs/remotes/{run.remote}/{run.main}"
        run.repo.call("fetch", "--quiet", "--no-tags", run.remote, f"+{run.main_ref}:{tracked}", accept=range(256))


def _push(run: Run, candidate: Candidate) -> None:
    """Bring the candidate to the remote first: what it refuses is not on the local main either."""
    if not run.remote or candidate.commit == candidate.onto:
        return
    done = run.repo.call("push", "--quiet", run.remote, f"{candidate.commit}:{run.main_ref}", accept=range(256))
    if done.returncode == 0:
        return
    _fetch(run)
    if landing_candidate.tip(run) != candidate.onto:
        raise git.RefMovedError(f"{run.main} has moved at {run.remote}")
    theirs = run.repo.resolve(f"refs/remotes/{run.remote}/{run.main}")
    if theirs and not run.repo.is_ancestor(theirs, candidate.onto):
        raise _wait(run, f"{run.main} and {run.remote}/{run.main} have parted; bring them together")
    words = " ".join(git.decode(done.stderr).split())[:500]
    pushed = run.repo.call("push", "--quiet", run.remote, f"{candidate.head}:{run.ref}", accept=range(256))
    told = f"; {run.branch} is pushed, to be merged there" if pushed.returncode == 0 else ""
    raise _wait(run, f"{run.remote} refuses the push to {run.main} ({words}){told}", pushed_branch=bool(told))
