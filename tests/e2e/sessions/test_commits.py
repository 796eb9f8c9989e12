"""What git shows of a session: commits that stand elsewhere, say nothing or are marked, and what lies beside them.

test_outcomes.py has more of it.
"""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

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


LEAVES = {
    "an empty repository beside work": ("work; echo more > more.txt; git init -q fixture; report COMPLETE", "merged"),
    "an empty repository after work": ("work; git init -q fixture; report COMPLETE", "merged"),
    "an empty repository alone": ("git init -q fixture; report COMPLETE", "failed"),
    "a repository of its own": ("rm -rf .git; git init -q; work; report COMPLETE", "failed"),
    "an orphan branch": ("git checkout -q --orphan alone; work; report COMPLETE", "failed"),
    "an orphan under its own branch's name": (
        "own=$(git branch --show-current); git checkout -q --orphan alone; work; git branch -qM $own; report COMPLETE",
        "conflict",
    ),
    "a hook that fails": ("echo left > left.txt; report COMPLETE", "merged"),
    "empty commits alone": ("git commit -q --allow-empty -m 'fix: nothing'; report COMPLETE", "failed"),
    "no worktree": ('work; report COMPLETE; git worktree remove --force "$PWD"', "merged"),
}


@pytest.mark.parametrize("name", LEAVES)
def test_what_an_agent_leaves_is_its_items_outcome_alone(box: Sandbox, name: str) -> None:
    script, state = LEAVES[name]
    others = 'case "$MILESTONE_ITEM" in 2|3|4) exit 0;; esac; exit 1\n'
    box.make(
        plan([[item(1), item(2)], [item(3), item(4, 2)]]),
        files={"hooks/prepare-commit-msg": "#!/bin/sh\n" + others},
        retries=0,
    )
    if "hook" in name:
        (box.root / "hooks/prepare-commit-msg").chmod(0o755)
        box.git("commit", "-qam", "chore: a hook", cwd=box.root)
        box.git("config", "core.hooksPath", "hooks")
    base = box.rev()
    box.behave(1, script)
    done = box.milestone(rc=None)
    assert done.rc == (0 if state == "merged" else 1), done.text
    if state != "merged":
        assert f"#1 {state}: " in done.out
        assert set(box.squashes("milestone/3-test")) == {2, 3, 4}
        box.mend(1)
        box.doit("retry:1", "n=3", rc=0)
        box.milestone()
    if "alone" in box.git("branch", "--list", "alone"):
        box.git("branch", "-D", "alone")
    box.require_landed(1, 2, 3, 4, base=base)
    box.require_clean()
    assert box.starts() == {1: 1 if state == "merged" else 2, 2: 1, 3: 1, 4: 1}
