"""The relay: what the next waves are told, from receipts and git alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from work_milestone.report import relay
from work_milestone.run import Run
from work_milestone.sessions.preparation import read_relay
from work_milestone.store import records

if TYPE_CHECKING:
    from tests.conftest import Sandbox


def plan(sandbox: Sandbox, waves: int, **first: Any) -> Run:
    """One item a wave: wave k has issue 10 k."""
    rows = [[{"issue": 10 * at, "title": f"Item {at}"}] for at in range(1, waves + 1)]
    rows[0][0].update(first)
    sandbox.plan(rows)
    return sandbox.run()


def finish(run: Run, issue: int, head: str, **fields: Any) -> None:
    """Write the receipt of a session that ended well."""
    made: dict[str, Any] = {"status": "complete", "attempt": 1, "head": head, "files": (f"f{issue}.py",),
            "notes": f"notes of {issue}", "commits": (records.Commit(id=head, subject=f"feat: {issue}"),)}  # fmt: skip
    run.receipts.write(records.Work(**made | fields), issue)
    run.reread()


def told(run: Run, number: int) -> str:
    relay.write(run, run.dispatch.waves[number - 1])
    return (run.milestone.folder.wave(number) / "relay.md").read_text()


def test_headings_and_fields(sandbox: Sandbox) -> None:
    run = plan(sandbox, 2)
    finish(run, 10, sandbox.base)
    text = told(run, 1)
    assert text.startswith("# Prior Wave Results\n")
    assert "\n## Wave 1 Results\n" in text
    for line in ("### #10 Item 1", "- status: ready", "- files changed: f10.py", f"  - {sandbox.base[:10]} feat: 10",
                 "  notes of 10"):  # fmt: skip
        assert line in text.splitlines(), line
    assert "Item 2" not in text


@pytest.mark.parametrize(("waves", "shown"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 3, 4]), (5, [3, 4, 5]), (6, [4, 5, 6])])
def test_from_five_waves_on_the_latest_three(sandbox: Sandbox, waves: int, shown: list[int]) -> None:
    text = told(plan(sandbox, 6), waves)
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [f"## Wave {number} Results" for number in shown]


def test_prompt_gets_the_latest_document_before_its_wave(sandbox: Sandbox) -> None:
    run = plan(sandbox, 3)
    items = run.dispatch.items
    assert read_relay(run, items[10]) == ""
    assert read_relay(run, items[30]) == ""
    first = told(run, 1)
    assert read_relay(run, items[10]) == ""
    assert read_relay(run, items[20]) == first
    assert read_relay(run, items[30]) == first
    second = told(run, 2)
    assert read_relay(run, items[30]) == second != first


def test_fresh_until_a_receipt_says_otherwise(sandbox: Sandbox) -> None:
    run = plan(sandbox, 2)
    wave = run.dispatch.waves[0]
    assert not relay.is_fresh(run, wave)
    relay.write(run, wave)
    assert relay.is_fresh(run, wave)
    finish(run, 10, sandbox.base)
    assert not relay.is_fresh(run, wave)
    relay.write(run, wave)
    assert relay.is_fresh(sandbox.run(), wave), "the next process sees the same"
    finish(run, 10, sandbox.base, attempt=2, notes="of another attempt on the same head")
    assert relay.is_fresh(run, wave)


def test_settled_takes_both_receipt_and_items(sandbox: Sandbox) -> None:
    run = plan(sandbox, 2)
    wave = run.dispatch.waves[0]
    assert not relay.is_settled(run, wave)
    relay.settle(run, wave)
    assert not relay.is_settled(run, wave), "an item is still to do"
    run.receipts.write(records.Merge(status="skipped"), 10)
    run.reread()
    assert not relay.is_settled(run, wave), "it was closed as it stood before"
    relay.settle(run, wave)
    assert relay.is_settled(run, wave)
    run.receipts.remove(records.Wave, 1)
    assert not relay.is_settled(run, wave)


@pytest.mark.parametrize(("status", "reported"), [("partial", "partial"), ("complete", "ready"), ("failed", "failed"),
                                                  ("blocked", "blocked"), ("nonsense", "pending")])  # fmt: skip
def test_status_of_an_item(sandbox: Sandbox, status: str, reported: str) -> None:
    run = plan(sandbox, 1)
    finish(run, 10, sandbox.base, status=status, detail="for a reason")
    assert f"- status: {reported} (for a reason)" in told(run, 1).splitlines()


def test_what_never_reached_a_branch_shows_no_commits(sandbox: Sandbox) -> None:
    run = plan(sandbox, 1)
    finish(run, 10, sandbox.base, status="failed")
    assert "commits" not in told(run, 1)


def test_long_lists_and_notes_are_cut(sandbox: Sandbox) -> None:
    run = plan(sandbox, 1)
    finish(run, 10, sandbox.base, files=tuple(f"{n}.py" for n in range(100)), notes="n" * 9999)
    text = told(run, 1)
    assert " and 70 more" in text
    assert "n" * 2000 + " …" in text
    assert len(text) < 4000


def test_hostile_words_are_data(sandbox: Sandbox) -> None:
    run = plan(sandbox, 1, title="{{ 7 * 7 }}\n# Heading\x1b[31m")
    commits = (records.Commit(id="x", subject="{{ x }}"),)
    finish(run, 10, sandbox.base, notes="{% raise %}\n# Not a heading\nline", commits=commits)
    lines = told(run, 1).splitlines()
    assert "### #10 {{ 7 * 7 }} # Heading [31m" in lines
    assert "  {% raise %}" in lines
    assert "  # Not a heading" in lines, "notes are indented under their item"
    assert "  - x {{ x }}" in lines
