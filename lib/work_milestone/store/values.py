"""Frozen values with named fields, whose classes cost nothing to make.

A dataclass compiles six methods when it is made, which for all kinds of records took a twentieth of every start.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Value:
    """A value whose fields are what its class annotates, each given by name."""

    fields: ClassVar[dict[str, str]] = {}  # each field's name, and its type as it is written
    defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        """Take up the fields that a class adds."""
        own = {name: kind for name, kind in cls.__annotations__.items() if not kind.startswith("ClassVar")}
        cls.fields = cls.fields | own
        cls.defaults = cls.defaults | {name: vars(cls)[name] for name in own if name in vars(cls)}

    def __init__(self, **given: Any) -> None:
        """Make a value. Raise TypeError where a field is missing or unknown."""
        self.__dict__.update(self.defaults, **given)
        if self.__dict__.keys() != self.fields.keys():
            wrong = ", ".join(sorted(self.__dict__.keys() ^ self.fields.keys()))
            raise TypeError(f"{type(self).__name__}: missing or unknown: {wrong}")

    def replace(self, **changes: Any) -> Self:
        """Make a value that differs in some fields."""
        return type(self)(**{**vars(self), **changes})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # some hold what cannot be hashed

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={vars(self)[name]!r}' for name in self.fields)})"
