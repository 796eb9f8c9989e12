"""Completion reports in both dialects, as agents really write them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from work_milestone.agents.report import Report, parse_report
from work_milestone.store.outcomes import Session

FIRST = """STATUS: PARTIAL
BRANCH: work/7/42-auth
FILES_CHANGED:
- src/auth.py
- tests/test_auth.py
COMMITS:
- 1a2b3c4 feat: auth
NOTES: tokens live for an hour
and are signed
BLOCKER: the key server is down
"""
SECOND = """STATUS: DONE
TASKS_COMPLETED: 3
TASKS_BLOCKED: none
BRANCH: work/7/42-auth
FILES_CHANGED: src/auth.py
COMMITS: 1
NOTES: fine
BLOCKER: none
"""
FORM = """STATUS: COMPLETE | PARTIAL | BLOCKED | FAILED
BRANCH: work/7/42
NOTES:
design decisions
BLOCKER: what stands in the way, or none
"""


def test_first_dialect() -> None:
    expected = Report(Session.PARTIAL, "tokens live for an hour\nand are signed", "the key server is down")
    assert parse_report(FIRST) == expected


def test_second_dialect() -> None:
    assert parse_report(SECOND) == Report(Session.COMPLETE, "fine", "")


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("COMPLETE", Session.COMPLETE),
        ("DONE", Session.COMPLETE),
        ("PARTIAL", Session.PARTIAL),
        ("BLOCKED", Session.BLOCKED),
        ("FAILED", Session.FAILED),
        ("complete", Session.COMPLETE),
        ("Blocked.", Session.BLOCKED),
        ("DONE (all of it)", Session.COMPLETE),
        ("`PARTIAL`", Session.PARTIAL),
        ("**FAILED**", Session.FAILED),
        ("[DONE]", Session.COMPLETE),
        ("IN_PROGRESS", None),
        ("COMPLETENESS", None),
        ("", None),
        ("...", None),
    ],
)
def test_every_status(word: str, status: Session | None) -> None:
    assert parse_report(f"STATUS: {word}\nNOTES: n\n").status is status


@pytest.mark.parametrize(
    ("blocked", "status"),
    [
        ("none", Session.COMPLETE),
        ("None", Session.COMPLETE),
        ("NONE.", Session.COMPLETE),
        ("n/a", Session.COMPLETE),
        ("0", Session.COMPLETE),
        ("0 (none)", Session.COMPLETE),
        ("(0)", Session.COMPLETE),
        ("-", Session.COMPLETE),
        ("", Session.COMPLETE),
        ("2 (41, 43)", Session.PARTIAL),
        ("1", Session.PARTIAL),
        ("10", Session.PARTIAL),
        ("41, 43", Session.PARTIAL),
        ("#41", Session.PARTIAL),
        ("\n- 41\n- 43", Session.PARTIAL),
        ("`none`", Session.COMPLETE),
    ],
)
@pytest.mark.parametrize("done", ["DONE", "COMPLETE"])
def test_done_with_blocked_tasks_is_partial(done: str, blocked: str, status: Session) -> None:
    assert parse_report(f"STATUS: {done}\nTASKS_BLOCKED: {blocked}\nBLOCKER: none\n").status is status


@pytest.mark.parametrize("word", ["BLOCKED", "FAILED", "PARTIAL"])
def test_blocked_tasks_change_no_other_status(word: str) -> None:
    assert parse_report(f"STATUS: {word}\nTASKS_BLOCKED: 2 (41, 43)\n").status is Session[word]


@pytest.mark.parametrize("line", [
    "STATUS: PARTIAL", "**STATUS:** PARTIAL", "**STATUS**: PARTIAL", "- STATUS: PARTIAL", "* **STATUS**: `PARTIAL`",
    "> STATUS: PARTIAL", "## STATUS: PARTIAL", "`STATUS`: PARTIAL", "  STATUS : PARTIAL", "__STATUS__: **PARTIAL**",
    "STATUS:PARTIAL", "\tSTATUS:\tPARTIAL", "```\nSTATUS: PARTIAL\n```", "`STATUS: PARTIAL`",
])  # fmt: skip
def test_markdown_around_a_line(line: str) -> None:
    assert parse_report(f"Some words.\n\n{line}\n").status is Session.PARTIAL


def test_line_ends_of_windows_read_the_same() -> None:
    assert parse_report(FIRST.replace("\n", "\r\n")) == parse_report(FIRST)


def test_fence_ends_the_last_key() -> None:
    report = parse_report("```\nSTATUS: DONE\nBLOCKER: none\nNOTES: short\n```\nHave a nice day!\n")
    assert report == Report(Session.COMPLETE, "short", "")


@pytest.mark.parametrize("between", ["\n", "\nNow the report:\n\n", "```\n\n"])
@pytest.mark.parametrize("real", [FIRST, SECOND])
def test_quoted_form_before_the_real_report_does_not_count(real: str, between: str) -> None:
    assert parse_report(FORM + between + real) == parse_report(real)


@pytest.mark.parametrize("text", ["", "\n\n", "All done!", "The STATUS is good: COMPLETE", "status: complete",
                                  "MY_STATUS: DONE", "{}", "STATUS COMPLETE"])  # fmt: skip
def test_text_without_a_status_line_is_no_report(text: str) -> None:
    assert parse_report(text).status is None


def test_notes_count_without_a_status() -> None:
    assert parse_report("NOTES: half of it\n") == Report(None, "half of it", "")


@pytest.mark.parametrize("word", ["none", "None", "N/A", "n/a", "no", "-", "nothing", "", "**none**", "none."])
def test_blocker_that_says_nothing_is_none(word: str) -> None:
    assert parse_report(f"STATUS: DONE\nBLOCKER: {word}\n").blocker == ""


KEYS = st.sampled_from(["STATUS", "NOTES", "BLOCKER", "TASKS_BLOCKED", "BRANCH", "STATUS ", "# NOTES", ""])
LINES = st.builds("{}: {}".format, KEYS, st.text(max_size=30))


@given(st.text() | st.lists(LINES).map("\n".join))
@example("STATUS:\x85TASKS_BLOCKED:\x1c\x00")
@example("STATUS: \udcff")
@example("#" * 5000 + "STATUS")
def test_no_text_at_all_raises(text: str) -> None:
    report = parse_report(text)
    assert report.status in (None, Session.COMPLETE, Session.PARTIAL, Session.BLOCKED, Session.FAILED)
    assert parse_report(text + "\nSTATUS: FAILED\n").status is Session.FAILED
