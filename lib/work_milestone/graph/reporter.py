"""What the user sees while doit runs: a line an event, and at the end how every item stands.

Rules:
- A fault of the user's is told in its own words, never with a traceback; a fault of this tool's leaves its
  traceback in the run folder, and the line says where.
- Exit codes: 0 all that was asked for is done, 1 something is not, 2 the tool itself failed, 128+n ended by
  signal n.
- Once nobody reads the output any more (`| head`), the run goes on in silence.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Any, TextIO

from work_milestone.graph import generations
from work_milestone.report import Page, summary
from work_milestone.run import Run
from work_milestone.store import Event
from work_milestone.system import MilestoneError, files, process, signals
from work_milestone.text import masking, span, wants_color

OK, UNSETTLED, BROKEN = 0, 1, 2
PATIENCE = 15.0  # seconds; a supervisor is done within TERM, 2 s, KILL, and a sweep
BEGINNING = ("preflight", "baseline")  # where one of them fails, nothing is under way that could be summed up
COLORS = {"complete": "32", "merged": "32", "passed": "32", "landed": "32", "closed": "32", "started": "36",
          "adopted": "36", "accepted": "33", "mended": "32", "settled": "1", "written": "2", "note": "33",
          "waiting": "33", "partial": "33", "retry": "33", "skipped": "33", "ready": "2"}  # fmt: skip


class Console:
    """Writes to a stream that may be closed any time; colours only on a terminal and without NO_COLOR."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream
        self.color = wants_color(stream)

    def write(self, text: str) -> None:
        """Write text, if anybody still reads."""
        if self.stream is None:
            return
        try:
            self.stream.write(masking.mask(text))
            self.stream.flush()
        except (BrokenPipeError, ValueError):
            self.close()

    def close(self) -> None:
        """Write no more: what is still in the buffer would fail again when Python ends."""
        if self.stream is not None:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
        self.stream = None

    def paint(self, text: str, color: str | None) -> str:
        """Colour a text, where colours are wanted."""
        return f"\x1b[{color}m{text}\x1b[0m" if self.color and color else text


def print_event(console: Console, event: Event) -> None:
    """Write an event as one line: time, item, step, outcome, detail, elapsed, cost."""
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    item = f"#{event.issue}" if event.issue is not None else ""
    outcome = console.paint(f"{event.outcome:<9}", COLORS.get(event.outcome, "31"))
    ends = [span(event.elapsed), f"${event.cost:.2f}" if event.cost is not None else ""]
    tail = "  ".join(part for part in (event.detail, *ends) if part)
    console.write(f"{clock}  {item:<6} {event.step:<9} {outcome} {tail}".rstrip() + "\n")


class Reporter:
    """doit's reporter, made for one run by `make`."""

    run: Run

    def __init__(self, outstream: TextIO | None, _options: dict[str, Any]) -> None:
        self.out = Console(outstream)
        self.err = Console(sys.stderr)
        self.failures: list[tuple[str, str, bool]] = []
        self.works = False
        self.told = 0
        self.left: set[str] = set()  # what was asked for and has neither run nor been found done

    def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """Begin: events are shown when steps are worked, and not just a verb."""
        self.works = any("baseline" in tasks[name].task_dep or name in ("branch", *BEGINNING) for name in selected)
        self.works = self.works or any(task.startswith(("item:", "milestone")) for task in selected)
        self.run.journal.listeners.append(self._tell)
        self.left = set(selected)

    def _tell(self, event: Event) -> None:
        self.told += 1
        print_event(self.out, event)

    def add_success(self, task: Any) -> None:
        """Note what has come to its end, or is there already."""
        self.left.discard(task.name)

    skip_uptodate = add_success

    def add_failure(self, task: Any, fail: Any) -> None:
        """Keep a failure for the end, or tell it now where the end does not name it."""
        kind = type(fail).__name__
        if kind == "UnmetDependency":
            return
        broken = kind != "TaskFailed"
        self.failures.append((task.name, fail.message if not broken else fail.get_msg(), broken))
        if broken:
            self._tell_crash(task.name, fail.get_msg())
        elif task.name != "followups" and not task.name.startswith("item:"):
            self.err.write(self.err.paint(f"{task.name}: ", "31") + f"{fail.message}\n")

    def _tell_crash(self, name: str, traceback: str) -> None:
        last = traceback.strip().splitlines()[-1] if traceback.strip() else "no message"
        path = self.run.milestone.folder.path / "crash.log"
        where = "no traceback could be written"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "a", encoding="utf-8", opener=files.private) as file:
                file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {name}\n{masking.mask(traceback)}\n")
            where = f"traceback in {path}"
        except OSError:
            pass
        self.err.write(self.err.paint(f"{name}: ", "31") + f"this tool failed: {last}; {where}\n")

    def complete_run(self) -> None:
        """End: wait for what is under way in a stop to be written down, tell where all stands, set the exit code."""
        if process.stopping.is_set():
            signals.at_work.end(PATIENCE)
        failed = {name for name, *_ in self.failures}
        broken = any(broken for *_, broken in self.failures)
        if "followups" in failed and not (signals.heard or broken) and generations.can_follow(self.run):
            generations.follow(self.run)
        if self.works and self.run.milestone.plan and not any(name in BEGINNING for name, *_ in self.failures):
            self._summarize()
        if signals.heard:
            raise SystemExit(128 + signals.heard[0])
        if self.left and not self.failures:
            # Whatever keeps doit from a step that nothing has failed before, it is not done.
            self.runtime_error(f"never came to its turn: {', '.join(sorted(self.left))}")
            broken = True
        raise SystemExit(BROKEN if broken else UNSETTLED if self.failures else OK)

    def _summarize(self) -> None:
        try:
            if self.told or self.failures:
                summary.print_summary(self.run, Page(self.out.write, color=self.out.color))
            else:
                self.out.write(f"{summary.describe(self.run)}; nothing to do\n")
        except MilestoneError as error:
            self.err.write(f"{error}\n")

    def runtime_error(self, msg: str) -> None:
        """Tell an error of the graph itself."""
        self.failures.append(("graph", msg, True))
        self.err.write(f"{msg}\n")

    def cleanup_error(self, exception: Any) -> None:
        """Tell an error of doit's cleaning up."""
        self.err.write(exception.get_msg())

    def get_status(self, task: Any) -> None:
        """Nothing: the journal tells."""

    execute_task = skip_ignore = teardown_task = get_status


def make(run: Run) -> type[Reporter]:
    """Return the reporter class of a run, as doit wants it."""
    return type("RunReporter", (Reporter,), {"run": run})
