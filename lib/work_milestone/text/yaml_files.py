"""YAML files that people write: one parse gives the data and the place of every value.

Rules: whatever bytes stand in a file, reading it ends with data or with a `PlanError`, soon, each fault as
`path:line:column: what; what to do`. `-` and `_` in keys are the same. Values are those of YAML 1.1, so `12:30` is 750
and `no` is False: `Positions.text` knows the source.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import yaml

from work_milestone.system import PlanError
from work_milestone.text.lines import shown
from work_milestone.text.yaml_nodes import Node, RefusedError, compose, line_column

MAX_BYTES = 32 * 1024 * 1024

DocumentPath = tuple[str | int, ...]

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Positions:
    """Where the values of one file stand, and what was found wrong with them so far."""

    def __init__(self, name: str, root: Node, faults: list[tuple[int, str]]) -> None:
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
        line, column = line_column(place)
        return f"{self.name}:{line}:{column}"

    def _find(self, path: DocumentPath, key: bool) -> tuple[int, Node | None]:
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
        node, faults = compose(text)
    except RefusedError as error:
        line, column = line_column(error.place)
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
        node = Node({}, 0, entries={})
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


def _end_of(text: str) -> str:
    return f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"
