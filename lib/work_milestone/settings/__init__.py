"""What the user may choose: for a run, for one session, for an agent of their own.

Takes `milestone.yaml`, the variables on the command line and an item's own keys; gives typed settings. Rules: every
key has a default, later words win, and every fault is told at once with the nearest name that is known.
"""

from work_milestone.settings.agents import AgentSettings, check_agent
from work_milestone.settings.loading import load_settings, parse_number
from work_milestone.settings.model import Settings
from work_milestone.settings.sessions import SessionSettings, session_settings

__all__ = [
    "AgentSettings", "SessionSettings", "Settings", "check_agent", "load_settings", "parse_number", "session_settings",
]  # fmt: skip
