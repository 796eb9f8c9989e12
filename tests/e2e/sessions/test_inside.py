"""Sessions that start the tool themselves, and sessions that commit where they should not, or what they should not."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.merging.test_mending import two_sides

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


# what git says of a session that failed; test_outcomes.py has more of it

MARKED = "<<<<<<< ours\none\n=======\ntwo\n>>>>>>> theirs\n"
ENDS = [
    ("an empty commit", "git commit -q --allow-empty -m 'feat: one'; report COMPLETE", "its commits change nothing"),
    ("main, by its ref", "git checkout -q --detach; work; git update-ref refs/heads/main HEAD; "
     "git checkout -q work/3/1-item-1; report COMPLETE",
     "it committed nothing on work/3/1-item-1; main has got a commit meanwhile"),
    ("markers, uncommitted", 'cp "$OUT/marked" app.txt; report COMPLETE', "it committed conflict markers in app.txt"),
    ("markers in a new file", 'mkdir d; cp "$OUT/marked" "d/[a] é"; work; report COMPLETE',
     "it committed conflict markers in d/[a] é"),
    ("markers, in part", 'cp "$OUT/marked" app.txt; work; report PARTIAL', "it committed conflict markers in app.txt"),
]  # fmt: skip


@pytest.mark.parametrize(("script", "told"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_what_a_session_did_instead_is_told(box: Sandbox, script: str, told: str) -> None:
    box.make(plan([[item(1)]]), files={"app.txt": "one\n"}, retries=0).behave(1, script)
    (box.outside / "marked").write_text(MARKED)
    box.env["ROOT"] = str(box.root)
    done = box.milestone(rc=1)
    assert box.receipt("items/1/result.json")["detail"] == told
    assert f"#1 failed: {told}" in done.out
    assert "Milestone-Item" not in box.git("log", "--format=%B", "main")


def test_commits_of_others_meanwhile_are_not_a_sessions(box: Sandbox) -> None:
    """What main, the other items' branches and the integration branch have got says nothing of this one."""
    box.make(plan([[item(1), item(2)]]), retries=0)
    box.git("branch", "other")
    journal = box.root / ".milestone/3/journal.jsonl"
    box.behave(1, f"until grep -q '\"merged\"' {journal}; do sleep 0.02; done; report COMPLETE")
    box.milestone(rc=1)
    assert box.receipt("items/1/result.json")["detail"] == "it committed nothing"


def test_markers_that_were_there_before_are_no_fault(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), files={"fixture.txt": MARKED, "doc.md": "Title\n=======\n"})
    box.behave(1, "echo more >> fixture.txt; echo more >> doc.md; echo '    <<<<<<< x' > quoted; work; report COMPLETE")
    box.milestone()
    box.require_landed(1)


def test_markers_that_a_resolution_leaves_are_told_by_name(box: Sandbox) -> None:
    two_sides(box, mends=1)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, "git add -A; git commit -q --no-edit; report COMPLETE")
    done = box.milestone(rc=1)
    assert "it committed conflict markers in app.txt" in done.out
    assert "<<<<<<<" not in box.show("app.txt", "milestone/3-test")


@pytest.mark.parametrize("folder", ["a b", "l\u2028ine", "x\x0bx", "é"])
def test_a_repository_in_a_folder_of_any_name(box: Sandbox, folder: str) -> None:
    box.root = box.root.rename(box.root.parent / folder)
    box.make(plan([[item(1)]])).milestone()
    box.require_landed(1)
    box.require_clean()


def test_a_run_folder_that_is_a_link_to_another_disk(box: Sandbox) -> None:
    elsewhere = box.outside / "elsewhere"
    elsewhere.mkdir()
    box.make(plan([[item(1)]]), files={".gitignore": ".milestone\n"})
    (box.root / ".milestone").symlink_to(elsewhere)
    box.milestone()
    box.require_landed(1)


def test_a_worktree_that_was_moved_off_its_branch_before_its_session_starts_is_made_anew(box: Sandbox) -> None:
    """Between two steps of a run somebody has put it elsewhere."""
    box.make(plan([[item(1)]]))
    box.doit("prompt:1", "n=3", rc=0)
    place = str(box.receipt("items/1/worktree.json")["path"])
    box.git("checkout", "-q", "--detach", cwd=box.root / place)
    box.milestone()
    assert box.starts() == {1: 1}
    box.require_landed(1)
    box.require_clean()
