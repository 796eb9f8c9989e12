"""The merge queue: finished branches onto the integration branch, one at a time, in the order of their return.

Rules:
- A candidate is gated in a worktree of its own as it is; only then does the branch move, by compare and swap. So the
  branch never stands on an ungated tree, and nothing ever needs reverting.
- The trailers of what is merged are looked for before each merge, so that a run killed at any moment merges nothing
  twice.
- What keeps a branch from being merged is the item's outcome; nothing of it stays, and the others go on. By class:

  | the merge is | and then |
  |---|---|
  | clean | it is gated and merged |
  | trivial | it is resolved by rule, gated and merged; where a gate fails it is medium |
  | medium | a session resolves it, and it queues again |
  | heavy | a follow-up item takes it over |
  | refused by a gate | a session fixes it, and it queues again |
  | dropping lines of a side | it stops, unless a session's resolution dropped them: that is tried again |

  `remedies` has those sessions, and the queue is free while they work.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from work_milestone import gates, git
from work_milestone.conflicts import Class
from work_milestone.gates import baseline
from work_milestone.merging import candidates, mending
from work_milestone.merging.candidates import Candidate, Refusal
from work_milestone.plan import Item
from work_milestone.run import followups, integration
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.run import Run
from work_milestone.store.outcomes import Kind, Merge, Session
from work_milestone.store.overlay import Kind as FollowUpKind
from work_milestone.store.receipts import Receipt
from work_milestone.system.errors import GitError
from work_milestone.text.lines import one_line

TRIES = 5


class _Queue:
    """One at a time, in the order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn, and have it."""
        mine = threading.Event()
        with self._lock:
            self._waiting.append(mine)
            if len(self._waiting) == 1:
                mine.set()
        mine.wait()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.popleft()
                if self._waiting:
                    self._waiting[0].set()


_queue = _Queue()


def is_done(run: Run, item: Item) -> bool:
    """Tell whether there is nothing to merge any more, in this run."""
    facts = run.facts(item.issue)
    return facts.settled or facts.followed or run.was_refused(item.issue)


def merge(run: Run, item: Item) -> None:
    """Bring an item's finished work onto the integration branch, or write down what stands in the way."""
    if not mending.is_under_way(run, item.issue):
        merge_in_turn(run, item)


def merge_in_turn(run: Run, item: Item) -> None:
    """Queue up, and merge when all that came before has had its turn."""
    with _queue.turn():
        _merge(run, item)


def _merge(run: Run, item: Item) -> None:
    facts = run.facts(item.issue)
    if facts.settled:
        return
    if not facts.mergeable:
        unmet = run.unmet(item)
        if unmet and not facts.followed:
            reason = "waits for " + ", ".join(f"#{issue} ({run.facts(issue).word})" for issue in unmet)
            _record(run, item, Merge.WAITING, reason)
        return
    result = run.result(item.issue) or {}
    for _ in range(TRIES):
        try:
            _try(run, item, result)
        except git.RefMovedError:
            run.reread()  # somebody else moved the branch: what was built is not what would be merged
        except GitError as error:
            # What git cannot merge at all (histories without a common root) is this item's outcome alone.
            _record(run, item, Merge.CONFLICT, one_line(str(error))[:500])
            return
        else:
            return
    _record(run, item, Merge.CONFLICT, f"{run.branch} was moved by others {TRIES} times while this was merged")


def _try(run: Run, item: Item, result: Receipt) -> None:
    onto, source = integration.head(run), mending.source(run, item.issue, str(result["head"]))
    if fault := candidates.check_mended(run, item.issue, source):
        kind = mending.reject(run, item.issue)
        if kind is Kind.RESOLVE:
            status = Merge.CONFLICT if fault.unresolved else Merge.DROPPED
            files = (run.merge(item.issue) or {}).get("files", ())
            _record(run, item, status, fault.reason, onto=onto, mended=True, files=files,
                    **{"class": Class.MEDIUM.value})  # fmt: skip
            return
        run.tell("fix", "rejected", fault.reason, issue=item.issue)
        source = mending.source(run, item.issue, str(result["head"]))
    built = candidates.build(run, item, result, onto, source)
    if isinstance(built, Refusal):
        _refuse(run, item, result, onto, built)
        return
    pin = f"refs/milestone/{run.number}/candidate/{item.issue}"
    failure = _gate(run, item, built, pin)
    if failure and built.cls is Class.TRIVIAL:
        reason = f"{Class.MEDIUM}: {built.reason.removeprefix(f'{Class.TRIVIAL}: ')}, but {failure.reason}"
        _record(run, item, Merge.CONFLICT, reason, log=str(failure.log), onto=onto, files=built.files,
                **{"class": Class.MEDIUM.value})  # fmt: skip
        return
    if failure:
        run.note_head(built.commit)
        _record(run, item, Merge.GATE, failure.reason, log=str(failure.log), code=failure.code, onto=onto,
                tail=list(failure.tail), command=failure.command, candidate=built.commit)  # fmt: skip
        return
    whole = result["status"] != Session.PARTIAL
    told, row = _describe_merge(run, item, built, source), None
    if not whole:
        words, row = _follow_up(run, item, FollowUpKind.REST, result, onto)
        told = f"its finished part; {words}"
    run.repo.move(run.ref, built.commit, onto)
    run.head = built.commit
    if run.require_plan().gates.pre_merge:
        run.repo.delete([pin])
    run.note_part(item.issue, str(result["head"]), whole=whole)
    if whole:
        backlog_sync.write_done(run, item, result["ended"])
    _record(run, item, Merge.MERGED, told, commit=built.commit, head=result["head"], onto=onto, followup=row,
            **{"class": built.cls.value})  # fmt: skip


def _describe_merge(run: Run, item: Item, built: Candidate, source: str) -> str:
    """Say what it took to merge, where it took anything."""
    mend = run.mend(item.issue) or {}
    done = {Kind.RESOLVE: "conflict resolved", Kind.FIX: "fixed"}
    mended = f"{done[Kind(mend['kind'])]} by attempt {mend['attempt']}" if source == mend.get("head") else ""
    return "; ".join(filter(None, ("" if built.cls is Class.CLEAN else built.reason, mended)))


def _gate(run: Run, item: Item, built: Candidate, pin: str) -> gates.Failure | None:
    """Run the gates on a candidate; its ref stays as long as a session may have to fix it."""
    wanted = run.require_plan().gates.pre_merge
    if not wanted:
        return None
    run.repo.move(pin, built.commit)
    return baseline.judge(run, built.commit, built.tree, wanted, str(item.issue)).failure


def _refuse(run: Run, item: Item, result: Receipt, onto: str, refusal: Refusal) -> None:
    """Write down why a branch cannot be merged; what is heavy gets a follow-up first."""
    if refusal.dropped:
        _record(run, item, Merge.DROPPED, refusal.reason, onto=onto)
        return
    reason, row = refusal.reason, None
    if refusal.cls is Class.HEAVY:
        words, row = _follow_up(run, item, FollowUpKind.CONFLICT, result, onto, refusal.files)
        reason += f"; {words}"
    _record(run, item, Merge.CONFLICT, reason, files=refusal.files, onto=onto, followup=row,
            **{"class": refusal.cls.value})  # fmt: skip


def _follow_up(
    run: Run, item: Item, kind: FollowUpKind, result: Receipt, onto: str, files: Sequence[str] = ()
) -> tuple[str, dict[str, Any] | None]:
    """Have a follow-up take over; say which, with what the overlay has of it, or why there is none."""
    followup = followups.add(run, item, kind, result, onto, files)
    if followup is None:
        return f"no follow-up: that would be generation {run.settings.generations + 1}", None
    return f"follow-up #{followup.issue}", followup.model_dump(mode="json")


def _record(run: Run, item: Item, status: Merge, reason: str, **fields: Any) -> None:
    path = run.folder.receipt(item.issue, "merge")
    attempt = (run.result(item.issue) or {}).get("attempt", 0)
    run.begin(item.issue)
    run.folder.write(path, "merge", status.value, reason=reason, attempt=attempt, **fields)
    detail = " ".join(filter(None, (str(fields.get("commit", ""))[:10], reason)))
    run.tell("merge", status.value, detail, issue=item.issue)
