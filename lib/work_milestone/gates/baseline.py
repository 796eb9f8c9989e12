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
from collections.abc import Iterator, Sequence
from pathlib import Path

from work_milestone.gates import checks as gates
from work_milestone.gates import ledger
from work_milestone.run import integration
from work_milestone.run.run import Run
from work_milestone.store.receipts import Receipt
from work_milestone.system.errors import MilestoneError
from work_milestone.text.lines import count, shown

ACCEPTED, PASSED, FAILED = "accepted", "passed", "failed"


def is_known(run: Run) -> bool:
    """Tell whether there is nothing to find out: no gates, something merged already, or a receipt that says it."""
    wanted, receipt = run.require_plan().gates.pre_merge, _load(run)
    if not wanted or run.complete:
        return True
    status, chosen = receipt.get("status"), run.settings.gates
    judged = status in (ACCEPTED, PASSED) and all(command in receipt["gates"] for command in wanted)
    if run.parts:
        return judged or chosen != "baseline"
    stands = judged and receipt["head"] == run.repo.resolve(run.ref)
    return stands and (status == PASSED or chosen != "all")


def check(run: Run) -> None:
    """Run every gate on what the milestone begins with. Raise MilestoneError with each that fails, unless accepted."""
    wanted, earlier = run.require_plan().gates.pre_merge, _accepted(run)
    # Only where the receipt was lost, or the plan got another gate, is anything merged before the baseline is known.
    head = str((run.branch_receipt or {})["base"]) if run.parts else integration.head(run)
    began = time.time()
    report = gates.Report(tuple(gates.run_each(place(run), head, run.repo.tree_of(head), wanted, "baseline")))
    red = [result.failure for result in report.results if result.failure]
    new = [] if run.settings.gates == "baseline" else [one for one in red if earlier.get(one.command) != one.code]
    status = FAILED if new else ACCEPTED if red else PASSED
    _record(run, status, head, wanted, {failure.command: failure.code for failure in red})
    if new:
        lines = "".join(f"\n    {failure.reason}; log: {failure.log}" for failure in new)
        raise MilestoneError(
            f"{len(new)} of {count(len(wanted), 'gate')} fail on {run.branch} at {head[:10]}, before anything is "
            f"merged; no session was started{lines}\nmend {run.main} and type the same line again, or go on and block "
            f"on what newly fails alone: doit milestone n={run.number} gates=baseline"
        )
    run.tell("baseline", status, report.describe(head), elapsed=time.time() - began)


def judge(
    run: Run, commit: str, tree: str, commands: Sequence[str], name: str, *, strict: Sequence[str] = ()
) -> gates.Report:
    """Run gates on a candidate, whose tree is `tree`; what the baseline accepts does not block, but for `strict`."""
    if not commands:
        return gates.Report()
    accepted = {command: code for command, code in _accepted(run).items() if command not in strict}
    return gates.check(place(run), commit, tree, commands, name, accepted)


def place(run: Run) -> gates.Place:
    """Say where the gates of a run are worked."""
    return gates.Place(run.pool, integration.folder(run), run.folder.path / "gates", run.settings.timeout)


def notes(run: Run) -> Iterator[str]:
    """Say which gates do not block, and since when."""
    receipt = _load(run)
    if receipt.get("status") == ACCEPTED and receipt["red"] and run.settings.gates != "all" and not run.complete:
        told = ", ".join(f"`{shown(command)}` (exit {code})" for command, code in receipt["red"].items())
        yield f"gates=baseline was accepted: these failed before any merge and block nothing while they do so: {told}"


def _path(run: Run) -> Path:
    return run.folder.path / "baseline.json"


def _load(run: Run) -> Receipt:
    return run.folder.load(_path(run)) or {}


def _record(run: Run, status: str, head: str, wanted: Sequence[str], red: dict[str, int]) -> None:
    run.folder.write(_path(run), "baseline", status, durable=status == ACCEPTED, head=head, gates=list(wanted), red=red)


def _accepted(run: Run) -> dict[str, int]:
    """Return the gates that may fail, with their exit codes, without those that the branch has made green since."""
    receipt = _load(run)
    if receipt.get("status") != ACCEPTED or run.settings.gates == "all":
        return {}
    red: dict[str, int] = receipt["red"]
    if not red:
        return red
    # Whatever was merged was the branch's head at the next merge: so a run killed at any moment forgets none.
    green = ledger.known(place(run).ledger, run.repo.tree_of(integration.head(run)), red)
    if green:
        red = {command: code for command, code in red.items() if command not in green}
        _record(run, ACCEPTED, receipt["head"], receipt["gates"], red)
        told = ", ".join(f"`{shown(command)}`" for command in sorted(green))
        run.tell("baseline", "mended", f"{told} is green on {run.branch}: it blocks from now on")
    return red
