"""Remedies: the sessions that resolve or fix what an item's merge ran into, after which it queues again.

Rules:
- A conflict of medium class is resolved, and again where the resolution was not one; a gate's refusal is fixed. For
  anything else a person is waited for.
- They are bounded (`mends`): who keeps failing gives way. Fixes that have not made the gates green are taken back.
- A session that an earlier run has begun is taken up, whatever the bound is now: it is paid for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from work_milestone import gates
from work_milestone.conflicts import Class
from work_milestone.merging import mending
from work_milestone.merging import queue as merge_queue
from work_milestone.merging.mending import Need
from work_milestone.plan import Item
from work_milestone.run import followups, integration
from work_milestone.run.run import Run
from work_milestone.store.outcomes import Kind, Merge, Session
from work_milestone.store.receipts import Receipt
from work_milestone.system import process


def is_mended(run: Run, item: Item) -> bool:
    """Tell whether no session is to mend what the item's merge ran into, and none is doing so."""
    if not run.facts(item.issue).mergeable or run.was_refused(item.issue):
        return True
    wanted = run.settings.mends and _wanted(run, item)
    return not wanted and not mending.is_under_way(run, item.issue)


def mend(run: Run, item: Item) -> None:
    """Have sessions mend what the item's merge ran into, as often as the settings allow, and merge again."""
    _mend(run, item)
    if run.facts(item.issue).merge is Merge.GATE and not process.stopping.is_set():
        mending.give_up(run, item.issue)


def _mend(run: Run, item: Item) -> None:
    left = run.settings.mends
    while not (is_mended(run, item) or process.stopping.is_set()):
        before = run.mend(item.issue)
        if mending.is_under_way(run, item.issue):
            mending.take_up(run, item.issue)  # an earlier run has begun it: it is paid for, whatever the bound is now
        elif left and _is_outdated(run, item):
            merge_queue.merge_in_turn(run, item)
            continue
        elif not left or mending.mend(run, item, _need(run, item)) is Session.STOPPED:
            return
        left = max(0, left - 1)
        if _brought_anything(run, item, before):
            merge_queue.merge_in_turn(run, item)


def _is_outdated(run: Run, item: Item) -> bool:
    """Tell whether the branch has moved since a conflict was met: a merge costs nothing, and may be clean by now."""
    receipt = run.merge(item.issue) or {}
    met = receipt.get("status") == Merge.CONFLICT and not receipt.get("mended")
    return met and receipt.get("onto") != integration.head(run)


def _brought_anything(run: Run, item: Item, before: Receipt | None) -> bool:
    """Tell whether there is anything new to merge: another commit, or another head to merge it onto.

    A gate is asked again in any case: one that fails but sometimes costs less than a further session.
    """
    if run.facts(item.issue).merge is Merge.GATE:
        return True
    mended = (run.mend(item.issue) or {}).get("head") != (before or {}).get("head")
    return mended or (run.merge(item.issue) or {}).get("onto") != integration.head(run)


def _wanted(run: Run, item: Item) -> Kind | None:
    """Say what kind of session the item's merge asks for, None when one would not help."""
    receipt, merge = run.merge(item.issue) or {}, run.facts(item.issue).merge
    if merge is Merge.GATE and run.stands(receipt.get("candidate")):
        return Kind.FIX
    resolvable = merge is Merge.CONFLICT and receipt.get("class") == Class.MEDIUM
    return Kind.RESOLVE if resolvable or (merge is Merge.DROPPED and receipt.get("mended")) else None


def _need(run: Run, item: Item) -> Need:
    """Gather what such a session starts from and is told."""
    receipt, result = run.merge(item.issue) or {}, run.result(item.issue) or {}
    head = str(result.get("head"))
    if _wanted(run, item) is Kind.FIX:
        candidate, log = str(receipt["candidate"]), Path(str(receipt["log"]))
        values = {
            "reason": receipt["reason"], "command": receipt["command"], "log": gates.read_log(log, 8000),
            "diff": followups.diff(run, str(receipt["onto"]), candidate, ()), "target": run.branch,
        }  # fmt: skip
        return Need(Kind.FIX, candidate, candidate, head, values)
    onto, source = integration.head(run), mending.source(run, item.issue, head)
    return Need(Kind.RESOLVE, onto, source, head, _describe_conflict(run, item, result, receipt, onto, source))


def _describe_conflict(
    run: Run, item: Item, result: Receipt, receipt: Receipt, onto: str, source: str
) -> dict[str, Any]:
    """Gather what a resolution is told: the reason, both sides' changes and reports."""
    base = run.repo.merge_base(onto, source) or onto
    files = [str(name) for name in receipt.get("files", ())]
    others = followups.others(run, item, base, onto, files)
    return {
        "reason": receipt.get("reason", ""),
        "files": files,
        "target": run.branch,
        "notes": str(result.get("notes", "")),
        "others": [(run.items[issue], str((run.result(issue) or {}).get("notes", ""))[:2000]) for issue in others],
        "ours": followups.diff(run, base, onto, files),
        "theirs": followups.diff(run, base, source, files),
    }
