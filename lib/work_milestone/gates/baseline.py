"""The baseline: which gates fail before anything of the milestone is merged, and the gates of a run as seen from it.

Rules:
- A gate that fails on what the milestone begins with is no item's fault. All of them are told before any session is
  started, and the run stops; with `gates=baseline` it goes on, and such a gate blocks nothing while it fails with
  the same exit code.
- What was accepted so stays accepted, whatever the next line says; a line with `gates=all` does without. The list
  only shrinks: a gate that has been green on the integration branch since blocks from then on.
- The gates before the landing alone (`post_merge`) have no baseline: they may be what the milestone is to make true.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from work_milestone.gates import checks, ledger
from work_milestone.run import Run, step
from work_milestone.store import records
from work_milestone.system import MilestoneError
from work_milestone.text import count, shown

ACCEPTED, PASSED, FAILED = "accepted", "passed", "failed"


def is_known(run: Run) -> bool:
    """Tell whether there is nothing to find out: no gates, something merged already, or a receipt that says it."""
    wanted, record = run.milestone.require_plan().gates.pre_merge, run.receipts.load(records.Baseline)
    if not wanted or run.is_complete:
        return True
    status, chosen = record.status if record else "", run.milestone.settings.gates
    judged = record is not None and status in (ACCEPTED, PASSED) and set(wanted) <= set(record.gates)
    if run.history.parts:
        return judged or chosen != "baseline"
    stands = judged and record is not None and record.head == run.repo.resolve(run.history.ref)
    return stands and (status == PASSED or chosen != "all")


@step(is_done=is_known, leaves=records.Baseline)
def check(run: Run) -> None:
    """Run every gate on what the milestone begins with. Raise MilestoneError with each that fails, unless accepted."""
    wanted, earlier = run.milestone.require_plan().gates.pre_merge, _accepted(run)
    # Only where the receipt was lost, or the plan got another gate, is anything merged before the baseline is known.
    made = run.history.made if run.history.parts else None
    head = made.base if made else run.history.head()
    began = time.time()
    report = checks.Report(tuple(checks.run_each(place(run), head, run.repo.tree_of(head), wanted, "baseline")))
    red = [result.failure for result in report.results if result.failure]
    accepts = run.milestone.settings.gates == "baseline"
    new = [] if accepts else [one for one in red if earlier.get(one.command) != one.code]
    status = FAILED if new else ACCEPTED if red else PASSED
    _record(run, status, head, wanted, {failure.command: failure.code for failure in red})
    if new:
        raise _refuse(run, head, len(wanted), new)
    run.tell("baseline", status, report.describe(head), elapsed=time.time() - began)


def _refuse(run: Run, head: str, total: int, red: Sequence[checks.Failure]) -> MilestoneError:
    lines = "".join(f"\n    {failure.reason}; log: {failure.log}" for failure in red)
    return MilestoneError(
        f"{len(red)} of {count(total, 'gate')} fail on {run.history.branch} at {head[:10]}, before anything is "
        f"merged; no session was started{lines}\nmend {run.history.main} and type the same line again, or go on and "
        f"block on what newly fails alone: doit milestone n={run.milestone.number} gates=baseline"
    )


def judge(
    run: Run, commit: str, tree: str, commands: Sequence[str], name: str, *, strict: Sequence[str] = ()
) -> checks.Report:
    """Run gates on a candidate, whose tree is `tree`; what the baseline accepts does not block, but for `strict`."""
    if not commands:
        return checks.Report()
    accepted = {command: code for command, code in _accepted(run).items() if command not in strict}
    return checks.check(place(run), commit, tree, commands, name, accepted)


def place(run: Run) -> checks.Place:
    """Say where the gates of a run are worked."""
    return checks.Place(run.pool, run.place, run.milestone.folder.path / "gates", run.milestone.settings.timeout)


def find_notes(run: Run) -> Iterator[str]:
    """Say which gates do not block, and since when."""
    red = _find_red(run)
    if red and not run.is_complete:
        told = ", ".join(f"`{shown(command)}` (exit {code})" for command, code in red.items())
        yield f"gates=baseline was accepted: these failed before any merge and block nothing while they do so: {told}"


def _find_red(run: Run) -> Mapping[str, int]:
    """Return what was accepted, with exit codes, where this line accepts it too."""
    record = run.receipts.load(records.Baseline)
    accepts = record is not None and record.status == ACCEPTED and run.milestone.settings.gates != "all"
    return record.red if record and accepts else {}


def _record(run: Run, status: str, head: str, wanted: Sequence[str], red: Mapping[str, int]) -> None:
    record = records.Baseline(status=status, head=head, gates=tuple(wanted), red=red)
    run.receipts.write(record, durable=status == ACCEPTED)


def _accepted(run: Run) -> Mapping[str, int]:
    """Return the gates that may fail, with their exit codes, without those that the branch has made green since."""
    record, red = run.receipts.load(records.Baseline), _find_red(run)
    if record is None or not red:
        return {}
    # Whatever was merged was the branch's head at the next merge: so a run killed at any moment forgets none.
    green = ledger.known(place(run).ledger, run.repo.tree_of(run.history.head()), red)
    if green:
        red = {command: code for command, code in red.items() if command not in green}
        _record(run, ACCEPTED, record.head, record.gates, red)
        told = ", ".join(f"`{shown(command)}`" for command in sorted(green))
        run.tell("baseline", "mended", f"{told} is green on {run.history.branch}: it blocks from now on")
    return red
