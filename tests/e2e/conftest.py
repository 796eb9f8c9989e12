"""Fixtures of the end-to-end tests."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox
from tests.e2e.sessions import talks as fakes


@pytest.fixture
def talks(box: Sandbox) -> Sandbox:
    """A sandbox with a `claude` on PATH that does as the test says."""
    return fakes.install(box)
