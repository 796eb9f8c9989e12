"""Records as JSON objects and back: what JSON may hold in a field, by the field's type.

Rules: what a field lacks, or has as null, is its default. So is what is of another type, which is told: a record whose
one field is damaged still says what has been paid for. What has no default must be there, and a text of that kind must
not be empty; else it is no record of that kind.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from work_milestone.plan import FollowUp, Reason
from work_milestone.store.outcomes import Kind
from work_milestone.store.records import Commit, Mended, Refused
from work_milestone.store.values import Value

T = TypeVar("T")
KEYS = {"cls": "class"}  # a field's name in the file, where Python has another use for it


class _Field(NamedTuple):
    """A field: its name, its key in the file, the types that JSON may hold there, and what makes its value of one."""

    name: str
    key: str
    types: tuple[type, ...]
    convert: Callable[[Any], Any] | None
    is_required: bool


def _finite(value: float) -> float:
    if not abs(value) <= sys.float_info.max:  # nor is NaN
        raise ValueError("not a number")
    return float(value)


def _texts(value: list[Any]) -> tuple[str, ...]:
    if not all(type(one) is str for one in value):
        raise ValueError("not a list of texts")
    return tuple(value)


def _counts(value: dict[Any, Any]) -> dict[str, int]:
    if not all(type(one) is int for one in value.values()):
        raise ValueError("not a mapping to whole numbers")
    return value


def _numbers(value: list[Any]) -> tuple[int, ...]:
    if not all(type(one) is int for one in value):
        raise ValueError("not a list of whole numbers")
    return tuple(value)


def _followup(value: object) -> FollowUp | None:
    damaged: list[str] = []
    try:
        found = read(FollowUp, value, damaged)
    except ValueError:
        return None  # one that is damaged loses nothing of what stands beside it
    return None if damaged else found  # what is to be worked is known as a whole, or not at all


def _followups(value: list[Any]) -> tuple[FollowUp, ...]:
    return tuple(one for row in value if (one := _followup(row)) is not None)


def _commits(value: list[Any]) -> tuple[Commit, ...]:
    return tuple(read(Commit, one) for one in value)


# By a field's type as it is written in its class.
_TYPES: Mapping[str, tuple[tuple[type, ...], Callable[[Any], Any] | None]] = {
    "str": ((str,), None),
    "int": ((int,), None),
    "float": ((float, int), _finite),
    "bool": ((bool,), None),
    "tuple[str, ...]": ((list,), _texts),
    "tuple[int, ...]": ((list,), _numbers),
    "Mapping[str, int]": ((dict,), _counts),
    "Kind": ((str,), Kind),
    "Reason": ((str,), Reason),
    "tuple[Commit, ...]": ((list,), _commits),
    "Refused": ((dict,), lambda value: read(Refused, value)),
    "Mended": ((dict,), lambda value: read(Mended, value)),
    "FollowUp": ((dict,), _followup),
    "tuple[FollowUp, ...]": ((list,), _followups),
}


_known: dict[type, tuple[_Field, ...]] = {}


def _fields(kind: type) -> tuple[_Field, ...]:
    if kind not in _known:
        written = kind.fields if issubclass(kind, Value) else kind.__annotations__
        _known[kind] = tuple(_field(kind, name, str(of)) for name, of in written.items())
    return _known[kind]


def _field(kind: type, name: str, written: str) -> _Field:
    types, convert = _TYPES[written.removesuffix(" | None")]
    return _Field(name, KEYS.get(name, name), types, convert, is_required=not hasattr(kind, name))


def read(kind: type[T], raw: object, damaged: list[str] | None = None) -> T:
    """Make a record of what JSON holds, and name the fields that are `damaged`.

    Raise ValueError when it is none of that kind.
    """
    if not isinstance(raw, dict):
        raise ValueError("not an object")
    values = {}
    for name, key, types, convert, required in _fields(kind):
        value = raw.get(key)
        if required and (value is None or value == ""):
            raise ValueError(f"{key} is missing")
        if value is None:
            continue
        if type(value) in types:
            try:
                values[name] = convert(value) if convert else value
                continue
            except ValueError:
                pass
        if required:
            raise ValueError(f"{key} is damaged")
        if damaged is not None:
            damaged.append(key)
    return kind(**values)


def write(record: Any) -> dict[str, Any]:
    """Make what JSON holds of a record."""
    return {field.key: _plain(getattr(record, field.name)) for field in _fields(type(record))}


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return write(value) if isinstance(value, Value | FollowUp) else value
