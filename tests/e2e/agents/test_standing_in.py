"""Other agents that stand in while one is out of quota (`fallback`): who goes on with what, and who begins anew."""

from __future__ import annotations

import pytest

from tests.e2e.agents.mine import WORK, calls, make, words
from tests.e2e.harness import Sandbox, await_text, item


def refused(until: str = "", *, first: str = "pass") -> str:
    """The first agent is out of quota: what it does before, and what it says of the renewal."""
    return f'if word in ("run", "on"): {first}; sys.exit("no more today{until}")\n'


def stop(box: Sandbox) -> None:
    """Run until a session waits, then stop the run; sessions wait no more."""
    with box.start() as run:
        await_text(box.outside / "waits", "on")
        box.doit("stop", "n=3", rc=0)
        assert run.wait() == 143
    (box.outside / "go-on").touch()


def test_another_agent_stands_in_while_a_quota_is_out(mine: Sandbox) -> None:
    make(mine, [[item(1), item(2)], [item(3, 1)]], fallback=["other"], max_sessions=1, retries=0)
    mine.behave(1, refused(first='commit("half", "half"); say(id="s-1")') + WORK)
    for issue in (2, 3):
        mine.behave(issue, WORK.replace("work", f"work-{issue}"))
    done = mine.milestone()
    mine.require_landed(1, 2, 3)
    called = [call["argv"][0] for call in calls(mine)]
    assert called == ["run", "other", "other", "other"], "nobody asks again before the quota is renewed"
    assert "no session of mine starts before" in done.out
    assert "other stands in" in done.out
    # The other knows nothing of that conversation: it begins anew, and what there was is kept.
    assert "half" not in mine.files()
    assert mine.show("half", "refs/milestone/3/attempt/1/1") == "half"
    assert mine.receipt("items/1/result.json")["agent"] == "other"


@pytest.mark.parametrize("committed", [False, True])
def test_an_agent_that_stood_in_and_was_stopped_goes_on_with_the_same_line(mine: Sandbox, committed: bool) -> None:
    make(mine, [[item(1)]], fallback=["other"], retries=0)
    how = "commit" if committed else "write"
    mine.behave(1, f'{refused()}if word == "other": {how}("half", "half"); wait("c-3")\n{WORK}')
    stop(mine)
    mine.milestone()
    assert words(mine) == ["1 run", "1 other", "1 other-on c-3"]
    mine.require_landed(1)
    assert mine.show("half") == "half"


def test_a_session_that_mends_goes_on_with_the_agent_that_stood_in(mine: Sandbox) -> None:
    make(mine, [[item(1)]], fallback=["other"], gate="test ! -e work || test -e mended")
    mine.behave(1, WORK)
    half = 'if word == "other": write("half", "half"); say(id="c-2"); sys.exit("later")\n'
    mine.behave("1-fix", f'{refused()}{half}commit("mended", "yes"); done()')
    mine.milestone()
    assert words(mine) == ["1 run", "1-fix run", "1-fix other", "1-fix other-on c-2"]
    mine.require_landed(1)


@pytest.mark.parametrize("kind", ["1-fix", "landing-fix"])
def test_what_mends_changes_hands_as_often_as_quotas_want_it(mine: Sandbox, kind: str) -> None:
    """The first is refused, who stood in is stopped, goes on and is refused too: then the first begins anew."""
    gate = "test ! -e work || test -e mended"
    make(mine, [[item(1)]], fallback=["other"], gate="true" if kind != "1-fix" else gate, last=gate)
    mine.behave(1, WORK)
    mine.behave(
        kind,
        """
if word == "run" and not (out / "go-on").exists(): sys.exit("no more today, try again in 1 second")
if word == "other": commit("half", "half"); wait("c-3")
if word == "other-on": sys.exit("no more today, try again in 3 hours")
commit("mended", "yes"); done()
""",
    )
    stop(mine)
    mine.milestone()
    assert words(mine)[1:] == [f"{kind} {told}" for told in ("run", "other", "other-on c-3", "run")]
    mine.require_landed(1)


def test_a_refusal_is_remembered_though_another_has_stood_in(mine: Sandbox) -> None:
    make(mine, [[item(1)], [item(2)]], fallback=["other"])
    mine.behave(1, refused(", try again in 5 hours") + WORK)
    mine.behave(2, 'sys.exit("broken")')
    mine.milestone(rc=1)
    mine.behave(2, refused(", try again in 5 hours") + WORK.replace("work", "more"))
    mine.milestone()
    assert words(mine) == ["1 run", "1 other", "2 other", "2 other"]
    mine.require_landed(1, 2)


def test_worktrees_of_conversations_that_nobody_goes_on_with_are_used_again(mine: Sandbox) -> None:
    make(mine, [[item(n)] for n in range(1, 5)], fallback=["other"], max_sessions=1)
    for n in range(1, 5):
        half = refused(", try again in 1 second", first='commit("half", "half"); say(id="c-1")')
        mine.behave(n, half + WORK.replace("work", f"work-{n}"))
    mine.milestone()
    assert {call["place"] for call in calls(mine)} <= {"1", "2"}, calls(mine)
    mine.require_landed(1, 2, 3, 4)


def test_an_item_of_another_agent_is_not_held_back(mine: Sandbox) -> None:
    make(mine, [[item(1), item(2, agent="other")]], max_sessions=2, retries=0)
    once = 'if not (out / "once").exists(): write(out / "once", ""); sys.exit("no more today, try again in 1 second")\n'
    mine.behave(1, once + WORK)
    mine.behave(2, WORK.replace("work", "more"))
    mine.milestone()
    mine.require_landed(1, 2)
    called = [call["argv"][0] for call in calls(mine)]
    assert (sorted(called[:2]), called[2:]) == (["other", "run"], ["run"])


def test_an_agent_that_stands_in_is_looked_for_before_anything_starts(mine: Sandbox) -> None:
    make(mine, [[item(1)]], fallback=["codex"])
    done = mine.milestone(rc=1)
    assert "agent codex: no program 'codex' on PATH" in done.err
    assert calls(mine) == []


def test_a_shell_line_stands_in_only_where_there_is_one(mine: Sandbox) -> None:
    make(mine, [[item(1)]], fallback=["command"])
    assert "agent `command` without a command" in mine.milestone(rc=1).err
    assert calls(mine) == []
