"""Sessions that start the tool themselves."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

BLOCKED = "test $rc = 1 || exit 9; work; report COMPLETE"


def within(box: Sandbox, line: str) -> Sandbox:
    """A milestone of two items; the agent of the first runs doit and says what that said."""
    box.make(plan([[item(1), item(2)]]))
    box.env["PYTHON"] = box.argv()[3]
    box.behave(1, f'{line} > "$OUT/said" 2>&1; rc=$?; {BLOCKED}')
    return box


def said(box: Sandbox) -> str:
    return (box.outside / "said").read_text()


@pytest.mark.parametrize("words", ["milestone n=3", "milestone n=3 allow_dirty=yes", "item:2 n=3", "preflight n=3"])
def test_a_session_that_starts_the_tool_in_its_worktree_is_refused(box: Sandbox, words: str) -> None:
    within(box, f'"$PYTHON" -m doit {words}').milestone()
    assert "this is inside a session (item 1 of milestone 3)" in said(box)
    assert "kage-bunshin.lock: this is a session's own worktree" in said(box)
    assert "Traceback" not in said(box)
    assert box.starts() == {1: 1, 2: 1}, "no second run"
    assert not {path for path in box.files() if ".milestone" in path}
    box.require_landed(1, 2)
    box.require_clean()


def test_a_session_that_starts_the_tool_in_the_main_checkout_is_refused(box: Sandbox) -> None:
    within(box, f'(cd {box.root} && "$PYTHON" -m doit milestone n=3)').milestone()
    assert "this is inside a session (item 1 of milestone 3)" in said(box)
    assert "unset MILESTONE_DEPTH" in said(box)
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_a_session_that_hides_its_depth_is_refused_by_the_lock_file(box: Sandbox) -> None:
    within(box, 'env -u MILESTONE_DEPTH "$PYTHON" -m doit milestone n=3').milestone()
    assert "inside a session" not in said(box)
    assert "kage-bunshin.lock: this is a session's own worktree" in said(box)
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_another_milestone_is_refused_as_well(box: Sandbox) -> None:
    """No run lock is in its way."""
    within(box, f'(cd {box.root} && "$PYTHON" -m doit milestone n=4)')
    box.write("plan/milestone-4-dispatch.yaml", plan([[item(7)]], number=4))
    box.git("add", "-A")
    box.git("commit", "-q", "--amend", "--no-edit")
    box.milestone()
    assert "this is inside a session (item 1 of milestone 3)" in said(box)
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)


@pytest.mark.parametrize("depth", ["1", "7", "x"])
def test_any_depth_is_inside_and_zero_is_not(box: Sandbox, depth: str) -> None:
    box.make(plan([[item(1)]]))
    done = box.doit("milestone", "n=3", rc=1, env={"MILESTONE_DEPTH": depth})
    assert "this is inside a session (item ? of milestone ?)" in done.text
    assert box.starts() == {}
    box.doit("milestone", "n=3", rc=0, env={"MILESTONE_DEPTH": "0"})
    box.require_landed(1)


def test_a_session_may_look_at_the_run_that_it_is_part_of(box: Sandbox) -> None:
    within(box, f'(cd {box.root} && "$PYTHON" -m doit status n=3)')
    box.behave(1, (box.outside / "do-1").read_text().replace("= 1", "= 0"))
    box.milestone()
    assert "running" in said(box)
    box.require_landed(1, 2)


def test_gates_are_no_sessions(box: Sandbox) -> None:
    box.make(plan([[item(1)]], pre=['test -z "$MILESTONE_DEPTH"'])).milestone()
    box.require_landed(1)
