"""Whether a resolved file still parses, where a parser is at hand and both of its sides do."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

import yaml

from work_milestone.conflicts import hunks

MAX_PARSED = 1_000_000  # bytes; more takes seconds
MAX_DEPTH = 100  # of YAML; and dots in a line of TOML
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def check(path: str, *texts: bytes) -> str | None:
    """Say that the result, the last of the texts, does not parse, where both sides do."""
    parse = _PARSERS.get(PurePosixPath(path).suffix.lower())
    if not parse:
        return None
    # Each dot may nest a table of TOML, and tomllib's memory grows with the square of the depth.
    deep = parse is _parse_toml and any(line.count(b".") > MAX_DEPTH for text in texts for line in hunks.lines(text))
    if deep or max(map(len, texts)) > MAX_PARSED:
        return "too large to check the result"
    *sides, result = texts
    if all(_parses(parse, side) for side in sides) and not _parses(parse, result):
        return "the result of the rules does not parse"
    return None


def _parses(parse: Callable[[bytes], object], text: bytes) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, yaml.YAMLError):
        return False
    return True


def _parse_json(text: bytes) -> object:
    return json.loads(text, object_pairs_hook=_require_unique)


def _require_unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _parse_toml(text: bytes) -> object:
    import tomllib  # slow to load, and seldom needed

    return tomllib.loads(text.decode())


def _parse_yaml(text: bytes) -> None:
    # Events alone: what aliases stand for is never built, and libyaml does not recurse, but crawls where it is deep.
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ValueError("too deep")


_PARSERS: Mapping[str, Callable[[bytes], object]] = {
    ".py": ast.parse,
    ".pyi": ast.parse,
    ".json": _parse_json,
    ".toml": _parse_toml,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}
