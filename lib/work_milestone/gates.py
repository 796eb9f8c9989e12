"""Quality gates: shell lines that must exit 0 on exactly the tree that is to be merged.

Rules: each gate has its own log; a gate that changes tracked files has failed, for what it passed is not what
would be merged; the first failure ends the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from work_milestone import checkouts, gate_process, worktrees
from work_milestone.texts import last_line


@dataclass(frozen=True)
class Failure:
    """A gate that said no: its command, its exit code (124 time limit, 127 not found), its log, why."""

    command: str
    code: int
    log: Path
    reason: str


def check(
    pool: worktrees.Pool, path: Path, commit: str, commands: Sequence[str], logs: Path, timeout: float
) -> Failure | None:
    """Run the gates on a commit, in the worktree at `path`; `logs` is the stem of their logs' names."""
    if not commands:
        return None
    worktrees.checkout_detached(pool, path, commit)
    env = pool.environment()
    logs.parent.mkdir(parents=True, exist_ok=True)
    for number, command in enumerate(commands, 1):
        log = logs.with_name(f"{logs.name}-{number}.log")
        done = gate_process.run(["/bin/sh", "-c", command], cwd=path, env=env, log=log, timeout=timeout)
        if done.code != 0:
            why = f"over its time limit of {timeout:g} s" if done.timed_out else f"exit {done.code}"
            said = [why, "" if done.timed_out else done.reason, last_line(read_end(log))]
            return Failure(command, done.code, log, f"gate `{command}`: {': '.join(filter(None, said))}")
        changed = checkouts.read_state(pool.repo, path, untracked=False, env=env).tracked
        if changed:
            return Failure(command, 0, log, f"gate `{command}` changed tracked files: {', '.join(changed[:5])}")
    return None


def read_end(path: Path, size: int = 65536) -> str:
    """Read the end of a log, as much as a person would."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
