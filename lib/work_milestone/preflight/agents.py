"""What stands in a run's way among the agents that its items need, and those that may stand in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from work_milestone import agents
from work_milestone.run import Run
from work_milestone.sessions import environment
from work_milestone.settings import SessionSettings, check_agent, session_settings


def find_faults(run: Run) -> Iterator[str]:
    """Look for each agent that an item needs, once."""
    chosen, told = run.milestone.settings, set()
    for item in run.dispatch.items.values():
        settings = session_settings(chosen, item)
        fault = check_agent(settings.agent, tuple(chosen.agents))
        if fault is None and settings.agent == "command" and not settings.command:
            fault = f"#{item.issue}: agent `command` without a command; set command: in milestone.yaml or in the plan"
        faults = [fault] if fault else list(_look_at(run, settings))
        yield from (fault for fault in faults if fault not in told)
        told.update(faults)
    if "command" in chosen.fallback and not chosen.command:
        yield "fallback: agent `command` without a command; set command: in milestone.yaml, with agent: beside it"
    for name in chosen.fallback:
        faults = list(_look_at(run, session_settings(chosen, None, name)))
        yield from (fault for fault in faults if fault not in told)
        told.update(faults)


def find_notes(run: Run) -> Iterator[str]:
    """Give what the agents of unsettled items, and those that may stand in, have to say; each thing once."""
    chosen = run.milestone.settings
    own = [session_settings(chosen, item) for item in run.dispatch.items.values() if not run.is_settled(item.issue)]
    standing_in = [session_settings(chosen, None, name) for name in chosen.fallback]
    told: dict[str, None] = {}
    for settings in dict.fromkeys([*own, *standing_in]):
        worker = agents.find(settings.agent, chosen.agents)
        told |= dict.fromkeys(worker.find_notes(settings, environment.make(chosen, settings, worker, {})))
    yield from told


def _look_at(run: Run, settings: SessionSettings) -> Iterator[str]:
    """Look whether an agent is there, and what it says of its settings itself."""
    chosen = run.milestone.settings
    program, worker = agents.program(settings, chosen.agents), agents.find(settings.agent, chosen.agents)
    env = environment.make(chosen, settings, worker, {})
    if program and shutil.which(program, path=env.get("PATH")) is None:
        where = f"in {run.milestone.root}" if "/" in program else "on PATH"
        yield f"agent {settings.agent}: no program {program!r} {where}; install it, or set agent: to another"
    yield from worker.find_faults(settings, env)
