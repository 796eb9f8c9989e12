"""Sessions that mend and do not do as they are told: nothing of theirs is believed that git does not show."""

from __future__ import annotations

import os
import signal

import pytest

from tests.e2e.harness import Sandbox, await_line, item, plan
from tests.e2e.test_mending import two_sides

TAKE_BOTH = "sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt"
LIES = {
    "markers left": "git add -A; git commit -q --no-edit",
    "ours": "git checkout -q --ours .; git add -A; git commit -q --no-edit",
    "ours and more": "git checkout -q --ours .; echo x > x; git add -A; git commit -q --no-edit",
    "aborted": "git merge --abort",
    "aborted, something else": "git merge --abort; echo x > x; commit x",
    "another branch": f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; git checkout -q -b elsewhere-$$",
    "detached": f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; git checkout -q --detach",
    "reset to main": "git reset -q --hard main",
    "reset to main, something else": "git reset -q --hard main; echo x > x; commit x",
    "reset to the item": "git reset -q --hard MERGE_HEAD",
    "nothing": "true",
    "files deleted": f"{TAKE_BOTH}; git rm -q -f README.md; git add -A; git commit -q --no-edit",
    "flattened": "git merge --abort; git merge -q --squash work/3/1-item-1 >&2; echo x > x; commit x",
    "repository gone": "rm -rf .git",
    "worktree gone": 'rm -rf "$PWD"',
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_resolution_that_lies_is_not_merged(box: Sandbox, lie: str) -> None:
    two_sides(box, max_sessions=2)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{lie}; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert sum(box.mends().values()) == 2, "bounded"
    assert len(box.squashes("milestone/3-test")) == 1
    assert set(box.show("app.txt", "milestone/3-test").splitlines()) & {"one", "two"}
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; report COMPLETE")
    box.milestone()
    assert {"one", "two"} < set(box.show("app.txt").splitlines())
    assert "README.md" in box.files()
    assert "x" not in box.files()
    box.require_landed(1, 2)
    for branch in box.git("for-each-ref", "--format=%(refname:short)", "refs/heads/elsewhere-*").split():
        box.git("branch", "-D", branch)  # a session's own, which nobody takes away
    box.require_clean()


def test_a_resolution_left_uncommitted_is_committed(box: Sandbox) -> None:
    two_sides(box)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{TAKE_BOTH}; report COMPLETE")
    box.milestone()
    assert {"one", "two"} < set(box.show("app.txt").splitlines())
    box.require_landed(1, 2)
    box.require_clean()


def test_the_lock_file_that_a_resolution_commits_reaches_no_branch(box: Sandbox) -> None:
    two_sides(box)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{TAKE_BOTH}; git add -A; git add -f .claude; git commit -q --no-edit; report COMPLETE")
    box.milestone()
    assert not [name for name in box.files() if "lock" in name]
    box.require_landed(1, 2)


UNDONE = {
    "all": "git rm -q item-1.txt broken; commit 'fix: all'",
    "all but something else": "git rm -q item-1.txt broken; echo x > x; commit 'fix: all'",
    "reset": "git reset -q --hard HEAD^; echo x > x; commit 'fix: all'",
    "revert": "git revert --no-edit HEAD >&2",
}


@pytest.mark.parametrize("script", UNDONE.values(), ids=list(UNDONE))
def test_a_fix_that_takes_the_work_back_is_not_merged(box: Sandbox, script: str) -> None:
    box.make(plan([[item(1), item(2)]], pre=["! test -e broken"]))
    box.behave(1, "touch broken; work; report COMPLETE")
    box.behave("1-fix", f"{script}; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert 1 not in box.squashes("milestone/3-test")
    assert "x" not in box.files("milestone/3-test")


def test_a_landing_fix_that_takes_the_milestone_back_does_not_land(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], post=["! test -e item-1.txt"]))
    box.behave("landing-fix", "git rm -q item-1.txt item-2.txt; commit 'fix: all'; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert {"item-1.txt", "item-2.txt"} <= box.files("milestone/3-test")


def test_the_lock_file_that_a_landing_fix_commits_does_not_land(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=["test -e good"]))
    box.behave("landing-fix", "touch good; git add -A; git add -f .claude/*.lock; commit 'fix: good'; report COMPLETE")
    box.milestone()
    assert not [name for name in box.files() if "lock" in name]
    assert "good" in box.files()
    box.require_clean()


# stopped, and the same line again

GOOD = f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; report COMPLETE"
HELD = 'mkfifo "$OUT/go-$name" 2>/dev/null; echo began > "$OUT/began"; read line < "$OUT/go-$name"'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_resolution_is_begun_again_and_nothing_else_is(box: Sandbox, number: signal.Signals) -> None:
    two_sides(box)
    os.mkfifo(box.outside / "began")
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{HELD}; {GOOD}")
    run = box.start()
    assert await_line(box.outside / "began") == "began"
    os.kill(run.pid, number)
    assert run.wait() == 128 + number
    box.await_idle()
    mended = next(iter(box.mends()))
    issue = mended.split("-")[0]
    assert box.receipt(f"items/{issue}/mend.json")["status"] == "stopped"
    assert "conflict" in box.doit("status", "n=3").out
    box.behave(mended, GOOD)
    box.milestone()
    assert box.mends() == {mended: 2}
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


@pytest.mark.parametrize("words", [(), ("mends=0",), ("mends=1",)])
def test_a_resolution_that_outlives_its_run_is_taken_up(box: Sandbox, words: tuple[str, ...]) -> None:
    two_sides(box)
    os.mkfifo(box.outside / "began")
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{HELD}; {GOOD}")
    run = box.start()
    assert await_line(box.outside / "began") == "began"
    status = box.doit("status", "n=3").out
    assert "resolve" in status
    assert "running" in status
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    mended = next(iter(box.mends()))
    (box.outside / f"go-{mended}").write_text("go\n")
    box.milestone(*words)
    assert box.mends() == {mended: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_the_costs_of_all_sessions_are_told_once(box: Sandbox) -> None:
    """`command` agents cost nothing: a stub of claude tells 0.25 each."""
    box.make(plan([[item(1)]], pre=["! test -e broken"], post=["test -e good"]), agent="claude", command=None)
    said = '{"type":"result","subtype":"success","is_error":false,"result":"STATUS: COMPLETE","total_cost_usd":0.25}'
    stub = box.outside / "bin" / "claude"
    stub.parent.mkdir()
    stub.write_text(f"""#!/bin/sh
case $MILESTONE_KIND in
  work) echo 1 > item.txt; touch broken ;;
  *) if [ -e broken ]; then git rm -q broken; else touch good; fi ;;
esac
git add -A; git commit -qm 'fix: x'
echo '{said}'
""")
    stub.chmod(0o755)
    done = box.doit("milestone", "n=3", env={"PATH": f"{stub.parent}:{box.env['PATH']}"}, rc=0)
    assert "$0.50" in next(line for line in done.out.splitlines() if line.startswith("#1 "))
    assert "1 merged, $0.75" in done.out


def test_what_a_session_has_cost_is_not_forgotten_when_another_is_asked_for(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), agent="claude", command=None, retries=0)
    stub = box.outside / "bin" / "claude"
    stub.parent.mkdir()
    stub.write_text("""#!/bin/sh
[ $MILESTONE_ATTEMPT = 1 ] || { echo 1 > item.txt; git add -A; git commit -qm 'fix: x'; }
echo '{"type":"result","subtype":"success","is_error":false,"result":"STATUS: COMPLETE","total_cost_usd":0.25}'
""")
    stub.chmod(0o755)
    env = {"PATH": f"{stub.parent}:{box.env['PATH']}"}
    assert "$0.25" in box.doit("milestone", "n=3", env=env, rc=1).out
    box.doit("retry:1", "n=3", env=env, rc=0)
    assert "1 merged, $0.50" in box.doit("milestone", "n=3", env=env, rc=0).out
