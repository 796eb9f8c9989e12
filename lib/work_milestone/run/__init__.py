"""The run: plan, records and git put together, which is where each item stands.

Takes the repository's root and the words of the command line; gives `Run`, whose `standing` of an item is what every
decision rests on. Rules: git has the last word; what is known is gathered anew only when something has changed.
"""

from work_milestone.run.breaker import Breaker, find_renewal
from work_milestone.run.dispatch import Dispatch
from work_milestone.run.history import TRAILER, History
from work_milestone.run.milestone import Milestone
from work_milestone.run.run import Run
from work_milestone.run.standing import Standing
from work_milestone.run.steps import Step, find_place, step
from work_milestone.run.tasks import Changes, Tasks

__all__ = [
    "TRAILER",
    "Breaker",
    "Changes",
    "Dispatch",
    "History",
    "Milestone",
    "Run",
    "Standing",
    "Step",
    "Tasks",
    "find_place",
    "find_renewal",
    "followups",
    "step",
]
