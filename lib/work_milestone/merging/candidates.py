"""Candidates: what the integration branch is to become with one more item, made in the object database.

Rules:
- One squash commit a merge, made of nothing but the branch, the item and the session's dates: a repeat makes the
  same commit. Its trailers say which milestone, item and head it came from.
- Conflicts are classed: a trivial one is resolved here, by rule; any other is refused, with its class and reason.
- Nothing that the branch added is missing in it, or it is refused.
- The tool's own lock file is in no candidate: on main it would refuse every later run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from work_milestone import conflicts, git
from work_milestone.conflicts import Class, completeness
from work_milestone.git import checkouts, trees, worktrees
from work_milestone.plan import Item
from work_milestone.run import followups, integration
from work_milestone.run import tasks as backlog_sync
from work_milestone.run.context import TRAILER
from work_milestone.run.run import Run
from work_milestone.store.outcomes import Kind, Session
from work_milestone.store.receipts import Receipt
from work_milestone.text.lines import one_line

TYPES = ("feat", "fix", "docs", "refactor", "perf", "test", "build", "ci", "style", "chore", "revert")
_TYPE = re.compile(rf"^({'|'.join(TYPES)})(\([^)]*\))?!?:\s*\S")
SUBJECT_WIDTH = 200


@dataclass(frozen=True)
class Candidate:
    """A commit on top of the integration branch, with the class of the merge that it came from and why."""

    commit: str
    tree: str
    cls: Class
    reason: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """What keeps a branch from being merged: the class of its conflict, or lines that would be dropped."""

    cls: Class
    reason: str
    files: tuple[str, ...] = ()
    dropped: bool = False


def build(run: Run, item: Item, result: Receipt, onto: str, source: str) -> Candidate | Refusal:
    """Make the squash commit of `source` on top of `onto`, or say why there can be none.

    `source` is the head that the item's session ended on, or what has mended that.
    """
    place = place_for(run, onto)
    merged = trees.merge(run.repo, onto, source, place)
    verdict = conflicts.classify(run.repo, merged)
    if verdict.cls in (Class.MEDIUM, Class.HEAVY):
        return Refusal(verdict.cls, verdict.reason, verdict.files)
    tree = trees.edit(run.repo, merged.tree, {path: git.decode(text) for path, text in verdict.resolved.items()})
    files = [str(name) for name in result.get("files", ())] if source == result["head"] else None
    if files is None:
        files = run.repo.changed(str(run.repo.merge_base(onto, source) or onto), source)
    finished = _own_changes(run, item, tree, result, files)
    commit = run.repo.commit_tree(finished, [onto], message(run, item, result), float(result["ended"]))
    dropped = ""
    if verdict.cls is not Class.CLEAN or not _has_both_sides(run, result, onto, source, commit, files):
        dropped = completeness.find_dropped(run.repo, onto, source, tree, files)
    if dropped and verdict.cls is Class.TRIVIAL:
        return Refusal(Class.MEDIUM, f"{verdict.reason}, but {dropped}", verdict.files)
    if dropped:
        return Refusal(verdict.cls, dropped, dropped=True)
    trees.derive_attributes(run.repo, commit, onto, files)
    return Candidate(commit, finished, verdict.cls, verdict.reason, verdict.files)


def _has_both_sides(run: Run, result: Receipt, onto: str, source: str, commit: str, files: list[str]) -> bool:
    """Tell quickly that the branch's files are in the candidate as the branch has them, and that no other changed them.

    Then nothing can be missing. It is quick for what grew on its base, as almost every branch has.
    """
    if not files or not result.get("rooted") or source != result["head"]:
        return False
    return not run.repo.differ([(commit, source), (onto, str(result["base"]))], files)


def check_mended(run: Run, issue: int, source: str) -> completeness.Fault | None:
    """Say what is wrong with what a session has mended, None when nothing is, or nothing was.

    `source` is what is to be merged.
    """
    mend = run.mend(issue) or {}
    if source != mend.get("head"):
        return None
    onto, work = str(mend["onto"]), str(mend["merged"])
    if mend["kind"] == Kind.RESOLVE:
        return completeness.check_resolution(run.repo, onto, work, source, place_for(run, onto))
    if run.repo.merge_base(work, source) is None:
        return completeness.Fault(f"the fix {source[:10]} has no history in common with {work[:10]}")
    before = run.repo.resolve(f"{work}^")
    taken_back = before and completeness.is_taken_back(run.repo, before, work, before, source)
    return completeness.Fault("the fix takes all of the work back") if taken_back else None


def place_for(run: Run, commit: str) -> Path:
    """Return where a merge onto a commit is made: git reads `.gitattributes` from the checkout that it stands in.

    It has the commit checked out unless it shows the same such files already, which costs a look at every file:
    a rejected candidate's attributes are nobody's.
    """
    place = integration.folder(run)
    worktrees.ensure_detached(run.pool, place, commit)
    wanted = trees.attributes(run.repo, commit)
    if not _shows(run, place, commit, wanted):
        worktrees.checkout_detached(run.pool, place, commit)
    run.pool.shown[place] = wanted
    return place


def _shows(run: Run, place: Path, commit: str, wanted: str) -> bool:
    """Tell whether a worktree shows a commit's attributes for certain, one of an earlier run's or a gate's too."""
    if place in run.pool.shown:
        return run.pool.shown[place] == wanted
    before = checkouts.head_of(place)
    if before == commit:
        return not wanted or checkouts.is_filled(place)
    return not (wanted or (before and trees.attributes(run.repo, before)))


def _own_changes(run: Run, item: Item, tree: str, result: Receipt, files: Sequence[str]) -> str:
    """Put in what the tool itself changes: the lock file out, follow-ups and the item's state in a tracked backlog."""
    tree = trees.edit(run.repo, tree, followups.missing(run, tree))
    changes = backlog_sync.done(run, item, tree, result["ended"]) if result["status"] != Session.PARTIAL else {}
    if worktrees.LOCK_FILE in files:
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
    settled = " ".join(map(str, run.settles(item.issue)))
    if result["status"] == Session.PARTIAL:
        trailers[f"{TRAILER}-Part"] = "partial"
    elif settled:
        trailers[f"{TRAILER}-Settles"] = settled
    lines = "\n".join(f"{key}: {value}" for key, value in trailers.items())
    return f"{prefix}{title} (#{item.issue})\n\n{body}\n\n{lines}\n"


def commonest_type(subjects: Sequence[str]) -> str:
    """Return the conventional type that most subjects bear, the first among equals; `feat` when none does."""
    found = Counter(match[1] for subject in subjects if (match := _TYPE.match(subject)))
    return found.most_common(1)[0][0] if found else "feat"
