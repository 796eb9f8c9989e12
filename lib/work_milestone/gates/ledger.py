"""The ledger of green gates: which command has passed on which tree, as this tool itself has seen it.

Rules:
- Passes alone are remembered: whatever failed may be run again.
- One line a pass, in one append, so that several processes may write it. A line that is torn or foreign says
  nothing, and a ledger that cannot be read or written costs a repeat, never a run.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path


def known(path: Path, tree: str, commands: Iterable[str]) -> set[str]:
    """Pick the commands that have been green on a tree, by its id."""
    try:
        text = b"\n" + path.read_bytes()
    except OSError:
        return set()
    return {command for command in commands if b"\n" + _line(tree, command) in text}


def add(path: Path, tree: str, command: str) -> None:
    """Note that a command was green on a tree."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, _line(tree, command))
        finally:
            os.close(descriptor)


def _line(tree: str, command: str) -> bytes:
    # JSON has no line break in it, and no text in it is the beginning of another: what is torn matches nothing.
    return f"{tree} {json.dumps(command)}\n".encode("ascii")
