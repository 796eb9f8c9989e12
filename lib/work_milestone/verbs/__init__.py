"""Verbs: what a person asks of a run from outside.

Takes a run, and where one is named an item; gives what is printed, or a record that the next run heeds. Rules: what
only looks may be asked at any time; what changes state refuses while a run is alive, but `stop`, which is for one; a
message names the next command.
"""

__all__ = ["changes", "demo", "looks", "recovery", "speech", "stop"]
