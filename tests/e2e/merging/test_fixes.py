"""Sessions that fix what a gate found in a merge: nothing of theirs is believed that git does not show."""

from __future__ import annotations

import pytest

from tests.e2e.harness import KEEP, Sandbox, item, plan


def break_it(box: Sandbox, fix: str, *gates: str) -> Sandbox:
    """Item 1 breaks what a gate looks for, and a session fixes it."""
    box.make(plan([[item(1), item(2)]], pre=[*gates, "! test -e broken"]))
    box.behave(1, "touch broken; work; report COMPLETE")
    box.behave("1-fix", f"{fix}; report COMPLETE")
    return box


def test_a_fix_session_mends_what_a_gate_found(box: Sandbox) -> None:
    break_it(box, f"{KEEP}; git rm -q broken; commit 'fix: broken'").milestone()
    assert "broken" not in box.files()
    assert "item-1.txt" in box.files()
    box.require_landed(1, 2)
    box.require_clean()
    assert box.mends() == {"1-fix": 1}
    said = box.prompt("1-fix")
    assert "! test -e broken" in said
    assert "item-1.txt" in said, "the diff"


UNDONE = {
    "all": "git rm -q item-1.txt broken; commit 'fix: all'",
    "all but something else": "git rm -q item-1.txt broken; echo x > x; commit 'fix: all'",
    "reset": "git reset -q --hard HEAD^; echo x > x; commit 'fix: all'",
    "revert": "git revert --no-edit HEAD >&2",
    "orphan": "git checkout -q --orphan o$$; rm broken; commit x; git checkout -q -B $was",
}


@pytest.mark.parametrize("script", UNDONE.values(), ids=list(UNDONE))
def test_a_fix_that_takes_the_work_back_is_not_merged(box: Sandbox, script: str) -> None:
    break_it(box, f"was=$(git branch --show-current); {script}")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert 1 not in box.squashes("milestone/3-test")
    assert "x" not in box.files("milestone/3-test")


def test_a_gate_that_fails_but_once_pays_for_no_second_fix(box: Sandbox) -> None:
    box.make(plan([[item(1)]], pre=['test ! -e item-1.txt || test -e "$OUT/once" || { touch "$OUT/once"; exit 1; }']))
    box.behave("1-fix", "echo STATUS: COMPLETE; echo NOTES: nothing to fix")
    done = box.milestone(rc=None)
    assert box.mends() == {"1-fix": 1}, done.text
    box.require_landed(1)


def test_a_gate_red_on_merged_trees_alone(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], pre=["! test -e item-1.txt || ! test -e item-2.txt"]))
    for name in ("1-fix", "2-fix"):
        box.behave(name, "git mv item-2.txt two.txt; commit 'fix: two'; report COMPLETE")
    box.milestone()
    assert {"item-1.txt", "two.txt"} <= box.files()
    assert sum(box.mends().values()) == 1
    box.require_landed(1, 2)
    box.require_clean()


def test_accepted_gates_and_mends(box: Sandbox) -> None:
    break_it(box, "git rm -q broken; commit 'fix: broken'", "exit 3").milestone("gates=baseline")
    assert box.mends() == {"1-fix": 1}
    box.require_landed(1, 2)
