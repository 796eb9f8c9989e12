"""The order in which steps start, seen in what a real doit really did."""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from doit import control
from work_milestone.graph import schedule

WATCHDOG = 60  # seconds; a hang fails its test with what was done until then
ORDER = ("worktree", "lock", "prompt", "spawn", "merge", "item")
# Each step appends `start NAME` and `end NAME` to a log. `waits` has a step's action wait for the ends of others as
# doit has seen them, `fails` has it fail, `fresh` says that it is up to date; memory is short until `room_at` starts.
DODO = """
import hashlib, json, os, pathlib, threading
from collections import defaultdict
from work_milestone.system import machine
from work_milestone.graph import schedule

ask = json.loads(pathlib.Path("ask.json").read_text())
schedule.install(ask["slots"], lambda issue: ask["ranks"].get(str(issue), 0),
                 lambda issue: issue in ask.get("mends", ()))
memory = pathlib.Path("meminfo")
if ask["room_at"]:
    machine.MEMINFO = memory
    memory.write_text("MemAvailable: 1000 kB\\n")
log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
ended = defaultdict(threading.Event)
busy = b"x" * 500_000


class Reporter:
    def __init__(self, *_):
        self.failed = False
    def initialize(self, *_): pass
    def add_success(self, task):
        ended[task.name].set()
    def add_failure(self, task, fail):
        ended[task.name].set()
        os.write(log, f"failed {task.name}\\n".encode())
    def complete_run(self): pass
    def runtime_error(self, msg):
        os.write(log, f"broken {msg}\\n".encode())
    get_status = execute_task = skip_ignore = teardown_task = cleanup_error = complete_run = lambda self, *_: None
    skip_uptodate = add_success


DOIT_CONFIG = {"par_type": "thread", "dep_file": ":memory:", "backend": "sqlite3", "continue": True,
               "reporter": Reporter, "verbosity": 0}


def work(name):
    os.write(log, f"start {name}\\n".encode())
    if name == ask["room_at"]:
        memory.write_text("MemAvailable: 9000000 kB\\n")
    for other in ask["waits"].get(name, ()):
        if not ended[other].wait(30):
            os.write(log, f"lonely {name}\\n".encode())
    hashlib.sha256(busy).digest()  # other threads run meanwhile
    os.write(log, f"end {name}\\n".encode())
    return name not in ask["fails"]


def task_all():
    yield {"basename": "branch", "actions": [(work, ["branch"])], "io": {"capture": False}}
    for issue, before in ask["items"]:
        before = ["branch", *before]
        for step in ("worktree", "lock", "prompt", "spawn", "merge", "item"):
            name = f"{step}:{issue}"
            yield {"basename": name, "actions": [(work, [name])], "task_dep": before, "io": {"capture": False},
                   "uptodate": [name in ask["fresh"]]}
            before = [name]
    yield {"basename": "end", "actions": [(work, ["end"])], "io": {"capture": False},
           "task_dep": [f"item:{issue}" for issue, _ in ask["items"]]}
"""
Items = Sequence[int] | Mapping[int, Sequence[str]]


class Seen(list[tuple[str, str]]):
    """What happened, in order: `(start | end | failed, name)`."""

    def only(self, what: str, step: str) -> list[int]:
        """The issues of a step, in the order in which it started, ended or failed."""
        return [int(name.partition(":")[2]) for kind, name in self if kind == what and name.startswith(f"{step}:")]

    def most_at_once(self, first: str, last: str) -> int:
        """How many items were at once between the start of one step and the end of another."""
        inside, most = 0, 0
        for kind, name in self:
            inside += (kind, name.partition(":")[0]) == ("start", first)
            most = max(most, inside)
            inside -= (kind, name.partition(":")[0]) == ("end", last)
        return most


def work(
    folder: Path, items: Items, *, slots: int = 2, workers: int | None = None, names: Sequence[str] = ("end",),
    ranks: Mapping[int, int] | None = None, waits: Mapping[str, Iterable[str]] | None = None,
    fails: Iterable[str] = (), fresh: Iterable[str] = (), room_at: str = "", code: int = 0,
) -> Seen:  # fmt: skip
    """Have doit work on items, in a process of its own."""
    rows = items if isinstance(items, Mapping) else dict.fromkeys(items, ())
    ask: dict[str, Any] = {
        "items": [[issue, list(before)] for issue, before in rows.items()], "slots": slots, "ranks": dict(ranks or {}),
        "waits": {name: list(others) for name, others in (waits or {}).items()}, "fails": [*fails], "fresh": [*fresh],
        "room_at": room_at,
    }  # fmt: skip
    (folder / "dodo.py").write_text(DODO)
    (folder / "ask.json").write_text(json.dumps(ask))
    number = slots + schedule.SPARE_WORKERS if workers is None else workers
    argv = [sys.executable, "-m", "doit", "-n", str(number), *names]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=WATCHDOG, check=False)
    rows_seen = [line.split(" ", 1) for line in (folder / "log").read_text().splitlines()]
    assert (done.returncode, done.stderr) == (code, ""), rows_seen[-20:]
    assert not [row for row in rows_seen if row[0] in ("lonely", "broken")]
    return Seen((kind, name) for kind, name in rows_seen)


def everything(items: Iterable[int]) -> set[str]:
    return {f"{step}:{issue}" for issue in items for step in ORDER} | {"branch", "end"}


def worked(seen: Seen) -> set[str]:
    names = [name for kind, name in seen if kind == "end"]
    assert len(names) == len(set(names)), "no step is worked twice"
    return set(names)


# the merge queue


def test_merges_never_overlap(tmp_path: Path) -> None:
    items = range(1, 13)
    together = {f"merge:{issue}": [f"spawn:{other}" for other in range(1, 5)] for issue in range(1, 5)}
    seen = work(tmp_path, items, slots=12, workers=14, waits=together)
    assert seen.most_at_once("merge", "merge") == 1
    assert worked(seen) == everything(items)


@pytest.mark.parametrize("order", [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [3, 1, 5, 2, 4]])
def test_merges_go_in_order_of_return(tmp_path: Path, order: list[int]) -> None:
    """Each session waits until doit knows of the end of the one before; the first merge until it knows all."""
    waits = {f"spawn:{later}": [f"spawn:{earlier}"] for earlier, later in itertools.pairwise(order)}
    waits[f"merge:{order[0]}"] = [f"spawn:{issue}" for issue in order]
    seen = work(tmp_path, range(1, 6), slots=5, waits=waits, ranks={1: 3, 2: 0, 3: 2, 4: 1, 5: 3})
    assert seen.only("start", "merge") == order


def test_a_merge_goes_before_sessions_that_could_start(tmp_path: Path) -> None:
    seen = work(tmp_path, range(1, 9), slots=1, workers=1)
    starts = [name for kind, name in seen if kind == "start"]
    order = seen.only("start", "worktree")
    assert sorted(order) == [*range(1, 9)]
    for issue, later in itertools.pairwise(order):
        assert starts.index(f"merge:{issue}") < starts.index(f"worktree:{later}")


@pytest.mark.parametrize("step", ["merge", "item"])
def test_a_merge_that_fails_lets_the_next_one_go(tmp_path: Path, step: str) -> None:
    seen = work(tmp_path, range(1, 5), fails=[f"{step}:1", f"{step}:3"], code=2)
    assert sorted(seen.only("end", "merge")) == [1, 2, 3, 4]
    assert seen.most_at_once("merge", "merge") == 1


# slots


@pytest.mark.parametrize("workers", [0, 1, 2, 5, 20])
@pytest.mark.parametrize("slots", [1, 3])
def test_never_more_than_slots(tmp_path: Path, slots: int, workers: int) -> None:
    seen = work(tmp_path, range(1, 11), slots=slots, workers=workers)
    assert seen.most_at_once("worktree", "spawn") <= slots
    assert worked(seen) == everything(range(1, 11))


def test_all_slots_are_used(tmp_path: Path) -> None:
    """Three sessions that wait for each other's prompts would hang with fewer than three slots."""
    prompts = [f"prompt:{issue}" for issue in (1, 2, 3)]
    seen = work(tmp_path, range(1, 10), slots=3, waits={f"spawn:{issue}": prompts for issue in (1, 2, 3)})
    assert seen.most_at_once("worktree", "spawn") == 3


@pytest.mark.parametrize("step", ["worktree", "lock", "prompt", "spawn"])
@pytest.mark.parametrize("workers", [0, 3])
def test_a_step_that_fails_gives_its_slot_back(tmp_path: Path, step: str, workers: int) -> None:
    seen = work(tmp_path, range(1, 7), slots=1, workers=workers, fails=[f"{step}:1", f"{step}:2", f"{step}:5"], code=2)
    assert sorted(seen.only("end", "item")) == [3, 4, 6]
    assert sorted(seen.only("failed", "merge")) == [1, 2, 5]


@pytest.mark.parametrize("steps", [ORDER[:1], ORDER[:3], ORDER[:4], ORDER])
def test_steps_that_are_done_hold_no_slot(tmp_path: Path, steps: Sequence[str]) -> None:
    fresh = [f"{step}:{issue}" for step in steps for issue in (1, 2, 3, 5)]
    seen = work(tmp_path, range(1, 7), slots=1, fresh=fresh)
    assert worked(seen) == everything(range(1, 7)) - set(fresh)


# memory


@pytest.mark.parametrize("workers", [0, 6])
def test_while_memory_is_short_nothing_enters_beside_another(tmp_path: Path, workers: int) -> None:
    seen = work(tmp_path, range(1, 6), slots=4, workers=workers, room_at="end")
    assert seen.most_at_once("worktree", "spawn") == 1
    assert worked(seen) == everything(range(1, 6))


def test_once_there_is_memory_as_many_enter_as_there_are_slots(tmp_path: Path) -> None:
    """None of the last four ends before all of them have begun."""
    prompts, ranks = [f"prompt:{issue}" for issue in range(3, 7)], {issue: issue for issue in range(1, 7)}
    waits = {f"spawn:{issue}": prompts for issue in range(3, 7)}
    seen = work(tmp_path, range(1, 7), slots=4, room_at="spawn:2", waits=waits, ranks=ranks)
    assert seen.index(("end", "spawn:1")) < seen.index(("start", "worktree:2"))
    assert seen.most_at_once("worktree", "spawn") == 4


def test_a_session_that_fails_while_memory_is_short_lets_the_next_one_in(tmp_path: Path) -> None:
    fails = ["worktree:1", "spawn:2", "prompt:3"]
    seen = work(tmp_path, range(1, 6), slots=4, room_at="end", fails=fails, code=2)
    assert sorted(seen.only("end", "item")) == [4, 5]


# priorities


@pytest.mark.parametrize("workers", [0, 3])
def test_lower_ranks_first(tmp_path: Path, workers: int) -> None:
    ranks = {1: 2, 2: 0, 3: 1, 4: 0, 5: -1, 6: 2}
    seen = work(tmp_path, range(1, 7), slots=1, workers=workers, ranks=ranks)
    order = [ranks[issue] for issue in seen.only("start", "worktree")]
    assert order == sorted(ranks.values())


def test_rank_beats_order_behind_a_barrier_too(tmp_path: Path) -> None:
    rows: dict[int, Sequence[str]] = {1: [], **{issue: ["merge:1"] for issue in range(2, 8)}}
    seen = work(tmp_path, rows, slots=1, ranks={issue: 8 - issue for issue in range(1, 8)})
    assert seen.only("start", "worktree") == [1, 7, 6, 5, 4, 3, 2]


# what is asked for


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["worktree:2"], {"worktree:2"}),
        (["worktree:1", "worktree:2", "worktree:3"], {"worktree:1", "worktree:2", "worktree:3"}),
        (["prompt:3"], {"worktree:3", "lock:3", "prompt:3"}),
        (["item:2"], {f"{step}:2" for step in ORDER}),
        (["item:1", "item:2"], {f"{step}:{issue}" for step in ORDER for issue in (1, 2)}),
    ],
)
def test_single_steps(tmp_path: Path, names: list[str], steps: set[str], workers: int) -> None:
    assert worked(work(tmp_path, (1, 2, 3), slots=1, workers=workers, names=names)) == steps | {"branch"}


@pytest.mark.parametrize("names", [["spawn:1", "worktree:2"], ["merge:1", "merge:2"]])
def test_without_threads_nothing_is_left_out(tmp_path: Path, names: list[str]) -> None:
    assert set(names) <= worked(work(tmp_path, (1, 2), slots=1, workers=0, names=names))


@pytest.mark.parametrize("shape", ["flat", "waves", "pairs"])
def test_many_items_finish(tmp_path: Path, shape: str) -> None:
    rows: dict[int, Sequence[str]] = {}
    for issue in range(1, 201):
        wave = (issue - 1) // 50
        before = {"flat": [], "waves": [f"item:{other}" for other in range(wave * 50 - 49, wave * 50 + 1) if wave],
                  "pairs": [f"merge:{issue - 2}"] if issue > 2 else []}  # fmt: skip
        rows[issue] = before[shape]
    seen = work(tmp_path, rows, slots=8, ranks={issue: issue % 4 for issue in rows})
    assert worked(seen) == everything(rows)
    assert seen.most_at_once("worktree", "spawn") <= 8
    assert seen.most_at_once("merge", "merge") == 1


# doit's internals


def test_doit_is_still_what_the_scheduler_was_made_for() -> None:
    """Should this fail after an upgrade of doit: read doit.control.TaskDispatcher anew, then mend schedule.py."""
    theirs: Any = schedule.Dispatcher.__base__
    methods = {name: tuple(inspect.signature(member).parameters) for name, member in vars(theirs).items()
               if inspect.isfunction(member)}  # fmt: skip
    assert methods == {
        "__init__": ("self", "tasks", "targets", "selected_tasks"),
        "_gen_node": ("self", "parent", "task_name"),
        "_node_add_wait_run": ("self", "node", "task_list", "calc"),
        "_add_task": ("args", "kwargs"),
        "_get_next_node": ("self", "ready", "tasks_to_run"),
        "_update_waiting": ("self", "processed"),
        "_process_calc_dep_results": ("self", "node", "waiting_node"),
        "_dispatcher_generator": ("self", "selected_tasks"),
    }
    attributes = {"tasks", "targets", "selected_tasks", "nodes", "waiting", "ready", "generator"}
    assert set(vars(theirs({}, {}, []))) == attributes
    assert {"task", "run_status"} <= set(vars(control.ExecNode(control.Task("a", []), None)))


def test_doit_asks_nothing_else_of_its_queue() -> None:
    """`ready` is the dispatcher itself here: doit may append to it and hand it to `_get_next_node`, no more."""
    source = ast.parse(textwrap.dedent(inspect.getsource(schedule.Dispatcher.__mro__[1])))
    uses = [ast.unparse(node) for node in ast.walk(source) if isinstance(node, ast.Call) and "self.ready" in
            [ast.unparse(child) for child in (*ast.walk(node.func), *node.args)]]  # fmt: skip
    assert {use.split("(")[0] for use in uses} == {"self.ready.append", "self._get_next_node"}
    mentions = [node for node in ast.walk(source) if ast.unparse(node) == "self.ready" and isinstance(node, ast.expr)]
    assert len(mentions) == len(uses) + 1, "and its making"


def test_install_is_what_doit_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "TaskDispatcher", control.TaskDispatcher)
    schedule.install(3, lambda issue: issue, lambda _issue: False)
    tasks = control.TaskControl([control.Task("a", [])])
    tasks.process(None)
    assert isinstance(tasks.task_dispatcher(), schedule.Dispatcher)


@pytest.mark.parametrize("workers", [0, 1, 4])
@pytest.mark.parametrize("names", [["spawn:1", "worktree:2"], ["spawn:1", "spawn:2"], ["merge:1", "merge:2"]])
def test_ends_with_nothing_behind_them(tmp_path: Path, names: list[str], workers: int) -> None:
    slots = 2 if names[0] == "merge:1" else 1
    waits = {"merge:1": ["spawn:2"], "merge:2": ["spawn:1"]} if workers > 1 and slots == 2 else {}
    seen = work(tmp_path, (1, 2), slots=slots, workers=workers, names=names, waits=waits)
    assert set(names) <= worked(seen)
