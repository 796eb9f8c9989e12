"""Whose a worktree is: one session works in it at a time, whatever was killed, and however it was left."""

from __future__ import annotations

import psutil
import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.store.striking import KILLED, STRIKING

# A worktree is locked by whoever works in it, and for as long as anything that was started in it lives.
ALONE = 'exec 8> "$OUT/place-${PWD##*/}"; flock -n 8 || echo "$PWD" >> "$OUT/overlaps"\n'
HANG = "for line in 1 2 3; do tail -f /dev/null; done"


def _line(one: psutil.Process) -> list[str]:
    """A process's command line, none of one that is about to become another, or has ended."""
    try:
        parent, line = one.parent(), one.cmdline()
        return line if parent is None or parent.cmdline() != line else []
    except psutil.NoSuchProcess:
        return []


def kill_run(box: Sandbox, *, supervisors: bool) -> None:
    """SIGKILL to doit, and to the processes that stand over its sessions: the agents themselves live on."""
    lines = {one: _line(one) for one in box.processes()}
    victims = [one for one, line in lines.items() if "doit" in line or (supervisors and "supervisor" in " ".join(line))]
    assert len(victims) == (3 if supervisors else 1), lines
    for one in victims:
        one.kill()


def test_supervisors_killed_with_the_run_leave_no_worktree_to_two(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2), item(3)]]), retries=0, max_sessions=2)
    box.behave(1, ALONE + '[ "$MILESTONE_ATTEMPT" = 1 ] && exit 1; work; report COMPLETE')
    for issue in (2, 3):
        (up,) = box.fifo(f"up-{issue}")
        hang = f"echo half > half-{issue}.txt; echo up > {up}; {HANG}"
        box.behave(issue, ALONE + f'if [ "$MILESTONE_ATTEMPT" = 1 ]; then {hang}; fi; work; report COMPLETE')
    run = box.begin("up-2", "up-3")
    kill_run(box, supervisors=True)
    assert run.wait() == KILLED
    box.milestone(rc=None)
    box.milestone()
    assert box.lines("overlaps") == []
    box.require_own_files(1, 2, 3)
    assert [f"half-{issue}.txt" in box.kept(issue) for issue in (2, 3)] == [True, True]
    assert box.starts() == {1: 2, 2: 2, 3: 2}
    box.await_idle()
    box.require_clean()


@pytest.mark.parametrize("how", ["removed", "skipped"])
def test_an_item_that_left_the_plan_while_its_session_was_alive(box: Sandbox, how: str) -> None:
    up, go, end = box.fifo("up", "go", "end")
    box.make(plan([[item(1), item(2)]]))
    box.behave(1, ALONE + f"echo up > {up}; read line < {go}; work; echo end > {end}; report COMPLETE")
    box.behave(2, ALONE + "work; report COMPLETE")
    box.behave(3, ALONE + f"echo go > {go}; read line < {end}; work; report COMPLETE")
    box.behave(4, ALONE + "work; report COMPLETE")
    run = box.begin("up")
    kill_run(box, supervisors=False)
    run.wait()
    left = [item(1, status="skipped")] if how == "skipped" else []
    box.replan(plan([[*left, item(2), item(3), item(4)]]))
    box.milestone(rc=None)  # the session of 1 may be at work still when all else is done, which the landing awaits
    box.await_idle()
    box.milestone()
    assert box.lines("overlaps") == []
    box.require_own_files(2, 3, 4)
    assert "item-1.txt" in box.kept(1)
    assert "item-1.txt" not in box.files()
    assert box.starts()[1] == box.starts()[3] == 1
    box.require_clean()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("word", "status"), [("COMPLETE", "complete"), ("BLOCKED", "blocked")])
def test_killed_around_the_result_of_a_finished_session(box: Sandbox, when: str, word: str, status: str) -> None:
    box.make(plan([[item(1)], [item(2)]]), files=STRIKING, retries=0)
    box.behave(1, f"work; echo more > more.txt; report {word}")
    (box.outside / "strike").write_text(f"{when} spawn:{status}")
    box.milestone(rc=KILLED)
    assert not (box.outside / "strike").exists()
    if status == "complete":
        box.milestone()
        assert box.starts() == {1: 1, 2: 1}
        assert box.changed(box.squashes()[1][0]) == ["item-1.txt", "more.txt"]
    else:
        box.mend(1)
        box.milestone(rc=None)  # the attempt that ended before is judged first
        box.milestone()
        assert box.starts() == {1: 2, 2: 1}
        assert {"item-1.txt", "more.txt"} <= box.kept(1)
        box.require_own_files(1, 2)
    box.require_landed(1, 2)
    box.require_clean()


def test_killed_before_a_result_is_written_while_others_take_worktrees(box: Sandbox) -> None:
    """The first to end is held before its result; the second ends, the third begins in the worktree that is free."""
    go, up = box.fifo("go", "up")
    box.make(plan([[item(1), item(2), item(3)]]), files=STRIKING, max_sessions=2, retries=0)
    box.behave(1, ALONE + "work; report COMPLETE")
    box.behave(2, ALONE + f"read line < {go}; work; report COMPLETE")
    box.behave(3, ALONE + f"echo up > {up}; work; report COMPLETE")
    (box.outside / "strike").write_text("before spawn:complete")
    box.script("hold", f"echo go > {go}; read line < {up}")
    box.milestone(rc=KILLED)
    box.milestone()
    assert box.lines("overlaps") == []
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_own_files(1, 2, 3)
    box.require_landed(1, 2, 3)
    box.require_clean()


def test_worktrees_left_on_other_items_branches_are_handed_out_without_a_clash(box: Sandbox) -> None:
    """One worktree, left on the branch of whichever item failed last; then every item wants one at once."""
    issues = range(1, 7)
    box.make(plan([[item(issue) for issue in issues]]), retries=0)
    for issue in issues:
        box.behave(issue, "exit 1")
    box.milestone("max_sessions=1", rc=1)
    for issue in issues:
        box.mend(issue)
    box.milestone("max_sessions=6")
    box.require_landed(*issues)
    assert box.starts() == dict.fromkeys(issues, 2)


def test_a_worktree_that_was_moved_off_its_branch_before_its_session_starts_is_made_anew(box: Sandbox) -> None:
    """Between two steps of a run somebody has put it elsewhere."""
    box.make(plan([[item(1)]]))
    box.doit("prompt:1", "n=3", rc=0)
    place = str(box.receipt("items/1/worktree.json")["path"])
    box.git("checkout", "-q", "--detach", cwd=box.root / place)
    box.milestone()
    assert box.starts() == {1: 1}
    box.require_landed(1)
    box.require_clean()
