"""The keys and values of a YAML mapping: how keys may be spelled, what durations are, faults in words.

Rules: `-` and `_` in keys are the same. A fault says what is wrong and what to do; `Positions` say where.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from work_milestone.text import shown, yaml_files

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

MAX_SECONDS = 366 * 24 * 3600.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@functools.lru_cache(maxsize=1024)
def nearest(name: str, known: tuple[str, ...]) -> str:
    """Say `; did you mean x?`, or nothing when no known name is near."""
    close = difflib.get_close_matches(name.replace("-", "_"), known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def tidy(
    raw: dict[str, Any], known: Collection[str], path: yaml_files.DocumentPath, positions: yaml_files.Positions
) -> tuple[dict[str, Any], list[str]]:
    """Spell the keys of a mapping with `_`; its unknown keys come apart, as written.

    A key that is null counts as not given. Both spellings of one key are a fault, kept in the positions.
    """
    tidied: dict[str, Any] = {}
    seen: set[str] = set()
    unknown: list[str] = []
    for key, value in raw.items():
        name = key.replace("-", "_")
        if name not in known:
            unknown.append(key)
        elif name in seen:
            what = f"{name} and {name.replace('_', '-')} are one key in two spellings; keep one"
            positions.blame((*path, key), what, key=True)
        else:
            seen.add(name)
            if value is not None:
                tidied[name] = value
    return tidied, unknown


_EXPLANATIONS = {
    "missing": "is missing; add it",
    "string_type": "must be text{given}; put it in quotes",
    "string_pattern_mismatch": "is empty; write it",
    "string_unicode": "has characters that are no text; remove them",
    "int_type": "must be a whole number{given}; write it without quotes",
    "float_type": "must be a number{given}; write it without quotes",
    "finite_number": "must be a number{given}; write one",
    "bool_type": "must be true or false{given}; write one of them, without quotes",
    "tuple_type": "must be a list{given}; write it as [a, b]",
    "model_type": "must be a mapping{given}; write it as `key: value` lines",
    "literal_error": "must be {expected}{given}; write one of them",
    "greater_than": "must be greater than {gt}{given}; change it",
    "greater_than_equal": "must be at least {ge}{given}; change it",
    "less_than_equal": "must be at most {le}{given}; change it",
}


def explain(error: ErrorDetails, source: str | None = None) -> str:
    """Put a fault that pydantic found in words: what, what to do. `source` is the value as it was given."""
    where = error["loc"]
    name = next((part for part in reversed(where) if isinstance(part, str) and part != "[key]"), "this")
    if where and isinstance(where[-1], int):
        name = f"an entry of {name}"
    facts = {key: str(value).replace("'", "").removesuffix(".0") for key, value in error.get("ctx", {}).items()}
    facts |= {"given": "" if source is None else f", not {shown(source)}"}
    if error["type"] == "value_error":
        return f"{name} {error.get('ctx', {})['error']}"
    return f"{name} " + _EXPLANATIONS.get(error["type"], "is not usable{given}; change it").format(**facts)


def parse_duration(value: object) -> float:
    """Seconds from a number of seconds, or from text like `90m`, `2h`, `45s`, `1h30m`. Raises ValueError."""
    seconds = math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str):
        text = value.strip().lower()
        if re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", text):
            seconds = float(text)
        elif re.fullmatch(r"([0-9]{1,12}(\.[0-9]{1,9})?\s*[smhd]\s*)+", text):
            parts = re.findall(r"([0-9.]+)\s*([smhd])", text)
            seconds = sum(float(amount) * _UNITS[unit] for amount, unit in parts)
    if math.isnan(seconds):
        raise ValueError(f"must be a duration, not {shown(value)}; write 90m, 2h or 45s")
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(f"must be more than 0 seconds and at most 366 days, not {shown(value)}; write 2h")
    return seconds
