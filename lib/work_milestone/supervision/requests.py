"""A person's wish that one session ends: word left in its attempt's folder, for the run that is at work."""

from __future__ import annotations

from pathlib import Path

_NAME = "stop-asked"


def ask(attempt: Path, run: str) -> None:
    """Leave word; `run` names the process that is to heed it, "" when there is none."""
    (attempt / _NAME).write_text(run)


def is_asked(attempt: Path) -> bool:
    """Tell whether anybody was ever asked."""
    return (attempt / _NAME).exists()


def was_asked(attempt: Path, run: str) -> bool:
    """Tell whether a process was asked, by its name."""
    try:
        return (attempt / _NAME).read_text() == run
    except FileNotFoundError:
        return False
