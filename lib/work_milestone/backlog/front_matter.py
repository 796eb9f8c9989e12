"""YAML front matter of a Markdown file: its values, and a change of status that leaves all else as it is.

The format's source is what Backlog.md 1.52 (npm `backlog.md`) was seen to write and read. Rules kept here:

- A bad file is a fault, `path:line: what; what to do`. Aliases and deep nesting are refused before YAML's
  composer sees them, which would end the process: its recursion has no limit.
- A change is made in the text, in the quotes that stand there, and the changed text is read again: where any
  other value would differ the change is refused.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import yaml

from work_milestone.system import BacklogError
from work_milestone.text import yaml_nodes

MAX_CHARACTERS = 64_000
MAX_DEPTH = 20

_NULL = "tag:yaml.org,2002:null"
_FRONT = re.compile(r"\A\ufeff?---[ \t\r]*\n(.*?)^---[^\n]*\n?", re.S | re.M)
_PLAIN = re.compile(r"(?!(?:true|false|yes|no|on|off|null|y|n)\Z)[a-z](?:[a-z0-9 _-]*[a-z0-9])?", re.I)


def fault(path: str, line: int, what: str, remedy: str) -> BacklogError:
    """Build the error for one place of one file."""
    shown = path if path.isprintable() else ascii(path)
    return BacklogError(f"{shown}:{line}: {what}; {remedy}")


@contextlib.contextmanager
def told(faults: list[str]) -> Iterator[None]:
    """Put a BacklogError beside the other faults, so that it stops nothing but its own file."""
    try:
        yield
    except BacklogError as error:
        faults.append(str(error))


class FrontMatter(NamedTuple):
    """A mapping of one file: a value's YAML node by key, its own node, where its source stands in the text."""

    path: str
    fields: Mapping[str, yaml.Node]
    root: yaml.MappingNode
    start: int
    end: int
    first_line: int

    def line(self, key: str) -> int:
        """Give the line of a key's value, else the first."""
        return self.first_line + self.fields[key].start_mark.line if key in self.fields else 1

    def text(self, key: str) -> str:
        """Give a key's text without outer blanks, "" when it is absent or null; raises BacklogError."""
        value = self.fields.get(key)
        if value is None or value.tag == _NULL:
            return ""
        if not isinstance(value, yaml.ScalarNode):
            raise fault(self.path, self.line(key), f"{key} is no text", f"write `{key}: text`")
        return str(value.value).strip()

    def texts(self, key: str) -> list[str]:
        """Give a key's texts without null; a single text is split at its commas. Raises BacklogError."""
        value = self.fields.get(key)
        if isinstance(value, yaml.MappingNode):
            what = f"{key} is a mapping, not a list"
            raise fault(self.path, self.line(key), what, f"write `{key}: [one, two]`")
        if isinstance(value, yaml.SequenceNode):
            found = [each.value for each in value.value if isinstance(each, yaml.ScalarNode) and each.tag != _NULL]
        else:
            found = self.text(key).split(",")
        return [each.strip() for each in found if each.strip()]


def parse(path: str, text: str) -> FrontMatter:
    """Find and read the front matter of a text; raises BacklogError."""
    found = _FRONT.match(text)
    if found is None:
        raise fault(path, 1, "no front matter between two lines ---", "add it, or move the file elsewhere")
    if len(found[1]) > MAX_CHARACTERS:
        raise fault(path, 1, f"front matter of more than {MAX_CHARACTERS} characters", "shorten it")
    return parse_mapping(path, found[1], found.start(1), 2)


def parse_mapping(path: str, source: str, start: int = 0, line: int = 1) -> FrontMatter:
    """Read a mapping that begins at `start` of the file, on `line`; raises BacklogError."""
    # Backlog.md takes `assignee: @me`, which is no YAML; the mask keeps every position.
    masked = re.sub(r"(?m)^(?:assignee|reporter):.*$", lambda m: m[0].replace("@", "_"), source)
    try:
        _require_flat(path, masked, line)
        root = yaml.compose(masked, Loader=yaml_nodes.LOADER)
    except yaml.YAMLError as error:
        if (deep := yaml_nodes.find_nesting(masked, MAX_DEPTH)) is not None:
            raise _too_deep(path, line + masked.count("\n", 0, deep)) from None
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or "a character that YAML does not allow"
        at = line + (mark.line if mark is not None else 0)
        raise fault(path, at, f"broken YAML: {' '.join(str(what).split())}", "correct or quote it") from None
    except UnicodeError:
        raise fault(path, line, "no Unicode text", "save it as UTF-8") from None
    if not isinstance(root, yaml.MappingNode):
        raise fault(path, line, "no mapping of keys to values", "write `key: value` lines")
    fields: dict[str, yaml.Node] = {}
    for key, value in root.value:
        if not isinstance(key, yaml.ScalarNode) or key.value in fields:
            at = line + key.start_mark.line
            raise fault(path, at, "a key that stands twice or is no plain word", "keep one of them")
        fields[key.value] = value
    return FrontMatter(path, fields, root, start, start + len(source), line)


def _require_flat(path: str, source: str, line: int) -> None:
    """Refuse aliases and deep nesting; the parser's events need no recursion."""
    depth = 0
    for event in yaml.parse(source, Loader=yaml_nodes.LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            raise _too_deep(path, line + (event.start_mark.line if event.start_mark else 0))


def _too_deep(path: str, line: int) -> BacklogError:
    return fault(path, line, "an alias, or very deep nesting", "write it plainly")


def set_status(text: str, status: str, *, updated: datetime | None = None, path: str = "task") -> str:
    """Give the task's text with another status, all else kept byte for byte.

    `updated` renews `updated_date` (UTC, to the minute) where the task has one. A task without a status gets
    one as its last key. Raises BacklogError when the file is no task or cannot be changed without doubt.
    """
    if not status or not status.isprintable() or status != status.strip():
        raise fault(path, 1, f"{status!a:.60} is no status", "use one of the configured statuses")
    before = parse(path, text)
    new = {"status": status}
    if updated is not None and "updated_date" in before.fields:
        new["updated_date"] = f"{updated.astimezone(UTC):%Y-%m-%d %H:%M}"
    changed = text
    if "status" not in before.fields:
        newline = "\r\n" if text[: before.end].endswith("\r\n") else "\n"
        indent = " " * before.root.start_mark.column
        changed = f"{text[: before.end]}{indent}status: {_scalar(status, '')}{newline}{text[before.end :]}"
    # From the end to the beginning, so that an edit leaves the marks before it true.
    for key in sorted(new.keys() & before.fields.keys(), key=lambda key: -before.fields[key].start_mark.index):
        changed = _edit(changed, before, key, new[key])
    if not _differs_only(before, changed, new):
        what, remedy = "the status cannot be changed in place", "write `status: text` on a line of its own"
        raise fault(path, before.line("status"), what, remedy)
    return changed


def _edit(text: str, front: FrontMatter, key: str, value: str) -> str:
    """Replace a key's value, and neither the blanks nor the comment behind it."""
    node = front.fields[key]
    start, end = (front.start + mark.index for mark in (node.start_mark, node.end_mark))
    end = start + len(text[start:end].rstrip())
    gap = " " if text[start - 1] == ":" else ""
    style = (node.style or "") if isinstance(node, yaml.ScalarNode) else ""
    return text[:start] + gap + _scalar(value, style) + text[end:]


def _scalar(value: str, style: str) -> str:
    """Write a text as YAML, in the quotes it had, or else in some where it needs them."""
    if style == "'" or (style != '"' and value[0].isdigit()):
        return "'" + value.replace("'", "''") + "'"
    return value if style != '"' and _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _differs_only(before: FrontMatter, changed: str, new: Mapping[str, str]) -> bool:
    """Read the changed text again: whether it has the new values and differs in nothing else."""
    try:
        after = parse(before.path, changed)
        if any(after.text(key) != value for key, value in new.items()):
            return False
    except BacklogError:
        return False
    rest = [{k: yaml.serialize(v) for k, v in f.fields.items() if k not in new} for f in (before, after)]
    return rest[0] == rest[1]
