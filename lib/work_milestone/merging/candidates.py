"""Candidates: what the integration branch is to become with one more item, made in the object database.

Rules:
- One squash commit a merge, made of nothing but the branch, the item and the session's dates: a repeat makes the
  same commit. Its trailers say which milestone, item and head it came from.
- Conflicts are classed: of a trivial one, which is resolved by rule, it is made too; of any other there is none.
- Nothing that a side added is missing in it, or there is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from work_milestone import conflicts, git
from work_milestone.conflicts import Class, Verdict, completeness
from work_milestone.git import merges, worktrees
from work_milestone.plan import Item
from work_milestone.run import TRAILER
from work_milestone.store import records
from work_milestone.text import one_line

TYPES = ("feat", "fix", "docs", "refactor", "perf", "test", "build", "ci", "style", "chore", "revert")
_TYPE = re.compile(rf"^({'|'.join(TYPES)})(\([^)]*\))?!?:\s*\S")
SUBJECT_WIDTH = 200


class Squash(NamedTuple):
    """What a squash commit is made of: an item's work, by its `source`, on top of `onto`.

    `source` is the head that the item's session ended on, or what has mended that; `files` are those that it changes.
    """

    work: records.Work
    source: str
    onto: str
    files: Sequence[str]
    message: str


class Candidate(NamedTuple):
    """A commit on top of the integration branch, with the class of the merge that it came from and why."""

    commit: str
    tree: str
    cls: Class
    reason: str
    files: tuple[str, ...]


class Loss(NamedTuple):
    """What keeps a merge from being a candidate: lines of a side that it would drop."""

    reason: str


def classify(pool: worktrees.Pool, place: Path, onto: str, source: str) -> Verdict:
    """Merge a branch onto `onto`, and say how hard that is; git reads attributes in `place`, where gates run."""
    repo = pool.repo
    return conflicts.classify(repo, merges.merge(repo, onto, source, merges.provide(pool, place, onto)))


def find_files(repo: git.Repo, work: records.Work, onto: str, source: str) -> Sequence[str]:
    """Name the files that a branch changes: `source` is the head that its session ended on, or what has mended that."""
    return work.files if source == work.head else repo.changed(repo.merge_base(onto, source) or onto, source)


def commit(repo: git.Repo, squash: Squash, verdict: Verdict, finished: str) -> Candidate | Loss:
    """Make the squash commit of a merge, or say what would be dropped.

    `finished` is the merged tree with what the run itself changes.
    """
    onto, source, files = squash.onto, squash.source, squash.files
    made = repo.commit_tree(finished, [onto], squash.message, squash.work.ended)
    is_certain = verdict.cls is Class.CLEAN and _has_both_sides(repo, squash, made)
    if not is_certain and (dropped := completeness.find_dropped(repo, onto, source, verdict.tree, files)):
        return Loss(dropped)
    merges.derive_attributes(repo, made, onto, files)
    return Candidate(made, finished, verdict.cls, verdict.reason, verdict.files)


def _has_both_sides(repo: git.Repo, squash: Squash, commit: str) -> bool:
    """Tell quickly that the branch's files are in the candidate as the branch has them, and that no other changed them.

    Then nothing can be missing. It is quick for what grew on its base, as almost every branch has.
    """
    work, files = squash.work, squash.files
    if not files or not work.rooted or squash.source != work.head:
        return False
    return not repo.differ([(commit, squash.source), (squash.onto, work.base)], files)


def write_message(number: int | None, item: Item, work: records.Work, settles: Sequence[int] = ()) -> str:
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
