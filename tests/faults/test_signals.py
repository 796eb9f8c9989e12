"""What is sent to a run, or to a supervisor, and what else may go on beside a run."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import KILL, Command, Sandbox, await_text, item, plan, signal_run

FOREVER = "tail -f /dev/null"


def make(box: Sandbox, *waves: list[dict[str, Any]]) -> Sandbox:
    box.fifo("begun", "go")
    return box.make(plan(waves or [[item(11), item(12)], [item(13, 11)]]))


def make_row(box: Sandbox) -> Sandbox:
    """One item after the other, so that nothing else is under way while 11 is."""
    return box.make(plan([[item(12)], [item(11)], [item(13, 11)]]))


def begin(box: Sandbox) -> Command:
    """Start the run, and wait until the session of 11 is at work, which goes on when it is told to."""
    box.behave(11, 'echo begun > "$OUT/begun"; read word < "$OUT/go"; work && report COMPLETE')
    return box.begin("begun")


def finish(box: Sandbox, run: Command) -> None:
    (box.outside / "go").write_text("go\n")
    assert run.wait() == 0


def adopt(box: Sandbox) -> Command:
    """Start a run that finds a session at work, and wait until it has."""
    run = box.start()
    await_text(box.root / ".milestone/3/journal.jsonl", '"adopted"')
    return run


def require_done(box: Sandbox, *, again: int | None = None) -> None:
    """Each item is landed, by one session; by two where it was begun again."""
    box.require_done(11, 12, 13)
    assert box.starts() == {issue: 2 if issue == again else 1 for issue in (11, 12, 13)}


def work_again(box: Sandbox) -> None:
    """Let the agent of 11 do plain work: the same line begins it again, and nothing else."""
    box.mend(11)
    box.milestone()
    require_done(box, again=11)


@pytest.mark.parametrize(("signal", "code"), [("INT", 130), ("TERM", 143)])
def test_a_polite_stop_ends_the_sessions_and_says_so(box: Sandbox, signal: str, code: int) -> None:
    make_row(box).behave(11, f"echo half > half.txt; {signal_run(signal)}; {FOREVER}")
    stopped = box.milestone(rc=code)
    box.await_idle()
    assert box.receipt("items/11/result.json")["status"] == "stopped"
    assert "#11 stopped" in stopped.text
    assert "half.txt" in box.files("refs/milestone/3/attempt/11/1")
    assert box.git("status", "--porcelain") == ""
    work_again(box)


@pytest.mark.parametrize(("signal", "code"), [("INT", 130), ("TERM", 143)])
@pytest.mark.parametrize(
    ("hook", "when"),
    [("post-checkout", "pwd | grep -q worktrees"), ("reference-transaction", "grep -q heads/milestone")],
)
def test_a_stop_waits_for_a_step_under_way(box: Sandbox, hook: str, when: str, signal: str, code: int) -> None:
    """A worktree or a branch that is being made is whole when the run has ended."""
    stop = f'{signal_run(signal)}; sleep 0.5; echo done >> "$OUT/whole"'
    make_row(box).hook(hook, f'{when} && mkdir "$OUT/struck" 2> /dev/null && {{ {stop}; }}; exit 0')
    box.milestone(rc=code)
    assert box.processes() == []
    assert box.lines("whole") == ["done"]
    box.milestone()
    require_done(box)


@pytest.mark.parametrize("signal", ["INT", "TERM"])
def test_a_second_stop_kills_what_does_not_heed_the_first(box: Sandbox, signal: str) -> None:
    stop = signal_run(signal)
    make_row(box).behave(
        11, f'trap "{stop.replace(chr(34), chr(92) + chr(34))}" TERM; {stop}; while :; do {FOREVER}; done'
    )
    assert box.milestone(rc=None).rc in (130, 143)
    box.await_idle()
    work_again(box)


@pytest.mark.skipif(sys.platform != "linux", reason="a thread has no number of its own elsewhere")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_the_kernel_gives_to_another_thread_is_heeded(box: Sandbox, number: int, code: int) -> None:
    """As it is where one comes in the instant before the first thread begins to wait: nothing wakes that."""
    run = begin(make(box, [item(11)]))
    os.kill(max(int(path.name) for path in Path(f"/proc/{run.pid}/task").iterdir()), number)
    assert run.wait() == code


@pytest.mark.parametrize(("signal", "code"), [("HUP", 129), ("KILL", -9)])
def test_a_closed_terminal_leaves_sessions_at_work_to_be_adopted(box: Sandbox, signal: str, code: int) -> None:
    run = begin(make(box))
    box.run("/bin/sh", "-c", f"kill -{signal} {run.pid}")
    assert run.wait() == code
    assert "running" in box.doit("status", "n=3", rc=0).out
    finish(box, adopt(box))
    require_done(box)


def test_an_adopted_session_is_ended_by_a_stop_too(box: Sandbox) -> None:
    make(box).behave(11, f"{KILL}; {FOREVER}")
    box.milestone(rc=-9)
    run = adopt(box)
    run.terminate()
    assert run.wait() == 143
    box.await_idle()
    assert box.receipt("items/11/result.json")["status"] == "stopped"
    work_again(box)


def test_a_session_stopped_while_no_run_was_there_is_begun_anew(box: Sandbox) -> None:
    """As a machine that shuts down does: TERM to everybody, the run first."""
    make_row(box).behave(11, f"{KILL}; kill -TERM $PPID; {FOREVER}")
    box.milestone(rc=-9)
    box.await_idle()
    assert box.receipt("items/11/attempts/1/exit.json")["reason"] == "stopped"
    work_again(box)


def test_two_runs_at_once(box: Sandbox) -> None:
    run = begin(make(box))
    second = box.milestone(rc=1)
    assert f"process {run.pid}" in second.err
    for verb in ("skip:12", "retry:12", "skip:11"):
        assert str(run.pid) in box.doit(verb, "n=3", rc=1).err
    assert str(run.pid) in box.doit("status", "n=3", rc=0).out
    assert box.states()["milestone"] == "R"
    assert str(run.pid) in box.doit("item:12", "n=3", rc=1).text
    finish(box, run)
    require_done(box)


def test_two_milestones_beside_each_other(box: Sandbox) -> None:
    make(box).write("plan/milestone-4-dispatch.yaml", plan([[item(21), item(22)]], number=4))
    box.git("add", "-A")
    box.git("commit", "-qm", "chore: another plan")
    run = begin(box)
    box.doit("milestone", "n=4", rc=0)
    assert {"item-21.txt", "item-22.txt"} <= box.files()
    finish(box, run)
    assert {f"item-{issue}.txt" for issue in (11, 12, 13, 21, 22)} <= box.files()
    assert box.starts() == dict.fromkeys((11, 12, 13, 21, 22), 1)
    box.require_clean()


def test_a_killed_supervisor_costs_its_own_item_alone_another_attempt(box: Sandbox) -> None:
    script = f'[ "$MILESTONE_ATTEMPT" = 1 ] && {{ {FOREVER} & kill -9 $PPID; {FOREVER}; }}; work && report COMPLETE'
    make(box).behave(11, script)
    box.milestone()
    require_done(box, again=11)


def test_run_and_supervisor_killed(box: Sandbox) -> None:
    make(box).behave(11, f"{FOREVER} & work; {KILL}; kill -9 $PPID; {FOREVER}")
    box.milestone(rc=-9)
    work_again(box)


def test_everything_killed_at_once_keeps_what_the_agent_committed(box: Sandbox) -> None:
    make(box).behave(11, f'work; git rev-parse HEAD > "$OUT/made"; {KILL} $PPID; {FOREVER}')
    box.milestone(rc=-9)
    box.mend(11)
    box.milestone()
    assert box.rev("refs/milestone/3/attempt/11/1") == box.lines("made")[0]
    box.require_landed(11, 12, 13)


def test_an_agent_that_starts_the_tool_is_refused(box: Sandbox) -> None:
    line = f'"{sys.executable}" -m doit milestone n=3'
    make(box).behave(11, f'{line} > "$OUT/inner" 2>&1; echo $? > "$OUT/code"; work && report DONE')
    box.milestone()
    assert box.lines("code") == ["1"]
    assert "kage-bunshin.lock" in "\n".join(box.lines("inner"))
    assert "Traceback" not in "\n".join(box.lines("inner"))
    require_done(box)


def test_a_run_that_was_told_to_outlive_its_terminal_does(box: Sandbox) -> None:
    make_row(box).behave(11, f"{signal_run('HUP')}; work && report COMPLETE")
    shell, option, line, *words = box.argv()
    assert box.run(shell, option, f"trap '' HUP; {line}", *words).rc == 0  # as nohup does
    require_done(box)
