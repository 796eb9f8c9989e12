"""The backlog: what is to be done, kept as Markdown files in the repository.

Takes files' texts, from a commit's tree or from the disk; gives tasks, milestones, how they differ from a plan, and the
texts that they change to. Rules: whatever stands in a file, it is a task or a fault with its line; a change leaves all
else byte for byte; nothing is read through a link or written outside of `backlog/`.
"""

from work_milestone.backlog.contents import Backlog, belongs, compare
from work_milestone.backlog.files import PLACES, load_backlog, read_backlog, write_changes, write_task
from work_milestone.backlog.front_matter import set_status
from work_milestone.backlog.milestones import close_milestone, find_milestone
from work_milestone.backlog.tasks import Task

__all__ = [
    "PLACES", "Backlog", "Task", "belongs", "close_milestone", "compare", "find_milestone", "load_backlog", "new_task",
    "read_backlog", "set_status", "write_changes", "write_task",
]  # fmt: skip
