"""A quota that is used up: a state of the run, waited for by all who share it, which costs no retry."""

from __future__ import annotations

import json
import signal
import time

import pytest
from work_milestone.run import Run
from work_milestone.sessions import results

from tests.e2e.harness import KILL, Sandbox, await_text
from tests.e2e.sessions.talks import FINISH, cost, hows, make, require_one_conversation, turn, turns


def test_quota_in_the_middle_of_eight_sessions_holds_all_back_and_fails_none(talks: Sandbox) -> None:
    """Used up by the first four but for one, and renewed 5 s after the first of them was told so."""
    make(talks, range(1, 9), max_sessions=4, retries=0)
    script = """
        if ! mkdir "$OUT/second-$MILESTONE_ITEM" 2>/dev/null; then test -f half.txt || exit 9; fi
        now=$(date +%s); flock "$OUT/mutex" sh -c '[ -e "$OUT/until" ] || echo $(($1 + 5)) > "$OUT/until"' - "$now"
        until=$(cat "$OUT/until")
        if [ "$now" -lt "$until" ] && [ "$MILESTONE_ITEM" != 1 ]; then
            echo half > half.txt; error 429 0.25 "usage limit reached|$until"; fi
        rm -f half.txt; work; end COMPLETE 0.5"""
    for issue in range(1, 9):
        turn(talks, issue, script)
    done = talks.milestone()
    rows = turns(talks)
    began = [row["name"] for row in rows if row["how"] == "--session-id"]
    assert sorted(began) == sorted({row["name"] for row in rows}), "each conversation has one beginning"
    assert 1 <= len(rows) - 8 <= 5, "who was refused went on once, and nobody was sent to be refused meanwhile"
    assert "failed" not in done.out
    assert done.out.count("no session of claude starts before") == 1
    assert cost(done.out) == ["$4.00"]
    told, renewed = talks.journal(), float((talks.outside / "until").read_text())
    after = told[next(number for number, row in enumerate(told) if row["outcome"] == "quota") :]
    starts = [row for row in after if (row["step"], row["outcome"]) == ("spawn", "started")]
    assert starts, "those cut short, and those that had waited"
    assert [row for row in starts if row["time"] < renewed - 0.01] == [], "work and pause, and nothing beside them"
    cut = [row["issue"] for row in told if (row["step"], row["outcome"]) == ("spawn", "quota")]
    assert sorted(cut) == sorted(row["issue"] for row in told if row["outcome"] == "retry")
    talks.require_landed(*range(1, 9))
    talks.require_clean()


def test_a_run_that_waits_for_quota_is_stopped_at_once(talks: Sandbox) -> None:
    make(talks, (1, 2))
    turn(talks, "1-1", "half; error 429 0.50 'usage limit reached, resets in 5 hours'")
    turn(talks, "2", "half; error 429 0.50 'usage limit reached, resets in 5 hours'")
    run = talks.start()
    for issue in (1, 2):
        await_text(talks.root / f".milestone/3/items/{issue}/result.json", '"quota"')
    began = time.monotonic()
    run.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert time.monotonic() - began < 30
    # The next line knows of it, and is stopped as well. What the program said of when is the only thing that changes.
    (talks.outside / "output").unlink()
    run = talks.start()
    await_text(talks.outside / "output", "2 items in 1 wave\n")
    run.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert "no session of claude starts before" in (talks.outside / "output").read_text()
    assert hows(talks) == ["session-id"] * 2
    for issue in (1, 2):
        path = talks.root / f".milestone/3/items/{issue}/result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"until": time.time() + 0.5}))
    turn(talks, "1", FINISH)
    turn(talks, "2", FINISH)
    talks.milestone()
    require_one_conversation(talks, 1)
    talks.require_landed(1, 2)
    talks.require_clean()


def test_an_item_that_waits_for_quota_is_stopped_on_its_own(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", "half; error 429 0.50 'usage limit reached, resets in 5 hours'")
    turn(talks, "1", FINISH)
    for _ in range(2):  # the next line knows of the quota, and waits for it before it starts anything
        run = talks.start()
        await_text(talks.outside / "output", "no session of claude starts before")
        assert "#1 is stopped; its session goes on with the next" in talks.doit("stop:1", "n=3", rc=0).err
        assert run.wait() == 1
        assert hows(talks, 1) == ["session-id"]
        (talks.outside / "output").unlink()
    assert "no session of #1 is at work" in talks.doit("stop:1", "n=3", rc=1).err
    path = talks.root / ".milestone/3/items/1/result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"until": time.time()}))
    talks.milestone()
    require_one_conversation(talks, 1)
    talks.require_landed(1)
    talks.require_clean()


@pytest.mark.parametrize(
    ("words", "status", "after"),
    [
        ("429 0 'usage limit reached, try again in 5 minutes'", "quota", 300),
        ("429 0 'Your quota is spent'", "quota", None),
        ("529 0 'Overloaded, try again in 5 minutes'", "transient", None),
    ],
)
def test_a_renewal_is_reckoned_from_the_sessions_end(
    talks: Sandbox, words: str, status: str, after: float | None
) -> None:
    """Judged a day later, for the run was gone meanwhile."""
    make(talks)
    turn(talks, 1, f"{KILL}; error {words}")
    talks.milestone(rc=-9)
    talks.await_idle()
    path, ended = talks.root / ".milestone/3/items/1/attempts/1/exit.json", time.time() - 86400
    path.write_text(json.dumps(json.loads(path.read_text()) | {"ended": ended}))
    assert results.judge(Run(talks.root, {"n": "3"}), 1, 1) == status
    assert talks.receipt("items/1/result.json")["until"] == (after and pytest.approx(ended + after))


@pytest.mark.parametrize("chosen", ["model=haiku", "agent=command command=work"])
def test_a_quota_that_is_another_agents_or_models_is_not_waited_for(talks: Sandbox, chosen: str) -> None:
    make(talks, (1, 2), max_sessions=1)
    turn(talks, 1, "error 429 0.50 'usage limit reached, resets in 5 hours'")
    run = talks.start()
    await_text(talks.root / ".milestone/3/journal.jsonl", '"quota"')
    run.send_signal(signal.SIGINT)
    assert run.wait() == 130
    turn(talks, 1, "work; end COMPLETE 0.75")
    line = talks.script("line.sh", '. "$OUT/agent.sh"')
    talks.milestone(*(word.replace("=work", f"={line}") for word in chosen.split()))
    talks.require_landed(1, 2)


def test_a_quota_of_which_nobody_says_when_it_is_renewed_is_tried_by_the_next_line(talks: Sandbox) -> None:
    make(talks, retries=0)
    turn(talks, "1-1", "half; error 429 0.50 'usage limit reached'")
    turn(talks, "1", FINISH)
    run = talks.start()
    await_text(talks.root / ".milestone/3/journal.jsonl", '"quota"')
    run.send_signal(signal.SIGINT)
    assert run.wait() == 130
    assert "no session of claude starts before" not in talks.milestone().out
    require_one_conversation(talks, 1)


def test_quota_that_was_renewed_while_no_run_was_there_is_not_waited_for(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", f'half; {KILL}; error 429 0.50 "usage limit, try again in 0.1 seconds"')
    turn(talks, "1", FINISH)
    talks.milestone(rc=-9)
    talks.await_idle()
    done = talks.milestone()
    assert "no session of claude starts before" not in done.out
    require_one_conversation(talks, 1)


@pytest.mark.parametrize("past", [1, 20])
def test_a_quota_that_is_renewed_by_the_end_of_its_session_is_not_waited_for(talks: Sandbox, past: int) -> None:
    make(talks, retries=0)
    turn(talks, "1-1", f'half; error 429 0.50 "usage limit reached|$(($(date +%s) - {past}))"')
    turn(talks, 1, FINISH)
    talks.milestone()
    require_one_conversation(talks, 1)
