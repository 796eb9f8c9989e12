"""Generations: a run whose merges brought up follow-ups goes on with a new graph, in its own place.

Rules:
- The process replaces itself: same pid, same terminal, and the run lock handed over, so that there is no moment at
  which another run could begin.
- What has had its turn in this run, and failed, is not tried again by a later generation: that is for the next time
  that a person types the line.
"""

from __future__ import annotations

import os
import sys

from work_milestone.run import Run
from work_milestone.system import process
from work_milestone.text import count

VARIABLE = "WORK_MILESTONE_GENERATION"
_MOVING = ("-f", "-d", "-k", "--file", "--dir", "--seek-file")  # after these, the words mean another folder


def take_over(run: Run) -> None:
    """Take over what the generation before, this very process, has handed down."""
    pid, _, descriptor = os.environ.pop(VARIABLE, "").partition(":")
    if pid == str(os.getpid()) and descriptor.isdecimal():
        run.continues = True
        run.lock.inherit(int(descriptor))


def can_follow(run: Run) -> bool:
    """Tell whether sessions may start, and the line that was typed means the same when it is run again from here."""
    return not run.breaker.halted and not any(word.startswith(_MOVING) for word in sys.argv[1:])


def follow(run: Run) -> None:
    """Replace this process by one with a graph that has the follow-ups; return only when that cannot be."""
    waiting = [f"#{issue}" for issue in run.dispatch.waiting]
    descriptor = run.lock.hand_down()
    if descriptor is None:
        return
    run.tell("followups", "next", f"{count(len(waiting), 'follow-up')} to be worked: {', '.join(waiting[:20])}")
    process.replace([sys.executable, *sys.orig_argv[1:]], {VARIABLE: f"{os.getpid()}:{descriptor}"})
