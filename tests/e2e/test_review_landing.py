"""What a review found about merging and landing: by whom main was moved, with what names, in which repositories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.test_review_sessions import KILLED, STRIKING, require_own_files

BRANCH = "milestone/3-test"
PAIR = [[item(1), item(2)]]
TOUCH = "echo $MILESTONE_ITEM > README.md; commit 'docs: readme'; report COMPLETE"
GATE = 'git diff --quiet main || test -f "$OUT/allowed"'
By = Callable[[Sandbox], object]


def test_names_and_subjects_that_are_no_utf8_cost_one_session(box: Sandbox) -> None:
    """The worktree of one is the other's by the time that its result is read again."""
    box.make(plan(PAIR, pre=[GATE]), max_sessions=1)
    script = 'name=$(printf \'caf\\351\')-$MILESTONE_ITEM; echo x > "$name.txt"; commit "feat: $name"; report COMPLETE'
    for issue in (1, 2):
        box.behave(issue, script)
    assert "2 gate" in box.milestone(rc=1).out
    (box.outside / "allowed").touch()
    box.milestone()
    assert len([path for path in box.files() if path.startswith("caf")]) == 2
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


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
    box.make(plan(PAIR), files={"dodo.py": STRIKING})
    (box.outside / "strike").write_text(moment)
    box.milestone(rc=KILLED)
    assert "item-1.txt" in box.files()
    require_closed_by_others(box, {1: 1, 2: 1})
    box.require_landed(1, 2)


def test_attributes_of_a_rejected_candidate_rule_no_merge(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2), item(3)]], pre=["! test -f .gitattributes"]), files={"list.txt": "begin\n"})
    box.run("mkfifo", str(box.outside / "meet"))
    box.behave(1, "echo '*.txt merge=union' > .gitattributes; commit 'chore: union'; report COMPLETE")
    # Both begin before either is merged, from the same base.
    for issue, meet in ((2, 'echo x > "$OUT/meet"'), (3, 'read line < "$OUT/meet"')):
        box.behave(issue, f"{meet}; echo {issue} >> list.txt; commit 'feat: list'; report COMPLETE")
    box.milestone("mends=0", rc=1)
    (winner,) = box.squashes(BRANCH)
    for _ in range(2):
        assert "#1 gate: " in box.doit("item:1", "n=3", "mends=0", rc=1).text
        told = box.doit(f"item:{5 - winner}", "n=3", "mends=0", rc=1).text
        assert f"#{5 - winner} conflict: medium: list.txt: " in told
    assert box.show("list.txt", BRANCH) == f"begin\n{winner}"
    assert box.starts() == {1: 1, 2: 1, 3: 1}


def test_a_populated_submodule_of_a_failed_item_is_not_the_next_ones(box: Sandbox) -> None:
    source = box.outside / "library"
    box.git("init", "-q", "-b", "main", str(source))
    box.git("commit", "-q", "--allow-empty", "-m", "begin", cwd=source)
    box.make(plan([[item(1), item(2), item(3)]]), retries=0, max_sessions=1)
    allowed = ("-c", "protocol.file.allow=always", "submodule")
    box.git(*allowed, "--quiet", "add", str(source), "library")
    box.git("commit", "-qm", "chore: a submodule")
    base, pinned = box.rev(), box.rev("main:library")
    populate = f"git {' '.join(allowed)} --quiet update --init && cd library && echo x > x && git add x &&"
    box.behave(1, f"{populate} git commit -qm moved && cd .. && git add library && exit 1; touch $OUT/unpopulated")
    box.milestone(rc=1)
    assert not (box.outside / "unpopulated").exists()
    box.mend(1)
    box.milestone()
    assert box.rev("main:library") == pinned
    require_own_files(box, 1, 2, 3)
    box.require_landed(1, 2, 3, base=base)


def test_a_repository_of_sha256(box: Sandbox) -> None:
    box.run("rm", "-rf", ".git")
    box.git("init", "-q", "-b", "main", "--object-format=sha256", ".")
    box.make(plan([[item(1), item(2)], [item(3, 1)]], pre=[GATE], post=["test -f item-1.txt"]), retries=0)
    box.behave(2, "echo half > half.txt; commit 'feat: half'; exit 1")
    assert "#1 gate: " in box.milestone(rc=1).out
    (box.outside / "allowed").touch()
    box.mend(2)
    box.milestone()
    assert len(box.rev()) == 64
    require_own_files(box, 1, 2, 3)
    box.require_landed(1, 2, 3)
    assert "half.txt" in box.files("refs/milestone/3/attempt/2/1")
    assert box.starts() == {1: 1, 2: 2, 3: 1}
    assert "nothing to do" in box.milestone().out
    box.require_clean()


@pytest.mark.parametrize("moment", ["before merge:merged", "after merge:merged"])
def test_an_untracked_task_is_done_whenever_the_run_was_killed(box: Sandbox, moment: str) -> None:
    box.make(plan([[item(42)]]), files={"dodo.py": STRIKING, ".gitignore": "/backlog/\n"})
    text = "---\nid: TASK-42\ntitle: Item 42\nstatus: To Do\nlabels: []\nmilestone: m-3\ndependencies: []\n---\n"
    path = box.write("backlog/tasks/task-42 - Item-42.md", text)
    hook = box.hook(
        "reference-transaction",
        f'[ "$1" = committed ] && [ -z "$MILESTONE_ITEM" ] && grep -q refs/heads/{BRANCH} || exit 0\n'
        f'git merge-base --is-ancestor {BRANCH} main || kill -9 "$(cat "$OUT/doit.pid")"',
    )
    if moment.startswith("after"):
        hook.unlink()
        (box.outside / "strike").write_text(moment)
    box.milestone(rc=KILLED)
    hook.unlink(missing_ok=True)
    assert set(box.squashes(BRANCH)) == {42}
    box.milestone()
    assert "status: Done" in path.read_text()
    assert box.starts() == {42: 1}
    box.require_clean()


def test_the_branch_pushed_for_a_refused_landing_is_gone_at_the_remote(box: Sandbox) -> None:
    remote = box.outside / "remote.git"
    box.make(plan(PAIR)).behave(1, TOUCH)
    box.git("init", "-q", "--bare", "-b", "main", str(remote))
    box.git("remote", "add", "origin", str(remote))
    box.git("push", "-q", "-u", "origin", "main")
    refuse = "while read old new ref; do [ $ref != refs/heads/main ] || exit 1; done"
    hook = box.hook("pre-receive", refuse, remote)
    assert f"{BRANCH} is pushed" in box.milestone(rc=1).text
    assert len(remote_refs(box, remote)) == 2
    hook.unlink()
    box.write("README.md", "mine\n")
    assert "README.md; commit or stash" in box.milestone("allow_dirty=yes", rc=1).text
    box.git("checkout", "-q", "--", "README.md")
    box.milestone()
    assert remote_refs(box, remote) == ["refs/heads/main"]
    assert box.git("--git-dir", str(remote), "rev-parse", "main") == box.rev()
    box.require_landed(1, 2)
    box.require_clean()


def remote_refs(box: Sandbox, remote: Path) -> list[str]:
    return box.git("--git-dir", str(remote), "for-each-ref", "--format=%(refname)").split()
