"""What the tests of agents have: a real one, whose model is a script on loopback, or one that nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.agents import claude_code
from tests.e2e.agents.mine import PROGRAM
from tests.e2e.agents.programs import Program
from tests.e2e.agents.stubs import Stub
from tests.e2e.harness import Sandbox


@pytest.fixture
def program() -> Program:
    """Whose binary it is: Claude Code's, where a file does not say."""
    return claude_code.PROGRAM


@pytest.fixture
def stub(program: Program) -> Iterator[Stub]:
    """The model; at the end, it was asked nothing that its script did not foresee."""
    with program.stub() as stub:
        yield stub
    assert stub.faults == []


@pytest.fixture
def work(box: Sandbox, program: Program, stub: Stub) -> Sandbox:
    """A repository whose agents find the binary, and through it nothing but the stub."""
    return program.prepare(box, stub)


@pytest.fixture
def mine(box: Sandbox) -> Sandbox:
    """A repository whose items are worked by a program that nobody knows."""
    box.install("mine", PROGRAM)
    return box
