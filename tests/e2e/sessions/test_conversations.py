"""Conversations go on where they were cut short: same id, same worktree, cost counted once."""

from __future__ import annotations

import json
import signal
import time
from typing import Any

import pytest
from work_milestone import results
from work_milestone.runs import Run

from tests.e2e.harness import Sandbox, await_line, await_text, item, plan
from tests.e2e.sessions.talks import (
    FINISH,
    FOREVER,
    OVERLOADED,
    cost,
    hows,
    make,
    require_one_conversation,
    turn,
    turns,
)


def journal(box: Sandbox) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (box.root / ".milestone/3/journal.jsonl").read_text().splitlines()]


# cut short, and gone on with


@pytest.mark.parametrize(
    ("cut", "retries", "told"),
    [
        (OVERLOADED, 1, "transient (Overloaded)"),
        ("half; error 408 0.50 'timed out'", 1, "transient"),
        (f"half; {FOREVER}", 1, "timeout (over its time limit of 4 s)"),
        ("half; error 429 0.50 'usage limit reached, try again in 0.1 seconds'", 0, "quota"),
    ],
)
def test_a_conversation_goes_on_by_itself(talks: Sandbox, cut: str, retries: int, told: str) -> None:
    make(talks, retries=retries, timeout=4)
    turn(talks, "1-1", cut)
    turn(talks, "1", FINISH)
    done = talks.milestone()
    require_one_conversation(talks, 1)
    assert told in turns(talks, 1)[1]["prompt"]
    assert cost(done.out) == ["$0.75"], "the second turn's cost holds the first one's"
    assert "the conversation goes on" in done.out
    assert {"half.txt", "item-1.txt"} <= talks.files()
    talks.require_landed(1)
    talks.require_clean()


@pytest.mark.parametrize(("sig", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_conversation_that_was_stopped_goes_on_with_the_same_line(talks: Sandbox, sig: int, code: int) -> None:
    make(talks)
    talks.run("mkfifo", str(talks.outside / "begun"))
    turn(talks, "1-1", f'half; echo here > "$OUT/begun"; {FOREVER}')
    turn(talks, "1", FINISH)
    run = talks.start()
    assert await_line(talks.outside / "begun") == "here"
    run.send_signal(sig)
    assert run.wait() == code
    talks.await_idle()
    assert talks.receipt("items/1/result.json")["status"] == "stopped"
    assert cost(talks.milestone().out) == ["$0.75"]
    require_one_conversation(talks, 1)
    talks.require_landed(1)
    talks.require_clean()


def test_a_conversation_cut_short_again_and_again_goes_on_and_is_paid_for_once(talks: Sandbox) -> None:
    make(talks, retries=0)
    turn(talks, "1-1", "half; error 529 0.10 Overloaded")
    turn(talks, "1-2", "error 529 0.30 Overloaded")
    turn(talks, "1-3", "error 529 0.40 Overloaded")
    turn(talks, "1", FINISH)
    for _ in range(3):
        talks.milestone(rc=1)
    assert cost(talks.milestone().out) == ["$0.75"]
    require_one_conversation(talks, 1, 4)
    talks.require_clean()


def test_a_turn_that_does_not_say_what_it_cost_counts_as_nothing(talks: Sandbox) -> None:
    make(talks, retries=2, timeout=4)
    turn(talks, "1-1", OVERLOADED)
    turn(talks, "1-2", FOREVER)
    turn(talks, "1", FINISH)
    assert cost(talks.milestone().out) == ["$0.75"]
    require_one_conversation(talks, 1, 3)


def test_a_conversation_that_was_cut_short_in_a_rebase_goes_on(talks: Sandbox) -> None:
    make(talks, retries=1)
    turn(talks, "1-1", "half; commit 'feat: half'; GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase -qi HEAD~1; "
                       "git symbolic-ref -q HEAD && exit 9; error 529 0.50 Overloaded")  # fmt: skip
    turn(talks, "1", "git rebase --continue >/dev/null 2>&1; work; end COMPLETE 0.75")
    talks.milestone()
    require_one_conversation(talks, 1)
    talks.require_landed(1)
    talks.require_clean()


def test_a_run_that_was_killed_before_the_conversation_went_on_leaves_it_to_the_next(talks: Sandbox) -> None:
    """Worktree, lock and prompt were ready, the session had not started."""
    make(talks)
    turn(talks, "1-1", OVERLOADED)
    turn(talks, "1", FINISH)
    talks.milestone(rc=1)
    for _ in range(2):
        talks.doit("prompt:1", "n=3", rc=0)
    (talks.root / ".milestone/3/items/1/attempts/2").mkdir()
    talks.milestone()
    require_one_conversation(talks, 1)
    talks.require_clean()


def test_a_conversation_that_went_on_and_outlived_its_run_is_paid_for_once(talks: Sandbox) -> None:
    make(talks, retries=1)
    for name in ("begun", "go"):
        talks.run("mkfifo", str(talks.outside / name))
    turn(talks, "1-1", OVERLOADED)
    turn(talks, "1", f'echo here > "$OUT/begun"; read line < "$OUT/go"; {FINISH}')
    run = talks.start()
    await_line(talks.outside / "begun")
    run.kill()
    run.wait()
    run = talks.start()
    await_text(talks.root / ".milestone/3/journal.jsonl", '"adopted"')
    (talks.outside / "go").write_text("go\n")
    assert run.wait() == 0
    require_one_conversation(talks, 1)
    assert "$0.75" in talks.doit("status", "n=3", rc=0).out
    talks.require_clean()


# begun anew


def test_another_agent_does_not_go_on_with_a_conversation_that_is_not_its_own(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", OVERLOADED)
    talks.milestone(rc=1)
    line = 'cp "$MILESTONE_PROMPT" "$OUT/prompt-1"; . "$OUT/agent.sh"'
    talks.milestone("agent=command", f"command={line}")
    assert "Item 1" in talks.prompt("1"), "it is given the task"
    assert "half.txt" not in talks.files()
    assert "half.txt" in talks.files("refs/milestone/3/attempt/1/1")
    talks.require_landed(1)
    talks.require_clean()


def test_a_conversation_that_nobody_knows_any_more_starts_anew_once(talks: Sandbox) -> None:
    make(talks, retries=1)
    turn(talks, "1-1", f"{{ {OVERLOADED.replace('error', 'rm -r $OUT/talk; error')}; }}")
    talks.milestone()
    assert hows(talks) == ["session-id", "unknown", "session-id"]
    first, _, last = turns(talks)
    assert first["talk"] != last["talk"]
    assert last["left"] == [], "a conversation that knows of nothing starts in a clean worktree"
    assert "half.txt" in talks.files("refs/milestone/3/attempt/1/1")
    talks.require_landed(1)
    talks.require_clean()


def test_conversations_that_are_always_unknown_come_to_an_end(talks: Sandbox) -> None:
    make(talks, retries=3)
    turn(talks, "1", OVERLOADED.replace("error", "rm -r $OUT/talk; error"))
    talks.milestone(rc=1)
    assert len(turns(talks)) <= 6


def test_retry_after_a_stop_starts_anew(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", OVERLOADED)
    talks.milestone(rc=1)
    talks.doit("retry:1", "n=3", rc=0)
    assert cost(talks.milestone().out) == ["$0.75"], "0.50 and, in a conversation of its own, 0.25"
    assert hows(talks) == ["session-id", "session-id"]
    assert turns(talks)[1]["left"] == []
    assert "half.txt" in talks.files("refs/milestone/3/attempt/1/1")
    assert "half.txt" not in talks.files()
    talks.require_clean()


def test_skip_after_a_stop_leaves_the_item_out(talks: Sandbox) -> None:
    make(talks, (1, 2), max_sessions=1)
    turn(talks, "1-1", OVERLOADED)
    talks.milestone(rc=1)
    talks.doit("skip:1", "n=3", rc=0)
    talks.milestone()
    assert hows(talks, 1) == ["session-id"]
    assert "half.txt" in talks.files("refs/milestone/3/attempt/1/1")
    talks.require_landed(2)
    talks.require_clean()


@pytest.mark.parametrize("away", [("git", "worktree", "remove", "--force"), ("rm", "-rf")])
def test_a_worktree_that_is_taken_away_from_a_stopped_session_loses_nothing(
    talks: Sandbox, away: tuple[str, ...]
) -> None:
    make(talks)
    turn(talks, "1-1", "echo one > one.txt; commit 'feat: one'; " + OVERLOADED)
    talks.milestone(rc=1)
    talks.run(*away, str(talks.receipt("items/1/worktree.json")["path"]))
    talks.milestone()
    assert hows(talks) == ["session-id", "session-id"]
    assert {"half.txt", "one.txt"} <= talks.files("refs/milestone/3/attempt/1/1")
    talks.require_landed(1)
    talks.require_clean()


def test_a_stopped_session_whose_worktree_was_put_elsewhere_goes_on_and_says_where_it_ended(talks: Sandbox) -> None:
    make(talks)
    turn(talks, "1-1", OVERLOADED)
    talks.milestone(rc=1)
    talks.git("-C", str(talks.receipt("items/1/worktree.json")["path"]), "checkout", "-q", "--detach")
    assert "it ended on a detached HEAD" in talks.milestone(rc=1).out
    talks.milestone()
    assert hows(talks) == ["session-id", "resume", "session-id"]
    assert {"half.txt", "item-1.txt"} <= talks.files("refs/milestone/3/attempt/1/2")
    talks.require_landed(1)
    talks.require_clean()


# sessions that mend


def test_a_session_that_mends_and_is_cut_short_goes_on_too(talks: Sandbox) -> None:
    make(talks, pre=["! test -e broken"], retries=1)
    turn(talks, 1, "touch broken; work; end COMPLETE 0.25")
    turn(talks, "1-fix-1", OVERLOADED)
    turn(talks, "1-fix", "git rm -q broken; test -f half.txt || exit 9; commit 'fix: broken'; end COMPLETE 0.75")
    assert cost(talks.milestone().out) == ["$1.00"]
    require_one_conversation(talks, "1-fix")
    assert "broken" not in talks.files()
    talks.require_landed(1)
    talks.require_clean()


def test_a_resolution_that_was_stopped_goes_on_with_the_same_line(talks: Sandbox) -> None:
    make(talks, (1, 2), files={"app.txt": "a\nb\nc\nd\ne\n"})
    for issue in (1, 2):
        turn(talks, issue, f"sed -i s/^c$/by-{issue}/ app.txt; commit 'feat: {issue}'; end COMPLETE 0.25")
        turn(talks, f"{issue}-resolve-1", f'half; echo here > "$OUT/begun"; {FOREVER}')
        turn(talks, f"{issue}-resolve", "sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt; "
                                        "commit 'fix: both'; end COMPLETE 0.5")  # fmt: skip
    talks.run("mkfifo", str(talks.outside / "begun"))
    run = talks.start()
    await_line(talks.outside / "begun")
    run.send_signal(signal.SIGINT)
    assert run.wait() == 130
    talks.await_idle()
    talks.milestone()
    mended = next(row["name"] for row in turns(talks) if "resolve" in row["name"])
    require_one_conversation(talks, mended)
    assert {"by-1", "by-2"} <= set(talks.show("app.txt").splitlines())
    talks.require_landed(1, 2)
    talks.require_clean()


@pytest.mark.parametrize("stopped", [False, True])
def test_a_fix_of_the_landing_that_is_cut_short_goes_on_too(talks: Sandbox, stopped: bool) -> None:
    post = ["! test -e item-1.txt || ! test -e item-2.txt"]
    talks.make(plan([[item(1), item(2)]], post=post), agent="claude", command=None, retries=1)
    if stopped:
        turn(talks, "landing-fix-1", f'half; kill -INT "$(cat "$OUT/doit.pid")"; {FOREVER}')
    else:
        turn(talks, "landing-fix-1", OVERLOADED)
    turn(talks, "landing-fix", "test -f half.txt || exit 9; git mv item-2.txt two.txt; commit 'fix: two'; "
                               "end COMPLETE 0.75")  # fmt: skip
    if stopped:
        talks.milestone(rc=130)
        talks.await_idle()
    assert cost(talks.milestone().out) == ["$1.25"]
    require_one_conversation(talks, "landing-fix")
    assert {"item-1.txt", "two.txt", "half.txt"} <= talks.files()
    talks.require_landed(1, 2)
    talks.require_clean()


def test_a_fix_that_was_cut_short_does_not_go_on_with_another_candidate(talks: Sandbox) -> None:
    """Item 2 is merged meanwhile: what is to be fixed is another commit then."""
    make(talks, (1, 2), pre=["! test -e broken"], mends=1)
    talks.run("mkfifo", str(talks.outside / "begun"))
    journal = talks.root / ".milestone/3/journal.jsonl"
    turn(talks, 1, "touch broken; work; end COMPLETE 0.25")
    turn(talks, 2, 'read line < "$OUT/begun"; work; end COMPLETE 0.25')
    turn(
        talks,
        "1-fix-1",
        f"""echo go > "$OUT/begun"
        until grep -q '"merged"' {journal}; do sleep 0.02; done; {OVERLOADED}""",
    )
    turn(talks, "1-fix", "git rm -q broken; commit 'fix: broken'; end COMPLETE 0.75")
    talks.milestone(rc=1)
    talks.milestone()
    assert hows(talks, "1-fix") == ["session-id", "session-id"]
    assert "cut short" not in turns(talks, "1-fix")[1]["prompt"]
    assert "half.txt" in talks.files("refs/milestone/3/attempt/1/2")
    talks.require_landed(1, 2)
    talks.require_clean()


# nothing to be had any more


def test_a_login_that_is_gone_stops_all_that_has_not_started(talks: Sandbox) -> None:
    make(talks, range(1, 7), max_sessions=1)
    turn(talks, "1", "error 401 0 'Invalid API key'")
    done = talks.milestone(rc=1)
    assert len(turns(talks)) == 1
    assert "no further session starts: Invalid API key; log in again (claude /login) or renew the key" in done.out
    assert "main is untouched" in done.out
    assert len(list((talks.root / ".milestone/3/worktrees").iterdir())) <= 2, "nothing is prepared for those"
    turn(talks, "1", "work; end COMPLETE 0.25")
    talks.milestone()
    talks.require_landed(*range(1, 7))
    talks.require_clean()


def test_a_login_that_was_gone_before_the_run_began_holds_nothing_back(talks: Sandbox) -> None:
    """The run was killed meanwhile, and somebody has logged in since."""
    make(talks, (1, 2), max_sessions=1)
    turn(talks, "1-1", 'kill -9 "$(cat "$OUT/doit.pid")"; error 401 0 "Invalid API key"')
    talks.milestone(rc=-9)
    talks.await_idle()
    done = talks.milestone(rc=None)
    assert "no further session starts" not in done.out
    assert "item-2.txt" in talks.files("milestone/3-test")
    talks.milestone()
    talks.require_landed(1, 2)


def test_who_is_at_work_when_the_login_is_gone_ends_in_order(talks: Sandbox) -> None:
    make(talks, (1, 2, 3), max_sessions=2)
    for name in ("one", "two"):
        talks.run("mkfifo", str(talks.outside / name))
    turn(talks, 1, 'read line < "$OUT/one"; error 401 0 "Invalid API key"')
    turn(talks, 2, 'echo go > "$OUT/one"; read line < "$OUT/two"; work; end COMPLETE 0.25')
    run = talks.start()
    await_text(talks.root / ".milestone/3/journal.jsonl", '"halted"')
    (talks.outside / "two").write_text("go\n")
    assert run.wait() == 1
    assert sorted(row["name"] for row in turns(talks)) == ["1", "2"]
    assert "item-2.txt" in talks.files("milestone/3-test")
    turn(talks, 1, "work; end COMPLETE 0.25")
    talks.milestone()
    talks.require_landed(1, 2, 3)


def test_follow_ups_are_not_begun_either_when_the_login_is_gone(talks: Sandbox) -> None:
    make(talks, (1, 2), max_sessions=1)
    turn(talks, 1, "work; end 'PARTIAL\\nBLOCKER: the rest' 0.25")
    turn(talks, 2, "error 401 0 'Invalid API key'")
    done = talks.milestone(rc=1)
    assert [row["name"] for row in turns(talks)] == ["1", "2"], done.text
    assert "no further session starts: Invalid API key" in done.out
    turn(talks, 2, "work; end COMPLETE 0.25")
    talks.milestone()
    assert [row["name"] for row in turns(talks)][2:] == ["2", "3"]
    talks.require_clean()


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


def budgets(box: Sandbox) -> list[str]:
    """What the program was allowed to spend, session by session."""
    found = (json.loads(path.read_text())["argv"] for path in sorted(box.root.glob(".milestone/3/**/session.json")))
    return [argv[argv.index("--max-budget-usd") + 1] for argv in found]


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


# quota


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
    told, renewed = journal(talks), float((talks.outside / "until").read_text())
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
    turn(talks, 1, f'kill -9 "$(cat "$OUT/doit.pid")"; error {words}')
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
    turn(talks, "1-1", 'half; kill -9 "$(cat "$OUT/doit.pid")"; error 429 0.50 "usage limit, try again in 0.1 seconds"')
    turn(talks, "1", FINISH)
    talks.milestone(rc=-9)
    talks.await_idle()
    done = talks.milestone()
    assert "no session of claude starts before" not in done.out
    require_one_conversation(talks, 1)
