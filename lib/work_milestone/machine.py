"""What the machine has to spare, asked of the kernel."""

from __future__ import annotations

import re
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
LEAST = 1 << 30  # bytes that must be free before one more session starts beside others


def free_memory() -> int | None:
    """Return the bytes of memory that can be had without swapping, None when nobody can tell."""
    try:
        found = re.search(rb"^MemAvailable:\s*(\d+) kB", MEMINFO.read_bytes(), re.MULTILINE)
        return 1024 * int(found[1]) if found else None
    except OSError:
        import psutil

        return int(psutil.virtual_memory().available)


def has_room() -> bool:
    """Tell whether one more session has memory to start in."""
    free = free_memory()
    return free is None or free >= LEAST
