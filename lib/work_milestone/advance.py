"""The advance of the local main to what was gated: in the checkout that has it, or by its ref alone.

Rule: main is never forced and nothing is stashed. A checkout of main is moved by `merge --ff-only` alone, which
keeps a person's changes where the landing does not touch them, and refuses where it does.
"""

from __future__ import annotations

from pathlib import Path

from work_milestone import checkouts, git, trees
from work_milestone.errors import MilestoneError
from work_milestone.runs import Run


class RefusedError(MilestoneError):
    """Main cannot be moved now; says what is in the way."""


def move_main(run: Run, commit: str) -> None:
    """Move the local main to a commit. Raise RefMovedError when it is not below it, RefusedError when it cannot."""
    old = run.repo.resolve(run.main_ref)
    if old is None or not run.repo.is_ancestor(old, commit):
        raise git.RefMovedError(f"{run.main} has moved")
    place = next(
        (found.path for found in checkouts.find_all(run.repo) if found.branch == run.main and not found.bare), None
    )
    if place is None:
        run.repo.move(run.main_ref, commit, old)
        return
    only = ("--ff-only", "--quiet", "--no-autostash", "--no-verify-signatures")
    done = run.repo.call("merge", *only, commit, cwd=place, accept=range(256))
    now = run.repo.resolve(run.main_ref)
    if now == commit:
        return
    if now != old:
        raise git.RefMovedError(f"{run.main} moved to {now}")
    raise RefusedError(_obstacle(run, place, old, commit, git.decode(done.stderr)))


def _obstacle(run: Run, place: Path, old: str, new: str, words: str) -> str:
    """Say what keeps a checkout from being moved: by the files themselves, git's words only where they tell more."""
    changed = set(run.repo.changed(old, new))
    state = checkouts.read_state(run.repo, place)
    modified = sorted(changed.intersection((*state.tracked, *state.unmerged)))
    in_the_way = sorted(path for path in changed.difference(modified)
                        if (place / path).exists() and not trees.has_path(run.repo, old, path))  # fmt: skip
    if modified:
        return f"{place}: modified and also changed by the landing: {', '.join(modified[:8])}; commit or stash them"
    if in_the_way:
        return f"{place}: untracked files in the way: {', '.join(in_the_way[:8])}; move them away"
    return f"{place}: git cannot update it: {' '.join(words.split())[:500]}"
