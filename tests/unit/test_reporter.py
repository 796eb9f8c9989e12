"""What doit's end comes to: a step that was asked for and never came to its turn is no success."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from doit.task import Task
from work_milestone.graph import reporter

if TYPE_CHECKING:
    from tests.conftest import Sandbox


@pytest.mark.parametrize(("ends", "code"), [((), 2), (("status",), 2), (("status", "demo"), 0)])
def test_what_never_came_to_its_turn_is_not_done(sandbox: Sandbox, ends: tuple[str, ...], code: int) -> None:
    tasks = {name: Task(name, None) for name in ("status", "demo")}
    made = reporter.make(sandbox.run())(io.StringIO(), {})
    made.initialize(tasks, list(tasks))
    for name in ends:
        made.add_success(tasks[name])
    with pytest.raises(SystemExit) as end:
        made.complete_run()
    assert end.value.code == code
