"""What a supervisor has left of a session: `exit.json`, read with suspicion, for anybody may have written there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from work_milestone.supervision import supervisor

REASONS = ("exited", "signalled", "timeout", "stopped", "not-started")
FAR = 1e12  # seconds since 1970


class Exit(NamedTuple):
    """How a session ended; `started` and `ended` in seconds since 1970, `error` what went wrong beside the agent.

    `code` is its exit code, `signal` what ended it; both None where there is none.
    """

    reason: str
    started: float
    ended: float
    code: int | None = None
    signal: int | None = None
    error: str = ""

    @property
    def elapsed(self) -> float:
        """How long it took, in seconds; 0 where the clock was set back."""
        return max(0.0, self.ended - self.started)

    @property
    def is_cut(self) -> bool:
        """Tell whether its output may lack its end, for the disk was full."""
        return self.error.endswith(supervisor.CUT)


def read_fields(attempt: Path) -> dict[str, Any] | None:
    """Read the record of an attempt as it is, None when there is none."""
    try:
        found = json.loads((attempt / "exit.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.get("reason") not in REASONS:
        return None
    # A bound, for JSON has numbers that are none, and others that no float holds.
    timed = all(isinstance(at := found.get(name), int | float) and 0 <= at < FAR for name in ("started", "ended"))
    return found if timed and isinstance(found.get("code"), int | None) else None


def read(attempt: Path) -> Exit | None:
    """Read the record of an attempt, None when there is none."""
    found = read_fields(attempt)
    if found is None:
        return None
    number, error = found.get("signal"), str(found.get("error") or "")
    return Exit(found["reason"], found["started"], found["ended"], found.get("code"),
                number if isinstance(number, int) else None, error)  # fmt: skip
