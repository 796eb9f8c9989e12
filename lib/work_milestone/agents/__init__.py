"""agents."""

from work_milestone.agents.registry import REGISTRY, find, program

__all__ = ["REGISTRY", "find", "program"]
