"""Gates that fail before anything is merged: told before a session is started, and accepted where a person says so."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

BRANCH = "milestone/3-test"
RED = "echo checking; echo README is bad >&2; ! grep -q bad README.md"
NEW = "! grep -q bad item-*.txt"
WAVES = [[item(1), item(2)], [item(3, 1)]]
ALL = (1, 2, 3)


def make(box: Sandbox, *gates: str, post: tuple[str, ...] = ()) -> Sandbox:
    """A main on which `RED` fails; each gate notes that it was run."""
    noted = [f'echo {number} >> "$OUT/gated"; {gate}' for number, gate in enumerate(gates, 1)]
    return box.make(plan(WAVES, pre=noted, post=post), files={"README.md": "bad\n"}, retries=0)


def mend(box: Sandbox, *, amend: bool) -> None:
    box.write("README.md", "good\n")
    box.git("commit", "-qam", "fix: readme", *(["--amend"] if amend else []))


def test_a_red_gate_stops_the_run_before_anything_starts(box: Sandbox) -> None:
    make(box, "true", RED, "exit 7", NEW)
    main = box.rev()
    for _ in range(2):
        done = box.milestone(rc=1)
        assert f"2 of 4 gates fail on {BRANCH} at {main[:10]}, before anything is merged" in done.err
        assert "exit 1: README is bad; log: " in done.err
        assert "gates/baseline-2.log" in done.err
        assert "exit 7; log: " in done.err
        assert "gates/baseline-3.log" in done.err
        assert "baseline-1.log" not in done.err
        assert "doit milestone n=3 gates=baseline" in done.err
        assert "pending" not in done.out, "there is nothing to sum up"
    assert box.starts() == {}
    assert not (box.root / ".milestone/3/items").exists()
    assert box.rev(BRANCH) == box.rev() == main
    assert box.lines("gated") == ["1", "2", "3", "4", "2", "3"], "what was green is not run again"
    assert box.states()["baseline"] == "R"
    assert box.doit("item:1", "n=3", rc=1).err.count("exit 1: README is bad") == 1
    assert box.starts() == {}


@pytest.mark.parametrize("amend", [False, True])
def test_the_same_line_goes_on_when_main_is_mended(box: Sandbox, amend: bool) -> None:
    make(box, RED)
    box.milestone(rc=1)
    mend(box, amend=amend)
    mended = box.rev()
    assert {box.states()[step] for step in ("branch", "baseline")} == {"R"}
    done = box.milestone()
    assert f"{BRANCH} at {mended[:10]}" in done.out
    assert f"baseline  passed    1 gate on {mended[:10]}" in done.out
    box.require_landed(*ALL, base=mended)
    assert box.show("README.md") == "good"
    box.require_clean()
    assert box.starts() == dict.fromkeys(ALL, 1)


def test_an_accepted_gate_blocks_nothing_and_stays_accepted(box: Sandbox) -> None:
    make(box, RED, NEW).behave(2, "echo bad > item-2.txt; commit bad; report COMPLETE")
    done = box.milestone("gates=baseline", "mends=0", rc=1)
    assert "baseline  accepted  2 gates on" in done.out
    assert "1 red as in the baseline" in done.out
    assert "#2 gate: " in done.out, "what newly fails blocks"
    assert set(box.squashes(BRANCH)) == {1, 3}
    assert list(box.receipt("baseline.json")["red"].values()) == [1]
    box.mend(2)
    box.doit("retry:2", "n=3", rc=0)
    done = box.milestone()
    assert "preflight note      gates=baseline was accepted: " in done.out
    assert "README is bad" in done.out
    assert "1 red as in the baseline" in done.out
    box.require_landed(*ALL)
    box.require_clean()
    assert "nothing to do" in box.milestone().out


def test_another_exit_code_is_a_new_failure(box: Sandbox) -> None:
    make(box, "test -f item-2.txt && exit 4; exit 3")
    done = box.milestone("gates=baseline", rc=1)
    assert set(box.squashes(BRANCH)) == {1, 3}
    assert "exit 4" in done.out


def test_a_gate_that_was_green_since_blocks_from_then_on(box: Sandbox) -> None:
    make(box, RED).behave(1, "echo good > README.md; commit 'fix: readme'; report COMPLETE")
    box.behave(2, "rm README.md; commit 'feat: none'; report FAILED")
    box.behave(3, "echo bad > README.md; commit 'feat: bad again'; report COMPLETE")
    done = box.milestone("gates=baseline", rc=1)
    assert "baseline  mended" in done.out
    assert "it blocks from now on" in done.out
    assert "#3 gate: " in done.out
    assert set(box.squashes(BRANCH)) == {1}
    assert box.receipt("baseline.json")["red"] == {}
    assert "#3 gate: " in box.milestone("gates=baseline", rc=1).out, "nor is it accepted anew"
    assert "gates=baseline was accepted" not in box.milestone(rc=1).out


def test_a_line_with_all_does_without_what_was_accepted(box: Sandbox) -> None:
    make(box, RED)
    box.doit("item:2", "n=3", "gates=baseline", rc=0)
    box.milestone("gates=all", rc=1)
    assert set(box.squashes(BRANCH)) == {2}
    box.milestone()
    box.require_landed(*ALL)


def test_all_takes_back_what_was_accepted_before_anything_began(box: Sandbox) -> None:
    make(box, RED)
    box.doit("baseline", "n=3", "gates=baseline", rc=0)
    assert box.states()["baseline"] == "U"
    assert "README is bad" in box.milestone("gates=all", rc=1).err
    assert "README is bad" in box.milestone(rc=1).err
    assert box.starts() == {}


def test_what_was_accepted_may_fail_on_a_main_that_moved(box: Sandbox) -> None:
    make(box, RED)
    box.doit("baseline", "n=3", "gates=baseline", rc=0)
    box.write("other.txt", "other\n")
    box.git("add", "-A")
    box.git("commit", "-qm", "feat: other")
    base = box.rev()
    assert "baseline  accepted" in box.milestone().out
    box.require_landed(*ALL, base=base)


def test_gates_of_the_landing_have_no_baseline(box: Sandbox) -> None:
    """They may be what the milestone is to make true; what is in both rows must be green in the end."""
    make(box, post=("test -f item-3.txt",)).milestone()
    box.require_landed(*ALL)


def test_a_gate_in_both_rows_blocks_the_landing(box: Sandbox) -> None:
    box.make(plan(WAVES, pre=[RED], post=[RED]), files={"README.md": "bad\n"})
    done = box.milestone("gates=baseline", rc=1)
    assert set(box.squashes(BRANCH)) == set(ALL)
    assert "main is untouched" in done.err


@pytest.mark.parametrize("gate", ["echo changed > README.md", "echo changed > README.md; exit 3"])
def test_what_an_accepted_gate_leaves_is_not_the_next_ones(box: Sandbox, gate: str) -> None:
    make(box, gate, "grep -q bad README.md").milestone("gates=baseline")
    box.require_landed(*ALL)
    assert box.show("README.md") == "bad"


def test_gates_that_are_known_are_not_run_for_the_landing(box: Sandbox) -> None:
    make(box, NEW, post=('echo post >> "$OUT/gated"',))
    done = box.milestone()
    assert "2 gates on" in done.out
    assert "1 of them green on this tree before" in done.out
    assert box.lines("gated") == ["1"] * 4 + ["post"], "before any merge, three merges, and once for the landing"
    box.require_landed(*ALL)


def test_a_lost_receipt_is_made_good_from_what_the_milestone_began_with(box: Sandbox) -> None:
    make(box, RED)
    box.doit("item:1", "n=3", "gates=baseline", rc=0)
    (box.root / ".milestone/3/baseline.json").write_text("{")
    assert "#2 gate: " in box.milestone(rc=1).out, "nothing is accepted that nobody knows of"
    box.milestone("gates=baseline")
    box.require_landed(*ALL)
    box.require_clean()


def test_the_summary_shows_the_end_of_the_log(box: Sandbox) -> None:
    box.make(plan([[item(1)]], pre=["test ! -f item-1.txt || { seq 1 9; printf 'E       1 == 2\\n'; exit 1; }"]))
    out = box.milestone(rc=1).out
    lines = out[out.index("#1 gate: ") :].splitlines()
    assert lines[1:6] == ["    | 6", "    | 7", "    | 8", "    | 9", "    | E       1 == 2"]
    assert lines[6].startswith("    log:  .milestone/3/gates/1-1.log")
