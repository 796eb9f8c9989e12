"""The run: plan, records and git put together, which is where each item stands.

Takes the repository's root and the words of the command line; gives `Run`, whose `standing` of an item is what every
decision rests on, and what makes a function a `step`. Also what a run adds to itself (`followups`) and what holds its
sessions back. Rules: git has the last word; what is known is gathered anew only when something has changed.
"""

from work_milestone.run.breaker import find_renewal
from work_milestone.run.history import TRAILER
from work_milestone.run.run import Run
from work_milestone.run.standing import Standing
from work_milestone.run.steps import Step, find_place, step

__all__ = ["TRAILER", "Run", "Standing", "Step", "find_place", "find_renewal", "followups", "step"]
