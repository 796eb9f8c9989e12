"""The real Backlog.md reads what this tool changed, and this tool reads what the real Backlog.md wrote.

The program is `WORK_MILESTONE_BACKLOG_MD`, else `backlog` on PATH.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from work_milestone import backlog
from work_milestone.backlog import files as backlog_files
from work_milestone.backlog import front_matter, new_task

PROGRAM = os.environ.get("WORK_MILESTONE_BACKLOG_MD") or shutil.which("backlog")
pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="Backlog.md is not installed: npm install --global backlog.md@1"
)
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Give a function that runs Backlog.md in a new repository, away from the user's own settings."""
    home = tmp_path / "home"
    root = tmp_path / "repository"
    home.mkdir()
    root.mkdir()
    environment = {**os.environ, "HOME": str(home), "NO_COLOR": "1", "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=root, env=environment, check=True, timeout=60)

    def call(*arguments: str) -> str:
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=root,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call("init", "demo", "--defaults", "--integration-mode", "none")
    call("config", "set", "remoteOperations", "false")
    return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "repository"


def load(root: Path) -> backlog.Backlog:
    found = backlog_files.load_backlog(root)
    assert found is not None
    assert found.faults == ()
    return found


def finish(root: Path, issue: int) -> None:
    found = load(root)
    path = found.tasks[issue].path
    moment = datetime(2027, 1, 2, 3, 4, tzinfo=UTC)
    text = front_matter.set_status(found.files[path], found.done, updated=moment, path=path)
    backlog_files.write_task(root, path, text)


def test_reads_what_the_program_writes(run: Run, root: Path) -> None:
    run("milestone", "add", "v1.0: Auth & more")
    run(
        *(
            "task",
            "create",
            "Add auth",
            "-d",
            "One\n\n## Inner\ntwo",
            "--ac",
            "It works, really",
            "--ac",
            "Fast",
        ),
        *("-l", "a,b", "--priority", "high", "-m", "v1.0: auth & more"),
    )
    run("task", "create", "say \"hi\" '🎉' --force ../../x: # y", "--dep", "task-1", "-m", "7")
    run("task", "create", "part", "-p", "task-1")
    run("task", "edit", "2", "-s", "In Progress", "-a", "@me")
    found = load(root)
    assert sorted(found.tasks) == [1, 2]
    first, second = found.tasks[1], found.tasks[2]
    assert (first.title, first.status, first.priority) == ("Add auth", "To Do", "high")
    assert first.description == "One\n\n## Inner\ntwo"
    assert first.acceptance_criteria == ("It works, really", "Fast")
    assert (first.labels, first.dependencies) == (("a", "b"), ())
    assert second.title == "say \"hi\" '🎉' --force ../../x: # y"
    assert (second.status, second.dependencies, second.milestone) == ("In Progress", (1,), "7")
    for each in (first, second):
        assert backlog.belongs(each, 7, "V1.0: Auth & more", found.milestones)
    assert not backlog.compare(found.tasks, {1, 2}, 7, "v1.0: auth & more", milestones=found.milestones)


@pytest.mark.parametrize(
    "status_line",
    ["status: To Do", "status: 'To Do' # why", 'status: "To Do"', "status: >-\n  To\n  Do", "status:", ""],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_the_program_reads_a_changed_status(run: Run, root: Path, status_line: str, newline: str, bom: str) -> None:
    run("task", "create", "Add: 'auth' 🎉", "-d", "Words", "--ac", "It works", "-m", "7")
    run("task", "edit", "1", "-a", "@me")
    path = load(root).tasks[1].path
    text = (root / path).read_text(encoding="utf-8")
    assert "status: To Do\n" in text
    text = bom + text.replace("status: To Do\n", status_line + "\n" if status_line else "").replace("\n", newline)
    (root / path).write_bytes(text.encode())
    finish(root, 1)
    shown = run("task", "1", "--plain")
    for words in ("Done", "Add: 'auth' 🎉", "Words", "It works", "Updated: 2027-01-02 03:04", "Milestone: 7"):
        assert words in shown
    assert "Done:" in run("task", "list", "--plain")
    assert "(1/1 done)" in run("milestone", "list", "--plain", "--show-completed")


def test_the_program_goes_on_with_a_finished_task(run: Run, root: Path) -> None:
    run("task", "create", "x", "-d", "Words")
    finish(root, 1)
    run("task", "edit", "1", "-d", "Other words")
    found = load(root).tasks[1]
    assert (found.status, found.description, found.is_open) == ("Done", "Other words", False)
    run("task", "complete", "1")
    found = load(root).tasks[1]
    assert found.path.startswith("backlog/completed/")
    assert not found.is_open


def test_the_program_takes_a_closed_milestone_for_archived(run: Run, root: Path) -> None:
    for title in ("First", "Auth: 1.0", "Later"):
        run("milestone", "add", title)
    run("task", "create", "x", "-m", "Auth: 1.0")
    run("task", "create", "y", "-m", "Later")
    finish(root, 1)
    assert "Auth: 1.0 (1/1 done)" in run("milestone", "list", "--plain", "--show-completed")
    changes = backlog.close_milestone(load(root).files, 7, "auth: 1.0")
    assert len(changes) == 2
    backlog_files.write_changes(root, changes)
    shown = run("milestone", "list", "--plain", "--show-completed")
    assert "Auth" not in shown
    assert "Later (0/1 done)" in shown
    assert backlog.close_milestone(load(root).files, 7, "auth: 1.0") == {}


def test_closing_gives_the_very_files_that_the_program_gives(run: Run, root: Path) -> None:
    run("milestone", "add", "Auth: 1.0")
    before = dict(load(root).files)
    changes = backlog.close_milestone(before, 7, "auth: 1.0")
    run("milestone", "archive", "Auth: 1.0")
    after = load(root).files
    expected = {path: text for path, text in {**before, **changes}.items() if text is not None}
    assert after == expected


@pytest.mark.parametrize("width", ["0", "4"])
def test_other_prefixes_widths_and_statuses(run: Run, root: Path, width: str) -> None:
    shutil.rmtree(root / "backlog")
    run(
        *("init", "demo", "--defaults", "--integration-mode", "none"),
        *("--task-prefix", "back", "--zero-padded-ids", width),
    )
    config = root / "backlog/config.yml"
    config.write_text(config.read_text().replace('["To Do", "In Progress", "Done"]', '["To Do", "Closed"]'))
    run("task", "create", "x")
    finish(root, 1)
    assert load(root).tasks[1].status == "Closed"
    assert "Closed:" in run("task", "list", "--plain")
    assert not load(root).tasks[1].is_open


def add(root: Path, issue: int, title: str, prefix: str = "TASK-") -> None:
    path, text = new_task.render(
        issue,
        title,
        prefix=prefix,
        status=new_task.first_status(load(root)),
        milestone="m-0",
        priority="P0",
        labels=["follow-up", "x y"],
        description="Words of <!-- SECTION:DESCRIPTION:END --> mine\n## Acceptance Criteria\n- [ ] none",
        created=datetime(2027, 1, 2, 3, 4, tzinfo=UTC).timestamp(),
    )
    backlog_files.write_task(root, path, text)


@pytest.mark.parametrize(
    "title",
    ["Finish: Add auth", "say \"hi\" '🎉' --force ../../x: # y", "{a: [b]} & *c", "!!!", "@me", "null", "x" * 300],
)
def test_the_program_takes_a_new_task_for_its_own(run: Run, root: Path, title: str) -> None:
    run("milestone", "add", "Auth: 1.0")
    run("task", "create", "first")
    add(root, 2, title)
    assert title[:60] in run("task", "list", "--plain")
    shown = run("task", "2", "--plain")
    for words in (
        title,
        "Status: ○ To Do",
        "Priority: High",
        "follow-up, x y",
        "Words of",
        "Created: 2027-01-02 03:04",
    ):
        assert words in shown, words
    assert "Auth: 1.0 (0/1 done)" in run("milestone", "list", "--plain")
    before = load(root).tasks[2]
    run("task", "edit", "2", "-s", "In Progress", "--ac", "It works")
    after = load(root).tasks[2]
    assert (after.status, after.acceptance_criteria) == ("In Progress", ("It works",))
    for name in ("issue", "title", "milestone", "labels", "priority", "dependencies", "description"):
        assert getattr(after, name) == getattr(before, name), name
    finish(root, 2)
    assert "(1/1 done)" in run("milestone", "list", "--plain", "--show-completed")
    run("task", "create", "the next one")
    assert sorted(load(root).tasks) == [1, 2, 3], "the number is taken"


def test_the_program_finds_a_new_task_under_its_own_prefix_and_status(run: Run, root: Path) -> None:
    shutil.rmtree(root / "backlog")
    run("init", "demo", "--defaults", "--integration-mode", "none", "--task-prefix", "back")
    config = root / "backlog/config.yml"
    config.write_text(config.read_text().replace('["To Do", "In Progress", "Done"]', '["Open", "Closed"]'))
    add(root, 7, "Finish it", "BACK-")
    assert "Finish it" in run("task", "list", "--plain")
    assert "Open" in run("task", "7", "--plain")
    finish(root, 7)
    assert "Closed:" in run("task", "list", "--plain")
