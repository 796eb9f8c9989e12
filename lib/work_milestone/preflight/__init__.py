"""preflight."""

from work_milestone.preflight.checks import STALE_DAYS, call_line, check, notes

__all__ = ["STALE_DAYS", "call_line", "check", "notes"]
