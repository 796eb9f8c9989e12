"""That a session would start where it should: in its own worktree, and with an environment that means that tree."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from work_milestone import gates
from work_milestone.git import checkouts
from work_milestone.run.run import Run
from work_milestone.store.receipts import Receipt
from work_milestone.system import command as gate_process
from work_milestone.system.errors import MilestoneError
from work_milestone.system.files import is_there
from work_milestone.text.lines import last_line, shown

PROOF = 120.0  # seconds that `prove` may take


def require_place(run: Run, worktree: Receipt) -> None:
    """Raise MilestoneError unless a session would start where it should: nothing starts anywhere else."""
    place = Path(worktree["path"])
    # A session that goes on may have been cut short in a rebase: where it ends is looked at then.
    begun = None if worktree.get("conversation") else (str(worktree["branch"]), str(worktree["base"]))
    wrong = checkouts.find_misplacement(run.repo, place, begun)
    if wrong:
        run.pool.drop(place)
        raise MilestoneError(f"{wrong}; it is taken away, and made anew by the same line")


def find_writable(run: Run, place: Path) -> tuple[str, ...]:
    """Find the folders outside of a worktree that git writes to when it commits there."""
    own = checkouts.git_dir(place)
    shared = (run.repo.common / name for name in ("objects", "refs", "logs"))
    return tuple(str(path) for path in ((own, *shared) if own else shared))


def require_proof(run: Run, issue: int, place: Path, env: Mapping[str, str]) -> None:
    """Raise MilestoneError unless what `prove` prints lies inside the worktree: elsewhere another tree is tested."""
    if run.settings.prove is None:
        return
    log, errors = (run.folder.item(issue) / f"prove.{name}" for name in ("log", "err"))
    argv = ["/bin/sh", "-c", run.settings.prove]
    done = gate_process.run(argv, cwd=place, env=env, log=log, errors=errors, timeout=PROOF)
    told = [line for line in gates.read_end(log).splitlines() if line.strip()]
    line = shown(run.settings.prove)
    if done.code or not told:
        words = done.reason or last_line(gates.read_end(errors)) or "it printed nothing"
        raise MilestoneError(f"prove: {line} (exit {done.code}, in {place}): {words}; no session starts there")
    for path in told:
        if not is_there(place / path):
            raise MilestoneError(
                f"prove: {line} says {shown(path, 200)}, which names nothing that is there; have it print paths alone, "
                f'like python -c "import pkg; print(pkg.__file__)"; no session starts there'
            )
        if not (place / path).resolve().is_relative_to(place.resolve()):
            raise MilestoneError(
                f"prove: {line} says {shown(path, 200)}, which is outside of {place}: a session would work on one tree "
                f"and test another; mend what is linked into worktrees (links), or set_env"
            )
