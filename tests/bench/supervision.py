"""What standing over sessions costs: a supervisor's start and memory, and the run's own time while 64 of them wait.

An agent here is a shell that writes a line to one FIFO when it begins and waits for a line from another: it takes no
processor time while it waits, so that what is seen is the tool's.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil
from work_milestone.supervision import attempts

from tests.bench import scratch
from tests.bench.scratch import CHANGE, NUMBER, Ground
from tests.bench.tables import Figure

START = 60.0  # ms, from the call until the agent has begun
MEMORY = 15.0  # MB, resident
BUSY = 3.0  # % of one core, of the run's own process
LIVE = 64
PATIENCE = 120  # seconds; an agent that has not begun by then never does
SETTLE, STEADY = 2.0, 10.0  # seconds: until all is quiet after the last start, and of measuring
MB = 1e6
SHARES = {"pss": "with its share of what others have too", "uss": "its own alone"}
WAIT = 'echo > "$BEGUN"; read -r _ < "$GO"'
AGENT = ("/bin/sh", "-c", WAIT)


class Gate:
    """The two FIFOs, held open at both ends so that nobody waits for a reader or a writer."""

    def __init__(self, path: Path) -> None:
        self.env = {"BEGUN": str(path / "begun"), "GO": str(path / "go")}
        for name in self.env.values():
            os.mkfifo(name)
        self._begun, self._go = (os.open(name, os.O_RDWR) for name in self.env.values())

    def await_begun(self, agents: int = 1) -> None:
        """Wait until so many agents have begun. Raise SystemExit when they do not."""
        for number in range(agents):
            if not select.select([self._begun], [], [], PATIENCE)[0]:
                raise SystemExit(f"{number} of {agents} agents have begun after {PATIENCE} s")
            os.read(self._begun, 1)

    def let_go(self, agents: int = 1) -> None:
        """Let so many agents go on."""
        os.write(self._go, b"\n" * agents)


def start(where: Path | None, rounds: int) -> list[Figure]:
    """Start agents with and without a supervisor in turn, beside what starting anything at all takes here."""
    rows: list[dict[str, float]] = []
    with scratch.folder(where) as path:
        gate = Gate(path)
        env = {**scratch.environment(path / "home"), **gate.env}
        for number in range(1 + 5 * rounds):
            row = {"true": _end(["/bin/true"]), "python": _end([sys.executable, "-I", "-S", "-c", "pass"])}
            rows.append(row | _bare(gate, env) | _supervised(gate, env, path / f"attempt-{number}"))
    taken = {name: [row[name] for row in rows[1:]] for name in rows[0]}  # the first warms up
    own = [over - bare for over, bare in zip(taken["supervised"], taken["bare"], strict=True)]
    ratios = [over / floor for over, floor in zip(taken["supervised"], taken["python"], strict=True)]
    return [
        Figure("/bin/true, started and ended", "ms", taken["true"]),
        Figure("python -I -S -c pass, started and ended", "ms", taken["python"]),
        Figure("until an agent runs, bare", "ms", taken["bare"]),
        Figure("until an agent runs, supervised", "ms", taken["supervised"], START),
        Figure("  of that the supervisor", "ms", own),
        Figure("  against python -I -S -c pass", "times", ratios),
        Figure("a supervisor's memory, resident", "MB", taken["rss"], MEMORY),
        *(Figure(f"  {told}", "MB", taken[name]) for name, told in SHARES.items() if name in taken),
    ]


def _end(argv: Sequence[str]) -> float:
    """Start a program and wait for its end; ms."""
    began = time.perf_counter()
    subprocess.run(argv, check=True)
    return 1000 * (time.perf_counter() - began)


def _bare(gate: Gate, env: Mapping[str, str]) -> dict[str, float]:
    began = time.perf_counter()
    with subprocess.Popen(AGENT, env=env, stdin=subprocess.DEVNULL, start_new_session=True):
        gate.await_begun()
        taken = time.perf_counter() - began
        gate.let_go()
    return {"bare": 1000 * taken}


def _supervised(gate: Gate, env: Mapping[str, str], attempt: Path) -> dict[str, float]:
    began = time.perf_counter()
    session = attempts.start(attempt, AGENT, cwd=attempt.parent, env=env, stdin=Path("-"), timeout=60, mark="bench")
    gate.await_begun()
    taken = time.perf_counter() - began
    memory = _memory([psutil.Process(session.pid)])
    gate.let_go()
    session.wait()
    return {"supervised": 1000 * taken, **memory}


def _memory(processes: Sequence[psutil.Process]) -> dict[str, float]:
    """The memory of some processes together, by kind, in MB; shares only where the kernel tells them."""
    found = [one.memory_full_info()._asdict() for one in processes]
    return {kind: sum(one[kind] for one in found) / MB for kind in ("rss", *SHARES) if kind in found[0]}


def live(where: Path | None) -> list[Figure]:
    """Let one run stand over agents that only wait, and see what that takes."""
    with scratch.folder(where) as path:
        ground, gate = Ground(path), Gate(path)
        ground.env |= gate.env
        files = scratch.files([range(1, LIVE + 1)], f"{WAIT} && {CHANGE}")
        files["milestone.yaml"] = files["milestone.yaml"].replace(f": {scratch.SLOTS}\n", f": {LIVE}\n")
        files["milestone.yaml"] += "pass_env: [BEGUN, GO]\n"
        root = ground.repository("live", files)
        argv = [str(scratch.DOIT), "milestone", f"n={NUMBER}"]
        with subprocess.Popen(argv, cwd=root, env=ground.env, stdout=subprocess.DEVNULL) as doit:
            try:
                gate.await_begun(LIVE)
                found = _watch(psutil.Process(doit.pid))
                gate.let_go(LIVE)
            except BaseException:
                doit.terminate()
                raise
        if doit.returncode:
            raise SystemExit(f"{root}: the run with {LIVE} live sessions ended with exit code {doit.returncode}")
    return found


def _watch(run: psutil.Process) -> list[Figure]:
    """Measure a run and its supervisors from outside while nothing happens."""
    time.sleep(SETTLE)  # what follows the last start is no part of what is measured
    over = run.children()
    if len(over) != LIVE:
        raise SystemExit(f"{len(over)} supervisors, not {LIVE}")
    began, used, theirs = time.perf_counter(), _used([run]), _used(over)
    time.sleep(STEADY)
    passed = time.perf_counter() - began
    memory = _memory(over)
    return [
        Figure("the run", "% of a core", [100 * (_used([run]) - used) / passed], BUSY),
        Figure("the supervisors together", "% of a core", [100 * (_used(over) - theirs) / passed]),
        Figure("the run's memory, resident", "MB", [_memory([run])["rss"]]),
        Figure("the supervisors' together, resident", "MB", [memory["rss"]], LIVE * MEMORY),
        *(Figure(f"  {told}", "MB", [memory[name]]) for name, told in SHARES.items() if name in memory),
    ]


def _used(processes: Sequence[psutil.Process]) -> float:
    """Processor time that some processes have taken so far; seconds."""
    return sum(sum(one.cpu_times()[:2]) for one in processes)
