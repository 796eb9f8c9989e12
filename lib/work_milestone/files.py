"""How files are opened that are nobody else's business."""

from __future__ import annotations

import os


def private(path: str, flags: int) -> int:
    """Open a file, for `open(..., opener=private)`: made anew, nobody else may read it."""
    return os.open(path, flags, 0o600)
