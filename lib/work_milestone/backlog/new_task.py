"""A new task's file, as Backlog.md would have made it.

Rule: what is written is read again by the same parser as any other task, and refused where it would not be the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime

from work_milestone.backlog import front_matter, tasks
from work_milestone.backlog.contents import Backlog
from work_milestone.backlog.front_matter import fault
from work_milestone.plan import branches
from work_milestone.text import one_line

TO_DO = "To Do"
PRIORITIES = {"P0": "high", "P1": "high", "P2": "medium", "P3": "low"}


def first_status(found: Backlog) -> str:
    """Return the status of work that nobody has begun, as the configuration spells it."""
    for path in tasks.CONFIG_PATHS:
        with front_matter.told([]):  # its fault is among the backlog's
            source = found.files.get(path, "").strip("\ufeff \t\r\n")
            statuses = front_matter.parse_mapping(path, source).texts("statuses") if source else []
            if statuses:
                return statuses[0]
    return TO_DO


def render(
    issue: int, title: str, *, prefix: str, status: str, milestone: str, priority: str, labels: Sequence[str],
    description: str, created: float,
) -> tuple[str, str]:  # fmt: skip
    """Return path and text of a new task. `created` in seconds since 1970. Raises BacklogError."""
    title = one_line(title)
    # The program looks for its own prefix alone.
    name = prefix.lower() if re.fullmatch("[A-Za-z]+-", prefix) else "task-"
    path = f"backlog/tasks/{name}{issue} - {branches.slugify(title) or 'follow-up'}.md"
    stamp = datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%d %H:%M")
    fields = {"id": f"{prefix}{issue}", "title": title, "status": status}
    front = "".join(f"{key}: {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields.items())
    listed = "".join(f"\n  - {json.dumps(label, ensure_ascii=False)}" for label in labels) or " []"
    body = _tidy(description)
    text = (
        f"---\n{front}assignee: []\ncreated_date: '{stamp}'\nlabels:{listed}\ndependencies: []\n"
        f"milestone: {json.dumps(milestone, ensure_ascii=False)}\n"
        f"priority: {PRIORITIES.get(priority, 'medium')}\n---\n\n"
        f"## Description\n\n<!-- SECTION:DESCRIPTION:BEGIN -->\n{body}\n<!-- SECTION:DESCRIPTION:END -->\n"
    )
    task = tasks.parse_task(path, text)
    if task is None or (task.issue, task.title, task.description) != (issue, title, body):
        raise fault(path, 1, "the new task cannot be written so that it is read as the same", "write it by hand")
    return path, text


def _tidy(description: str) -> str:
    """Keep a text within its section, which a marker or a heading would end, and fit to be written as UTF-8."""
    plain = "".join(
        char if char.isprintable() or char in "\n\t" else "\ufffd" for char in description.replace("\r", "")
    )
    return re.sub(r"(?m)^#{1,2}(?=[ \t])", "###", plain.replace("<!--", "<! --")).strip()
