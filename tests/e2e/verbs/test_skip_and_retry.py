"""An item that a person leaves out, or wants worked anew."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

WAVES = [[item(1), item(2)], [item(3, 1), item(4)], [item(5, 3)]]
ALL = (1, 2, 3, 4, 5)


def test_skip_and_its_dependents(box: Sandbox) -> None:
    box.make(plan(WAVES), retries=1).behave(1, "exit 1")
    box.milestone(rc=1)
    assert "#3 depend on it" in box.doit("skip:1", "n=3", rc=0).err
    done = box.milestone(rc=1)
    assert box.standing() == {1: "skipped", 2: "merged", 3: "waiting", 4: "merged", 5: "waiting"}
    assert "waits for #1 (skipped)" in done.out
    box.doit("skip:3", "n=3", rc=0)
    box.doit("skip:5", "n=3", rc=0)
    box.milestone()
    box.require_landed(2, 4)
    box.require_clean()
    assert box.starts() == {1: 1, 2: 1, 4: 1}


def test_retry_asks_for_a_new_session(box: Sandbox) -> None:
    box.make(plan(WAVES, pre=["! grep -q bad item-1.txt"])).behave(
        1, "echo bad > item-1.txt; commit bad; report COMPLETE"
    )
    box.milestone("mends=0", rc=1)
    assert box.standing()[1] == "gate"
    box.mend(1)
    box.milestone("mends=0", rc=1)
    assert box.starts()[1] == 1
    box.doit("retry:1", "n=3", rc=0)
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()
    assert box.starts() == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1}


def test_retry_takes_a_skip_back(box: Sandbox) -> None:
    box.make(plan(WAVES), retries=1)
    box.doit("skip:1", "n=3", rc=0)
    box.milestone(rc=1)
    assert 1 not in box.starts()
    box.doit("retry:1", "n=3", rc=0)
    box.milestone()
    box.require_landed(*ALL)


def test_verbs_refuse_what_is_merged_or_unknown(box: Sandbox) -> None:
    box.make(plan(WAVES), retries=1).milestone()
    assert "merged already" in box.doit("skip:1", "n=3", rc=1).err
    assert "merged already" in box.doit("retry:1", "n=3", rc=1).err
    assert "no item 99" in box.doit("skip:99", "n=3", rc=1).err
    assert "say which milestone" in box.doit("skip:1", rc=1).err
    assert "say which item" in box.doit("skip", "n=3", rc=1).err


@pytest.mark.parametrize("verb", ["skip:1", "retry:1"])
def test_a_verb_in_a_fresh_repository_leaves_nothing_to_see(box: Sandbox, verb: str) -> None:
    box.make(plan([[item(1)]])).doit(verb, "n=3")
    assert box.git("status", "--porcelain", "--untracked-files=all") == ""


def test_retry_of_an_item_that_the_plan_skips_is_refused(box: Sandbox) -> None:
    box.make(plan([[item(1, status="skipped"), item(2)]]))
    done = box.doit("retry:1", "n=3", rc=1)
    assert "#1 is skipped in" in done.err
    assert "plan/milestone-3-dispatch.yaml" in done.err
    box.milestone()
    assert box.starts() == {2: 1}
