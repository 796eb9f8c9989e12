"""How files are opened that are nobody else's business, and whether words name one."""

from __future__ import annotations

import os
from pathlib import Path


def private(path: str, flags: int) -> int:
    """Open a file, for `open(..., opener=private)`: made anew, nobody else may read it."""
    return os.open(path, flags, 0o600)


def is_there(path: str | Path) -> bool:
    """Tell whether a path names something; words that can be no path name nothing."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False
