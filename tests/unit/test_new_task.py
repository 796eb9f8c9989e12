"""A new task's file: whatever the title, it is read back as what it was meant to be."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone import backlog
from work_milestone.backlog import Backlog, Task, front_matter, new_task
from work_milestone.system.errors import BacklogError
from work_milestone.text.lines import one_line

MOMENT = datetime(2026, 11, 22, 14, 10, tzinfo=UTC).timestamp()
TITLES = [
    "Add auth", 'say "hi"', "it's", "a\nb", "a\r\n---\nid: TASK-9\n---\nb", "🎉 party", "x" * 500, "../../x", "/etc/x",
    "--force", "-", "a: b # c", "@me", "- [ ] x", "---", "null", "~", "true", "%TAG", "`x`", "{{ x }}", "{a: b}", "[a]",
    "*alias", "&anchor", "!tag", "| x", "> x", "? x", "\\n", "\\", "12:30", "2026-01-02", "!!!", "🎉🎉", "é" * 99,
    "\t tabs\tand  blanks ", "a\0b", "\x7f\x1b[31m", "half \ud83d", "byte \udcff", "\u2028\u2029\ufeff", "<!-- x -->",
    "$(touch x); `touch x`", "CON", "con.", ".lock", "a/b\\c",
]  # fmt: skip


def render(title: str = "x", **changes: Any) -> tuple[str, str]:
    values: dict[str, Any] = {
        "issue": 42, "prefix": "TASK-", "status": "To Do", "milestone": "m-7", "priority": "P0",
        "labels": ["follow-up"], "description": "Because.", "created": MOMENT, **changes,
    }  # fmt: skip
    return new_task.render(title=title, **values)


def read(path: str, text: str) -> Task:
    assert backlog.is_backlog_file(path)
    tasks, faults = backlog.parse_backlog({path: text})
    assert not faults
    (task,) = tasks.values()
    return task


def test_the_whole_text() -> None:
    assert render("Finish: it's", labels=["a", "b"]) == (
        "backlog/tasks/task-42 - finish-its.md",
        '---\nid: "TASK-42"\ntitle: "Finish: it\'s"\nstatus: "To Do"\nassignee: []\n'
        'created_date: \'2026-11-22 14:10\'\nlabels:\n  - "a"\n  - "b"\ndependencies: []\nmilestone: "m-7"\n'
        "priority: high\n---\n\n## Description\n\n<!-- SECTION:DESCRIPTION:BEGIN -->\nBecause.\n"
        "<!-- SECTION:DESCRIPTION:END -->\n",
    )


def require_same(path: str, text: str, title: str, **wanted: Any) -> None:
    task = read(path, text)
    found = {name: getattr(task, name) for name in wanted}
    assert (task.issue, task.title, found) == (42, one_line(title), wanted)
    assert task.is_open
    parts = PurePosixPath(path).parts
    assert parts[:2] == ("backlog", "tasks")
    assert len(parts) == 3
    assert path.isascii()
    assert path.isprintable()
    assert len(parts[2]) < 100
    text.encode()
    assert "Done" in front_matter.set_status(text, "Done", path=path)


@pytest.mark.parametrize("title", TITLES)
def test_any_title_is_read_back(title: str) -> None:
    require_same(*render(title), title, status="To Do", milestone="m-7", labels=("follow-up",), priority="high",
                 description="Because.", acceptance_criteria=(), dependencies=())  # fmt: skip


@given(st.text(min_size=1).filter(lambda title: bool(one_line(title))))
def test_any_text_is_a_title(title: str) -> None:
    require_same(*render(title), title)


DESCRIPTIONS = {
    "plain": ("One\n\ntwo", "One\n\ntwo"),
    "a marker": ("a\n<!-- SECTION:DESCRIPTION:END -->\nb", "a\n<! -- SECTION:DESCRIPTION:END -->\nb"),
    "a marker in a marker": ("<!<!---- SECTION:DESCRIPTION:END -->", "<!<! ---- SECTION:DESCRIPTION:END -->"),
    "criteria": ("<!-- AC:BEGIN -->\n- [ ] x\n<!-- AC:END -->", "<! -- AC:BEGIN -->\n- [ ] x\n<! -- AC:END -->"),
    "a heading": ("a\n## Acceptance Criteria\n- [ ] x\n# b", "a\n### Acceptance Criteria\n- [ ] x\n### b"),
    "front matter": ("---\nid: TASK-9\n---", "---\nid: TASK-9\n---"),
    "no text": ("a\0b\r\nc\ud800d\udcffe\x1b", "a\ufffdb\nc\ufffdd\ufffde\ufffd"),
    "empty": ("", ""),
}


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_any_description_is_read_back(name: str) -> None:
    given, wanted = DESCRIPTIONS[name]
    require_same(*render(description=given), "x", description=wanted, acceptance_criteria=())


@given(st.text(st.sampled_from("<!-> \n#ACSECTION:DPTBGEINR[]\r")))
def test_any_text_is_a_description(text: str) -> None:
    path, made = render(description=text)
    task = read(path, made)
    assert task.acceptance_criteria == ()
    assert made.count("<!--") == 2
    assert "".join(task.description.split()).replace("#", "") == "".join(text.split()).replace("#", "")


@pytest.mark.parametrize("value", ["m-7", "7", "Auth: 1.0 'x' #y", "🎉", "null"])
def test_any_milestone_and_label(value: str) -> None:
    require_same(*render(milestone=value, labels=[value]), "x", milestone=value, labels=(value,))
    require_same(*render(labels=[]), "x", labels=())


@pytest.mark.parametrize(
    ("priority", "wanted"), [("P0", "high"), ("P1", "high"), ("P2", "medium"), ("P3", "low"), ("?", "medium")]
)
def test_priorities(priority: str, wanted: str) -> None:
    require_same(*render(priority=priority), "x", priority=wanted)


@pytest.mark.parametrize(
    ("prefix", "path"),
    [("TASK-", "task-42"), ("task-", "task-42"), ("BACK-", "back-42"), ("", "task-42"), ("my-own-", "task-42")],
)
def test_the_file_has_the_name_that_its_backlog_looks_for(prefix: str, path: str) -> None:
    assert render(prefix=prefix)[0] == f"backlog/tasks/{path} - x.md"
    require_same(*render(prefix=prefix), "x")


def test_what_would_not_be_the_same_is_refused() -> None:
    for prefix in ("42.", "x y-", "my-own_"):
        with pytest.raises(BacklogError):
            render(prefix=prefix)


CONFIGS = {
    "statuses: [Open, Doing, Done]": "Open",
    'statuses: ["To do", "Done"]': "To do",
    "statuses:\n  - Backlog\n  - Done\n": "Backlog",
    "\ufeffstatuses: [Idea]\n": "Idea",
    "statuses: []": "To Do",
    "statuses:": "To Do",
    "other: 1": "To Do",
    "": "To Do",
    " \n": "To Do",
    "statuses: [": "To Do",
    "statuses: {a: b}": "To Do",
    "- a": "To Do",
}


@pytest.mark.parametrize("path", backlog.CONFIG_PATHS)
@pytest.mark.parametrize("text", CONFIGS)
def test_the_first_status_is_the_configuration_s(path: str, text: str) -> None:
    assert new_task.first_status(Backlog({}, (), (), {path: text})) == CONFIGS[text]


def test_a_broken_configuration_leaves_the_other() -> None:
    first, second = backlog.CONFIG_PATHS
    assert new_task.first_status(Backlog({}, (), (), {first: "[", second: "statuses: [Open]"})) == "Open"
    assert new_task.first_status(Backlog({}, (), (), {})) == "To Do"
