"""The report: where a run stands, for people at a terminal.

Takes a run; gives a table of its items, what is not merged with why and the next command, and one line for all of it;
and what a wave made, for the sessions of later ones.
Rule: told from records and git alone, so that it is right at any time and from any terminal.
"""

from work_milestone.report.table import Page

__all__ = ["Page", "relay", "settlement", "summary"]
