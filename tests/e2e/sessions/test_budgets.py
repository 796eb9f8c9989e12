"""What sessions have cost, and what they may: told once, added up, and held to."""

from __future__ import annotations

import json

from tests.e2e.harness import Sandbox
from tests.e2e.sessions.talks import FINISH, OVERLOADED, cost, hows, make, require_one_conversation, turn, turns


def test_the_costs_of_all_sessions_are_told_once(talks: Sandbox) -> None:
    make(talks, pre=["! test -e broken"], post=["test -e good"])
    turn(talks, 1, "touch broken; work; end COMPLETE 0.25")
    turn(talks, "1-fix", "git rm -q broken; commit 'fix: broken'; end COMPLETE 0.25")
    turn(talks, "landing-fix", "touch good; commit 'fix: good'; end COMPLETE 0.25")
    done = talks.milestone()
    assert "$0.50" in next(line for line in done.out.splitlines() if line.startswith("#1 "))
    assert "1 merged, $0.75" in done.out


def test_what_a_session_has_cost_is_not_forgotten_when_another_is_asked_for(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", "end COMPLETE 0.25")
    assert "$0.25" in talks.milestone(rc=1).out
    talks.doit("retry:1", "n=3", rc=0)
    assert "1 merged, $0.50" in talks.milestone().out


def test_the_costs_of_an_items_attempts_add_up(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", "error null 0.50 'STATUS: COMPLETE'")
    told = [line for line in talks.milestone(rc=1).out.splitlines() if line.startswith("milestone 3: ")]
    assert "$0.50" in told[-1]
    assert "$0.75" in talks.milestone().out.splitlines()[-1]
    assert "$0.75" in talks.doit("status", "n=3", rc=0).out
    assert "nothing to do" in talks.milestone().out


def budgets(box: Sandbox) -> list[str]:
    """What the program was allowed to spend, session by session."""
    found = (json.loads(path.read_text())["argv"] for path in sorted(box.root.glob(".milestone/3/**/session.json")))
    return [argv[argv.index("--max-budget-usd") + 1] for argv in found]


def test_a_run_stops_where_its_budget_is_spent_and_goes_on_when_that_is_raised(talks: Sandbox) -> None:
    make(talks, range(1, 6), max_sessions=1, total_budget_usd=0.6)
    done = talks.milestone(rc=1)
    assert len(turns(talks)) == 3, "0.25 each: at the third there was still something left"
    assert "$0.75 are spent, and total_budget_usd is $0.6; raise it to go on" in done.out
    assert "$0.75 are spent" in talks.milestone(rc=1).out
    assert len(turns(talks)) == 3
    talks.milestone("total_budget_usd=9")
    assert len(turns(talks)) == 5
    talks.require_landed(*range(1, 6))
    talks.require_clean()


def test_an_items_budget_is_for_all_of_its_sessions(talks: Sandbox) -> None:
    """The program reckons from nothing each time, also in the same conversation."""
    make(talks, retries=2, budget_usd=1.0)
    turn(talks, "1-1", "half; error 529 0.30 Overloaded")
    turn(talks, "1-2", "error 529 0.70 Overloaded")
    turn(talks, "1", FINISH)
    talks.milestone()
    assert budgets(talks) == ["1", "0.7", "0.3"]
    require_one_conversation(talks, 1, 3)


def test_an_item_that_has_spent_its_budget_goes_on_when_that_is_raised(talks: Sandbox) -> None:
    make(talks, (1, 2), budget_usd=0.5, pre=["! test -e broken"])
    turn(
        talks, "1-1", """half; result 0.60; printf '"is_error": true, "subtype": "error_max_budget_usd"}\\n'; exit 1"""
    )
    turn(talks, "1", "touch broken; git add broken; test -f half.txt || exit 9; work; end COMPLETE 0.75")
    turn(talks, "1-fix", "git rm -q broken; commit 'fix: broken'; end COMPLETE 0.5")
    assert "#1 budget: its budget is spent; raise budget_usd" in talks.milestone(rc=1).out
    done = talks.milestone(rc=1)
    assert "$0.60 of $0.5 are spent; raise budget_usd" in done.out
    assert hows(talks, 1) == ["session-id"]
    assert "item-2.txt" in talks.files("milestone/3-test")
    talks.milestone("budget_usd=2")
    require_one_conversation(talks, 1)
    assert budgets(talks) == ["0.5", "1.4", "1.25", "0.5"], "what mends is the item's too"
    talks.require_landed(1, 2)
    talks.require_clean()


def test_a_new_session_of_an_item_has_what_the_earlier_one_left(talks: Sandbox) -> None:
    make(talks, budget_usd=0.5)
    turn(talks, "1-1", "error 400 0.20 bad")
    turn(talks, "1-2", "error 400 0.40 bad")
    talks.milestone(rc=1)
    talks.milestone(rc=1)
    assert "$0.60 of $0.5 are spent; raise budget_usd" in talks.milestone(rc=1).out
    assert budgets(talks) == ["0.5", "0.3"]
    assert len(list((talks.root / ".milestone/3/worktrees").iterdir())) == 1


def test_a_conversation_survives_a_run_without_money(talks: Sandbox) -> None:
    make(talks, total_budget_usd=0.4)
    turn(talks, "1-1", OVERLOADED)
    turn(talks, "1", FINISH)
    talks.milestone(rc=1)
    for _ in range(2):
        assert "$0.50 are spent" in talks.milestone(rc=1).out
    assert cost(talks.milestone("total_budget_usd=5").out) == ["$0.75"]
    require_one_conversation(talks, 1)
