"""Takes out of texts what must not be shown: keys in the forms that are known, and what secret variables hold.

Rule: what is masked once stays readable around it, and a text that has no key in it is not changed.
"""

from __future__ import annotations

import functools
import os
import re

MASK = "[masked]"
LEAST = 8  # characters; a shorter value of a variable stands in too many texts by chance
_KEYS = "|".join((
    r"sk-[A-Za-z0-9_-]{16,}",  # Anthropic, OpenAI and those who do as they do
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
    r"glpat-[A-Za-z0-9_-]{16,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"AIza[A-Za-z0-9_-]{30,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"(?:npm|hf|pypi)[_-][A-Za-z0-9_-]{24,}",
    r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{5,}",  # a JSON web token
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"(?i:\b(?:bearer|basic)) +[A-Za-z0-9+/=_.~-]{16,}",
    r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)",  # user and password in an address
))  # fmt: skip
_SECRET = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)(?:$|_)")


def mask(text: str) -> str:
    """Return a text without keys."""
    return _pattern().sub(MASK, text)


def mask_bytes(data: bytes) -> bytes:
    """Return bytes without keys; what is no text stays as it is."""
    return mask(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


@functools.cache
def _pattern() -> re.Pattern[str]:
    """Put known forms and the values of this process's own secret variables into one pattern."""
    values = {value for name, value in os.environ.items() if len(value) >= LEAST and _SECRET.search(name.upper())}
    own = [re.escape(value) for value in sorted(values, key=len, reverse=True)]
    return re.compile("|".join([*own, _KEYS]), re.DOTALL)
