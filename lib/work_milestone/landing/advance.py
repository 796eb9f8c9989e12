"""The advance of the local main to what was gated: in the checkout that has it, or by its ref alone.

Rules:
- Main is never forced and nothing is stashed. A checkout of main is moved by `merge --ff-only` alone, which keeps
  a person's changes where the landing does not touch them. Where it does touch them nothing is begun, and git,
  which looks again, may still refuse.
- A receipt says which checkout is being moved from where to where, for as long as it is: a git that is killed in
  the middle leaves main unmoved, a lock and a half updated checkout. The next preflight brings that back.
- Only the landing moves main (`landing.land`), and only to what its gates were green on, or to what the remote's main
  is already.
"""

from __future__ import annotations

from pathlib import Path

from work_milestone import git
from work_milestone.git import checkouts, rollback, trees
from work_milestone.run import Run
from work_milestone.store import records
from work_milestone.system import MilestoneError, process_table

_MODULE = "160000"
_ANY = range(-64, 256)  # exit codes, those of a git that a signal ended too
_MOST = 8  # paths that are named


class RefusedError(MilestoneError):
    """Main cannot be moved now; says what is in the way."""


def move_main(run: Run, commit: str) -> None:
    """Move the local main to a commit. Raise RefMovedError when it is not below it, RefusedError when it cannot."""
    main, ref = run.history.main, run.history.main_ref
    old = run.repo.resolve(ref)
    if old is None or not run.repo.is_ancestor(old, commit):
        raise git.RefMovedError(f"{main} has moved")
    if old == commit:
        return
    place = next((found.path for found in checkouts.find_all(run.repo) if _has(found, main)), None)
    if place is None:
        run.repo.move(ref, commit, old)
        return
    _require_clear(run.repo, place, old, commit)
    run.receipts.write(records.Advance(status="begun", place=str(place), main=main, old=old, new=commit), durable=True)
    only = ("--ff-only", "--quiet", "--no-autostash", "--no-verify-signatures")
    done = run.repo.call("merge", *only, commit, cwd=place, accept=_ANY)
    now = run.repo.resolve(ref)
    if now == old:
        repair(run, killed=False)
        words = " ".join(git.decode(done.stderr).split())[:500]
        raise RefusedError(f"{place}: git cannot update it: {words or f'exit {done.returncode}'}")
    run.receipts.remove(records.Advance)
    if now != commit:
        raise git.RefMovedError(f"{main} moved to {now}")


def _has(found: checkouts.Checkout, branch: str) -> bool:
    return found.branch == branch and not found.bare


def _git_dir(repo: git.Repo, place: Path) -> Path:
    return Path(repo.text("rev-parse", "--absolute-git-dir", cwd=place))


def _require_clear(repo: git.Repo, place: Path, old: str, new: str) -> None:
    """Raise RefusedError when the landing would touch anything of a person's in a checkout."""
    lock = _git_dir(repo, place) / "index.lock"
    if lock.exists():
        raise RefusedError(f"{lock}: another git command is at work in {place}, or was killed there; wait for it, or "
                           "remove the file")  # fmt: skip
    changes = trees.diff(repo, old, new)
    state = checkouts.read_state(repo, place, untracked=False)
    # A submodule's files are not what moves with main.
    files = {change.path for change in changes if _MODULE not in (change.old[0], change.new[0])}
    modified = sorted(files.intersection((*state.tracked, *state.unmerged)))
    if modified:
        raise RefusedError(f"{place}: modified and also changed by the landing: {', '.join(modified[:_MOST])}; commit "
                           "or stash them")  # fmt: skip
    folded = {change.path.casefold() for change in changes if change.old != trees.NOTHING}
    added = [change.path for change in changes if change.old == trees.NOTHING]
    found = {name for path in added if (name := rollback.blocker(place, path)) and name.casefold() not in folded}
    in_the_way = sorted(name for name in found if not trees.has_path(repo, old, name))
    if in_the_way:
        raise RefusedError(f"{place}: untracked files in the way: {', '.join(in_the_way[:_MOST])}; move them away")


def repair(run: Run, *, killed: bool = True) -> None:
    """Bring back what a move of main has left half done; needs the run lock, costs nothing where nothing is.

    Raise MilestoneError when it cannot be done now: the receipt stays, and the next run tries again.
    """
    if not run.receipts.path(records.Advance).exists():
        return
    run.receipts.forget()  # what was read before the lock was held may have changed since
    begun = run.receipts.load(records.Advance)
    if begun:
        process_table.await_marked(run.repo.mark, git.PATIENCE)
        place = Path(begun.place)
        if _is_half_done(run, place, begun):
            undone = rollback.undo(run.repo, place, begun.old, begun.new)
            words = f"{place}: {begun.main} was being moved to {begun.new[:10]} when that was cut short"
            _tell(run, words, undone, killed=killed)
    run.receipts.remove(records.Advance)


def _is_half_done(run: Run, place: Path, begun: records.Advance) -> bool:
    """Tell whether a checkout is still where the move found it, with no lock left. Raise MilestoneError if one is."""
    everything = {found.path: found for found in checkouts.find_all(run.repo)}
    if place not in everything or not _has(everything[place], begun.main) or not place.is_dir():
        return False
    own, ref = _git_dir(run.repo, place), f"refs/heads/{begun.main}"
    for lock in (own / "HEAD.lock", own / "ORIG_HEAD.lock", run.repo.common / f"{ref}.lock"):
        run.repo.remove_shared_lock(lock, place)
    if run.repo.resolve(ref) != begun.old or run.repo.resolve(begun.new) is None:
        return False
    lock = own / "index.lock"
    run.repo.remove_shared_lock(lock, place)
    if lock.exists():
        raise MilestoneError(
            f"{lock}: a git command is still at work in {place}, which was left half updated when a move of "
            f"{begun.main} was cut short; wait for it or end it, then: doit milestone n={run.milestone.number}"
        )
    return True


def _tell(run: Run, words: str, undone: rollback.Undone, *, killed: bool) -> None:
    if undone.back:
        words += f"; brought back: {_name(undone.back)}"
    if undone.left:
        words += f"; left as they are, somebody has changed them since: {_name(undone.left)}"
    if undone.back or (killed and undone.left):
        run.tell("land", "note", words)


def _name(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _MOST} more" if len(paths) > _MOST else ""
    return ", ".join(paths[:_MOST]) + more
