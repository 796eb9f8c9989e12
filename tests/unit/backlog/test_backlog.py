"""The local backlog's format, read and changed as text: truth tables, hostile files, and properties."""

import dataclasses
import os
import stat
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from work_milestone import backlog
from work_milestone.backlog import Task, front_matter
from work_milestone.backlog import files as backlog_files
from work_milestone.backlog.contents import Staleness
from work_milestone.backlog.milestones import Milestone, parse_milestones
from work_milestone.backlog.tasks import parse_task, parse_tasks
from work_milestone.system import BacklogError

PATH = "backlog/tasks/task-42 - Add-auth.md"
FULL = """---
id: TASK-42
title: Add auth
status: To Do
assignee: []
created_date: '2026-11-22 14:10'
updated_date: '2026-11-22 14:10'
labels:
  - a
  - b
milestone: m-7
dependencies:
  - TASK-1
  - TASK-2.1
  - task-0003
priority: high
ordinal: 1000
---

## Description

<!-- SECTION:DESCRIPTION:BEGIN -->
Desc one

## Inner heading
- [ ] not a criterion
<!-- SECTION:DESCRIPTION:END -->

## Acceptance Criteria
<!-- AC:BEGIN -->
- [ ] #1 Login works, really
- [x] #2 two
lines
<!-- AC:END -->
"""
HOSTILE_TITLES = [
    *('say "hi"', "it's", "🎉 party", "--force", "../../x", "x" * 500, "a: b # c", "@me", "- [ ] x", "---"),
    *("null", "%TAG", "`x`", "{{ x }}", "*alias", "&anchor", "!tag", "\\n", "12:30", "2026-01-02"),
]


def task(issue: int = 42, **changes: object) -> Task:
    plain = Task(issue, "t", "To Do", "7", (), (), None, "", (), f"backlog/tasks/task-{issue} - t.md")
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def front(*lines: str) -> str:
    return "\n".join(["---", *lines, "---", "body", ""])


def parsed(text: str, path: str = PATH) -> Task:
    found = parse_task(path, text)
    assert found is not None
    return found


def fault(text: str, path: str = PATH) -> str:
    with pytest.raises(BacklogError) as caught:
        parse_task(path, text)
    return str(caught.value)


def test_reads_a_task_as_the_program_writes_it() -> None:
    assert parsed(FULL) == Task(
        issue=42,
        title="Add auth",
        status="To Do",
        milestone="m-7",
        labels=("a", "b"),
        dependencies=(1, 3),
        priority="high",
        description="Desc one\n\n## Inner heading\n- [ ] not a criterion",
        acceptance_criteria=("Login works, really", "two lines"),
        path=PATH,
    )


def test_reads_the_same_with_crlf_and_bom() -> None:
    assert parsed("\ufeff" + FULL.replace("\n", "\r\n")) == parsed(FULL)


@pytest.mark.parametrize(
    ("given_id", "issue"),
    [
        ("task-42", 42),
        ("TASK-42", 42),
        ("back-42", 42),
        ("task-0042", 42),
        ("'42'", 42),
        ("42", 42),
        ("my-x-7", 7),
    ],
)
def test_forms_of_an_id(given_id: str, issue: int) -> None:
    assert parsed(front(f"id: {given_id}", "title: x")).issue == issue


def test_a_sub_task_is_no_issue() -> None:
    assert parse_task(PATH, front("id: TASK-42.1", "title: x")) is None
    assert parse_task(PATH, front("id: TASK-42.1.3", "title: x")) is None


@pytest.mark.parametrize("title", HOSTILE_TITLES)
def test_hostile_titles_survive_reading_and_a_change_of_status(title: str) -> None:
    text = front("id: TASK-1", yaml.safe_dump({"title": title}, allow_unicode=True, width=9999).strip())
    assert parsed(text).title == title
    assert parsed(front_matter.set_status(text, "Done")).title == title


def test_a_title_of_many_lines_becomes_one() -> None:
    assert parsed(front("id: 1", "title: |-", "  new", "  line")).title == "new line"


@pytest.mark.parametrize(
    ("lines", "labels"),
    [("labels: a, b", ("a", "b")), ("labels: [a, 'b c']", ("a", "b c")), ("labels: []", ()), ("labels:", ())],
)
def test_lists(lines: str, labels: tuple[str, ...]) -> None:
    assert parsed(front("id: 1", lines)).labels == labels


@pytest.mark.parametrize("value", ["@me", "[@me, @you]", "[]"])
def test_assignees_that_are_no_yaml_are_allowed_as_the_program_allows_them(value: str) -> None:
    text = front("id: 1", f"assignee: {value}", "status: To Do")
    assert f"assignee: {value}\n" in front_matter.set_status(text, "Done")


@pytest.mark.parametrize(
    ("body", "description", "criteria"),
    [
        ("Only text.\n", "Only text.", ()),
        ("## Description\nold form\n\n## Notes\nx\n", "old form", ()),
        ("## Description\n\n## Acceptance Criteria\n- [ ] one\n* [x] two\n", "", ("one", "two")),
        ("intro\n## Notes\nx\n", "intro", ()),
        (
            "## Acceptance Criteria\n<!-- AC:BEGIN -->\n- [ ] #1 x\n<!-- note -->\n<!-- AC:END -->\n",
            "",
            ("x",),
        ),
    ],
)
def test_sections(body: str, description: str, criteria: tuple[str, ...]) -> None:
    found = parsed("---\nid: 1\n---\n" + body)
    assert (found.description, found.acceptance_criteria) == (description, criteria)


@pytest.mark.parametrize(
    ("status", "path", "is_open"),
    [
        ("To Do", PATH, True),
        ("In Progress", PATH, True),
        ("", PATH, True),
        ("Done", PATH, False),
        ("done", PATH, False),
        ("To Do", "backlog/completed/task-42 - x.md", False),
        ("To Do", "backlog/archive/tasks/task-42 - x.md", False),
        ("To Do", "backlog/tasks/archive", True),
    ],
)
def test_open(status: str, path: str, is_open: bool) -> None:
    assert task(status=status, path=path).is_open is is_open


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("", ":1: no front matter"),
        ("# heading\n", ":1: no front matter"),
        ("\n\n---\nid: 1\n---\n", ":1: no front matter"),
        ("---\nid: 1\n", ":1: no front matter"),
        ("---\n---\n", ":2: no mapping"),
        ("---\n- a\n---\n", ":2: no mapping"),
        ("---\ntitle: x\n---\n", ":1: no id"),
        ("---\ntitle: x\nid: abc\n---\n", ":3: 'abc' is no task id"),
        ("---\nid: 99999999999999999999\n---\n", ":2: '99999999999999999999' is no task id"),
        ("---\nid: 1\ntitle: [x\nstatus: a\n---\n", ":4: broken YAML"),
        ("---\nid: 1\ntitle: a: b\n---\n", ":3: broken YAML"),
        ("---\nid: 1\nstatus: a\nstatus: b\n---\n", ":4: a key that stands twice"),
        ("---\nid: 1\n? [a]\n: b\n---\n", ":3: a key that stands twice or is no plain word"),
        ("---\nid: 1\nstatus: [Done]\n---\n", ":3: status is no text"),
        ("---\nid: 1\nlabels: {a: b}\n---\n", ":3: labels is a mapping"),
        ("---\nid: 1\na: &x [b]\nc: *x\n---\n", ":4: an alias"),
        ("---\nid: 1\na: \0\n---\n", ":2: broken YAML: a character that YAML does not allow"),
        ("---\nid: 1\na: \ud800\n---\n", ":2: "),
        ("---\nid: 1\na: " + "[" * 60_000 + "\n---\n", ":3: an alias, or very deep nesting"),
        ("---\nid: 1\na:\n " + "- " * 30_000 + "\n---\n", ":4: an alias, or very deep nesting"),
        ("---\nid: 1\na: " + "[" * 50 + "]" * 50 + "\n---\n", ":3: an alias, or very deep nesting"),
        ("---\nid: 1\na: " + "x" * 64_000 + "\n---\n", ":1: front matter of more than"),
    ],
)
def test_faults_name_the_line(text: str, begins: str) -> None:
    told = fault(text)
    assert told.startswith(PATH + begins)
    assert "; " in told
    assert "\n" not in told


def test_a_hostile_file_name_stays_one_line() -> None:
    assert "\n" not in fault("", "backlog/tasks/task-1\n\x1b[31m.md")


@given(st.one_of(st.binary(), st.text().map(lambda t: f"---\nid: 1\n{t}\n---\n".encode("utf-8", "replace"))))
def test_any_bytes_are_a_task_or_a_fault(data: bytes) -> None:
    read = backlog_files.read_backlog({PATH: data})
    assert len(read.faults) + len(read.tasks) <= 1
    assert all(each.startswith(PATH + ":") and "\n" not in each for each in read.faults)


@given(st.text())
def test_any_text_is_a_task_or_a_fault_or_a_sub_task(text: str) -> None:
    told: list[str] = []
    for source in (text, f"---\n{text}\n---\n{text}"):
        try:
            parse_task(PATH, source)
        except BacklogError as error:
            told.append(str(error))
    assert not [each for each in told if "\n" in each]


def test_all_faults_at_once_and_the_good_tasks_too() -> None:
    files = {
        "backlog/tasks/task-1 - a.md": front("id: 1"),
        "backlog/tasks/task-2 - b.md": "broken",
        "backlog/tasks/task-3 - c.md": front("title: x"),
        "backlog/tasks/task-9 - d.md": front("id: TASK-1"),
        "backlog/tasks/task-1.1 - e.md": front("id: TASK-1.1"),
        "backlog/tasks/README.md": "no task",
        "backlog/tasks/sub/task-5 - f.md": "no task",
        "backlog/archive/tasks/task-1 - g.md": front("id: TASK-1"),
        "backlog/completed/task-6 - h.md": front("id: TASK-6"),
    }
    tasks, faults = parse_tasks(files)
    assert sorted(tasks) == [1, 6]
    assert not tasks[6].is_open
    assert len(faults) == 3
    assert [each for each in faults if "task-1 - a.md" in each and each.startswith("backlog/tasks/task-9 - d.md:")]


@pytest.mark.parametrize(
    ("config", "done"),
    [
        ('statuses: ["To Do", "In Progress", "Done"]\n', "Done"),
        ("statuses:\n  - todo\n  - done\n  - archived\n", "done"),
        ("statuses: [Todo, Closed]\n", "Closed"),
        ("\ufeffproject_name: x\n", "Done"),
        ("statuses: []\n", "Done"),
        ("", "Done"),
    ],
)
def test_the_finished_status_is_the_configured_one(config: str, done: str) -> None:
    files = {"backlog/config.yml": config.encode(), PATH: front("id: 42", f"status: {done}").encode()}
    read = backlog_files.read_backlog(files)
    assert (read.done, read.faults) == (done, ())
    assert not read.tasks[42].is_open


def test_a_broken_configuration_is_one_fault() -> None:
    read = backlog_files.read_backlog({"backlog/config.yml": b"a: [", PATH: front("id: 42").encode()})
    assert len(read.faults) == 1
    assert read.faults[0].startswith("backlog/config.yml:")
    assert (read.done, list(read.tasks)) == ("Done", [42])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("status: To Do", "status: Done"),
        ("status: 'To Do'  # why", "status: 'Done'  # why"),
        ('"status": "To Do" # why', '"status": "Done" # why'),
        ("status:", "status: Done"),
        ("status:   # why", "status: Done   # why"),
        ("status: ~", "status: Done"),
        ("status: >-\n  In\n  Progress", "status: Done"),
        ("status: |\n  To Do\n\n# next", "status: Done\n\n# next"),
        ("status: In\n  Progress", "status: Done"),
        ("status :  To Do", "status :  Done"),
        ("status: !!str &x To Do", "status: Done"),
        ("? status\n: To Do", "? status\n: Done"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_only_the_status_changes(old: str, new: str, newline: str, bom: str) -> None:
    def text(line: str) -> str:
        return bom + f"---\n# c\nzz: '🎉'  # é\n{line}\nid: TASK-1\ntitle: \"x\"\n---\nstatus: To Do\n".replace(
            "\n", newline
        )

    before = text(old)
    after = front_matter.set_status(before, "Done")
    assert after == text(new)
    assert front_matter.set_status(after, "Done") == after


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_missing_status_becomes_the_last_key(newline: str) -> None:
    text = "---\n  id: 1\n  title: x\n---\nb\n".replace("\n", newline)
    assert front_matter.set_status(text, "Done") == text.replace("x" + newline, f"x{newline}  status: Done{newline}")


@pytest.mark.parametrize("status", ["On hold: x", "yes", "#1", "Won't do", "🎉", "1.0", "null", '"', "Done\\"])
@pytest.mark.parametrize("old", ["x", "'x'", '"x"', ">\n  x"])
def test_any_printable_status_is_read_back(status: str, old: str) -> None:
    assert parsed(front_matter.set_status(front("id: 1", f"status: {old}"), status)).status == status


@pytest.mark.parametrize("status", ["", " ", "a\nb", " a", "a\x00", "\u2028", "\ud800"])
def test_a_status_that_is_no_line_is_refused(status: str) -> None:
    with pytest.raises(BacklogError, match="is no status"):
        front_matter.set_status(front("id: 1", "status: x"), status)


@pytest.mark.parametrize("text", [front("{id: 1, title: x}"), front("id: 1", "a: |", "   x", "... "), "none"])
def test_what_cannot_be_changed_without_doubt_is_refused(text: str) -> None:
    with pytest.raises(BacklogError, match=r"^backlog/x\.md:\d+: "):
        front_matter.set_status(text, "Done", path="backlog/x.md")


def test_flow_mappings_are_changed_too() -> None:
    text = front("{id: TASK-1, status: To Do, title: x}")
    assert front_matter.set_status(text, "Done") == text.replace("To Do", "Done")


def test_the_date_is_renewed_only_where_there_is_one() -> None:
    moment = datetime(2027, 1, 2, 1, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    after = front_matter.set_status(FULL, "Done", updated=moment)
    assert after == FULL.replace("status: To Do", "status: Done").replace(
        "updated_date: '2026-11-22 14:10'", "updated_date: '2027-01-01 23:04'"
    )
    without = front("id: 1", "status: To Do")
    assert front_matter.set_status(without, "Done", updated=moment) == without.replace("To Do", "Done")
    early = front("updated_date: 2026-11-22 14:10", "id: 1", "status: To Do")
    assert "updated_date: '2027-01-01 23:04'\n" in front_matter.set_status(early, "Done", updated=moment)


VALUES = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40),
    st.integers(),
    st.none(),
    st.booleans(),
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=10), max_size=3),
)


@given(
    st.dictionaries(st.sampled_from(["title", "note", "labels", "ordinal", "zz", "x y"]), VALUES),
    st.text(st.characters(codec="utf-8"), max_size=60),
    st.sampled_from(["Done", "In Progress", "it's: odd", "🎉 off"]),
    st.booleans(),
    st.booleans(),
    st.randoms(),
)
def test_set_status_changes_the_status_and_nothing_else(
    keys: dict[str, object], body: str, status: str, crlf: bool, has_status: bool, order: object
) -> None:
    data = {**keys, "id": "TASK-5"} | ({"status": "To Do"} if has_status else {})
    items = list(data.items())
    order.shuffle(items)  # type: ignore[attr-defined]
    source = yaml.safe_dump(dict(items), sort_keys=False, allow_unicode=True)
    text = f"---\n{source}---\n"
    text = (text.replace("\n", "\r\n") if crlf else text) + body
    try:
        before = parse_task(PATH, text)
    except BacklogError:
        return
    assert before is not None
    after = front_matter.set_status(text, status)
    assert parsed(after) == dataclasses.replace(before, status=status)
    assert after.endswith(body)
    lines = text.splitlines(keepends=True)
    assert [each for each in after.splitlines(keepends=True) if not each.startswith("status:")] == [
        each for each in lines if not each.startswith("status:")
    ]


AUTH = Milestone(0, "v1.0: Auth", "backlog/milestones/m-0 - auth.md")
SEVEN = Milestone(3, "7", "backlog/milestones/m-3 - 7.md")
OTHER = Milestone(7, "Billing", "backlog/milestones/m-7 - billing.md")


@pytest.mark.parametrize(
    ("value", "milestones", "expected"),
    [
        (None, (), False),
        ("7", (), True),
        ("07", (), True),
        ("m-7", (), True),
        ("M-07", (), True),
        ("v1.0: Auth", (), True),
        (" V1.0:  auth ", (), True),
        ("8", (), False),
        ("m-70", (), False),
        ("milestone 7", (), False),
        ("m-0", (), False),
        ("m-0", (AUTH,), True),  # the file has the plan's title
        ("0", (AUTH,), True),
        ("v1.0: auth", (AUTH,), True),
        ("7", (AUTH,), True),  # no such file: the plan's number
        ("m-3", (SEVEN,), True),  # the file is titled with the plan's number
        ("7", (SEVEN,), True),
        ("m-7", (OTHER,), True),  # an edited title
        ("billing", (OTHER,), True),
        ("m-7", (AUTH, OTHER), False),  # the title's file goes first
        ("7", (AUTH, OTHER), False),
        ("m-0", (AUTH, OTHER), True),
        ("7", (SEVEN, OTHER), False),  # the program takes a number for an id before a title
        ("m-3", (SEVEN, OTHER), True),
    ],
)
def test_belongs(value: str | None, milestones: tuple[Milestone, ...], expected: bool) -> None:
    assert backlog.belongs(task(milestone=value), 7, "v1.0: Auth", milestones) is expected


def test_an_empty_title_is_nobodys() -> None:
    nameless = Milestone(9, "", "backlog/milestones/m-9 - .md")
    assert backlog.find_milestone([nameless], 7, "") is None
    assert not backlog.belongs(task(milestone="x"), 7, "")


@pytest.mark.parametrize(
    ("tasks", "plan", "merged", "by_run", "expected"),
    [
        ([task(1), task(2)], {1, 2}, set(), set(), Staleness()),
        ([task(1), task(2)], {1}, set(), set(), Staleness(added=(2,))),
        ([task(1), task(2, status="Done")], {1}, set(), set(), Staleness()),
        ([task(1), task(2, milestone="8")], {1}, set(), set(), Staleness()),
        ([task(1)], {1, 2}, set(), set(), Staleness(removed=(2,))),
        ([task(1), task(2, milestone="8")], {1, 2}, set(), set(), Staleness(removed=(2,))),
        ([task(1), task(2, milestone=None)], {1, 2}, set(), set(), Staleness(removed=(2,))),
        ([task(1), task(2, status="done")], {1, 2}, set(), set(), Staleness(closed=(2,))),
        (
            [task(1), task(2, path="backlog/completed/task-2 - t.md")],
            {1, 2},
            set(),
            set(),
            Staleness(closed=(2,)),
        ),
        ([task(1), task(2, status="Done")], {1, 2}, {2}, set(), Staleness()),
        ([task(1), task(2, status="Done")], {1, 2}, set(), {2}, Staleness()),
        ([task(1)], {1, 2}, {2}, set(), Staleness()),
        ([task(1), task(2)], {1}, set(), {2}, Staleness()),
        ([], {1, 2}, set(), set(), Staleness(known=False)),
        ([task(50, milestone="9")], {1, 2}, set(), set(), Staleness(known=False)),
        ([task(1, milestone="9")], {1, 2}, set(), set(), Staleness(removed=(1, 2))),
        ([task(3)], {1, 2}, set(), set(), Staleness(added=(3,), removed=(1, 2))),
    ],
)
def test_compare(tasks: list[Task], plan: set[int], merged: set[int], by_run: set[int], expected: Staleness) -> None:
    found = backlog.compare({each.issue: each for each in tasks}, plan, 7, "Auth", merged, by_run)
    assert found == expected
    assert bool(found) == bool(expected.added or expected.removed or expected.closed)


def milestone_file(number: int, title: str) -> str:
    return f'---\nid: m-{number}\ntitle: "{title}"\n---\n\n## Description\n\nx\n'


def test_closing_moves_the_milestones_file_unchanged() -> None:
    path = "backlog/milestones/m-0 - auth.md"
    files = {path: milestone_file(0, "Auth"), "backlog/milestones/m-1 - b.md": milestone_file(1, "B")}
    goal = "backlog/archive/milestones/m-0 - auth.md"
    changes = backlog.close_milestone(files, 7, "auth")
    assert changes == {goal: files[path], path: None}
    closed = {**files, goal: files[path]}
    del closed[path]
    assert backlog.close_milestone(closed, 7, "auth") == {}
    assert backlog.close_milestone({}, 7, "auth") == {}
    assert backlog.close_milestone({**files, goal: files[path]}, 7, "auth") == changes
    with pytest.raises(BacklogError, match="differs"):
        backlog.close_milestone({**files, goal: "other"}, 7, "auth")


def test_milestone_files_with_faults() -> None:
    files = {
        "backlog/milestones/m-0 - a.md": "x",
        "backlog/milestones/m-1 - a.md": front("id: x"),
        "backlog/milestones/README.md": "x",
        "backlog/milestones/m-2 - a.md": milestone_file(2, "A"),
        "backlog/archive/milestones/m-1 - old.md": milestone_file(1, "Old"),
    }
    found, faults = parse_milestones(files)
    assert [each.number for each in found] == [2, 1]
    assert len(faults) == 2


def test_load_tells_every_unreadable_file_by_name(tmp_path: Path) -> None:
    assert backlog_files.load_backlog(tmp_path) is None
    folder = tmp_path / "backlog/tasks"
    folder.mkdir(parents=True)
    assert backlog_files.load_backlog(tmp_path) == backlog.Backlog({}, (), (), {})
    (folder / "task-1 - a.md").write_text(front("id: 1"))
    (folder / "task-2 - latin.md").write_bytes(b"---\nid: 2\ntitle: caf\xe9\n---\n")
    (folder / "task-3 - huge.md").write_bytes(b"---\nid: 3\n---\n" + b"x" * backlog_files.MAX_BYTES)
    (folder / "task-4 - gone.md").symlink_to("nowhere")
    os.mkfifo(folder / "task-5 - pipe.md")
    (folder / "task-6 - folder.md").mkdir()
    (folder / "task-7 - binary.md").write_bytes(b"\0\1\2")
    (folder / "notes.md").write_bytes(b"\xff")
    (tmp_path / "backlog/milestones").mkdir()
    (tmp_path / "backlog/milestones/m-7 - a.md").write_text(milestone_file(7, "A"))
    read = backlog_files.load_backlog(tmp_path)
    assert read is not None
    assert list(read.tasks) == [1]
    assert [each.title for each in read.milestones] == ["A"]
    assert sorted(each.split("/task-")[1].split(": ")[0] for each in read.faults) == [
        "2 - latin.md:3",
        "3 - huge.md:1",
        "4 - gone.md:1",
        "5 - pipe.md:1",
        "6 - folder.md:1",
        "7 - binary.md:1",
    ]


def test_load_keeps_line_ends(tmp_path: Path) -> None:
    (tmp_path / "backlog/tasks").mkdir(parents=True)
    (tmp_path / PATH).write_bytes(FULL.replace("\n", "\r\n").encode())
    read = backlog_files.load_backlog(tmp_path)
    assert read is not None
    assert read.files[PATH] == FULL.replace("\n", "\r\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "backlog/tasks").mkdir(parents=True)
    (tmp_path / PATH).write_text(FULL)
    (tmp_path / PATH).chmod(0)
    read = backlog_files.load_backlog(tmp_path)
    assert read is not None
    assert "Permission denied" in read.faults[0]


def test_write_replaces_the_file_and_keeps_its_mode(tmp_path: Path) -> None:
    backlog_files.write_task(tmp_path, PATH, "one\r\n")
    (tmp_path / PATH).chmod(0o640)
    backlog_files.write_task(tmp_path, PATH, "two\r\n")
    assert (tmp_path / PATH).read_bytes() == b"two\r\n"
    assert stat.S_IMODE((tmp_path / PATH).stat().st_mode) == 0o640
    assert [each.name for each in (tmp_path / "backlog/tasks").iterdir()] == [Path(PATH).name]


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "backlog",
        "/etc/x",
        "backlog/../x",
        "backlog/tasks/../../x",
        "",
        "x/backlog/a",
        "backlog/a\0b",
    ],
)
def test_write_refuses_paths_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(BacklogError, match="outside of backlog/"):
        backlog_files.write_task(tmp_path, path, "x")
    assert list(tmp_path.iterdir()) == []


def test_write_follows_no_link_out(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/task-1.md").write_text("mine")
    (tmp_path / "backlog/completed").mkdir(parents=True)
    (tmp_path / "backlog/tasks").symlink_to(tmp_path / "out")
    (tmp_path / "backlog/completed/task-1.md").symlink_to(tmp_path / "out/task-1.md")
    (tmp_path / "backlog/loop").symlink_to("loop")
    for path in ("backlog/tasks/task-1.md", "backlog/completed/task-1.md", "backlog/loop/x.md"):
        with pytest.raises(BacklogError, match="link leads elsewhere"):
            backlog_files.write_changes(tmp_path, {path: "x"})
        with pytest.raises(BacklogError, match="link leads elsewhere"):
            backlog_files.write_changes(tmp_path, {path: None})
    assert (tmp_path / "out/task-1.md").read_text() == "mine"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    backlog_files.write_task(tmp_path, PATH, "old")
    with pytest.raises(BacklogError, match="not writable as UTF-8"):
        backlog_files.write_task(tmp_path, PATH, "\ud800")
    with pytest.raises(BacklogError, match="cannot be written"):
        backlog_files.write_task(tmp_path, "backlog/tasks", "x")
    with pytest.raises(BacklogError, match="cannot be written"):
        backlog_files.write_task(tmp_path, PATH + "/x.md", "x")
    with pytest.raises(BacklogError, match="cannot be removed"):
        backlog_files.write_changes(tmp_path, {"backlog/tasks": None})
    assert [each.name for each in tmp_path.rglob("*") if each.is_file()] == [Path(PATH).name]
    assert (tmp_path / PATH).read_text() == "old"


def test_changes_are_applied(tmp_path: Path) -> None:
    path = "backlog/milestones/m-0 - auth.md"
    backlog_files.write_task(tmp_path, path, milestone_file(0, "Auth"))
    backlog_files.write_changes(tmp_path, backlog.close_milestone({path: milestone_file(0, "Auth")}, 7, "Auth"))
    assert not (tmp_path / path).exists()
    assert (tmp_path / "backlog/archive/milestones/m-0 - auth.md").read_text() == milestone_file(0, "Auth")


@pytest.mark.slow
def test_ten_thousand_tasks_are_read_in_seconds() -> None:
    files = {f"backlog/tasks/task-{n} - t.md": FULL.replace("TASK-42", f"TASK-{n}").encode() for n in range(10_000)}
    begun = time.monotonic()
    read = backlog_files.read_backlog(files)
    assert len(read.tasks) == 10_000
    assert not backlog.compare(read.tasks, set(range(10_000)), 7, "x")
    assert time.monotonic() - begun < 20


def test_the_moment_is_given_in_utc() -> None:
    text = front("id: 1", "status: x", 'updated_date: "2026-01-01 00:00"')
    assert 'updated_date: "2026-05-06 07:08"' in front_matter.set_status(
        text, "Done", updated=datetime(2026, 5, 6, 7, 8, 59, tzinfo=UTC)
    )
