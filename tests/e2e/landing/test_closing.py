"""A milestone that has landed without this run's knowing: by somebody else's hand, or just before a kill."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.store.striking import KILLED, STRIKING

BRANCH = "milestone/3-test"
PAIR = [[item(1), item(2)]]
TOUCH = "echo $MILESTONE_ITEM > README.md; commit 'docs: readme'; report COMPLETE"
By = Callable[[Sandbox], object]


def require_closed_by_others(box: Sandbox, starts: dict[int, int]) -> None:
    """The first run finds that it has landed and closes; the second has nothing to do."""
    main = box.rev()
    box.milestone()
    assert "nothing to do" in box.milestone().out
    assert box.rev() == main
    assert box.starts() == starts
    assert "landed" in box.doit("status", "n=3", rc=0).out
    box.require_clean()


def _merge(box: Sandbox) -> None:
    box.git("merge", "-q", "--no-ff", "--no-edit", BRANCH)


def _fast_forward(box: Sandbox) -> None:
    box.git("merge", "-q", "--ff-only", BRANCH)


def _squash(box: Sandbox) -> None:
    box.git("merge", "-q", "--squash", BRANCH)
    box.git("commit", "-qm", "feat: the milestone")


def _squash_and_go_on(box: Sandbox) -> None:
    _squash(box)
    box.write("later.txt", "later\n")
    box.git("add", "later.txt")
    box.git("commit", "-qm", "feat: later")


@pytest.mark.parametrize("by", [_merge, _fast_forward, _squash, _squash_and_go_on])
def test_landed_by_somebody_else_after_ready_to_land(box: Sandbox, by: By) -> None:
    box.make(plan(PAIR)).behave(1, TOUCH)
    box.write("README.md", "mine\n")
    assert "ready to land" in box.milestone("allow_dirty=yes", rc=1).text
    box.git("checkout", "-q", "--", "README.md")
    by(box)
    require_closed_by_others(box, {1: 1, 2: 1})


@pytest.mark.parametrize("by", [_merge, _fast_forward, _squash])
def test_landed_by_somebody_else_over_a_red_gate(box: Sandbox, by: By) -> None:
    box.make(plan(PAIR, post=["false"]))
    assert "main is untouched" in box.milestone(rc=1).text
    by(box)
    require_closed_by_others(box, {1: 1, 2: 1})


@pytest.mark.parametrize("begun", [False, True])
def test_all_items_skipped(box: Sandbox, begun: bool) -> None:
    box.make(plan(PAIR))
    if begun:
        box.behave(1, "exit 1")
        box.behave(2, "exit 1")
        box.milestone(rc=1)
    for issue in (1, 2):
        box.doit(f"skip:{issue}", "n=3", rc=0)
    require_closed_by_others(box, {1: 1, 2: 1} if begun else {})


@pytest.mark.parametrize("moment", ["before land:landed", "after land:landed", "before milestone:closed"])
def test_killed_between_mains_move_and_its_receipt(box: Sandbox, moment: str) -> None:
    box.make(plan(PAIR), files=STRIKING)
    (box.outside / "strike").write_text(moment)
    box.milestone(rc=KILLED)
    assert "item-1.txt" in box.files()
    require_closed_by_others(box, {1: 1, 2: 1})
    box.require_landed(1, 2)
