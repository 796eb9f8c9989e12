"""The task of a follow-up: it comes into the backlog with what is gated next, or in place where git does not see it."""

from __future__ import annotations

import json

import pytest

from tests.e2e.backlog.tasks import files, make_untracked, name, task
from tests.e2e.harness import KEEP, Sandbox, item, plan
from tests.e2e.merging.followups import PARTIAL, fail


def test_the_origin_is_gone_from_the_plan(box: Sandbox) -> None:
    text = plan([[item(42), item(45)], [item(46)]])
    box.make(text, files=files(42, 45, 46))
    box.behave(42, PARTIAL)
    box.behave(46, "exit 1")
    fail(box, 47)
    own = box.root / name(42)
    own.write_text(own.read_text().replace("m-3", "m-9"))
    box.replan(plan([[item(45)], [item(46)]]))
    box.mend(46)
    done = box.milestone(rc=None)
    if done.rc:  # the branch's backlog has the task of 42 still
        assert "stale" in done.text
        box.replan(text)
        box.mend(47)
        box.milestone()
        assert box.squashes().keys() == {42, 45, 46, 47}
    assert box.starts()[42] == 1


HOSTILE = [
    "'; touch pwned; echo '",
    "--force",
    "../../x",
    '# 🎉 "q" \\ : {a: b}',
    "x" * 480,
    "$(touch pwned)",
    "%s\n---\nid: 9",
]


@pytest.mark.parametrize("title", HOSTILE)
def test_titles_that_would_be_something_else(box: Sandbox, title: str) -> None:
    box.make(plan([[item(42, title=title), item(45)]]), files=files(45))
    text = task(42).replace("title: Item 42", f"title: {json.dumps(title, ensure_ascii=False)}")
    box.write(name(42), text)
    box.git("add", "-A")
    box.git("commit", "-qm", "docs: task")
    base = box.rev()
    box.behave(42, PARTIAL)
    box.milestone()
    box.require_landed(42, 45, 46, base=base)
    box.require_clean()
    assert not list(box.root.parent.rglob("pwned"))
    made = [path for path in box.files() if path.startswith("backlog/tasks/task-46 - ")]
    assert len(made) == 1
    assert 'status: "Done"' in box.show(made[0])


def task_file(box: Sandbox, issue: int, rev: str | None = None) -> str | None:
    """The text of a follow-up's task in a commit, or in the checkout."""
    prefix = f"backlog/tasks/task-{issue} - "
    if rev:
        found = [path for path in box.files(rev) if path.startswith(prefix)]
        return box.show(found[0], rev) if found else None
    paths = [path for path in (box.root / "backlog/tasks").iterdir() if path.name.startswith(f"task-{issue} - ")]
    assert len(paths) < 2
    return paths[0].read_text() if paths else None


def test_a_tracked_backlog_gets_the_task_with_what_is_gated_next(box: Sandbox) -> None:
    text = plan([[item(42), item(45)], [item(46)]], pre=["true"])
    box.make(text, files=files(42, 45, 46))
    box.behave(42, PARTIAL)
    fail(box, 47)
    branch = "milestone/3-test"
    made = task_file(box, 47, branch)
    assert made is not None
    for words in ("title: \"Finish: Item 42\"", "status: \"To Do\"", "follow-up", "milestone: \"m-3\"",
                  "the ears of 42 are missing", "Because of 42."):  # fmt: skip
        assert words in made, words
    assert task_file(box, 47, box.squashes(branch)[42][0]) is None
    assert task_file(box, 47, box.squashes(branch)[46][0]) is not None
    assert task_file(box, 47) is None, "the checkout sees it with the landing"
    assert "status: To Do" in box.show(name(42), branch), "a part is not done"
    box.behave(47, f"{KEEP}; work; report COMPLETE")
    assert "stale" not in box.milestone().text
    assert "the ears of 42 are missing" in box.prompt("47")
    box.require_landed(42, 45, 46, 47)
    commit = box.squashes()[47][0]
    assert "Done" in str(task_file(box, 47, commit))
    assert "status: Done" in box.show(name(42), commit)
    assert "Done" in str(task_file(box, 47))
    box.require_clean()
    assert box.milestone().out.endswith("nothing to do\n")


def test_a_task_that_nothing_else_brings_comes_with_the_landing(box: Sandbox) -> None:
    box.make(plan([[item(42)]]), files=files(42))
    box.behave(42, PARTIAL)
    fail(box, 43)
    assert task_file(box, 43, "milestone/3-test") is None
    box.doit("skip:43", "n=3", rc=0)
    box.milestone()
    made = task_file(box, 43, "main")
    assert made is not None
    assert "To Do" in made
    box.require_landed(42)
    box.require_clean()


def test_an_untracked_backlog_is_written_in_place(box: Sandbox) -> None:
    make_untracked(box, plan([[item(42), item(45)]]), 42, 45)
    box.behave(42, PARTIAL)
    fail(box, 46)
    made = task_file(box, 46)
    assert made is not None
    for words in ('title: "Finish: Item 42"', 'status: "To Do"', '- "follow-up"', 'milestone: "m-3"'):
        assert words in made, words
    box.mend(46)
    assert "stale" not in box.milestone().text
    assert "Done" in str(task_file(box, 46))
    assert "status: Done" in (box.root / name(42)).read_text()
    box.require_clean()


def test_a_task_that_a_kill_kept_from_an_untracked_backlog(box: Sandbox) -> None:
    make_untracked(box, plan([[item(42), item(45)]]), 42, 45)
    box.behave(42, PARTIAL)
    fail(box, 46)
    for written in (box.root / "backlog/tasks").glob("task-46*"):
        written.unlink()
    box.mend(46)
    box.milestone()
    assert "Done" in str(task_file(box, 46))


@pytest.mark.parametrize("tracked", [False, True])
def test_a_task_of_the_users_own_has_the_next_number(box: Sandbox, tracked: bool) -> None:
    """Written while the session is at work, in the checkout alone."""
    text = plan([[item(42), item(45)]])
    box.make(text, files=files(42, 45)) if tracked else make_untracked(box, text, 42, 45)
    own = task(46, milestone="m-9")
    (box.outside / "own").write_text(own)
    box.behave(42, f"cp \"$OUT/own\" '{box.root}/backlog/tasks/task-46 - Own.md'; {PARTIAL}")
    box.milestone()
    assert (box.root / "backlog/tasks/task-46 - Own.md").read_text() == own
    assert "Done" in str(task_file(box, 47))
    box.require_landed(42, 45, 47)


def test_a_configuration_that_is_broken_stops_no_merge(box: Sandbox) -> None:
    box.make(
        plan([[item(42), item(45)], [item(46)]]), files={**files(42, 45, 46), "backlog/config.yml": "statuses: [\n"}
    )
    box.behave(42, PARTIAL)
    box.milestone()
    box.require_landed(42, 45, 46, 47)
