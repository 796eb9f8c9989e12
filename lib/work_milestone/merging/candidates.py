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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from work_milestone import conflicts, git
from work_milestone.conflicts import Class, completeness
from work_milestone.git import edits, merges, worktrees
from work_milestone.plan import Item
from work_milestone.run import TRAILER
from work_milestone.store import Kind, records
from work_milestone.text import one_line

TYPES = ("feat", "fix", "docs", "refactor", "perf", "test", "build", "ci", "style", "chore", "revert")
_TYPE = re.compile(rf"^({'|'.join(TYPES)})(\([^)]*\))?!?:\s*\S")
SUBJECT_WIDTH = 200


@dataclass(frozen=True)
class Squash:
    """What a squash commit is made of.

    `source` is the head that the item's session ended on, or what has mended that; `finish` makes of a merged tree the
    one that also has what the run itself changes with it, as in the backlog.
    """

    work: records.Work
    source: str
    message: str
    finish: Callable[[str], str]


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


def build(pool: worktrees.Pool, place: Path, squash: Squash, onto: str) -> Candidate | Refusal:
    """Make the squash commit on top of `onto`, or say why there can be none; `place` is where gates run."""
    repo, work, source = pool.repo, squash.work, squash.source
    merged = merges.merge(repo, onto, source, merges.provide(pool, place, onto))
    verdict = conflicts.classify(repo, merged)
    if verdict.cls in (Class.MEDIUM, Class.HEAVY):
        return Refusal(verdict.cls, verdict.reason, verdict.files)
    tree = edits.edit(repo, merged.tree, {path: git.decode(text) for path, text in verdict.resolved.items()})
    files = list(work.files) if source == work.head else repo.changed(repo.merge_base(onto, source) or onto, source)
    finished = squash.finish(tree)
    if worktrees.LOCK_FILE in files:
        finished = edits.edit(repo, finished, {worktrees.LOCK_FILE: None})
    commit = repo.commit_tree(finished, [onto], squash.message, work.ended)
    dropped = ""
    if verdict.cls is not Class.CLEAN or not _has_both_sides(repo, squash, onto, commit, files):
        dropped = completeness.find_dropped(repo, onto, source, tree, files)
    if dropped and verdict.cls is Class.TRIVIAL:
        return Refusal(Class.MEDIUM, f"{verdict.reason}, but {dropped}", verdict.files)
    if dropped:
        return Refusal(verdict.cls, dropped, dropped=True)
    merges.derive_attributes(repo, commit, onto, files)
    return Candidate(commit, finished, verdict.cls, verdict.reason, verdict.files)


def _has_both_sides(repo: git.Repo, squash: Squash, onto: str, commit: str, files: Sequence[str]) -> bool:
    """Tell quickly that the branch's files are in the candidate as the branch has them, and that no other changed them.

    Then nothing can be missing. It is quick for what grew on its base, as almost every branch has.
    """
    if not files or not squash.work.rooted or squash.source != squash.work.head:
        return False
    return not repo.differ([(commit, squash.source), (onto, squash.work.base)], files)


def check_mended(
    pool: worktrees.Pool, place: Path, mend: records.Mend | None, source: str
) -> completeness.Fault | None:
    """Say what is wrong with what a session has mended, None when nothing is, or nothing was.

    `source` is what is to be merged.
    """
    if mend is None or source != mend.head:
        return None
    repo, onto, work = pool.repo, mend.onto, mend.merged
    if mend.kind is Kind.RESOLVE:
        return completeness.check_resolution(repo, onto, work, source, merges.provide(pool, place, onto))
    if repo.merge_base(work, source) is None:
        return completeness.Fault(f"the fix {source[:10]} has no history in common with {work[:10]}")
    before = repo.resolve(f"{work}^")
    taken_back = before and completeness.is_taken_back(repo, before, work, before, source)
    return completeness.Fault("the fix takes all of the work back") if taken_back else None


def describe(number: int | None, item: Item, work: records.Work, settles: Sequence[int] = ()) -> str:
    """Write the squash commit's message: `type: title (#42)`, what it is made of, the trailers.

    `settles` names the items that are settled with it, where it is a follow-up.
    """
    title = one_line(item.title)
    if len(title) > SUBJECT_WIDTH:
        title = title[: SUBJECT_WIDTH - 1].rstrip() + "…"
    subjects = [commit.subject for commit in work.commits]
    prefix = "" if _TYPE.match(title) else f"{find_commonest_type(subjects)}: "
    body = "\n".join(f"* {one_line(subject)}" for subject in subjects)
    trailers = {TRAILER: number, f"{TRAILER}-Item": item.issue, f"{TRAILER}-Head": work.head}
    if not work.is_whole:
        trailers[f"{TRAILER}-Part"] = "partial"
    elif settles:
        trailers[f"{TRAILER}-Settles"] = " ".join(map(str, settles))
    lines = "\n".join(f"{key}: {value}" for key, value in trailers.items())
    return f"{prefix}{title} (#{item.issue})\n\n{body}\n\n{lines}\n"


def find_commonest_type(subjects: Sequence[str]) -> str:
    """Return the conventional type that most subjects bear, the first among equals; `feat` when none does."""
    found = Counter(match[1] for subject in subjects if (match := _TYPE.match(subject)))
    return found.most_common(1)[0][0] if found else "feat"
