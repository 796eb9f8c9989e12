"""A login that is gone: whoever is at work ends in order, and nobody is sent to be refused."""

from __future__ import annotations

from tests.e2e.harness import KILL, Sandbox, await_text
from tests.e2e.sessions.talks import make, turn, turns


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
    turn(talks, "1-1", f'{KILL}; error 401 0 "Invalid API key"')
    talks.milestone(rc=-9)
    talks.await_idle()
    done = talks.milestone(rc=None)
    assert "no further session starts" not in done.out
    assert "item-2.txt" in talks.files("milestone/3-test")
    talks.milestone()
    talks.require_landed(1, 2)


def test_who_is_at_work_when_the_login_is_gone_ends_in_order(talks: Sandbox) -> None:
    make(talks, (1, 2, 3), max_sessions=2)
    talks.fifo("one", "two")
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
