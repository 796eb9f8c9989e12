"""What the machine has to spare."""

from __future__ import annotations

from pathlib import Path

import pytest
from work_milestone.system import machine

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:   {} kB\nSwapFree:  9000000 kB\n"


@pytest.fixture
def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is asked instead of the kernel's; not there at first."""
    path = tmp_path / "meminfo"
    monkeypatch.setattr(machine, "MEMINFO", path)
    monkeypatch.setattr(machine, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "membership")
    return path


def limit(tmp_path: Path, group: str, most: int | str, used: int, cached: int = 0) -> None:
    """Make a control group as the kernel shows it."""
    folder = tmp_path / "cgroup" / group
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - cached}\nfile {cached}\ninactive_file {cached}\n")


@pytest.mark.parametrize(
    ("kilobytes", "room"), [(0, False), (1, False), (1048575, False), (1048576, True), (15000000, True)]
)
def test_room_is_a_gibibyte(meminfo: Path, kilobytes: int, room: bool) -> None:
    meminfo.write_text(MEMINFO.format(kilobytes))
    assert machine.free_memory() == kilobytes * 1024
    assert machine.has_room() is room


@pytest.mark.parametrize("text", ["", "MemTotal: 1 kB\n", "MemAvailable: lots\n", "xMemAvailable: 1 kB\n", "\0\xff"])
def test_where_nobody_can_tell_there_is_room(meminfo: Path, text: str) -> None:
    meminfo.write_text(text)
    assert machine.free_memory() is None
    assert machine.has_room()


@pytest.mark.usefixtures("meminfo")
def test_without_the_file_another_is_asked() -> None:
    free = machine.free_memory()
    assert free is not None
    assert free > 0


GIB = 1 << 30


@pytest.mark.parametrize(
    ("rows", "free", "most"),
    [
        ([("", "max", 5 * GIB)], 8 * GIB, None),
        ([("", 4 * GIB, 3 * GIB)], GIB, 4 * GIB),
        ([("", 4 * GIB, 3 * GIB, 2 * GIB)], 3 * GIB, 4 * GIB),  # what is only cached can be had
        ([("", 4 * GIB, 5 * GIB)], 0, 4 * GIB),
        ([("", 99 * GIB, GIB)], 8 * GIB, 99 * GIB),
        ([("a/b", 4 * GIB, GIB)], 3 * GIB, 4 * GIB),
        ([("a", 2 * GIB, GIB), ("a/b", 4 * GIB, GIB // 2)], GIB, 2 * GIB),  # the narrowest of those around it
        ([("other", GIB, GIB)], 8 * GIB, None),
        ([("a/b/below", GIB, GIB)], 8 * GIB, None),
        ([("", "", 0)], 8 * GIB, None),
    ],
)
def test_a_containers_limit_counts(
    meminfo: Path, tmp_path: Path, rows: list[tuple[str, int | str, int]], free: int, most: int | None
) -> None:
    meminfo.write_text(MEMINFO.format(8 << 20))
    (tmp_path / "membership").write_text("3:cpuset:/x\n0::/a/b\n")
    for row in rows:
        limit(tmp_path, *row)
    assert machine.free_memory() == free
    assert machine.memory_limit() == most


@pytest.mark.parametrize("text", ["", "0::/../..\n", "0::/\n", "9:name=systemd:/\n"])
def test_any_membership_is_looked_at(meminfo: Path, tmp_path: Path, text: str) -> None:
    meminfo.write_text(MEMINFO.format(8 << 20))
    (tmp_path / "membership").write_text(text)
    assert machine.free_memory() == 8 * GIB


def test_this_machine_says_something() -> None:
    free = machine.free_memory()
    assert free is None or 0 <= free < 1 << 50
