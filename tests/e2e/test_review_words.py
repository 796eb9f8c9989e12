"""What a review found about words: reasons that were stale, faults that were told late, tracebacks."""

from __future__ import annotations

import re

import pytest

from tests.e2e.harness import Sandbox, item, plan

CLAUDE = """#!/bin/sh
echo x >> "$OUT/cost-$MILESTONE_ITEM"
if [ "$(wc -l < "$OUT/cost-$MILESTONE_ITEM")" = 1 ]; then error=true cost=0.50; else error=false cost=0.25; fi
[ $error = true ] || { echo done > "item-$MILESTONE_ITEM.txt" && git add -A && git commit -qm "feat: done"; }
printf '{"type": "result", "subtype": "success", "is_error": %s, "result": "STATUS: COMPLETE",' $error
printf ' "total_cost_usd": %s, "session_id": "0"}\\n' $cost
[ $error = false ]
"""


def reason(text: str, issue: int) -> str:
    """The summary's line on an item."""
    return next(line for line in text.splitlines() if re.match(rf"#{issue} \w+: ", line))


def test_an_item_that_waited_and_then_failed_has_its_own_reason(box: Sandbox) -> None:
    box.make(plan([[item(1)], [item(2, 1)]]), retries=0).behave(1, "exit 1")
    box.behave(2, "echo 'no such key' >&2; exit 7")
    assert reason(box.milestone(rc=1).out, 2) == "#2 waiting: waits for #1 (failed)"
    box.mend(1)
    assert reason(box.milestone(rc=1).out, 2) == "#2 failed: exit 7: no such key"
    status = box.doit("status", "n=3", rc=0).out
    assert "exit 7: no such key" in status
    assert "waits for" not in status


def test_an_item_that_was_partial_and_then_failed_has_its_own_reason(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), retries=0).behave(1, 'echo half > half.txt; commit "feat: half"; report PARTIAL')
    assert reason(box.milestone("generations=0", rc=1).out, 1).startswith("#1 partial: ")
    box.behave(1, "echo 'no such key' >&2; exit 7")
    assert reason(box.milestone(rc=1).out, 1) == "#1 failed: exit 7: no such key"
    box.mend(1)
    box.milestone()
    assert {"half.txt", "item-1.txt"} <= box.files()


def test_the_costs_of_an_items_attempts_add_up(box: Sandbox) -> None:
    box.install("claude", CLAUDE)
    box.make(plan([[item(1)]]), agent="claude", retries=0)
    told = [line for line in box.milestone(rc=1).out.splitlines() if line.startswith("milestone 3: ")]
    assert "$0.50" in told[-1]
    assert "$0.75" in box.milestone().out.splitlines()[-1]
    assert "$0.75" in box.doit("status", "n=3", rc=0).out
    assert "nothing to do" in box.milestone().out


def test_a_plan_without_waves_is_refused_in_a_line(box: Sandbox) -> None:
    box.make(plan([]))
    refs = box.refs()
    done = box.milestone(rc=1)
    assert "plan/milestone-3-dispatch.yaml" in done.err
    assert "no items" in done.err or "no waves" in done.err
    assert box.refs() == refs
    for words in (("list", "n=3"), ("status", "n=3")):
        box.doit(*words, rc=0)


@pytest.mark.parametrize("verb", ["skip:1", "retry:1"])
def test_a_verb_in_a_fresh_repository_leaves_nothing_to_see(box: Sandbox, verb: str) -> None:
    box.make(plan([[item(1)]])).doit(verb, "n=3")
    assert box.git("status", "--porcelain", "--untracked-files=all") == ""


def test_retry_of_an_item_that_the_plan_skips_is_refused(box: Sandbox) -> None:
    box.make(plan([[item(1, status="skipped"), item(2)]]))
    done = box.doit("retry:1", "n=3", rc=1)
    assert "#1 is skipped in" in done.err
    assert "plan/milestone-3-dispatch.yaml" in done.err
    box.milestone()
    assert box.starts() == {2: 1}


def test_a_remote_that_does_not_exist_is_told_before_anything_starts(box: Sandbox) -> None:
    done = box.make(plan([[item(1)]])).milestone("remote=nowhere", rc=1)
    assert "remote nowhere does not exist" in done.err
    assert box.starts() == {}
    assert box.refs() == ["refs/heads/main"]


def test_a_file_where_the_lock_files_folder_belongs_is_told_before_anything_starts(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), files={".claude": "a file\n"})
    assert f"{box.root / '.claude'}: a file" in box.milestone(rc=1).err
    assert box.starts() == {}
    assert box.refs() == ["refs/heads/main"]


def test_letters_that_the_terminal_has_not(box: Sandbox) -> None:
    box.make(plan([[{**item(1), "title": "認証を追加する"}], [{**item(2, 1), "title": "検証 — ✓"}]]))
    latin = {"PYTHONIOENCODING": "latin-1"}
    box.behave(2, "echo 失敗 >&2; exit 1")
    for words, rc in ((("list", "n=3"), 0), (("status",), 0), (("milestone", "n=3"), 1), (("status", "n=3"), 0)):
        box.doit(*words, rc=rc, env=latin)
    box.doit("log:2", "n=3", rc=0, env=latin)
    box.mend(2)
    box.doit("milestone", "n=3", rc=0, env=latin)
    assert "認証を追加する (#1)" in box.git("log", "--format=%s", "main")
    box.require_landed(1, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["item:1"], "say which milestone: doit item:1 n=N"),
        (["wave:1"], "say which milestone: doit wave:1 n=N"),
        (["wave:9", "n=3"], "wave:9: milestone 3 has no such step; it has wave:1, wave:2"),
        (["item:9", "n=3"], "item:9: milestone 3 has no such step; it has item:1, item:2"),
        (["relay:9", "n=3"], "relay:9: milestone 3 has no such step"),
        (["item:1", "n=4"], "plan/milestone-4-dispatch.yaml"),
    ],
)
def test_a_step_that_there_is_not(box: Sandbox, words: list[str], told: str) -> None:
    done = box.make(plan([[item(1)], [item(2)]])).doit(*words)
    assert done.rc != 0
    assert told in done.text
    assert box.starts() == {}
