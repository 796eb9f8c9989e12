"""Levels of settings, one over the other: default, `milestone.yaml`, an item's own keys in the plan, command line.

Rules: later words win. `agent`, `command` and `model` are chosen together: where a `command` is given without an
`agent`, the agent is "command", and it outranks what stands in the levels below; where a level chooses another agent,
the levels below say nothing of its model.
"""

from __future__ import annotations

from typing import Any


def with_agent(level: dict[str, Any]) -> dict[str, Any]:
    """Return a level with the agent that its command chooses."""
    return {"agent": "command", **level} if "command" in level else level


def lay_over(level: dict[str, Any], below: dict[str, Any]) -> dict[str, Any]:
    """Put a level over the ones below; what they say of the model is for their own agent."""
    other = "agent" in level and level["agent"] != below.get("agent", "claude")
    return {key: value for key, value in below.items() if not (other and key == "model")} | level
