"""The merge queue: finished branches onto the integration branch, one at a time, in the order of their return.

Rules:
- A candidate is built in the object database and gated in a worktree of its own; only then does the branch move,
  by compare and swap. So the branch never stands on an ungated tree, and nothing ever needs reverting.
- One squash commit a merge, made of nothing but the branch, the item and the session's dates: a repeat makes the
  same commit. Its trailers say which milestone, item and head it came from, and are looked for before each merge,
  so that a run killed at any moment merges nothing twice.
- A conflict, or a gate that fails, is the item's outcome: nothing of it stays, and the others go on.
- The tool's own lock file is in no candidate: on main it would refuse every later run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from work_milestone import backlog_sync, checkouts, gates, git, integration, trees, worktrees
from work_milestone.context import TRAILER
from work_milestone.errors import GitError
from work_milestone.plan import Item
from work_milestone.receipts import Receipt
from work_milestone.runs import Run
from work_milestone.states import Merge, Session
from work_milestone.texts import one_line

TYPES = ("feat", "fix", "docs", "refactor", "perf", "test", "build", "ci", "style", "chore", "revert")
_TYPE = re.compile(rf"^({'|'.join(TYPES)})(\([^)]*\))?!?:\s*\S")
SUBJECT_WIDTH = 200
TRIES = 5


def is_done(run: Run, item: Item) -> bool:
    """Tell whether there is nothing to merge any more."""
    return run.settled(item.issue)


def merge(run: Run, item: Item) -> None:
    """Bring an item's finished work onto the integration branch, or write down what stands in the way."""
    facts = run.facts(item.issue)
    if facts.settled:
        return
    if not facts.mergeable:
        unmet = run.unmet(item)
        if unmet:
            reason = "waits for " + ", ".join(f"#{issue} ({run.facts(issue).word})" for issue in unmet)
            _record(run, item, Merge.WAITING, reason)
        return
    result = run.result(item.issue) or {}
    for _ in range(TRIES):
        try:
            _merge(run, item, result)
        except git.RefMovedError:
            run.reread()  # somebody else moved the branch: what was built is not what would be merged
        except GitError as error:
            # What git cannot merge at all (histories without a common root) is this item's outcome alone.
            _record(run, item, Merge.CONFLICT, one_line(str(error))[:500])
            return
        else:
            return
    _record(run, item, Merge.CONFLICT, f"{run.branch} was moved by others {TRIES} times while this was merged")


def _merge(run: Run, item: Item, result: Receipt) -> None:
    old, head = integration.head(run), str(result["head"])
    place = place_for(run, old)
    merged = trees.merge(run.repo, old, head, place)
    if merged.conflicts:
        files, kinds = ", ".join(merged.conflicts[:8]), ", ".join(merged.messages)
        _record(run, item, Merge.CONFLICT, f"conflict in {files} [{kinds}]", files=merged.conflicts, onto=old)
        return
    tree = _own_changes(run, item, merged.tree, result)
    commit = run.repo.commit_tree(tree, [old], message(run, item, result), float(result["ended"]))
    trees.derive_attributes(run.repo, commit, old, [str(name) for name in result.get("files", [])])
    wanted = run.require_plan().gates.pre_merge
    pin = f"refs/milestone/{run.number}/candidate/{item.issue}"
    if wanted:
        run.repo.move(pin, commit)
        failure = gates.check(
            run.pool, integration.folder(run), commit, wanted,
            run.folder.path / "gates" / str(item.issue), run.settings.timeout,
        )  # fmt: skip
        run.repo.delete([pin])
        if failure:
            _record(run, item, Merge.GATE, failure.reason, log=str(failure.log), code=failure.code, onto=old)
            return
    run.repo.move(run.ref, commit, old)
    run.head = commit
    whole = result["status"] != Session.PARTIAL
    run.note_part(item.issue, head, whole=whole)
    if whole:
        backlog_sync.write_done(run, item, result["ended"])
    _record(run, item, Merge.MERGED, "" if whole else "its finished part", commit=commit, head=head, onto=old)


def place_for(run: Run, commit: str) -> Path:
    """Return where a merge onto a commit is made: git reads `.gitattributes` from the checkout that it stands in.

    It has the commit checked out where that holds such a file, or where what stood there before does: a rejected
    candidate's attributes are nobody's.
    """
    place = integration.folder(run)
    worktrees.ensure_detached(run.pool, place, commit)
    before = checkouts.head_of(place)
    if before != commit and any(trees.has_attributes(run.repo, one) for one in (commit, before) if one):
        worktrees.checkout_detached(run.pool, place, commit)
    return place


def _own_changes(run: Run, item: Item, tree: str, result: Receipt) -> str:
    """Put in what the tool itself changes: the lock file out, the item done in a tracked backlog."""
    changes = backlog_sync.done(run, item, tree, result["ended"]) if result["status"] != Session.PARTIAL else {}
    if worktrees.LOCK_FILE in result.get("files", []):
        changes[worktrees.LOCK_FILE] = None
    return trees.edit(run.repo, tree, changes)


def message(run: Run, item: Item, result: Receipt) -> str:
    """Write the squash commit's message: `type: title (#42)`, what it is made of, the trailers."""
    commits = [str(commit["subject"]) for commit in result.get("commits", [])]
    title = one_line(item.title)
    if len(title) > SUBJECT_WIDTH:
        title = title[: SUBJECT_WIDTH - 1].rstrip() + "…"
    prefix = "" if _TYPE.match(title) else f"{commonest_type(commits)}: "
    body = "\n".join(f"* {one_line(subject)}" for subject in commits)
    trailers = {TRAILER: run.number, f"{TRAILER}-Item": item.issue, f"{TRAILER}-Head": result["head"]}
    if result["status"] == Session.PARTIAL:
        trailers[f"{TRAILER}-Part"] = "partial"
    lines = "\n".join(f"{key}: {value}" for key, value in trailers.items())
    return f"{prefix}{title} (#{item.issue})\n\n{body}\n\n{lines}\n"


def commonest_type(subjects: Sequence[str]) -> str:
    """Return the conventional type that most subjects bear, the first among equals; `feat` when none does."""
    found = Counter(match[1] for subject in subjects if (match := _TYPE.match(subject)))
    return found.most_common(1)[0][0] if found else "feat"


def _record(run: Run, item: Item, status: Merge, reason: str, **fields: Any) -> None:
    path = run.folder.receipt(item.issue, "merge")
    attempt = (run.result(item.issue) or {}).get("attempt", 0)
    run.begin(item.issue)
    run.folder.write(path, "merge", status.value, reason=reason, attempt=attempt, **fields)
    run.tell("merge", status.value, reason or str(fields.get("commit", ""))[:10], issue=item.issue)
