"""What goes wrong with an item: it is told, the others go on, and the same line later takes up just that."""

from __future__ import annotations

import re

import pytest

from tests.e2e.harness import Sandbox, item, plan

WAVES = [[item(1), item(2)], [item(3, 1), item(4)], [item(5, 3)]]
ALL = (1, 2, 3, 4, 5)


def make(box: Sandbox) -> Sandbox:
    return box.make(plan(WAVES), retries=1)


def test_the_others_finish_and_the_dependents_wait(box: Sandbox) -> None:
    make(box).behave(1, "echo it broke >&2; exit 3")
    main = box.rev()
    done = box.milestone(rc=1)
    assert box.standing() == {1: "failed", 2: "merged", 3: "waiting", 4: "merged", 5: "waiting"}
    assert box.rev() == main
    assert set(box.squashes("milestone/3-test")) == {2, 4}
    assert "#1 failed: exit 3: it broke" in done.out
    assert ".milestone/3/items/1/attempts/1" in done.out
    assert "doit milestone n=3" in done.out
    assert "doit skip:1 n=3" in done.out
    assert "#3 waiting: waits for #1 (failed)" in done.out
    assert "#5 waiting: waits for #3 (waiting)" in done.out
    assert box.starts() == {1: 1, 2: 1, 4: 1}
    assert "it broke" in box.doit("log:1", "n=3", rc=0).text
    box.mend(1)
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()
    assert box.starts() == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1}


@pytest.mark.parametrize(
    ("script", "state", "words"),
    [
        ("exit 1", "failed", "exit 1"),
        ("exit 0", "failed", "it committed nothing"),
        ("report COMPLETE", "failed", "it committed nothing"),
        ("work; report FAILED", "failed", "failed"),
        ("printf 'STATUS: BLOCKED\\nBLOCKER: no key\\n'", "blocked", "no key"),
        ("work; printf 'STATUS: BLOCKED\\nBLOCKER: no key\\n'", "blocked", "no key"),
        ("kill -9 $$", "failed", "signal 9"),
        ("git switch -qc elsewhere; work; report COMPLETE", "failed", "branch elsewhere"),
        ("git checkout -q --detach; work; report COMPLETE", "failed", "detached HEAD"),
        ("rm -rf .git; echo x > y; report COMPLETE", "failed", "committed nothing"),
        ('cd /; rm -rf "$OLDPWD"; report COMPLETE', "failed", "committed nothing"),
        ("head -c 10000000 /dev/urandom; exit 4", "failed", "exit 4"),
        ("work; printf 'STATUS: COMPLETE\\n'; touch x; git add x; exit 5", "failed", "exit 5"),
    ],
)
def test_a_session_without_success(box: Sandbox, script: str, state: str, words: str) -> None:
    make(box).behave(1, script)
    main = box.rev()
    done = box.milestone(rc=1)
    assert box.standing()[1] == state
    assert words in next(line for line in done.out.splitlines() if line.startswith(f"#1 {state}:"))
    assert box.rev() == main
    assert box.standing()[2] == box.standing()[4] == "merged"
    box.mend(1)
    box.milestone()
    box.require_landed(*ALL)
    if "elsewhere" in script:
        box.git("branch", "-D", "elsewhere")  # the agent's own, and nobody else's to delete
    box.require_clean()


@pytest.mark.parametrize(
    "script",
    [
        "work; head -c 10000000 /dev/zero; report COMPLETE",
        "work; head -c 100000 /dev/urandom; echo; report COMPLETE",
        "work; printf '\\377\\376\\000STATUS\\n'",
        "work; exec 9>&-; (exec sleep 1000) & report COMPLETE",
    ],
)
def test_a_session_with_success_whatever_it_prints_or_leaves(box: Sandbox, script: str) -> None:
    make(box).behave(1, script)
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()


def test_detached_processes_do_not_outlive_their_session(box: Sandbox) -> None:
    make(box).behave(1, "exec 9>&-; setsid tail -f /dev/null & nohup tail -f /dev/null & work; report COMPLETE")
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()
    assert box.receipt("items/1/attempts/1/exit.json")["leaked"] >= 2


def test_a_partial_session_merges_its_part_and_keeps_the_landing_back(box: Sandbox) -> None:
    make(box).behave(1, 'echo half > half.txt; commit "feat: half"; report PARTIAL')
    done = box.milestone("generations=0", rc=1)
    assert "half.txt" in box.files("milestone/3-test")
    assert box.standing()[1] == "partial"
    assert "notes of 1" in done.out
    assert box.standing()[3] == "waiting"
    box.mend(1)
    box.milestone()
    assert {"half.txt", "item-1.txt"} <= box.files()
    assert [len(commits) for commits in box.squashes().values()] == [2, 1, 1, 1, 1] or len(box.squashes()[1]) == 2
    box.require_clean()


@pytest.mark.parametrize(("retries", "starts"), [(0, 1), (1, 2), (3, 4)])
def test_exit_75_is_tried_again_as_often_as_is_set(box: Sandbox, retries: int, starts: int) -> None:
    box.make(plan([[item(1)]]), retries=retries).behave(1, "exit 75")
    box.milestone(rc=1)
    assert box.starts() == {1: starts}
    assert box.standing() == {1: "transient"}


def test_a_second_attempt_may_succeed(box: Sandbox) -> None:
    box.make(plan([[item(1)]])).behave(1, '[ "$MILESTONE_ATTEMPT" = 2 ] || exit 75; work; report COMPLETE')
    box.milestone()
    assert box.starts() == {1: 2}
    assert "Attempt 2" in (box.root / ".milestone/3/items/1/prompt.md").read_text()


def test_a_session_over_its_time_is_ended_and_tried_again(box: Sandbox) -> None:
    waits = "work; tail -f /dev/null & trap '' TERM; tail -f /dev/null; tail -f /dev/null"
    box.make(plan([[item(1, timeout=1), item(2)]]), retries=1)
    box.behave(1, f'[ "$MILESTONE_ATTEMPT" = 2 ] || {{ {waits}; }}; echo 2 > again.txt; work; report COMPLETE')
    box.milestone()
    box.require_landed(1, 2)
    assert box.starts() == {1: 2, 2: 1}
    assert box.lines("overlaps") == []
    assert "item-1.txt" in box.files("refs/milestone/3/attempt/1/1")
    box.require_clean()


def test_a_lock_file_committed_by_force_does_not_reach_main(box: Sandbox) -> None:
    make(box).behave(1, "git add -f .claude/kage-bunshin.lock; work; report COMPLETE")
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()
    assert ".claude/kage-bunshin.lock" not in box.files()


def test_a_conflict_is_recorded_and_only_the_merge_repeated(box: Sandbox) -> None:
    make(box)
    for issue in (1, 2):
        box.behave(issue, f"echo {issue} > README.md; commit 'docs: mine'; report COMPLETE")
    done = box.milestone("mends=0", rc=1)
    loser = next(issue for issue, state in box.standing().items() if state == "conflict")
    assert loser in (1, 2)
    assert f"#{loser} conflict: medium: README.md: line 1: both sides change the same line" in done.out
    branch = box.rev("milestone/3-test")
    assert loser not in box.squashes("milestone/3-test")
    assert box.milestone("mends=0", rc=1).rc == 1
    assert box.starts()[loser] == 1
    assert box.rev("milestone/3-test") == branch
    place = box.outside / "by-hand"  # the cause is removed: the branch no longer has what conflicts
    box.git("worktree", "add", "-q", "--detach", str(place), "milestone/3-test")
    box.git("checkout", "-q", "main", "--", "README.md", cwd=place)
    box.git("commit", "-qm", "revert: README", cwd=place)
    box.git("update-ref", "refs/heads/milestone/3-test", box.git("rev-parse", "HEAD", cwd=place))
    box.git("worktree", "remove", "--force", str(place))
    box.milestone()
    assert box.show("README.md") == str(loser)
    assert box.starts()[loser] == 1
    box.require_clean()


def test_a_gate_that_fails_is_recorded_and_only_the_merge_repeated(box: Sandbox) -> None:
    box.make(plan(WAVES, pre=['! test -f item-1.txt || test -f "$OUT/allowed"']))
    done = box.milestone("mends=0", rc=1)
    assert box.standing() == {1: "gate", 2: "merged", 3: "waiting", 4: "merged", 5: "waiting"}
    assert "#1 gate: gate `! test -f item-1.txt" in done.out
    assert "gates/1-1.log" in done.out
    assert "item-1.txt" not in box.files("milestone/3-test")
    assert [ref for ref in box.refs() if "candidate" in ref] == ["refs/milestone/3/candidate/1"], "for who fixes it"
    (box.outside / "allowed").touch()
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()
    assert box.starts() == dict.fromkeys(ALL, 1)


def test_a_gate_that_changes_files_has_failed(box: Sandbox) -> None:
    box.make(plan([[item(1)]], pre=["test ! -f item-1.txt || echo formatted > README.md"]))
    assert "changed tracked files: README.md" in box.milestone(rc=1).out


# what is said of an item is what came last


def reason(text: str, issue: int) -> str:
    """The summary's line on an item."""
    return next(line for line in text.splitlines() if re.match(rf"#{issue} \w+: ", line))


def test_an_item_that_waited_and_then_failed_has_its_own_reason(box: Sandbox) -> None:
    box.make(plan([[item(1)], [item(2, 1)]]), retries=0).behave(1, "exit 1")
    box.behave(2, "echo 'no such key' >&2; exit 7")
    assert reason(box.milestone(rc=1).out, 2) == "#2 waiting: waits for #1 (failed)"
    box.mend(1)
    assert reason(box.milestone(rc=1).out, 2) == "#2 failed: exit 7: no such key"
    status = box.doit("status", "n=3", rc=0).out
    assert "exit 7: no such key" in status
    assert "waits for" not in status


def test_an_item_that_was_partial_and_then_failed_has_its_own_reason(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), retries=0).behave(1, 'echo half > half.txt; commit "feat: half"; report PARTIAL')
    assert reason(box.milestone("generations=0", rc=1).out, 1).startswith("#1 partial: ")
    box.behave(1, "echo 'no such key' >&2; exit 7")
    assert reason(box.milestone(rc=1).out, 1) == "#1 failed: exit 7: no such key"
    box.mend(1)
    box.milestone()
    assert {"half.txt", "item-1.txt"} <= box.files()
