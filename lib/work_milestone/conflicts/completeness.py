"""Whether a merge holds all that it was made of: asked of git line by line, believed of nobody.

Rules:
- Each line that a side added to their base stands in the result, in the same file or in one that the merge changed
  (a rename moves lines). White space folded, so that a re-indented line is there.
- A resolution may change the lines of its conflicts. Everything else that either side did stays done: added lines
  stand, removed runs of lines are not back, files that did not conflict hold both sides' lines.
- No conflict marker stands that neither side had, and no file is gone that did not conflict.
- A resolution is a merge of just these two, and what a session mends is not the work taken back.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from work_milestone import git
from work_milestone.conflicts import content
from work_milestone.conflicts.sides import Sides, merge_file, read_sides
from work_milestone.git import merges, trees
from work_milestone.text import shown

MOST_SHOWN = 3


def find_dropped(repo: git.Repo, onto: str, source: str, tree: str, files: Sequence[str]) -> str:
    """Say what a squash lacks of the lines that either side has added, "" when it has all of them.

    `source` is the branch's head, `files` those that it changes, `tree` the result of merging it onto `onto`.
    """
    paths = [name for name in files if name]
    base = (repo.merge_base(onto, source) or onto) if paths else onto
    # What a side has is what the result has, or it is looked into.
    theirs = repo.changed(source, tree, *paths) if paths else []
    ours = repo.changed(base, onto, *paths) if base != onto else []
    ours = repo.changed(onto, tree, *ours) if ours else []
    lost = {**_find_lost(repo, base, onto, source, tree, ours), **_find_lost(repo, base, source, onto, tree, theirs)}
    if lost:
        moved = b"\n".join(trees.read_files(repo, tree, *repo.changed(base, tree)).values())
        lost = {path: content.pick_absent(lines, moved) for path, lines in lost.items()}
    return _tell("would drop", lost)


def _find_lost(
    repo: git.Repo, base: str, side: str, other: str, tree: str, paths: Sequence[str]
) -> dict[str, list[bytes]]:
    """List, by path, the lines that a side has added and the result lacks there."""
    if not paths:
        return {}
    before, mine, others, result = (trees.read_files(repo, rev, *paths) for rev in (base, side, other, tree))
    lost = {path: content.find_dropped(before.get(path, b""), mine[path], result.get(path, b""),
                                       ours=others.get(path, b""))
            for path in paths if path in mine}  # fmt: skip
    return {path: lines for path, lines in lost.items() if lines}


class Fault(NamedTuple):
    """What is wrong with what a session has mended: nothing is resolved yet, or it takes back what was done."""

    reason: str
    unresolved: bool = False


def check_resolution(repo: git.Repo, onto: str, work: str, result: str, cwd: Path) -> Fault | None:
    """Say what is wrong with a resolution of the merge of `work` onto `onto`, None when nothing is."""
    if not (repo.is_ancestor(onto, result) and repo.is_ancestor(work, result)):
        return Fault(f"the resolution {result[:10]} is no merge of {onto[:10]} and {work[:10]}", unresolved=True)
    merged = merges.merge(repo, onto, work, cwd)
    base = repo.merge_base(onto, work) or onto
    if is_taken_back(repo, base, work, onto, result):
        return Fault("the resolution takes all of the work back")
    conflicting = read_sides(repo, merged)
    gone = _find_gone(repo, merged, result)
    if gone:
        more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
        return Fault(f"the resolution removes {shown(gone[0])}{more}, which did not conflict")
    paths = sorted({*repo.changed(base, merged.tree), *conflicting})
    before, auto, done = (trees.read_files(repo, rev, *paths) for rev in (base, merged.tree, result))
    lost: dict[str, list[bytes]] = {}
    for path in paths:
        now, found = done.get(path, b""), conflicting.get(path)
        if found is None:
            lines = content.find_dropped(before.get(path, b""), auto.get(path, b""), now)
        else:
            old = found.base or b""
            if content.has_markers(now, old, found.ours, found.theirs):
                return Fault(f"conflict markers are left in {path}", unresolved=True)
            lines = _find_undone(repo, found, now)
        if lines:
            lost[path] = lines
    # Git's own way of merging a file (merge=ours) may have dropped lines before the session saw any of it.
    others = [path for path in repo.changed(base, work) if path not in conflicting]
    told = _tell("the resolution undoes", lost) or find_dropped(repo, onto, work, result, others)
    return Fault(told) if told else None


def is_taken_back(repo: git.Repo, base: str, work: str, onto: str, result: str) -> bool:
    """Tell whether `result`, built on `onto`, has nothing left of what `work` did to `base`."""
    paths = repo.changed(base, work)
    if repo.changed(onto, result, *paths):
        return False
    before, after = (trees.read_files(repo, rev, *paths) for rev in (base, work))
    added = [line for path, text in after.items() for line in content.find_dropped(before.get(path, b""), text, b"")]
    elsewhere = b"\n".join(trees.read_files(repo, result, *repo.changed(onto, result)).values())
    return content.pick_absent(added, elsewhere) == added


def _find_gone(repo: git.Repo, merged: merges.Merged, result: str) -> list[str]:
    """List the paths that a resolution has removed, though git had merged them; a renamed one is not."""
    changes = trees.diff(repo, merged.tree, result)
    added = {change.new for change in changes if change.old == trees.NOTHING}
    return [change.path for change in changes if change.new == trees.NOTHING
            and change.old not in added and change.path not in merged.conflicts]  # fmt: skip


def _find_undone(repo: git.Repo, sides: Sides, now: bytes) -> list[bytes]:
    """List what a resolved file lacks of both sides' changes outside of its conflicts."""
    old = sides.base or b""
    try:
        chunks = merge_file(repo, old, sides.ours, sides.theirs)
    except ValueError:
        return []  # git's answer cannot be split into conflicts: nothing is outside of them
    undone = content.find_undone(old, chunks, now)
    return [*undone.missing, *(line for run in undone.revived for line in run)]


def _tell(what: str, lost: dict[str, list[bytes]]) -> str:
    found = {path: lines for path, lines in lost.items() if lines}
    if not found:
        return ""
    path, lines = next(iter(found.items()))
    shown = "; ".join(f"`{line.decode(errors='replace').strip()[:80]}`" for line in lines[:MOST_SHOWN])
    total = sum(map(len, found.values()))
    more = f" and of {len(found) - 1} more" if len(found) > 1 else ""
    return f"{what} {total} line{'s' * (total != 1)} of {path}{more}: {shown}"
