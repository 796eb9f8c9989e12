"""The landing: integration onto main, by one `--no-ff` commit that the gates were green on.

Rules:
- What is landed is a candidate made from main and integration, gated as it is. When main has moved since, it is
  made and gated anew, a bounded number of times. What a gate refuses, or main conflicts with, a session may mend.
- When something of a person's keeps main from being moved, the landing waits, says what is in the way, and the
  same line finishes it.
- The remote comes first: what it refuses is not on the local main either.
- Landed means that git says so: main contains the integration branch, whoever merged it, or what bears its trailers.
- Where the remote's main has it already, it was published: local main follows, and nothing is gated.
"""

from __future__ import annotations

import time

from work_milestone import git
from work_milestone.gates import Report, baseline
from work_milestone.landing import advance, candidate
from work_milestone.landing.candidate import Candidate, Conflict
from work_milestone.merging import Need, mending
from work_milestone.run import Run, step
from work_milestone.store import LANDING, Session, records
from work_milestone.system import LandingWaitsError, MilestoneError

TRIES = 3
NAME = "landing"  # of its gates' logs


def is_landed(run: Run) -> bool:
    """Tell whether every item is settled and main contains the integration branch."""
    history = run.history
    if history.made is None or not run.is_complete:
        return False
    refs = run.repo.refs(history.ref, history.main_ref)
    head, main = refs.get(history.ref), refs.get(history.main_ref)
    if main is None:
        return False
    if head is not None and run.repo.is_ancestor(head, main):
        return True
    if head is None and history.parts:
        return True  # all of it bears its trailers, and where they can be is main alone
    record = run.receipts.load(records.Land)
    if record is None or record.status != "landed" or head not in (None, record.head):
        return False
    commit = run.repo.resolve(record.commit)
    return commit is not None and run.repo.is_ancestor(commit, main)


def is_gated(run: Run) -> bool:
    """Tell whether the gates were green on just what would be landed now."""
    return is_landed(run) or _find_gated(run) is not None


def _find_gated(run: Run) -> Candidate | None:
    record = run.receipts.load(records.Gates)
    if record is None or record.status != "passed" or run.repo.resolve(record.commit) is None:
        return None
    now = (candidate.find_tip(run), run.repo.resolve(run.history.ref))
    return Candidate(record.commit, record.onto, record.head) if (record.onto, record.head) == now else None


@step(is_done=is_gated)
def check(run: Run) -> None:
    """Build the candidate for main and run every gate on it; have sessions mend what is in the way, a bounded number.

    Raise MilestoneError with the log of a gate that fails, LandingWaitsError with a conflict that waits for a person.
    """
    if is_landed(run):
        return
    _fetch(run)
    if run.is_being_mended(LANDING):
        mending.take_up(run, LANDING)
    for left in range(run.milestone.settings.mends, -1, -1):
        built = candidate.build(run)
        fault, need = _refuse_conflict(run, built) if isinstance(built, Conflict) else _gate(run, built)
        if fault is None:
            return
        if need is None or not left:
            mending.give_up(run, LANDING)
            raise fault
        if mending.mend(run, LANDING, need) is Session.STOPPED:
            raise fault


def _refuse_conflict(run: Run, conflict: Conflict) -> tuple[MilestoneError, Need | None]:
    main, branch = run.history.main, run.history.branch
    run.tell("gates", "conflict", conflict.reason)
    fault = LandingWaitsError(
        f"{main} has moved and conflicts with {branch}: {conflict.reason}; merge {main} into {branch} by hand "
        f"(git switch {branch} && git merge {main}), switch back, then: doit milestone n={run.milestone.number}"
    )
    return fault, conflict.need


def _gate(run: Run, built: Candidate) -> tuple[MilestoneError | None, Need | None]:
    """Run the gates on the candidate, and write down how they ended."""
    wanted, began = run.milestone.require_plan().gates, time.time()
    commands = (*wanted.pre_merge, *wanted.post_merge) if built.commit != built.onto else ()
    report = baseline.judge(run, built.commit, built.tree, commands, NAME, strict=wanted.post_merge)
    if report.failure:
        return _refuse(run, built, report, time.time() - began)
    if built.moved_from:  # what was mended is the branch's, now that gates were green on it
        try:
            run.history.move(built.head, built.moved_from)
        except git.RefMovedError as error:
            raise MilestoneError(
                f"{error}: it moved while this was gated; doit milestone n={run.milestone.number}"
            ) from error
    run.receipts.write(records.Gates(status="passed", commit=built.commit, onto=built.onto, head=built.head))
    run.tell("gates", "passed", report.describe(built.commit), elapsed=time.time() - began)
    return None, None


def _refuse(run: Run, built: Candidate, report: Report, elapsed: float) -> tuple[MilestoneError | None, Need | None]:
    """Write down which gate says no; return the fault, and what a session has to mend."""
    failure = report.failure
    if failure is None:
        return None, None
    record = records.Gates(
        status="failed", commit=built.commit, onto=built.onto, head=built.head, reason=failure.reason,
        log=str(failure.log), code=failure.code, tail=failure.tail,
    )  # fmt: skip
    run.receipts.write(record)
    run.tell("gates", "failed", failure.reason, elapsed=elapsed)
    fault = MilestoneError(
        f"{failure.reason}; {run.history.main} is untouched; log: {failure.log}; mend it on {run.history.branch} (or "
        f"skip the item that brought it), then: doit milestone n={run.milestone.number}"
    )
    return fault, candidate.need_fix(run, built, failure)


@step(is_done=is_landed)
def land(run: Run) -> None:
    """Move main to the gated candidate. Raise LandingWaitsError when something of a person's is in the way."""
    if is_landed(run):
        return
    for _ in range(TRIES):
        gated = _find_gated(run)
        if gated is None:
            check(run)
            continue
        try:
            _push(run, gated)
            advance.move_main(run, gated.commit)
        except git.RefMovedError:
            continue  # main moved: what was gated is not what main would become
        except advance.RefusedError as error:
            raise _wait(run, str(error)) from error
        record(run, gated)
        run.tell("land", "landed", f"{run.history.main} at {gated.commit[:10]}")
        return
    raise LandingWaitsError(
        f"{run.history.main} moved {TRIES} times while this was gated; then: doit land n={run.milestone.number}"
    )


def record(run: Run, landed: Candidate) -> None:
    """Write down what has landed; where main has it in another form, a ref keeps the commits with the trailers."""
    if not run.repo.is_ancestor(landed.head, landed.commit):
        run.repo.move(f"{run.history.landed_ref}/{landed.head[:12]}", landed.head)
    earlier = run.receipts.load(records.Land)
    land = records.Land(status="landed", commit=landed.commit, main=run.history.main, head=landed.head,
                        pushed_branch=earlier is not None and earlier.pushed_branch)  # fmt: skip
    run.receipts.write(land, durable=True)


def _wait(run: Run, reason: str, *, pushed_branch: bool = False) -> LandingWaitsError:
    earlier = run.receipts.load(records.Land)
    pushed = pushed_branch or (earlier is not None and earlier.pushed_branch)
    run.receipts.write(records.Land(status="waiting", reason=reason, pushed_branch=pushed))
    return LandingWaitsError(f"ready to land, but {reason}; then: doit land n={run.milestone.number}")


def _fetch(run: Run) -> None:
    """Learn where the remote's main is. A remote out of reach is told by the push."""
    remote, main = run.history.remote, run.history.main
    if remote:
        tracked = f"+{run.history.main_ref}:refs/remotes/{remote}/{main}"
        run.repo.call("fetch", "--quiet", "--no-tags", remote, tracked, accept=range(256))


def _push(run: Run, gated: Candidate) -> None:
    """Bring the candidate to the remote first: what it refuses is not on the local main either."""
    history, remote, main = run.history, run.history.remote, run.history.main
    if not remote or gated.commit == gated.onto:
        return
    done = run.repo.call("push", "--quiet", remote, f"{gated.commit}:{history.main_ref}", accept=range(256))
    if done.returncode == 0:
        return
    _fetch(run)
    if candidate.find_tip(run) != gated.onto:
        raise git.RefMovedError(f"{main} has moved at {remote}")
    theirs = run.repo.resolve(f"refs/remotes/{remote}/{main}")
    if theirs and not run.repo.is_ancestor(theirs, gated.onto):
        raise _wait(run, f"{main} and {remote}/{main} have parted; bring them together")
    words = " ".join(git.decode(done.stderr).split())[:500]
    pushed = run.repo.call("push", "--quiet", remote, f"{gated.head}:{history.ref}", accept=range(256))
    told = f"; {history.branch} is pushed, to be merged there" if pushed.returncode == 0 else ""
    raise _wait(run, f"{remote} refuses the push to {main} ({words}){told}", pushed_branch=bool(told))
