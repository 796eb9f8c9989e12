"""What the errors of models' interfaces mean, whichever program tells them: by status, and by words beside it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from work_milestone.states import Session

_STAMP = re.compile(r"\b(1[5-9]\d{8}|2\d{9})\b", re.ASCII)
_SPAN = re.compile(r"\bin (\d{1,6}(?:\.\d{1,6})?) ?(s|m|h|d)[a-z]*", re.IGNORECASE | re.ASCII)
_CLOCK = re.compile(
    r"\breset[a-z]*(?: at)? (\d{1,2})(?::(\d{2}))? ?(am|pm)?\b(?: \(([^()]{1,60})\))?", re.IGNORECASE | re.ASCII
)
_QUOTA = re.compile(r"(usage|session|hour|weekly) limit|quota|limit will reset", re.IGNORECASE)


def classify(status: int | None, words: str) -> Session:
    """Classify an error by its HTTP status and its words; `status` None when no server was reached."""
    if status in (401, 403):
        return Session.AUTH
    if status in (400, 402) and "credit balance" in words.lower():
        return Session.AUTH
    if status == 429 and _QUOTA.search(words):
        return Session.QUOTA
    if status is None or status in (408, 429) or status >= 500:
        return Session.TRANSIENT
    return Session.FAILED


def find_renewal(words: str, now: float) -> float | None:
    """Find in an agent's words when its quota is renewed, in seconds since 1970; None when they do not say.

    Forms: `...|1735689600`, `try again in 5 minutes`, `resets 3pm (Europe/Berlin)`, `resets at 15:30` (local time).
    """
    if stamp := _STAMP.search(words):
        return float(stamp[1])
    if span := _SPAN.search(words):
        return now + float(span[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[2].lower()]
    clock = _CLOCK.search(words)
    if clock is None or not (clock[2] or clock[3]):
        return None
    hour = int(clock[1]) % 12 + (12 if clock[3].lower() == "pm" else 0) if clock[3] else int(clock[1])
    if hour > 23 or int(clock[2] or 0) > 59:
        return None
    zone = _zone(clock[4] or "")
    day = datetime.fromtimestamp(now, zone).replace(hour=hour, minute=int(clock[2] or 0), second=0, microsecond=0)
    return next(at for days in (0, 1, 2) if (at := (day + timedelta(days)).timestamp()) > now)


def _zone(name: str) -> tzinfo | None:
    """Return the time zone of a name such as Europe/Berlin, None for this machine's where nobody knows it."""
    if name.upper() in ("UTC", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
