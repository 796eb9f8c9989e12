"""What the supervisor costs: time from starting to the agent's exec, against a bare subprocess, and memory.

`python tests/bench/supervisor_start.py [ROUNDS]` prints a table; both ways take turns within one run.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2] / "lib"))

from work_milestone import attempts

# The agent says when it began, in the clock of `time.monotonic()`, and waits until the FIFO is let go.
AGENT = "import time; now = time.monotonic(); print(now, flush=True); import sys; open(sys.argv[1]).read()"


def measure(folder: Path, number: int, *, supervised: bool) -> tuple[float, float]:
    """Start one agent; seconds until it began, and the supervisor's resident memory in MB."""
    fifo, out = folder / f"fifo-{number}-{supervised}", folder / f"out-{number}"
    os.mkfifo(fifo)
    argv = [sys.executable, "-I", "-S", "-c", AGENT, str(fifo)]
    mark, memory = f"bench-{os.getpid()}", 0.0
    began = time.monotonic()
    if supervised:
        attempt = folder / "attempts" / str(number)
        session = attempts.start(attempt, argv, cwd=folder, env=os.environ, stdin=Path("-"), timeout=60, mark=mark)
        with fifo.open("wb"):
            memory = psutil.Process(session.pid).memory_info().rss / 1e6
        session.wait()
        out = attempt / "stdout"
    else:
        with out.open("wb") as file, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=file):
            fifo.open("wb").close()
    return float(out.read_text()) - began, memory


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as name:
        bare, over, memory = [], [], []
        for number in range(rounds):
            bare.append(1000 * measure(Path(name), number, supervised=False)[0])
            seconds, resident = measure(Path(name), number, supervised=True)
            over.append(1000 * seconds)
            memory.append(resident)
    difference = [b - a for a, b in zip(bare, over, strict=True)]
    rows = {"bare subprocess (ms)": bare, "supervised (ms)": over, "difference (ms)": difference}
    rows["ratio"] = [b / a for a, b in zip(bare, over, strict=True)]
    rows["supervisor's resident memory (MB)"] = memory
    print(f"{f'start to the agent, {rounds} rounds':36}{'median':>10}{'worst':>10}")
    for title, values in rows.items():
        print(f"{title:36}{statistics.median(values):10.1f}{max(values):10.1f}")


if __name__ == "__main__":
    main()
