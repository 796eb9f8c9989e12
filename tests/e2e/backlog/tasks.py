"""Backlogs as Backlog.md writes them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.e2e.harness import Sandbox


def name(issue: int) -> str:
    """The path of an item's task."""
    return f"backlog/tasks/task-{issue} - Item-{issue}.md"


def task(issue: int, *, milestone: str = "m-3", status: str = "To Do") -> str:
    return (
        f"---\nid: TASK-{issue}\ntitle: Item {issue}\nstatus: {status}\nlabels: []\nmilestone: {milestone}\n"
        f"dependencies: []\n---\n\n## Description\n\n<!-- SECTION:DESCRIPTION:BEGIN -->\nBecause of {issue}.\n"
        "<!-- SECTION:DESCRIPTION:END -->\n\n## Acceptance Criteria\n<!-- AC:BEGIN -->\n"
        f"- [ ] #1 It is {issue}\n- [ ] #2 It holds\n<!-- AC:END -->\n"
    )


def files(*issues: int, **keys: str) -> dict[str, str]:
    """A backlog of these tasks and their milestone."""
    found = {name(issue): task(issue, **keys) for issue in issues}
    return {**found, "backlog/milestones/m-3 - a-milestone.md": "---\nid: m-3\ntitle: A milestone\n---\n"}


def make_untracked(box: Sandbox, text: str, *issues: int, more: Mapping[str, str] | None = None) -> Sandbox:
    """Commit a plan, beside a backlog of these tasks that git does not see."""
    box.make(text, files={".gitignore": "backlog/\n", **(more or {})})
    for path, content in files(*issues).items():
        box.write(path, content)
    return box
