"""Conflicts: three texts in, a class and a resolution out; and whether a merge holds all that it was made of.

Takes what git could not merge; gives `Verdict`: clean, trivial with its resolved files, medium, heavy, each with the
reason. Rules: a rule that is in doubt gives no answer, none loses a line that a side added, and a resolution is
believed of nobody: `completeness` asks git line by line.
"""

from work_milestone.conflicts.classes import Class, Verdict, classify

__all__ = ["Class", "Verdict", "classify", "completeness", "content"]
