"""Runs the tool with a stopwatch on its steps and its processes: `python traced.py OUT milestone n=7`.

OUT gets, as JSON, `spans`, a list of [name, begin, end] in the clock of `time.perf_counter`, which processes share
on Linux, and the processor's seconds, `self` and `children`.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()
WHO = {"self": resource.RUSAGE_SELF, "children": resource.RUSAGE_CHILDREN}
spans: list[tuple[str, float, float]] = []


def timed(name: str, work: Callable[..., Any], tell: Callable[..., str] | None = None) -> Callable[..., Any]:
    """Wrap a function so that each call is noted; `tell` makes a name of its own out of the arguments."""

    @functools.wraps(work)
    def call(*args: Any, **words: Any) -> Any:
        began = time.perf_counter()
        try:
            return work(*args, **words)
        finally:
            spans.append((tell(*args) if tell else name, began, time.perf_counter()))

    return call


def git_name(argv: Sequence[str], *_: Any) -> str:
    """Name a process by its git command."""
    words = [word for word in argv[1:] if not word.startswith("-") and "=" not in word]
    return f"git {' '.join(words[: 2 if words[:1] == ['worktree'] else 1])}" if argv[0] == "git" else argv[0]


def install() -> None:
    """Put the stopwatch on steps, sessions, receipts and processes."""
    from work_milestone.git import worktrees
    from work_milestone.graph import opening
    from work_milestone.landing import closing, landing
    from work_milestone.merging import integration, queue
    from work_milestone.preflight import checks
    from work_milestone.report import relay, settlement, summary
    from work_milestone.run import Step
    from work_milestone.sessions import preparation, results
    from work_milestone.supervision import attempts
    from work_milestone.system import files, process

    steps: dict[Any, tuple[str, ...]] = {
        opening: ("open_run",), checks: ("check",), integration: ("begin",),
        preparation: ("prepare", "write_lock", "write_prompt"), results: ("judge",), queue: ("merge",),
        settlement: ("require_settled",), relay: ("settle", "write"), landing: ("check", "land"), closing: ("close",),
        summary: ("print_summary",), attempts: ("start",), files: ("write_atomic",),
        worktrees.Pool: ("take", "remove_all"), attempts.Supervised: ("wait",),
    }  # fmt: skip
    for home, names in steps.items():
        for name in names:
            label = f"{home.__name__.rpartition('.')[2]}.{name}"
            work = getattr(home, name)
            if isinstance(work, Step):
                setattr(home, name, dataclasses.replace(work, act=timed(label, work.act)))
            else:
                setattr(home, name, timed(label, work))
    process.run = timed("process.run", process.run, git_name)


def main() -> None:
    """Run doit as its own script does, and leave the spans."""
    out = Path(sys.argv.pop(1))
    from doit.__main__ import main as doit

    spans.append(("import doit", BEGAN, time.perf_counter()))
    began = time.perf_counter()
    install()
    spans.append(("import work_milestone", began, time.perf_counter()))
    try:
        sys.exit(doit())
    finally:
        spans.append(("end", time.perf_counter(), time.perf_counter()))
        used = {name: sum(resource.getrusage(who)[:2]) for name, who in WHO.items()}
        out.write_text(json.dumps({"spans": [("begin", BEGAN, BEGAN), *spans], **used}))


if __name__ == "__main__":
    main()
