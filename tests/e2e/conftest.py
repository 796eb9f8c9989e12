"""Fixtures of the end-to-end tests. Who has no binary or stub of its own is given Claude Code's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.agents import claude_code, programs
from tests.e2e.agents.messages_stub import MessagesStub
from tests.e2e.harness import Sandbox
from tests.e2e.sessions import talks as fakes


@pytest.fixture
def talks(box: Sandbox) -> Sandbox:
    """A sandbox with a `claude` on PATH that does as the test says."""
    return fakes.install(box)


@pytest.fixture(scope="session")
def claude(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH that has the real Claude Code in it."""
    return claude_code.link(tmp_path_factory.mktemp("bin"))


@pytest.fixture
def stub() -> Iterator[MessagesStub]:
    """The model; at the end, it was asked nothing that its script did not foresee."""
    with MessagesStub() as stub:
        yield stub
    assert stub.faults == []


@pytest.fixture
def work(box: Sandbox, claude: Path, stub: MessagesStub) -> Sandbox:
    """A repository whose agents find the binary, and through it nothing but the stub."""
    return programs.prepare(box, claude, **claude_code.variables(stub.url))
