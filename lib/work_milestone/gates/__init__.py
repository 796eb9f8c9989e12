"""Quality gates: shell lines that must exit 0 on exactly the tree that is to be merged.

Takes a commit and commands; gives a verdict each, with exit code, log and its last lines. Rules: a gate that changes
what it judges has failed; what has been green on a tree is not run on it again; what failed before anything was merged
is no item's fault, and blocks only where nobody has accepted it.
"""

from work_milestone.gates.checks import Failure, Report, end_left

__all__ = ["Failure", "Report", "baseline", "end_left"]
