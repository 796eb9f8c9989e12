"""What the machine has to spare, asked of the kernel."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUPS, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")  # version 2, cgroups(7)
LEAST = 1 << 30  # bytes that must be free before one more session starts beside others


def free_memory() -> int | None:
    """Return the bytes that can be had without swapping, and within the container's limit; None when nobody knows."""
    known = [bound for bound in (_free_of_all(), *(limit - used for limit, used in _limits())) if bound is not None]
    return max(0, min(known)) if known else None


def memory_limit() -> int | None:
    """Return the bytes of memory that this process's control groups allow in all, None without a limit."""
    return min((limit for limit, _ in _limits()), default=None)


def _limits() -> Iterator[tuple[int, int]]:
    """Give the limit of each control group around this process that has one, and what of it cannot be taken back."""
    try:
        found = re.search(r"^0::/(.*)$", MEMBERSHIP.read_text(), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return
    place = CGROUPS / found[1] if found else CGROUPS
    for folder in (place, *place.parents):
        if not folder.is_relative_to(CGROUPS):
            return
        limit, used = (_number(folder / name, rb"^(\d+)$") for name in ("memory.max", "memory.current"))
        if limit is not None and used is not None:
            cached = _number(folder / "memory.stat", rb"^inactive_file (\d+)$") or 0
            yield limit, max(0, used - cached)


def _number(path: Path, form: bytes) -> int | None:
    try:
        found = re.search(form, path.read_bytes(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _free_of_all() -> int | None:
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
