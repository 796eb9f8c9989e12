"""What the errors of models' interfaces mean, whichever program tells them: by status, and by words beside it.

Rules:
- Each agent's `judge` says whether it is out of quota. Claude Code and opencode: status 429 with the words below;
  Codex: words of its own (`codex._QUOTA`), for it mostly tells no status, or a line with `status 429` and the words
  below; Gemini: 429 with words of its own (`gemini._SPENT`); one that settings describe: by its `quota:`; a shell line:
  never.
- 429 without such words, and whatever else may be otherwise the next time, is `transient`.
- When a quota is renewed stands in the same words, or nowhere.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from work_milestone.store import Session

_STAMP = re.compile(r"\b(1[5-9]\d{8}|2\d{9})\b", re.ASCII)
_SPAN = re.compile(r"\bin (\d{1,6}(?:\.\d{1,6})?) ?(s|m|h|d)[a-z]*", re.IGNORECASE | re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = re.compile(
    rf"\breset[a-z]*(?: at)? (?:({'|'.join(_MONTHS)})[a-z]* (\d{{1,2}})(?:, (\d{{4}}))?,? (?:at )?)?"
    r"(\d{1,2})(?::(\d{2}))? ?(am|pm)?\b(?: \(([^()]{1,60})\))?",
    re.IGNORECASE | re.ASCII,
)
# "(not your usage limit)" is what a server says that has too much to do.
_QUOTA = re.compile(
    r"(?<!not your )(usage|session|hour|weekly) limit|hit your [^.·]{0,40}limit|out of [a-z ]{0,10}usage"
    r"|quota|limit will reset",
    re.IGNORECASE,
)


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

    Forms: `...|1735689600`, `try again in 5 minutes`, `resets 3pm (Europe/Berlin)`, `resets at 15:30` (local time),
    `resets Nov 28, 9pm (UTC)`.
    """
    if stamp := _STAMP.search(words):
        return float(stamp[1])
    if span := _SPAN.search(words):
        return now + float(span[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[span[2].lower()]
    clock = _CLOCK.search(words)
    if clock is None or not (clock[5] or clock[6]):
        return None
    hour = int(clock[4]) % 12 + (12 if clock[6].lower() == "pm" else 0) if clock[6] else int(clock[4])
    if hour > 23 or int(clock[5] or 0) > 59:
        return None
    today = datetime.fromtimestamp(now, _zone(clock[7] or ""))
    days = _days(clock[1], int(clock[2]), int(clock[3] or 0), today.year) if clock[1] else _next_days(today)
    at = (day.replace(hour=hour, minute=int(clock[5] or 0), tzinfo=today.tzinfo).timestamp() for day in days)
    return next((stamp for stamp in at if stamp > now), None)


def _next_days(today: datetime) -> Iterator[datetime]:
    """Give today and what follows, at midnight."""
    first = datetime(today.year, today.month, today.day)
    yield from (first + timedelta(number) for number in range(3))


def _days(month: str, day: int, year: int, now: int) -> Iterator[datetime]:
    """Give the days on the calendar that may be meant; without a year (0) this year's, and the next one's."""
    for one in (year,) if year else (now, now + 1):
        with contextlib.suppress(ValueError):
            yield datetime(one, 1 + _MONTHS.index(month.lower()), day)


def _zone(name: str) -> tzinfo | None:
    """Return the time zone of a name such as Europe/Berlin, None for this machine's where nobody knows it."""
    if name.upper() in ("UTC", "GMT"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
