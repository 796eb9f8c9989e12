"""A run of twelve items, disturbed at moments that a seed draws until it ends by itself: nothing lost, nor paid twice.

What is disturbed: the run, by SIGKILL (fifty runs, each hit by at least one) and by what a person, or a machine that
shuts down, sends; the supervisors, by SIGKILL. A moment is a little after a line of the journal, drawn among those that
are still to come: a signal that finds the run over does not count. The agents are shell lines of a length that the seed
draws; those of a conflict group change one file.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from tests.e2e.harness import LIMIT, Command, Sandbox, await_text, item, plan

RUNS, BATCHES = 50, 10  # killed runs, spread over as many tests
MOST = 10  # runs until one is hit at its moment
STOPPED = 4  # runs, by each of the polite signals
WAVES: list[dict[int, tuple[int, ...]]] = [  # items, each with what it depends on
    {1: (), 2: (), 3: (), 4: ()},
    {5: (1,), 6: (2, 3), 7: (), 8: ()},
    {9: (5,), 10: (), 11: (8,), 12: (4,)},
]
ISSUES = range(1, 13)
GROUPS = {1: (1, 5, 9), 2: (2, 7, 12)}  # one of each wave
SCHEDULES = ("waves", "eager")
LENGTH = 0.25  # seconds that an agent takes at most
STEP, LOADED = 0.1, 0.5  # seconds: about what comes between two lines of the journal, and before the first
LOOK = 0.01  # seconds between two looks at it
# Three agents of four do not end while their run is gone, however long it takes to come back: they are adopted.
PATIENT = """adopted='"adopted".*"issue": '$MILESTONE_ITEM,
until kill -0 "$run" || grep -q "$adopted" ../../journal.jsonl; do sleep 0.05; done 2> /dev/null"""
POLITE = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}  # the run's exit code
MADE = 'echo "$MILESTONE_ITEM $MILESTONE_ATTEMPT $(git rev-parse HEAD)" >> "$OUT/made"'
# What an agent leaves at work: in a session of its own, and holding the lock by which two at once are seen.
LEFT = "setsid sleep 1000 &"


def make(base: Path, draw: random.Random, schedule: str, *, extra: str = ":") -> Sandbox:
    """A repository with a plan of three waves and two conflict groups, four slots, and its agents."""
    base.mkdir()
    box = Sandbox(base)
    group_of = {issue: group for group, issues in GROUPS.items() for issue in issues}
    items = [[item(issue, *after, conflict_group=group_of.get(issue)) for issue, after in wave.items()]
             for wave in WAVES]  # fmt: skip
    document = yaml.safe_load(plan(items, pre=["! test -e half.txt"], post=[":"]))
    document["conflict_groups"] = [
        {"group_id": group, "reason": "one file", "items": [f"Item {issue}" for issue in issues]}
        for group, issues in GROUPS.items()
    ]
    for issue in ISSUES:
        shared = f"echo {issue} >> group-{group_of[issue]}.txt" if issue in group_of else ":"
        first, then = draw.random() * LENGTH, draw.random() * LENGTH / 2
        patient = PATIENT if draw.random() < 3 / 4 else ":"
        script = ['run=$(cat "$OUT/doit.pid")', extra, "echo half > half.txt", "commit 'wip: half'", MADE,
                  f"sleep {first:.3f}", shared, "git rm -q half.txt", "work", MADE,
                  f"sleep {then:.3f}", patient, "report COMPLETE"]  # fmt: skip
        box.behave(issue, "\n".join(script))
    return box.make(yaml.safe_dump(document, sort_keys=False), schedule=schedule)


def count_told(box: Sandbox) -> int:
    """How many lines the journal has."""
    journal = box.root / ".milestone/3/journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def outlives(run: Command, seconds: float) -> bool:
    """Wait so long, or for the run's end; tell whether it is still at work."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        run.wait(seconds)
    return run.returncode is None


def await_moment(box: Sandbox, run: Command, draw: random.Random, lines: int) -> bool:
    """Wait until the journal has so many lines, and then a little; tell whether the run is still at work."""
    begun = count_told(box)
    while count_told(box) < lines and outlives(run, LOOK):
        pass
    return outlives(run, draw.random() * (STEP if count_told(box) > begun else LOADED))


def end_by_itself(
    box: Sandbox, draw: random.Random, part: float, lines: int, numbers: Sequence[signal.Signals]
) -> list[int]:
    """Type the line once for each signal, and send it when its moment comes; return the codes that it ended with.

    The first comes after that part of the `lines` of an undisturbed run, each other among those that are left.
    """
    codes = []
    for number in numbers:
        begun = count_told(box)
        with box.start() as run:
            if await_moment(box, run, draw, begun + int(part * (lines - begun))):
                run.send_signal(number)
            code = run.wait(LIMIT)
        codes.append(code)
        if code == 0:
            return codes
        told = box.lines("output")
        # Before the tool is loaded it ends as any program in Python does.
        if code != -number and told[-1:] != ["KeyboardInterrupt"]:
            assert code == POLITE[number], "\n".join(told)
            assert "Traceback" not in "\n".join(told)
        (box.outside / "output").write_text("")
        part = draw.random()
    box.milestone()
    return [*codes, 0]


def attempts_of(box: Sandbox, issue: int) -> dict[int, str | None]:
    """The attempts of an item that had a supervisor, each with the reason of its end; None where it has no record."""
    found: dict[int, str | None] = {}
    for lock in (box.root / f".milestone/3/items/{issue}/attempts").glob("*/lock"):
        record = lock.with_name("exit.json")
        found[int(lock.parent.name)] = json.loads(record.read_text())["reason"] if record.exists() else None
    return dict(sorted(found.items()))


def require_whole(box: Sandbox, tree: str) -> None:
    """All is as if nothing had happened, and no commit of any agent's is lost."""
    assert box.rev("main^{tree}") == tree
    box.require_done(*ISSUES)
    assert not list((box.root / ".git").rglob("*.lock"))
    assert not (box.root / ".milestone/3/run.lock").exists()
    assert not (box.root / ".milestone/3/worktrees").exists()
    made = {line.split()[2] for line in box.lines("made")}
    heads = box.git("log", "--format=%(trailers:key=Milestone-Head,valueonly)", "main").split()
    assert box.git("rev-list", *made, "--not", "--all", *heads) == ""


def count_adopted(box: Sandbox) -> int:
    return (box.root / ".milestone/3/journal.jsonl").read_text().count('"adopted"')


def require_started_once(box: Sandbox) -> None:
    assert box.starts() == dict.fromkeys(ISSUES, 1)
    assert not [ref for ref in box.refs() if "/attempt/" in ref]


@dataclass(frozen=True)
class Expected:
    """What a run that nobody disturbs ends with, and how many lines its journal has."""

    tree: str
    lines: int


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Expected]:
    """What is expected, by schedule."""
    found = {}
    for schedule in SCHEDULES:
        box = make(tmp_path_factory.mktemp("undisturbed") / "box", random.Random(0), schedule)
        box.milestone()
        found[schedule] = Expected(box.rev("main^{tree}"), count_told(box))
        require_whole(box, found[schedule].tree)
        require_started_once(box)
        assert box.show("group-1.txt").split() == ["1", "5", "9"]
        box.remove()
    return found


# the run


@pytest.mark.parametrize("batch", range(BATCHES))
def test_killed_at_any_moment(undisturbed: Mapping[str, Expected], tmp_path: Path, batch: int) -> None:
    adopted, numbers = 0, range(batch, RUNS, BATCHES)
    for number in numbers:
        draw, schedule = random.Random(number), SCHEDULES[number // BATCHES % 2]
        expected, part, killed, tries = undisturbed[schedule], (number + draw.random()) / RUNS, 0, 0
        # It may have ended before its moment: then it is none of the fifty. And one of each batch finds a session at
        # work that the next run adopts, which most do.
        while tries < MOST and (not killed or (number == numbers[-1] and not adopted)):
            tries += 1
            box = make(tmp_path / f"{number}-{part}", draw, schedule)
            kills = [signal.SIGKILL] * draw.randint(1, 3)
            killed += end_by_itself(box, draw, part, expected.lines, kills).count(-signal.SIGKILL)
            require_whole(box, expected.tree)
            require_started_once(box)
            adopted += count_adopted(box)
            box.remove()
            part = draw.random()
        assert killed, "each run was over before its moment"
    assert adopted, "no kill found a session at work that the next run adopts"


@pytest.mark.parametrize("seed", range(STOPPED))
@pytest.mark.parametrize("number", list(POLITE))
def test_stopped_at_any_moment(
    undisturbed: Mapping[str, Expected], tmp_path: Path, number: signal.Signals, seed: int
) -> None:
    draw, schedule = random.Random(seed), SCHEDULES[seed % 2]
    expected, part = undisturbed[schedule], (seed + draw.random()) / STOPPED
    for _ in range(MOST):
        box = make(tmp_path / f"{part}", draw, schedule)
        codes = end_by_itself(box, draw, part, expected.lines, [number] * 3)
        require_whole(box, expected.tree)
        if number == signal.SIGHUP:
            require_started_once(box)
        else:
            require_begun_anew_where_stopped(box)
        box.remove()
        if codes != [0]:
            return
        part = draw.random()
    pytest.fail("each run was over before its moment")


def require_begun_anew_where_stopped(box: Sandbox) -> None:
    """An attempt that was ended with its run is followed by another, and no other attempt is."""
    for issue in ISSUES:
        *earlier, last = attempts_of(box, issue).values()
        assert (set(earlier) <= {"stopped"}, last) == (True, "exited"), (issue, earlier, last)
        assert 1 <= box.starts()[issue] <= len(earlier) + 1


DEAF = """[ -e "$OUT/stopped" ] || { trap '' TERM INT; echo "$MILESTONE_ITEM" >> "$OUT/deaf"; exec sleep 1000; }"""


@pytest.mark.parametrize("seed", range(STOPPED))
def test_a_second_stop_at_any_moment_of_the_first(
    undisturbed: Mapping[str, Expected], tmp_path: Path, seed: int
) -> None:
    draw, schedule = random.Random(seed), SCHEDULES[seed % 2]
    expected, box = undisturbed[schedule], make(tmp_path / "box", draw, schedule, extra=DEAF)
    first, second = (draw.choice([signal.SIGINT, signal.SIGTERM]) for _ in range(2))
    with box.start() as run:
        await_text(box.outside / "deaf", "\n")
        run.send_signal(first)
        with pytest.raises(subprocess.TimeoutExpired):
            run.wait(draw.random())
        run.send_signal(second)
        assert run.wait(LIMIT) == POLITE[first]
    assert box.processes() == []
    (box.outside / "stopped").touch()
    box.milestone()
    require_whole(box, expected.tree)
    require_begun_anew_where_stopped(box)


# the supervisors


def find_supervisors(box: Sandbox) -> dict[psutil.Process, tuple[int, int]]:
    """The supervisors that are at work, each with its item and attempt."""
    ours = {one.pid: one for one in box.processes()}
    found = {}
    for path in (box.root / ".milestone/3/items").glob("*/attempts/*/supervisor.json"):
        one = ours.get(json.loads(path.read_text())["pid"])
        if one and not path.with_name("exit.json").exists():
            found[one] = int(path.parts[-4]), int(path.parts[-2])
    return found


@pytest.mark.parametrize("seed", range(8))
def test_supervisors_killed_at_any_moment(undisturbed: Mapping[str, Expected], tmp_path: Path, seed: int) -> None:
    """In every other seed the run itself is killed too, after them."""
    draw, schedule = random.Random(seed), SCHEDULES[seed % 2]
    expected = undisturbed[schedule]
    for _ in range(MOST):
        struck = set[tuple[int, int]]()
        box = make(tmp_path / str(draw.random()), draw, schedule, extra=LEFT)
        for run_too in ([True] * 2 if seed % 4 > 1 else []) + [False] * 3:
            with box.start() as run:
                kill_supervisors(box, run, draw, struck, expected.lines)
                run.kill() if run_too else None
                code = run.wait(LIMIT)
            assert code in (0, -signal.SIGKILL), "\n".join(box.lines("output"))
        require_whole(box, expected.tree)
        dead = count_worked_again(box, struck)
        box.remove()
        if dead:
            return
    pytest.fail("no supervisor was at work at any of the moments")


def kill_supervisors(box: Sandbox, run: Command, draw: random.Random, struck: set[tuple[int, int]], lines: int) -> None:
    """Kill the supervisors of three attempts, of three items, while a run is at work; note which."""
    for _ in range(3):
        if not await_moment(box, run, draw, count_told(box) + draw.randint(0, lines // 4)):
            return
        items = {issue for issue, _ in struck}
        at_work = [(own, one) for one, own in find_supervisors(box).items() if own[0] not in items]
        if at_work:
            own, one = draw.choice(sorted(at_work, key=lambda row: row[0]))
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                one.kill()
                struck.add(own)


def count_worked_again(box: Sandbox, struck: set[tuple[int, int]]) -> int:
    """An attempt whose supervisor was killed is followed by another, its commits pinned, and no other attempt is."""
    dead = set[tuple[int, int]]()
    for issue in ISSUES:
        reasons = attempts_of(box, issue)
        dead |= {(issue, number) for number, reason in reasons.items() if reason is None}
        assert list(reasons.values())[-1] == "exited"
        assert len(reasons) - list(reasons.values()).count(None) == 1
    assert dead <= struck
    for line in box.lines("made"):
        name, number, commit = line.split()
        if (int(name), int(number)) in dead:
            ref = f"refs/milestone/3/attempt/{name}/{number}"
            assert box.run("git", "merge-base", "--is-ancestor", commit, ref).rc == 0, line
    assert all(box.starts()[issue] <= len(attempts_of(box, issue)) for issue in ISSUES)
    assert all(box.starts()[issue] == 1 for issue in set(ISSUES) - {issue for issue, _ in dead})
    return len(dead)
