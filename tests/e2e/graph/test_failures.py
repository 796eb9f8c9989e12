"""What goes wrong with an item: it is told, the others go on, and the same line later takes up just that."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

WAVES = [[item(1), item(2)], [item(3, 1), item(4)], [item(5, 3)]]
ALL = (1, 2, 3, 4, 5)


def make(box: Sandbox) -> Sandbox:
    return box.make(plan(WAVES), retries=1)


def states(box: Sandbox) -> dict[int, str]:
    """The state of each item, from the table of `doit status`."""
    rows = (line.split() for line in box.doit("status", "n=3", rc=0).out.splitlines())
    table = {int(row[0][1:]): row[3] for row in rows if row and row[0].startswith("#")}
    assert table, box.doit("status", "n=3").text
    return table


def test_the_others_finish_and_the_dependents_wait(box: Sandbox) -> None:
    make(box).behave(1, "echo it broke >&2; exit 3")
    main = box.rev()
    done = box.milestone(rc=1)
    assert states(box) == {1: "failed", 2: "merged", 3: "waiting", 4: "merged", 5: "waiting"}
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
    assert states(box)[1] == state
    assert words in next(line for line in done.out.splitlines() if line.startswith(f"#1 {state}:"))
    assert box.rev() == main
    assert states(box)[2] == states(box)[4] == "merged"
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
    assert states(box)[1] == "partial"
    assert "notes of 1" in done.out
    assert states(box)[3] == "waiting"
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
    assert states(box) == {1: "transient"}


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
    loser = next(issue for issue, state in states(box).items() if state == "conflict")
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
    assert states(box) == {1: "gate", 2: "merged", 3: "waiting", 4: "merged", 5: "waiting"}
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


def test_skip_and_its_dependents(box: Sandbox) -> None:
    make(box).behave(1, "exit 1")
    box.milestone(rc=1)
    assert "#3 depend on it" in box.doit("skip:1", "n=3", rc=0).err
    done = box.milestone(rc=1)
    assert states(box) == {1: "skipped", 2: "merged", 3: "waiting", 4: "merged", 5: "waiting"}
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
    assert states(box)[1] == "gate"
    box.mend(1)
    box.milestone("mends=0", rc=1)
    assert box.starts()[1] == 1
    box.doit("retry:1", "n=3", rc=0)
    box.milestone()
    box.require_landed(*ALL)
    box.require_clean()
    assert box.starts() == {1: 2, 2: 1, 3: 1, 4: 1, 5: 1}


def test_retry_takes_a_skip_back(box: Sandbox) -> None:
    make(box)
    box.doit("skip:1", "n=3", rc=0)
    box.milestone(rc=1)
    assert 1 not in box.starts()
    box.doit("retry:1", "n=3", rc=0)
    box.milestone()
    box.require_landed(*ALL)


def test_verbs_refuse_what_is_merged_or_unknown(box: Sandbox) -> None:
    make(box).milestone()
    assert "merged already" in box.doit("skip:1", "n=3", rc=1).err
    assert "merged already" in box.doit("retry:1", "n=3", rc=1).err
    assert "no item 99" in box.doit("skip:99", "n=3", rc=1).err
    assert "say which milestone" in box.doit("skip:1", rc=1).err
    assert "say which item" in box.doit("skip", "n=3", rc=1).err
