"""Supervision: one process over one agent process, which outlives the run that started it.

Takes an argument list, an environment and an attempt's folder; gives `exit.json` there, and a kernel lock that is held
for as long as the session lives. Rules: a lock that is held means alive, a free one without a record means dead; what
another process has started is adopted by its folder alone. It knows nothing of items, agents or git.
"""

from work_milestone.supervision.record import Exit

__all__ = ["Exit", "attempts", "record", "requests"]
