"""Conversations go on where they were cut short: same id, same worktree, cost counted once."""

from __future__ import annotations

import json
import signal

import psutil
import pytest

from tests.e2e.harness import Sandbox, await_text, signal_run
from tests.e2e.merging.sides import TAKE_BOTH
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
    talks.fifo("begun")
    turn(talks, "1-1", f'half; echo here > "$OUT/begun"; {FOREVER}')
    turn(talks, "1", FINISH)
    run = talks.begin("begun")
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
    talks.fifo("begun", "go")
    turn(talks, "1-1", OVERLOADED)
    turn(talks, "1", f'echo here > "$OUT/begun"; read line < "$OUT/go"; {FINISH}')
    run = talks.begin("begun")
    run.kill()
    run.wait()
    run = talks.start()
    await_text(talks.root / ".milestone/3/journal.jsonl", '"adopted"')
    (talks.outside / "go").write_text("go\n")
    assert run.wait() == 0
    require_one_conversation(talks, 1)
    assert "$0.75" in talks.doit("status", "n=3", rc=0).out
    talks.require_clean()


def supervisor(box: Sandbox, issue: int) -> psutil.Process:
    path = box.root / f".milestone/3/items/{issue}/attempts/1/supervisor.json"
    await_text(path, "}")
    return psutil.Process(json.loads(path.read_text())["pid"])


def test_a_session_that_dies_while_its_item_waits_for_a_slot_goes_on_where_it_stood(talks: Sandbox) -> None:
    """Main has moved on meanwhile, by the item that is merged first."""
    make(talks, (1, 2), retries=0)
    for issue in (1, 2):
        begun, go = talks.fifo(f"begun-{issue}", f"go-{issue}")
        begin = f'half; echo one > one-{issue}; git add one-{issue}; git commit -qm "feat: one"'
        wait = f"echo here > {begun}; read -r _ < {go}"
        turn(talks, f"{issue}-1", f"{begin}; {wait}; {FINISH}")
        turn(talks, issue, f'git log -1 --format=%s > "$OUT/subject"; {FINISH}')
    run = talks.begin("begun-1", "begun-2")
    run.kill()
    run.wait()
    run = talks.start("milestone", "n=3", "max_sessions=1")
    await_text(talks.root / ".milestone/3/journal.jsonl", '"adopted"')
    adopted = next(row["issue"] for row in talks.journal() if row["outcome"] == "adopted")
    other = 3 - adopted
    one = supervisor(talks, other)
    one.kill()
    psutil.wait_procs([one])
    (talks.outside / f"go-{adopted}").write_text("go\n")
    assert run.wait() == 0
    require_one_conversation(talks, other)
    assert talks.lines("subject") == ["feat: one"]
    talks.require_landed(1, 2)
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
        turn(talks, f"{issue}-resolve", f"{TAKE_BOTH}; commit 'fix: both'; end COMPLETE 0.5")
    talks.fifo("begun")
    run = talks.begin("begun")
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
    make(talks, (1, 2), post=post, retries=1)
    if stopped:
        turn(talks, "landing-fix-1", f"half; {signal_run('INT')}; {FOREVER}")
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
    talks.fifo("begun")
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
