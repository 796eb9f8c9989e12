"""YAML files that people write: one parse gives the data and the place of every value.

Rules: whatever bytes stand in a file, reading it ends with data or with a `PlanError`, soon, each fault as
`path:line:column: what; what to do`. Data is composed from the parser's events and not from its node tree, because
libyaml's recursion overflows the C stack on deep nesting, and because aliases can be counted on the way. Some versions
of libyaml refuse deep nesting themselves, ahead of their events: it is told the same for all. Every key is text as
written (`no:` is the key "no"), `-` and `_` in keys are the same, a key may stand once. Values are those of YAML 1.1,
so `12:30` is 750 and `no` is False: `Positions.text` knows the source.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from work_milestone.system import PlanError
from work_milestone.text.lines import shown

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100
MAX_SLOW = 1_000_000  # characters that the parser in Python takes seconds for
MAX_REPEATED = 100_000  # values that aliases may add to those that are written out

DocumentPath = tuple[str | int, ...]

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AHEAD = 4096  # characters; more than a parser may look ahead for a key
_OPENING = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken)
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = {_TAG + "str", _TAG + "value", _TAG + "merge", "!"}
_VALUE_TAGS = {_TAG + kind for kind in ("null", "bool", "int", "float", "timestamp")}
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep; make it flatter"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class _Node:
    """A value, where it stands, and how many values it stands for."""

    value: Any
    place: int
    text: str | None = None
    entries: dict[str, _Node] | None = None
    keys: dict[str, int] | None = None
    elements: list[_Node] | None = None
    size: int = 1


def _place(event: Any) -> int:
    """Give line and column (from 0) as one number: unlike marks and tuples, the collector never visits it."""
    return int(event.start_mark.line << 32 | event.start_mark.column)


def _line_column(place: int) -> tuple[int, int]:
    return (place >> 32) + 1, (place & 0xFFFFFFFF) + 1


class Positions:
    """Where the values of one file stand, and what was found wrong with them so far."""

    def __init__(self, name: str, root: _Node, faults: list[tuple[int, str]]) -> None:
        self.name = name
        self._root = root
        self._faults = faults

    def at(self, path: DocumentPath, *, key: bool = False) -> str:
        """Say `name:line:column` (from 1) of a value or its key; of what is around it when it is missing."""
        return self._say(self._find(path, key)[0])

    def text(self, path: DocumentPath) -> str | None:
        """Give a scalar as it is written in the file; None for a list, a mapping, or nothing."""
        node = self._find(path, key=False)[1]
        return node.text if node else None

    def blame(self, path: DocumentPath, what: str, *, key: bool = False) -> None:
        """Keep a fault until `faults` is asked for."""
        self._faults.append((self._find(path, key)[0], what))

    def faults(self) -> list[str]:
        """Every fault so far, in the order of the file, none twice."""
        return [f"{self._say(place)}: {what}" for place, what in sorted(set(self._faults))]

    def _say(self, place: int) -> str:
        line, column = _line_column(place)
        return f"{self.name}:{line}:{column}"

    def _find(self, path: DocumentPath, key: bool) -> tuple[int, _Node | None]:
        """Find the place of a value or its key, and the value; of what is around it, and None."""
        node, place = self._root, self._root.place
        for part in path:
            child = None
            if isinstance(part, int):
                child = node.elements[part] if node.elements and part < len(node.elements) else None
            elif node.entries:
                part = part if part in node.entries else part.replace("_", "-")
                child = node.entries.get(part)
            if child is None:
                return place, None
            place = node.keys[part] if key and node.keys and isinstance(part, str) else child.place
            node = child
        return place, node


def load_yaml(path: Path, name: str | None = None, *, empty: bool = False) -> tuple[dict[str, Any], Positions]:
    """Read a mapping. `name` is how faults call the file; `empty` lets an empty file be an empty mapping.

    Faults that leave the data readable (duplicate keys) wait in the positions, to be told with the caller's.
    Raises PlanError for what cannot be read, FileNotFoundError for what is not there.
    """
    name = str(path) if name is None else name
    text = read_text(path, name)
    try:
        node, faults = _compose(text)
    except _RefusedError as error:
        line, column = _line_column(error.place)
        raise PlanError([f"{name}:{line}:{column}: {error}"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        what = f"not valid YAML: {error.problem}; mend it here (text with `: ` or ` #` in it needs quotes)"
        raise PlanError([f"{name}:{place}: {what}"]) from None
    except yaml.YAMLError as error:
        raise PlanError([f"{name}:1:1: not valid YAML: {shown(str(error))}; write it anew"]) from None
    if node is None or node.value is None:
        if not empty:
            raise PlanError([f"{name}:1:1: the file is empty; write its keys, or remove it"])
        node = _Node({}, 0, entries={})
    positions = Positions(name, node, faults)
    if node.entries is None:
        raise PlanError([f"{positions.at(())}: not a mapping at the top level; write `key: value` lines"])
    return node.value, positions


def read_text(path: Path, name: str) -> str:
    """Read the text of a plain file. Raises PlanError, FileNotFoundError."""
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            kind = "a folder" if stat.S_ISDIR(info.st_mode) else "not a plain file"
            raise PlanError([f"{name}:1:1: this is {kind}; move it away and write a YAML file in its place"])
        if info.st_size > MAX_BYTES:
            raise PlanError([f"{name}:1:1: larger than {MAX_BYTES >> 20} MiB; shorten it"])
        raw = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PlanError([f"{name}:1:1: cannot be read ({error.strerror}); make it readable"]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8", "replace")
        raise PlanError([f"{name}:{_end_of(before)}: not UTF-8; save the file as UTF-8"]) from None
    if control := _UNPRINTABLE.search(text):
        what = f"control character U+{ord(control[0]):04X}; remove it"
        raise PlanError([f"{name}:{_end_of(text[: control.start()])}: {what}"])
    return text


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


def _end_of(text: str) -> str:
    return f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"


class _RefusedError(Exception):
    """Valid YAML that is not accepted here."""

    def __init__(self, place: int, problem: str) -> None:
        super().__init__(problem)
        self.place = place


def _compose(text: str) -> tuple[_Node | None, list[tuple[int, str]]]:
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
        raise _RefusedError(before.count("\n") << 32 | deep - before.rfind("\n") - 1, _TOO_DEEP) from None


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, text: str, loader: Any) -> None:
        self._loader = loader(text)
        self._next = self._loader.get_event
        self._anchors: dict[str, _Node] = {}
        self._written = 0
        self._faults: list[tuple[int, str]] = []

    def document(self) -> tuple[_Node | None, list[tuple[int, str]]]:
        """Compose the only document of the stream, None when there is none, and the faults to tell later."""
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None, []
        node = self._node(self._next(), 0)
        self._next()
        if isinstance(event := self._next(), yaml.DocumentStartEvent):
            raise _RefusedError(_place(event), "a second document starts here; keep one")
        return node, self._faults

    def _node(self, event: Any, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                what = f"alias *{shown(event.anchor)} names nothing that ends before it; write the value out"
                raise _RefusedError(_place(event), what)
            return self._anchors[event.anchor]
        self._written += 1
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        else:
            if depth >= MAX_DEPTH:
                raise _RefusedError(_place(event), _TOO_DEEP)
            if event.tag not in (None, "!", _TAG + "map", _TAG + "seq"):
                raise _RefusedError(_place(event), f"the tag {shown(event.tag)} is not used here; remove it")
            compose = self._mapping if isinstance(event, yaml.MappingStartEvent) else self._sequence
            node = compose(event, depth + 1)
            if node.size > self._written + MAX_REPEATED:
                raise _RefusedError(_place(event), "aliases repeat too much here; write the values out")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _scalar(self, event: Any) -> _Node:
        text, tag = event.value, event.tag
        if "\0" in text:
            self._faults.append((_place(event), "a NUL character cannot reach any program; remove it"))
        if event.implicit[0]:
            tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag is None or tag in _TEXT_TAGS:
            return _Node(text, _place(event), text)
        if tag not in _VALUE_TAGS:
            raise _RefusedError(_place(event), f"the tag {shown(tag)} is not used here; remove it")
        try:
            # The longest sensible number is short; huge ones cost quadratic time and cannot be printed.
            value = self._loader.yaml_constructors[tag](self._loader, yaml.ScalarNode(tag, text[:100]))
        except (ValueError, KeyError, AttributeError, OverflowError, TypeError, IndexError):
            value = math.nan
        if len(text) > 100 or value != value:
            kind = tag.removeprefix(_TAG)
            raise _RefusedError(_place(event), f"{shown(text)} is no {kind} that can be used; put it in quotes")
        return _Node(value, _place(event), text)

    def _sequence(self, start: yaml.SequenceStartEvent, depth: int) -> _Node:
        elements: list[_Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            elements.append(self._node(event, depth))
        size = 1 + sum(element.size for element in elements)
        return _Node([element.value for element in elements], _place(start), elements=elements, size=size)

    def _mapping(self, start: yaml.MappingStartEvent, depth: int) -> _Node:
        entries: dict[str, _Node] = {}
        keys: dict[str, int] = {}
        merged: list[_Node] = []
        size = 1
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise _RefusedError(_place(event), "a key must be plain text; write it out")
            key = event.value
            node = self._node(self._next(), depth)
            size += node.size
            if key == "<<" and event.implicit[0]:
                merged += node.elements or [node]
                continue
            if key in entries:
                what = f"{shown(key)} stands twice in one mapping, first on line {_line_column(keys[key])[0]}"
                self._faults.append((_place(event), f"{what}; keep one"))
            entries[key] = node
            keys[key] = _place(event)
        for node in merged:
            if node.entries is None or node.keys is None:
                raise _RefusedError(node.place, "`<<` takes a mapping; write the keys out")
            entries, keys = node.entries | entries, node.keys | keys
        value = {key: node.value for key, node in entries.items()}
        return _Node(value, _place(start), entries=entries, keys=keys, size=size)
