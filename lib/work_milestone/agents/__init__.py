"""Agents: one small class for each command line.

Takes what a session is started for (`Call`); gives an argument list, and says what its exit and its output mean
(`Outcome`). Rules: the prompt comes on stdin, never as an argument; an agent's word is not enough; what is not
recognized is `failed`, and only what is classified as passing is tried again by itself. To add one, derive from `Agent`
in a module of its own and name it in `registry` and in `settings.agents.BUILT_IN`.
"""

from work_milestone.agents.api import Agent, Call, Outcome, Progress, as_id, find_objects
from work_milestone.agents.api_errors import find_renewal
from work_milestone.agents.registry import find, program
from work_milestone.agents.report import Report, parse_report

__all__ = [
    "Agent", "Call", "Outcome", "Progress", "Report", "as_id", "find", "find_objects", "find_renewal", "parse_report",
    "program",
]  # fmt: skip
