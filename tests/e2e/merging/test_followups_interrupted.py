"""Follow-ups of a run that is killed, and of one whose overlay is damaged: none is lost, and none comes twice."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.e2e.backlog.tasks import files
from tests.e2e.harness import KILL, Sandbox, item, plan
from tests.e2e.merging.followups import PARTIAL, fail, heavy, overlay, partial


def test_killed_in_a_further_generation(box: Sandbox) -> None:
    partial(box).behave(3, f"{KILL}; work; report COMPLETE")
    box.milestone(rc=-signal.SIGKILL)
    box.milestone()
    box.await_idle()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)
    box.require_clean()


def test_killed_between_generations(box: Sandbox) -> None:
    """The line names its folder, so that it cannot go on in its own place: as if killed just before."""
    partial(box)
    done = box.doit("-d", ".", "milestone", "n=3")
    assert done.rc == 1
    assert "#3" in done.text
    assert box.starts() == {1: 1, 2: 1}
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)


def test_killed_while_a_part_is_merged(box: Sandbox) -> None:
    """The follow-up is written down before the branch moves; the run that goes on has the same one."""
    partial(box, [item(1)])
    box.hook("reference-transaction",
             '[ -n "$MILESTONE_ITEM" ] || [ "$1" != prepared ] || [ -e "$OUT/struck" ] && exit 0\n'
             'grep -q refs/heads/milestone/3-test || exit 0\n'
             f'test -e .milestone/3/overlay.json && touch "$OUT/struck" && {KILL}\n'
             'exit 0')  # fmt: skip
    box.milestone(rc=-signal.SIGKILL)
    assert list(overlay(box)) == [2]
    box.milestone()
    assert (box.outside / "struck").exists()
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    assert list(overlay(box)) == [2]


def test_resumed_while_a_followup_is_at_work(box: Sandbox) -> None:
    """The session of a follow-up outlives its run, and the next line waits for it."""
    begun, go = box.fifo("begun", "go")
    partial(box).behave(3, f"echo begun > {begun}; read -r _ < {go}; work; report COMPLETE")
    first = box.begin("begun")
    first.kill()
    first.wait()
    second = box.start()
    (box.outside / "go").write_text("go\n")
    assert second.wait() == 0
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)
    box.require_clean()


def test_the_run_folder_is_deleted_after_all_is_merged(box: Sandbox) -> None:
    partial(box, [item(1), item(2)], [item(4, 1)]).milestone()
    main = box.rev()
    starts = box.starts()
    box.run("rm", "-r", ".milestone")
    done = box.milestone(rc=None)
    assert box.starts() == starts, done.text
    assert box.rev() == main
    box.require_landed(1, 2, 4, 5)


DAMAGE = [  # what is no receipt at all reads as nothing, as tests/unit/test_receipts.py shows
    "",
    '{"version": 1}',
    '{"version": 1, "step": "overlay", "status": "x", "ended": 1, "items": [7]}',
]


@pytest.mark.parametrize("text", DAMAGE)
@pytest.mark.parametrize("tracked", [False, True])
def test_the_overlay_is_damaged_between_runs(box: Sandbox, text: str, tracked: bool) -> None:
    box.make(plan([[item(42), item(45)], [item(46)]]), files=files(42, 45, 46) if tracked else {})
    box.behave(42, PARTIAL)
    fail(box, 47)
    (box.root / ".milestone/3/overlay.json").write_text(text)
    box.mend(47)
    box.milestone()
    assert box.starts() == {42: 1, 45: 1, 46: 1, 47: 2}
    box.require_landed(42, 45, 46, 47)
    box.require_clean()


@pytest.mark.parametrize("make", [partial, heavy])
def test_what_had_made_a_followup_makes_it_again(box: Sandbox, make: Callable[[Sandbox], Sandbox]) -> None:
    """The overlay is damaged, and so is the receipt that repeats it."""
    issue = 1 if make is partial else 2
    fail(make(box), 3)
    for receipt in ("overlay.json", f"items/{issue}/merge.json"):
        (box.root / ".milestone/3" / receipt).write_text("{")
    box.behave(1, f"echo more > more.txt; {PARTIAL.removeprefix('work; ')}")
    box.behave(4, f"{'' if make is partial else 'for f in *.txt; do echo both > $f; done;'} work; report COMPLETE")
    box.milestone()
    # A session of item 1 goes on with what is left, and leaves a rest again; item 2 needs none.
    assert box.starts() == {1: 2 if make is partial else 1, 2: 1, 3: 1, 4: 1}
    assert {issue: len(found) for issue, found in box.squashes().items() if issue > 1} == (
        {2: 1, 4: 1} if make is partial else {4: 1}
    )
    box.require_clean()


@pytest.mark.parametrize("text", DAMAGE[:2])
def test_the_overlay_is_damaged_within_a_run(box: Sandbox, text: str) -> None:
    box.make(plan([[item(1)], [item(2)]]))
    box.behave(1, PARTIAL)
    box.behave(2, f"printf '%s' '{text}' > '{box.root}/.milestone/3/overlay.json'; work; report COMPLETE")
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)
    box.require_clean()
