"""Stopping from another terminal, and what attempts have left: listed, put back, let go."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable

import pytest

from tests.e2e.harness import Command, Sandbox, item, plan

FOREVER = "exec sleep 1000"


def block(box: Sandbox, *names: int | str, then: str = FOREVER) -> None:
    """Have the sessions of items say that they are at work, and then not end by themselves."""
    for name in names:
        box.fifo(f"begun-{name}")
        box.behave(name, f'echo half > half-{name}.txt; echo here > "$OUT/begun-{name}"; {then}')


def begin(box: Sandbox, *names: int | str) -> Command:
    """Start a run, and wait until the sessions of those items are at work."""
    return box.begin(*(f"begun-{name}" for name in names))


def statuses(box: Sandbox, issues: Iterable[int]) -> list[str]:
    return [str(box.receipt(f"items/{issue}/result.json")["status"]) for issue in issues]


def go_on(box: Sandbox, *issues: int) -> None:
    """Let the items do plain work; the same line lands them all."""
    for issue in issues:
        box.mend(issue)
    box.milestone()
    box.require_landed(1, 2, 3)
    box.require_clean()


@pytest.fixture
def three(box: Sandbox) -> Sandbox:
    return box.make(plan([[item(1), item(2), item(3)]]), retries=2)


# a run


def test_a_run_is_stopped_from_another_terminal(three: Sandbox) -> None:
    block(three, 1, 2, 3)
    run = begin(three, 1, 2, 3)
    done = three.doit("stop", "n=3", rc=0)
    assert f"milestone 3: run {run.pid} is stopped; go on: doit milestone n=3" in done.err
    assert run.wait() == 143
    assert three.processes() == [], "who asks has waited until it was over"
    assert statuses(three, (1, 2, 3)) == ["stopped"] * 3
    assert three.receipt("items/1/result.json")["detail"] == "stopped with the run"
    go_on(three, 1, 2, 3)
    assert three.starts() == {1: 2, 2: 2, 3: 2}


def test_a_run_in_its_first_gate_is_stopped_too(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2), item(3)]], pre=['. "$OUT/gate"']))
    box.fifo("begun-gate")
    box.script("gate", f'echo here > "$OUT/begun-gate"; {FOREVER}')
    run = begin(box, "gate")
    box.doit("stop", "n=3", rc=0)
    assert run.wait() == 143
    assert box.processes() == []
    assert box.starts() == {}
    box.script("gate", "true")
    go_on(box)


def test_sessions_whose_run_was_killed_are_stopped_and_the_next_line_goes_on(three: Sandbox) -> None:
    block(three, 1, 2)
    run = begin(three, 1, 2)
    run.kill()
    run.wait()
    assert "2 sessions are stopped; go on: doit milestone n=3" in three.doit("stop", "n=3", rc=0).err
    assert three.processes() == []
    three.doit("stop", "n=3", rc=1)
    go_on(three, 1, 2)
    assert three.starts()[1] == three.starts()[2] == 2


def test_where_nothing_is_at_work_stop_says_so_and_changes_nothing(three: Sandbox) -> None:
    refs = three.refs()
    for words, told in (
        (("stop", "n=3"), "nothing of milestone 3 is at work; doit status n=3 shows it"),
        (("stop:1", "n=3"), "no session of #1 is at work; doit status n=3 shows it"),
        (("stop:9", "n=3"), "no session of #9 is at work"),
        (("stop",), "say which milestone: doit stop n=N"),
        (("stop:1",), "say which milestone: doit stop:1 n=N"),
    ):
        done = three.doit(*words, rc=1)
        assert told in done.err, done
    assert three.git("status", "--porcelain", "--untracked-files=all") == ""
    assert three.refs() == refs
    three.milestone()
    assert "nothing of milestone 3 is at work" in three.doit("stop", "n=3", rc=1).err
    assert "no session of #1 is at work" in three.doit("stop:1", "n=3", rc=1).err
    assert "nothing to do" in three.milestone().out


def test_a_plan_that_was_broken_meanwhile_keeps_nobody_from_stopping(three: Sandbox) -> None:
    block(three, 1, 2, 3)
    run = begin(three, 1, 2, 3)
    good = (three.root / "plan/milestone-3-dispatch.yaml").read_text()
    three.write("plan/milestone-3-dispatch.yaml", "waves: [")
    three.doit("stop:1", "n=3", rc=0)
    three.doit("stop", "n=3", rc=0)
    assert run.wait() == 143
    three.write("plan/milestone-3-dispatch.yaml", good)
    go_on(three, 1, 2, 3)


# one session


def test_one_session_is_stopped_and_the_others_go_on(three: Sandbox) -> None:
    block(three, 1)
    wait = 'read line < "$OUT/go-{}"; work; report COMPLETE'
    for issue in (2, 3):
        three.fifo(f"go-{issue}")
        block(three, issue, then=wait.format(issue))
    run = begin(three, 1, 2, 3)
    done = three.doit("stop:1", "n=3", rc=0)
    assert "#1 is stopped; its session goes on with the next: doit milestone n=3" in done.err
    for issue in (2, 3):
        (three.outside / f"go-{issue}").write_text("go\n")
    assert run.wait() == 1
    assert three.starts() == {1: 1, 2: 1, 3: 1}, "that item is not begun again by this run"
    assert statuses(three, (1, 2, 3)) == ["stopped", "complete", "complete"]
    assert three.receipt("items/1/result.json")["detail"] == "stopped by hand"
    assert {"item-2.txt", "item-3.txt"} <= three.files("milestone/3-test")
    assert "half-1.txt" in three.files("refs/milestone/3/attempt/1/1")
    go_on(three, 1)
    assert three.starts() == {1: 2, 2: 1, 3: 1}


def test_one_session_whose_run_was_killed_is_stopped_and_the_next_line_adopts_the_others(three: Sandbox) -> None:
    block(three, 1, 2)
    run = begin(three, 1, 2)
    run.kill()
    run.wait()
    three.doit("stop:1", "n=3", rc=0)
    assert "running" in three.doit("status", "n=3", rc=0).out
    three.mend(1)
    run = three.start()
    while "item-1.txt" not in (three.run("git", "ls-tree", "--name-only", "milestone/3-test").out):
        assert run.poll() is None
    three.doit("stop:2", "n=3", rc=0)
    assert run.wait() == 1
    go_on(three, 2)
    assert three.starts() == {1: 2, 2: 2, 3: 1}


def test_a_session_that_mends_is_stopped_and_not_begun_again_by_the_run(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2), item(3)]], pre=["! test -e broken"]), mends=3, retries=2)
    box.behave(1, "touch broken; work; report COMPLETE")
    block(box, "1-fix")
    run = begin(box, "1-fix")
    box.doit("stop:1", "n=3", rc=0)
    assert run.wait() == 1
    assert box.mends() == {"1-fix": 1}
    box.behave("1-fix", "git rm -q broken; commit 'fix: broken'; report COMPLETE")
    box.milestone()
    assert box.mends() == {"1-fix": 2}
    box.require_landed(1, 2, 3)
    box.require_clean()


def test_a_session_that_does_not_heed_is_ended_all_the_same(three: Sandbox) -> None:
    block(three, 1, then="trap '' TERM; while :; do sleep 1000; done")
    run = begin(three, 1)
    three.doit("stop:1", "n=3", rc=0)
    assert run.wait() == 1
    assert statuses(three, (1,)) == ["stopped"]
    go_on(three, 1)


# what attempts have left

HALF = 'echo one > one.txt; commit "feat: one"; echo rest > rest.txt; exit 1'


@pytest.fixture
def failed(box: Sandbox) -> Sandbox:
    """After an attempt of #1 that has left a commit and a file without one."""
    box.make(plan([[item(1)]]), retries=0).behave(1, HALF)
    box.milestone(rc=1)
    return box


def test_what_attempts_have_left_is_listed(failed: Sandbox) -> None:
    commit = failed.rev("refs/milestone/3/attempt/1/1")
    rows = failed.doit("recover", "n=3", rc=0).out.splitlines()
    assert len(rows) == 2
    assert rows[0].split()[:2] == ["#1", "1"]
    assert commit[:10] in rows[0]
    assert "2 files changed" in rows[0]
    assert rows[1] == "put one back into a worktree: doit recover:1 n=3"


def test_a_worktree_of_what_was_left_has_all_of_it(failed: Sandbox) -> None:
    place = failed.root / ".milestone/3/recovered/1-1"
    done = failed.doit("recover:1", "n=3", rc=0)
    assert f"#1, attempt 1, is in .milestone/3/recovered/1-1; done with it: git worktree remove {place}" in done.err
    assert (place / "one.txt").read_text() == "one\n"
    assert (place / "rest.txt").read_text() == "rest\n"
    again = failed.doit("recover:1", "n=3", rc=1)
    assert f"{place} is there already" in again.err
    (place / "mine.txt").write_text("a person's\n")
    failed.mend(1)
    failed.milestone()
    failed.require_landed(1)
    assert (place / "mine.txt").exists(), "what a person works in stays when the milestone has landed"
    assert failed.git("status", "--porcelain", "--untracked-files=all") == ""
    failed.git("worktree", "remove", "--force", str(place))
    failed.require_clean()
    for _ in range(2):
        failed.doit("recover:1", "n=3", rc=0)
        failed.run("rm", "-rf", str(place))


def test_the_latest_attempt_is_put_back(failed: Sandbox) -> None:
    failed.behave(1, "echo two > two.txt; exit 1")
    for _ in range(10):
        failed.milestone(rc=1)
    assert len(failed.doit("recover", "n=3", rc=0).out.splitlines()) == 12
    failed.doit("recover:1", "n=3", rc=0)
    place = failed.root / ".milestone/3/recovered/1-11"
    assert (place / "two.txt").exists()
    assert not (place / "one.txt").exists()


def test_of_two_commits_of_one_attempt_the_latest_is_put_back(failed: Sandbox) -> None:
    failed.env |= {"GIT_COMMITTER_DATE": "2099-01-01T00:00:00Z"}
    tree = failed.rev("refs/milestone/3/attempt/1/1^{tree}")
    latest = failed.git("commit-tree", "-m", "later", tree)
    failed.git("update-ref", f"refs/milestone/3/attempt/1/1-{latest[:12]}", latest)
    failed.doit("recover:1", "n=3", rc=0)
    place = failed.root / f".milestone/3/recovered/1-1-{latest[:12]}"
    assert failed.git("rev-parse", "HEAD", cwd=place) == latest


def test_prune_names_each_commit_that_it_lets_go(failed: Sandbox) -> None:
    failed.behave(1, "echo two > two.txt; exit 1")
    failed.milestone(rc=1)
    refs = {ref: failed.rev(ref) for ref in failed.refs() if ref.startswith("refs/milestone/3/attempt/")}
    assert len(refs) == 2
    done = failed.doit("prune", "n=3", rc=0)
    assert set(done.out.splitlines()) == {f"{ref} was {commit}" for ref, commit in refs.items()}
    assert "milestone 3: 2 refs removed" in done.err
    assert not [ref for ref in failed.refs() if "/attempt/" in ref]
    for commit in refs.values():
        failed.git("branch", "-f", "back", commit)
    assert "no attempt has left anything that is not merged" in failed.doit("recover", "n=3", rc=0).out
    assert "#1: no attempt has left anything" in failed.doit("recover:1", "n=3", rc=1).err
    assert "0 refs removed" in failed.doit("prune", "n=3", rc=0).err
    failed.git("branch", "-D", "back")
    failed.mend(1)
    failed.milestone()
    failed.require_clean()


def test_what_the_landing_has_left_can_be_had_too(failed: Sandbox) -> None:
    failed.git("update-ref", "-d", "refs/milestone/3/attempt/1/1")
    failed.git("update-ref", "refs/milestone/3/attempt/0/2", "main")
    listed = failed.doit("recover", "n=3", rc=0).out
    assert listed.startswith("landing")
    assert "doit recover:0 n=3" in listed
    failed.doit("recover:0", "n=3", rc=0)
    assert (failed.root / ".milestone/3/recovered/0-2/README.md").exists()


def test_prune_does_not_get_in_the_way_of_a_run(failed: Sandbox) -> None:
    block(failed, 1)
    run = begin(failed, 1)
    refs = failed.refs()
    done = failed.doit("prune", "n=3", rc=1)
    assert str(run.pid) in done.err
    assert "doit prune n=3" in done.err
    assert failed.refs() == refs
    failed.doit("recover:1", "n=3", rc=0)
    failed.doit("stop", "n=3", rc=0)
    assert run.wait() == 143


def test_the_verbs_want_a_milestone(failed: Sandbox) -> None:
    for word in ("recover", "recover:1", "prune"):
        assert f"say which milestone: doit {word} n=N" in failed.doit(word, rc=1).err


def test_attempts_of_other_milestones_are_not_touched(failed: Sandbox) -> None:
    for ref in ("refs/milestone/31/attempt/1/1", "refs/milestone/4/attempt/1/1", "refs/milestone/3/landed/x"):
        failed.git("update-ref", ref, "main")
    assert failed.doit("prune", "n=3", rc=0).out.count(" was ") == 1
    assert len([ref for ref in failed.refs() if ref.startswith("refs/milestone/")]) == 3


def test_what_a_stopped_session_had_is_listed_as_well(three: Sandbox) -> None:
    block(three, 1, 2, 3)
    run = begin(three, 1, 2, 3)
    os.kill(run.pid, signal.SIGINT)
    assert run.wait() == 130
    assert len(three.doit("recover", "n=3", rc=0).out.splitlines()) == 4
    three.doit("recover:2", "n=3", rc=0)
    assert (three.root / ".milestone/3/recovered/2-1/half-2.txt").exists()
