"""What a review found about sessions: whose a worktree is, what was paid for, what an agent leaves behind."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tests.e2e.harness import Sandbox, await_line, item, plan

KILLED = -signal.SIGKILL
WAVES = [[item(1), item(2)], [item(3), item(4, 2)]]
PLAN_FILE = "plan/milestone-3-dispatch.yaml"
# A dodo.py in which the run is killed, once, at the writing of a receipt: `before` or `after` step:status, and after
# the script `hold`, if there is one.
STRIKING = """
import os
import pathlib
import signal
import subprocess

from work_milestone.store import receipts
from work_milestone.dodo import *

at = pathlib.Path(os.environ["OUT"], "strike")
write = receipts.RunFolder.write


def strike(when, step, status):
    if at.exists() and at.read_text() == f"{when} {step}:{status}":
        at.unlink()
        subprocess.run(["/bin/sh", "-c", '[ ! -f "$OUT/hold" ] || . "$OUT/hold"'], check=True)
        os.kill(os.getpid(), signal.SIGKILL)


def striking(self, path, step, status, /, **fields):
    strike("before", step, status)
    receipt = write(self, path, step, status, **fields)
    strike("after", step, status)
    return receipt


receipts.RunFolder.write = striking
"""
# A worktree is locked by whoever works in it, and for as long as anything that was started in it lives.
ALONE = 'exec 8> "$OUT/place-${PWD##*/}"; flock -n 8 || echo "$PWD" >> "$OUT/overlaps"\n'
HANG = "for line in 1 2 3; do tail -f /dev/null; done"


def require_own_files(box: Sandbox, *issues: int, rev: str = "main") -> None:
    """Each item is merged once, and its squash commit holds its own file and nothing else."""
    merged = box.squashes(rev)
    for issue, commits in merged.items():
        assert [changed(box, commit) for commit in commits] == [[f"item-{issue}.txt"]]
    assert set(merged) == set(issues)


def changed(box: Sandbox, commit: str) -> list[str]:
    return box.git("diff-tree", "-r", "--no-commit-id", "--name-only", commit).splitlines()


def kept(box: Sandbox, issue: int) -> set[str]:
    """Every file that the refs of an item's attempts hold."""
    refs = [ref for ref in box.refs() if ref.startswith(f"refs/milestone/3/attempt/{issue}/")]
    return {path for ref in refs for path in box.files(ref)}


def fifo(box: Sandbox, name: str) -> str:
    os.mkfifo(box.outside / name)
    return f'"$OUT/{name}"'


def _line(one: psutil.Process) -> list[str]:
    try:
        return one.cmdline()
    except psutil.NoSuchProcess:
        return []  # a git command that is done by now


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
        hang = f"echo half > half-{issue}.txt; echo up > {fifo(box, f'up-{issue}')}; {HANG}"
        box.behave(issue, ALONE + f'if [ "$MILESTONE_ATTEMPT" = 1 ]; then {hang}; fi; work; report COMPLETE')
    run = box.start()
    assert [await_line(box.outside / f"up-{issue}") for issue in (2, 3)] == ["up", "up"]
    kill_run(box, supervisors=True)
    assert run.wait() == KILLED
    box.milestone(rc=None)
    box.milestone()
    assert box.lines("overlaps") == []
    require_own_files(box, 1, 2, 3)
    assert [f"half-{issue}.txt" in kept(box, issue) for issue in (2, 3)] == [True, True]
    assert box.starts() == {1: 2, 2: 2, 3: 2}
    box.await_idle()
    box.require_clean()


@pytest.mark.parametrize("how", ["removed", "skipped"])
def test_an_item_that_left_the_plan_while_its_session_was_alive(box: Sandbox, how: str) -> None:
    up, go, end = (fifo(box, name) for name in ("up", "go", "end"))
    box.make(plan([[item(1), item(2)]]))
    box.behave(1, ALONE + f"echo up > {up}; read line < {go}; work; echo end > {end}; report COMPLETE")
    box.behave(2, ALONE + "work; report COMPLETE")
    box.behave(3, ALONE + f"echo go > {go}; read line < {end}; work; report COMPLETE")
    box.behave(4, ALONE + "work; report COMPLETE")
    run = box.start()
    await_line(box.outside / "up")
    kill_run(box, supervisors=False)
    run.wait()
    left = [item(1, status="skipped")] if how == "skipped" else []
    box.write(PLAN_FILE, plan([[*left, item(2), item(3), item(4)]]))
    box.git("commit", "-qam", "chore: another plan")
    box.milestone(rc=None)  # the session of 1 may be at work still when all else is done, which the landing awaits
    box.await_idle()
    box.milestone()
    assert box.lines("overlaps") == []
    require_own_files(box, 2, 3, 4)
    assert "item-1.txt" in kept(box, 1)
    assert "item-1.txt" not in box.files()
    assert box.starts()[1] == box.starts()[3] == 1
    box.require_clean()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("word", "status"), [("COMPLETE", "complete"), ("BLOCKED", "blocked")])
def test_killed_around_the_result_of_a_finished_session(box: Sandbox, when: str, word: str, status: str) -> None:
    box.make(plan([[item(1)], [item(2)]]), files={"dodo.py": STRIKING}, retries=0)
    box.behave(1, f"work; echo more > more.txt; report {word}")
    (box.outside / "strike").write_text(f"{when} spawn:{status}")
    box.milestone(rc=KILLED)
    assert not (box.outside / "strike").exists()
    if status == "complete":
        box.milestone()
        assert box.starts() == {1: 1, 2: 1}
        assert changed(box, box.squashes()[1][0]) == ["item-1.txt", "more.txt"]
    else:
        box.mend(1)
        box.milestone(rc=None)  # the attempt that ended before is judged first
        box.milestone()
        assert box.starts() == {1: 2, 2: 1}
        assert {"item-1.txt", "more.txt"} <= kept(box, 1)
        require_own_files(box, 1, 2)
    box.require_landed(1, 2)
    box.require_clean()


def test_killed_before_a_result_is_written_while_others_take_worktrees(box: Sandbox) -> None:
    """The first to end is held before its result; the second ends, the third begins in the worktree that is free."""
    go, up = fifo(box, "go"), fifo(box, "up")
    box.make(plan([[item(1), item(2), item(3)]]), files={"dodo.py": STRIKING}, max_sessions=2, retries=0)
    box.behave(1, ALONE + "work; report COMPLETE")
    box.behave(2, ALONE + f"read line < {go}; work; report COMPLETE")
    box.behave(3, ALONE + f"echo up > {up}; work; report COMPLETE")
    (box.outside / "strike").write_text("before spawn:complete")
    box.script("hold", f"echo go > {go}; read line < {up}")
    box.milestone(rc=KILLED)
    box.milestone()
    assert box.lines("overlaps") == []
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    require_own_files(box, 1, 2, 3)
    box.require_landed(1, 2, 3)
    box.require_clean()


LEAVES = {
    "an empty repository beside work": ("work; echo more > more.txt; git init -q fixture; report COMPLETE", "merged"),
    "an empty repository after work": ("work; git init -q fixture; report COMPLETE", "merged"),
    "an empty repository alone": ("git init -q fixture; report COMPLETE", "failed"),
    "a repository of its own": ("rm -rf .git; git init -q; work; report COMPLETE", "failed"),
    "an orphan branch": ("git checkout -q --orphan alone; work; report COMPLETE", "failed"),
    "an orphan under its own branch's name": (
        "own=$(git branch --show-current); git checkout -q --orphan alone; work; git branch -qM $own; report COMPLETE",
        "conflict",
    ),
    "a hook that fails": ("echo left > left.txt; report COMPLETE", "merged"),
    "empty commits alone": ("git commit -q --allow-empty -m 'fix: nothing'; report COMPLETE", "failed"),
    "no worktree": ('work; report COMPLETE; git worktree remove --force "$PWD"', "merged"),
}


@pytest.mark.parametrize("name", LEAVES)
def test_what_an_agent_leaves_is_its_items_outcome_alone(box: Sandbox, name: str) -> None:
    script, state = LEAVES[name]
    others = 'case "$MILESTONE_ITEM" in 2|3|4) exit 0;; esac; exit 1\n'
    box.make(plan(WAVES), files={"hooks/prepare-commit-msg": "#!/bin/sh\n" + others}, retries=0)
    if "hook" in name:
        (box.root / "hooks/prepare-commit-msg").chmod(0o755)
        box.git("commit", "-qam", "chore: a hook", cwd=box.root)
        box.git("config", "core.hooksPath", "hooks")
    base = box.rev()
    box.behave(1, script)
    done = box.milestone(rc=None)
    assert done.rc == (0 if state == "merged" else 1), done.text
    if state != "merged":
        assert f"#1 {state}: " in done.out
        assert set(box.squashes("milestone/3-test")) == {2, 3, 4}
        box.mend(1)
        box.doit("retry:1", "n=3", rc=0)
        box.milestone()
    if "alone" in box.git("branch", "--list", "alone"):
        box.git("branch", "-D", "alone")
    box.require_landed(1, 2, 3, 4, base=base)
    box.require_clean()
    assert box.starts() == {1: 1 if state == "merged" else 2, 2: 1, 3: 1, 4: 1}


def test_the_work_of_an_item_skipped_after_its_conflict_is_kept(box: Sandbox) -> None:
    box.make(plan(WAVES))
    for issue in (1, 3):
        box.behave(issue, f"echo {issue} > README.md; commit 'docs: mine'; report COMPLETE")
    box.write(PLAN_FILE, plan([[item(1), item(3)]]))
    box.git("commit", "-qam", "chore: another plan")
    assert "conflict: medium: README.md" in box.milestone("mends=0", rc=1).out
    loser = 4 - next(iter(box.squashes("milestone/3-test")))
    box.doit(f"skip:{loser}", "n=3", rc=0)
    box.milestone()
    assert box.show("README.md") == str(4 - loser)
    assert box.show("README.md", f"refs/milestone/3/attempt/{loser}/1") == str(loser)
    box.require_clean()


def test_commits_on_a_branch_of_the_users_with_an_items_name_are_kept(box: Sandbox) -> None:
    box.make(plan([[item(1)]]))
    box.git("switch", "-qc", "work/3/1-item-1")
    box.write("mine.txt", "mine\n")
    box.git("add", "mine.txt")
    box.git("commit", "-qm", "feat: mine")
    box.git("switch", "-q", "main")
    box.milestone()
    assert "mine.txt" in kept(box, 1)
    require_own_files(box, 1)
    box.require_clean()


def test_what_a_ref_keeps_is_not_overwritten_once_the_run_folder_is_gone(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), retries=0)
    for name in ("first", "second", "third"):
        box.behave(1, f"echo {name} > {name}.txt; commit 'feat: {name}'; echo {name} > {name}-left.txt; exit 1")
        box.milestone("branch=resume", rc=1)
        box.run("rm", "-rf", ".milestone/3")
    assert {f"{name}{end}.txt" for name in ("first", "second", "third") for end in ("", "-left")} <= kept(box, 1)
