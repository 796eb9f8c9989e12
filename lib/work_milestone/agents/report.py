"""Reads the completion report, an agent's last words, in both dialects of the protocol.

Rules: the report speaks for status, notes and blockers alone; git is asked for branch, files and commits. The
last STATUS line counts, for an agent may quote the form before it fills it in. DONE with blocked tasks is
PARTIAL. No STATUS line at all is no report, and exit code and commits decide.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from work_milestone.store import Session

_STATUS = {
    "COMPLETE": Session.COMPLETE,
    "COMPLETED": Session.COMPLETE,
    "DONE": Session.COMPLETE,
    "PARTIAL": Session.PARTIAL,
    "BLOCKED": Session.BLOCKED,
    "FAILED": Session.FAILED,
}
_KEYS = ("STATUS", "BRANCH", "FILES_CHANGED", "COMMITS", "NOTES", "BLOCKER", "TASKS_COMPLETED", "TASKS_BLOCKED")
_LINE = re.compile(rf"^[\s>*_`#-]*({'|'.join(_KEYS)})[*_`]*\s*:[*_`]*[ \t]*(.*)$")
_NOTHING = re.compile(r"^\W*(none|n/?a|no|nothing|0|-)?\W*$", re.IGNORECASE)


class Report(NamedTuple):
    """What an agent said of its work; `status` None when it said nothing in the form."""

    status: Session | None = None
    notes: str = ""
    blocker: str = ""


def parse_report(text: str) -> Report:
    """Read the last completion report in a text."""
    fields = _fields(text)
    words = re.match(r"\W*(\w+)", fields.get("STATUS", ""))
    status = _STATUS.get(words[1].upper()) if words else None
    if status is Session.COMPLETE and _has_blocked(fields.get("TASKS_BLOCKED", "")):
        status = Session.PARTIAL
    blocker = fields.get("BLOCKER", "")
    return Report(status, fields.get("NOTES", ""), "" if _NOTHING.match(blocker) else blocker)


def _fields(text: str) -> dict[str, str]:
    """Collect `KEY: value` with the lines that follow, from the last STATUS line on and from before it."""
    found: dict[str, list[str]] = {}
    key = None
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            key = match[1]
            found[key] = [match[2]]
        elif key and line.strip().startswith("```"):
            key = None
        elif key:
            found[key].append(line)
    return {key: "\n".join(lines).strip() for key, lines in found.items()}


def _has_blocked(value: str) -> bool:
    """Tell whether TASKS_BLOCKED names any: `none`, `0`, `0 (none)` and the like name none."""
    first = value.strip().splitlines()[0] if value.strip() else ""
    return not (_NOTHING.match(first) or re.match(r"^\W*0\b", first))
