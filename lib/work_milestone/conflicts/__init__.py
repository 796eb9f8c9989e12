"""Conflicts: three texts in, a class and a resolution out; and whether a merge holds all that it was made of.

Takes what git has merged as far as it could; gives a `Verdict`: clean, trivial with what rules have resolved, medium,
heavy, each with the reason; and which lines a text has lost (`content`). Rules: a rule that is in doubt gives no
answer, none loses a line that a side added, and a resolution is believed of nobody: `completeness` asks git line by
line.
"""

from work_milestone.conflicts.classes import Class, Verdict, classify

__all__ = ["Class", "Verdict", "classify", "completeness", "content"]
