"""A backlog beside the plan, tracked by git and not."""

from __future__ import annotations

import pytest

from tests.e2e.backlog.tasks import files, make_untracked, name, task
from tests.e2e.harness import KILL, Sandbox, item, plan
from tests.e2e.store.striking import KILLED, STRIKING

PLAN = plan([[item(42), item(45)]])


def test_the_prompt_has_description_and_criteria(box: Sandbox) -> None:
    box.make(PLAN, files=files(42, 45)).milestone()
    prompt = (box.root / ".milestone/3/items/42/prompt.md").read_text()
    assert "Because of 42." in prompt
    assert "- [ ] It is 42" in prompt
    assert "- [ ] It holds" in prompt


def test_a_tracked_backlog_changes_in_the_commits(box: Sandbox) -> None:
    box.make(PLAN, files=files(42, 45)).milestone()
    for issue, (commit,) in box.squashes().items():
        assert "status: Done" in box.show(name(issue), commit)
        assert name(issue) in box.git("show", "--format=", "--name-only", "-z", commit).split("\0")
    assert "status: Done" in box.show(name(42))
    assert "status: Done" in (box.root / name(42)).read_text()
    box.require_landed(42, 45)
    box.require_clean()
    assert box.milestone().rc == 0
    assert box.starts() == {42: 1, 45: 1}


def test_only_what_is_merged_is_done(box: Sandbox) -> None:
    box.make(PLAN, files=files(42, 45)).behave(42, "exit 1")
    box.milestone(rc=1)
    branch = "milestone/3-test"
    assert "status: To Do" in box.show(name(42), branch)
    assert "status: Done" in box.show(name(45), branch)
    assert "status: To Do" in (box.root / name(45)).read_text()
    box.mend(42)
    box.milestone()
    box.require_landed(42, 45)
    box.require_clean()


def test_an_untracked_backlog_is_written_in_place(box: Sandbox) -> None:
    make_untracked(box, PLAN, 42, 45)
    box.milestone()
    for issue in (42, 45):
        text = (box.root / name(issue)).read_text()
        assert text == task(issue).replace("To Do", "Done")
    assert not [path for path in box.files() if path.startswith("backlog")]
    box.require_clean()


@pytest.mark.parametrize(
    ("issues", "keys", "words"),
    [
        ((42, 45, 46), {}, ("added since", "#46 Item 46")),
        ((42,), {}, ("not in the backlog", "#45 Item 45")),
        ((42, 45), {"status": "Done"}, ("closed since", "#42 Item 42", "#45 Item 45")),
        ((42, 45), {"milestone": "m-4"}, ("not in the backlog", "#42 Item 42")),
    ],
)
def test_a_stale_plan_is_refused_with_names(
    box: Sandbox, issues: tuple[int, ...], keys: dict[str, str], words: tuple[str, ...]
) -> None:
    box.make(PLAN, files=files(*issues, **keys))
    done = box.milestone(rc=1)
    for word in ("stale", *words):
        assert word in done.err
    assert box.starts() == {}
    assert [ref for ref in box.refs() if ref != "refs/heads/main"] == []
    assert box.git("status", "--porcelain") == ""


def test_a_backlog_about_other_work_is_noted(box: Sandbox) -> None:
    box.make(PLAN, files=files(7, milestone="m-9"))
    assert "does not know milestone 3" in box.milestone().out
    box.require_landed(42, 45)


def test_a_task_that_an_agent_changes_itself_is_merged_too(box: Sandbox) -> None:
    box.make(PLAN, files=files(42, 45))
    path = name(42)
    box.behave(42, f"sed -i 's/\\[ \\]/[x]/; s/To Do/Done/' '{path}'; work; report COMPLETE")
    box.milestone()
    assert "- [x] #1 It is 42" in box.show(path)
    assert "status: Done" in box.show(path)
    box.require_landed(42, 45)
    box.require_clean()


def test_a_broken_task_file(box: Sandbox) -> None:
    broken = {"backlog/tasks/task-99 - broken.md": "---\nid: [\n---\n", "backlog/tasks/task-98 - x.md": "\0\1\2"}
    box.make(PLAN, files={**files(42, 45), **broken})
    done = box.milestone()
    assert "task-99" in done.text
    box.require_landed(42, 45)


@pytest.mark.parametrize("moment", ["before merge:merged", "after merge:merged"])
def test_an_untracked_task_is_done_whenever_the_run_was_killed(box: Sandbox, moment: str) -> None:
    make_untracked(box, plan([[item(42)]]), 42, more=STRIKING)
    branch = "milestone/3-test"
    if moment.startswith("after"):
        (box.outside / "strike").write_text(moment)
    else:
        box.hook(
            "reference-transaction",
            f'[ "$1" = committed ] && [ -z "$MILESTONE_ITEM" ] && grep -q refs/heads/{branch} || exit 0\n'
            f"git merge-base --is-ancestor {branch} main || {KILL}",
        )
    box.milestone(rc=KILLED)
    (box.root / ".git/hooks/reference-transaction").unlink(missing_ok=True)
    assert set(box.squashes(branch)) == {42}
    box.milestone()
    assert "status: Done" in (box.root / name(42)).read_text()
    assert box.starts() == {42: 1}
    box.require_clean()
