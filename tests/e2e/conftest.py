"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # `tests.e2e.harness`, also where pytest was started by its name

from tests.e2e import talks as fakes
from tests.e2e.harness import Sandbox


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Sandbox]:
    """An empty repository, cleaned up after."""
    sandbox = Sandbox(tmp_path)
    yield sandbox
    sandbox.remove()


@pytest.fixture
def talks(box: Sandbox) -> Sandbox:
    """A sandbox with a `claude` on PATH that does as the test says."""
    return fakes.install(box)
