"""A YAML text as nodes: each value, where it stands, and what is not accepted.

Rules: nodes are composed from the parser's events and not from its node tree, because libyaml's recursion overflows the
C stack on deep nesting, and because aliases can be counted on the way. Some versions of libyaml refuse deep nesting
themselves, ahead of their events: it is told the same for all. Every key is text as written (`no:` is the key "no") and
may stand once. Values are those of YAML 1.1, so `12:30` is 750 and `no` is False.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from dataclasses import dataclass
from typing import Any

import yaml

from work_milestone.text.lines import shown

MAX_DEPTH = 100
MAX_SLOW = 1_000_000  # characters that the parser in Python takes seconds for
MAX_REPEATED = 100_000  # values that aliases may add to those that are written out

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AHEAD = 4096  # characters; more than a parser may look ahead for a key
_OPENING = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {_TAG + "str", _TAG + "value", _TAG + "merge", "!"}
_VALUE_TAGS = {_TAG + kind for kind in ("null", "bool", "int", "float", "timestamp")}
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep; make it flatter"


@dataclass(slots=True)
class Node:
    """A value, where it stands, and how many values it stands for."""

    value: Any
    place: int
    text: str | None = None
    entries: dict[str, Node] | None = None
    keys: dict[str, int] | None = None
    elements: list[Node] | None = None
    size: int = 1


def _place(event: Any) -> int:
    """Give line and column (from 0) as one number: unlike marks and tuples, the collector never visits it."""
    return int(event.start_mark.line << 32 | event.start_mark.column)


def line_column(place: int) -> tuple[int, int]:
    """Line and column, from 1, of a place."""
    return (place >> 32) + 1, (place & 0xFFFFFFFF) + 1


def find_nesting(text: str, most: int) -> int | None:
    """Find in a text that does not parse where it first nests deeper than `most`; None when it does not.

    A parser looks ahead of the event that it gives, as far as the line may still turn out to be a key
    (https://yaml.org/spec/1.1, simple keys: 1,024 characters), and libyaml refuses 1,000 brackets there, in newer
    versions. What it had seen by then is looked at token by token.
    """
    depth, seen, end = 0, 0, 0
    event: Any
    try:
        for event in yaml.parse(text, Loader=LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > most:
                return int(event.start_mark.index)
            seen = int(event.end_mark.index)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        if mark is None:
            return None
        end = mark.index + 1
    ahead = text[seen : min(end, seen + _AHEAD)]
    # Behind a bracket, so that what follows is read as what stands in brackets.
    with contextlib.suppress(yaml.YAMLError):
        for token in itertools.islice(yaml.scan("[" + ahead, Loader=yaml.SafeLoader), 2, None):
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > most:
                return seen + int(token.start_mark.index) - 1
    return None


class RefusedError(Exception):
    """Valid YAML that is not accepted here."""

    def __init__(self, place: int, problem: str) -> None:
        super().__init__(problem)
        self.place = place


def compose(text: str) -> tuple[Node | None, list[tuple[int, str]]]:
    """Compose a text; what is refused first is told, also where libyaml looks ahead and refuses its depth before."""
    try:
        return _Composer(text, LOADER).document()
    except yaml.MarkedYAMLError:
        deep = find_nesting(text, MAX_DEPTH)
        if deep is None:
            raise
        # The slower parser gives its events as far as that: something else may be refused before.
        if deep <= MAX_SLOW:
            _Composer(text[: deep + 1], yaml.SafeLoader).document()
        before = text[:deep]
        raise RefusedError(before.count("\n") << 32 | deep - before.rfind("\n") - 1, _TOO_DEEP) from None


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, text: str, loader: Any) -> None:
        self._loader = loader(text)
        self._next = self._loader.get_event
        self._anchors: dict[str, Node] = {}
        self._written = 0
        self._faults: list[tuple[int, str]] = []

    def document(self) -> tuple[Node | None, list[tuple[int, str]]]:
        """Compose the only document of the stream, None when there is none, and the faults to tell later."""
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None, []
        node = self._node(self._next(), 0)
        self._next()
        if isinstance(event := self._next(), yaml.DocumentStartEvent):
            raise RefusedError(_place(event), "a second document starts here; keep one")
        return node, self._faults

    def _node(self, event: Any, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                what = f"alias *{shown(event.anchor)} names nothing that ends before it; write the value out"
                raise RefusedError(_place(event), what)
            return self._anchors[event.anchor]
        self._written += 1
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        else:
            if depth >= MAX_DEPTH:
                raise RefusedError(_place(event), _TOO_DEEP)
            if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
                raise RefusedError(_place(event), f"the tag {shown(event.tag)} is not used here; remove it")
            compose = self._mapping if isinstance(event, yaml.MappingStartEvent) else self._sequence
            node = compose(event, depth + 1)
            if node.size > self._written + MAX_REPEATED:
                raise RefusedError(_place(event), "aliases repeat too much here; write the values out")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any) -> Node:
        text, tag = event.value, event.tag
        if "\0" in text:
            self._faults.append((_place(event), "a NUL character cannot reach any program; remove it"))
        if event.implicit[0]:
            tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag is None or tag in _TEXT_TAGS:
            return Node(text, _place(event), text)
        if tag not in _VALUE_TAGS:
            raise RefusedError(_place(event), f"the tag {shown(tag)} is not used here; remove it")
        try:
            # The longest sensible number is short; huge ones cost quadratic time and cannot be printed.
            value = self._loader.yaml_constructors[tag](self._loader, yaml.ScalarNode(tag, text[:100]))
        except (ValueError, KeyError, AttributeError, OverflowError, TypeError, IndexError):
            value = math.nan
        if len(text) > 100 or value != value:
            kind = tag.removeprefix(_TAG)
            raise RefusedError(_place(event), f"{shown(text)} is no {kind} that can be used; put it in quotes")
        return Node(value, _place(event), text)

    def _sequence(self, start: yaml.SequenceStartEvent, depth: int) -> Node:
        elements: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            elements.append(self._node(event, depth))
        size = 1 + sum(element.size for element in elements)
        return Node([element.value for element in elements], _place(start), elements=elements, size=size)

    def _mapping(self, start: yaml.MappingStartEvent, depth: int) -> Node:
        entries: dict[str, Node] = {}
        keys: dict[str, int] = {}
        merged: list[Node] = []
        size = 1
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise RefusedError(_place(event), "a key must be plain text; write it out")
            key = event.value
            node = self._node(self._next(), depth)
            size += node.size
            if key == "<<" and event.implicit[0]:
                merged += node.elements or [node]
                continue
            if key in entries:
                what = f"{shown(key)} stands twice in one mapping, first on line {line_column(keys[key])[0]}"
                self._faults.append((_place(event), f"{what}; keep one"))
            entries[key] = node
            keys[key] = _place(event)
        for node in merged:
            if node.entries is None or node.keys is None:
                raise RefusedError(node.place, "`<<` takes a mapping; write the keys out")
            entries, keys = node.entries | entries, node.keys | keys
        value = {key: node.value for key, node in entries.items()}
        return Node(value, _place(start), entries=entries, keys=keys, size=size)
