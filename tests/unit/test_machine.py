"""What the machine has to spare."""

from __future__ import annotations

from pathlib import Path

import pytest
from work_milestone import machine

MEMINFO = "MemTotal:       16000000 kB\nMemFree:          100000 kB\nMemAvailable:   {} kB\nSwapFree:  9000000 kB\n"


@pytest.fixture
def meminfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is asked instead of the kernel's; not there at first."""
    path = tmp_path / "meminfo"
    monkeypatch.setattr(machine, "MEMINFO", path)
    return path


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


def test_this_machine_says_something() -> None:
    free = machine.free_memory()
    assert free is None or 0 <= free < 1 << 50
