"""The graph: steps become doit's tasks, in their order, and what doit does becomes lines for a person.

Takes the words of the command line; gives the run that they ask for, its tasks, an exit code. Rules: only here is doit
known; a task is a step and never a rule of its own; who starts next is decided in `schedule`, by the ranks that
`opening` gives it.
"""

from work_milestone.graph.commandline import is_partial, named
from work_milestone.graph.opening import configure, open_run
from work_milestone.graph.tasks import Task, describe, describe_milestone, task

__all__ = ["Task", "configure", "describe", "describe_milestone", "is_partial", "named", "open_run", "task"]
