"""Imports that both sides of a merge changed, as one block of lines. Pure.

Rules:
- A block is merged only when each of its lines is one whole import of one language, at one indentation.
- What both sides have stays; what a side took out goes; what a side added is there. Nothing is guessed: a name
  bound in two lines, a name or module that one side removed and the other one uses: no answer.
- Where both sides keep their lines sorted, so does the result: linters ask for it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

_ID = rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*"
_DOTTED = rb"%s(?:\.%s)*" % (_ID, _ID)
_QUOTED = rb"""(?:'([^'"\s]+)'|"([^'"\s]+)")"""
_ITEM = re.compile(rb"(?:type\s+)?(%s)(?:(?:\s+as\s+|\s*:\s*)(%s))?" % (_ID, _ID))

_PY_IMPORT = re.compile(rb"import\s+(%s(?:\s+as\s+%s)?(?:\s*,\s*%s(?:\s+as\s+%s)?)*)\s*(?:#.*)?" % ((_DOTTED, _ID) * 2))
_PY_FROM = re.compile(rb"from\s+(\.*(?:%s)?)\s*\bimport\s+(\(?)([^()#;\\]+?)(\)?)\s*(?:#.*)?" % _DOTTED)
_JAVA = re.compile(rb"import\s+(?:static\s+)?(%s)\s*;" % _DOTTED)
_JS_IMPORT = re.compile(
    rb"import\s+(?:type\s+)?(?:(%s)\s*)?(?:,\s*)?(?:\*\s*as\s+(%s)\s*|\{([^{}]*)\}\s*)?from\s*%s\s*;?"
    % (_ID, _ID, _QUOTED)
)
_JS_REQUIRE = re.compile(
    rb"(?:const|let|var)\s+(?:(%s)|\{([^{}]*)\})\s*=\s*require\(\s*%s\s*\)\s*;?" % (_ID, _QUOTED)
)  # fmt: skip
_RUST = re.compile(
    rb"(?:pub(?:\([^)]*\))?\s+)?use\s+((?:::)?%s(?:::%s)*)(?:\s+as\s+(%s)|::\{([^{}]*)\})?\s*;" % (_ID, _ID, _ID)
)  # fmt: skip
_INCLUDE = re.compile(rb"#\s*(?:include|import)\s*(<[^<>]+>|\"[^\"]+\")")
_GO_IMPORT = re.compile(rb'import\s+(?:(%s)\s+)?"([\w./~+-]+)"' % _ID)
_GO_SPEC = re.compile(rb'(?:(%s)\s+)?"([\w./~+-]+)"' % _ID)
_GO_VERSION = re.compile(rb"v\d+")


class _Import(NamedTuple):
    """One line: its language, its modules, and what its names stand for; `plain` may share its first name."""

    language: str
    modules: frozenset[bytes]
    names: tuple[tuple[bytes, bytes], ...]
    plain: bool = False


def merge(
    base: Sequence[bytes], ours: Sequence[bytes], theirs: Sequence[bytes], before: Sequence[bytes] = ()
) -> tuple[bytes, ...] | None:
    """Merge lines of imports; None where that is in doubt. `before`: the file's lines up to here."""
    everything = [*base, *ours, *theirs]
    if not ours or not theirs or not all(line.endswith(b"\n") for line in everything):
        return None
    if len({_indentation(line) for line in everything}) != 1:
        return None
    in_go = _is_in_go_import(before)
    read = {line.rstrip(): _read(line.strip(), in_go=in_go) for line in everything}
    known = {line: found for line, found in read.items() if found}
    if len(known) != len(read) or len({found.language for found in known.values()}) != 1:
        return None
    sides = [[line.rstrip() for line in side] for side in (base, ours, theirs)]
    if any(len(set(side)) != len(side) for side in sides):
        return None
    old, mine, others = sides
    kept = [line for line in mine if line in others]
    added = [[line for line in side if line not in old and line not in kept] for side in (mine, others)]
    result = [*kept, *added[0], *added[1]]
    if not _is_safe(known, sides, added, result):
        return None
    if mine == sorted(mine) and others == sorted(others):
        result.sort()
    as_written = {line.rstrip(): line for line in [*theirs, *ours]}
    return tuple(as_written[line] for line in result)


def _is_safe(
    known: dict[bytes, _Import], sides: list[list[bytes]], added: list[list[bytes]], result: list[bytes]
) -> bool:
    """Tell whether each name has one line, and nothing that a side removed is used by the other."""
    plain = [module for line in result if known[line].plain for module in known[line].modules]
    if len(set(plain)) != len(plain):
        return False
    bound: dict[bytes, tuple[bytes, bool]] = {}
    for line in result:
        for name, thing in known[line].names:
            if name in bound and not (known[line].plain and bound[name] == (thing, True)):
                return False
            bound[name] = (thing, known[line].plain)
    old, *changed = sides
    for side, extra in zip(changed, reversed(added), strict=True):
        if (_names(known, old) - _names(known, side)) & bound.keys():
            return False
        if (_modules(known, old) - _modules(known, side)) & _modules(known, extra):
            return False
    return True


def _names(known: dict[bytes, _Import], lines: Iterable[bytes]) -> set[bytes]:
    return {name for line in lines for name, _ in known[line].names}


def _modules(known: dict[bytes, _Import], lines: Iterable[bytes]) -> set[bytes]:
    return set(itertools.chain.from_iterable(known[line].modules for line in lines))


def _indentation(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip())]


def _is_in_go_import(before: Sequence[bytes]) -> bool:
    """Tell whether lines end within `import (` of Go: nowhere else is a bare string an import."""
    for line in reversed(before):
        text = line.strip()
        if re.fullmatch(rb"import\s*\(", text):
            return True
        if text and not text.startswith(b"//") and not _GO_SPEC.fullmatch(text):
            return False
    return False


def _read(text: bytes, *, in_go: bool) -> _Import | None:
    """Read one line as the import that it is, None when it is not one."""
    readers: list[Callable[[bytes], _Import | None]] = [_python, _java, _javascript, _rust, _c]
    for reader in [_go_spec] if in_go else [*readers, _go]:
        found = reader(text)
        if found:
            return found
    return None


def _items(listed: bytes, module: bytes) -> tuple[tuple[bytes, bytes], ...] | None:
    """Read `a, b as c` as pairs of a local name and what it stands for."""
    found = []
    for part in listed.strip().removesuffix(b",").split(b","):
        match = _ITEM.fullmatch(part.strip())
        if not match:
            return None
        found.append((match[2] or match[1], module + b" " + match[1]))
    return tuple(found)


def _python(text: bytes) -> _Import | None:
    """Python, and with the same words Kotlin, where the last part is the name: so both are taken as bound."""
    match = _PY_IMPORT.fullmatch(text)
    if match:
        names: dict[bytes, bytes] = {}
        modules = []
        for part in match[1].split(b","):
            module, _, alias = (word.strip() for word in re.sub(rb"\s+as\s+", b"\0", part).partition(b"\0"))
            modules.append(module)
            pairs = [(alias, module)] if alias else [(module.split(b".")[0],) * 2, (module.split(b".")[-1], module)]
            for name, thing in pairs:
                if names.setdefault(name, thing) != thing:
                    return None
        return _Import("python", frozenset(modules), tuple(names.items()), plain=True)
    match = _PY_FROM.fullmatch(text)
    if not match or bool(match[2]) != bool(match[4]) or match[1] in (b"", b"__future__"):
        return None
    pairs_read = None if b":" in match[3] else _items(match[3], match[1])
    return _Import("python", frozenset({match[1]}), pairs_read) if pairs_read else None


def _java(text: bytes) -> _Import | None:
    match = _JAVA.fullmatch(text)
    return _Import("java", frozenset({match[1]}), ((match[1].split(b".")[-1], match[1]),)) if match else None


def _javascript(text: bytes) -> _Import | None:
    match = _JS_IMPORT.fullmatch(text)
    if match:
        default, star, listed = match[1], match[2], match[3]
        module = match[4] or match[5]
    else:
        match = _JS_REQUIRE.fullmatch(text)
        if not match:
            return None
        default, star, listed, module = match[1], None, match[2], match[3] or match[4]
    names: tuple[tuple[bytes, bytes], ...] = ()
    if listed is not None:
        found = _items(listed, module)
        if not found:
            return None
        names = found
    names += tuple((name, module) for name in (default, star) if name)
    return _Import("javascript", frozenset({module}), names) if names else None


def _rust(text: bytes) -> _Import | None:
    match = _RUST.fullmatch(text)
    if not match:
        return None
    path, alias, listed = match[1], match[2], match[3]
    last = path.split(b"::")[-1]
    if listed is None:
        return _Import("rust", frozenset({path}), () if alias == b"_" else ((alias or last, path),))
    found = _items(listed, path)
    if not found or b":" in listed:
        return None
    names = tuple((last if name == b"self" else name, thing) for name, thing in found)
    return _Import("rust", frozenset({path}), names)


def _c(text: bytes) -> _Import | None:
    match = _INCLUDE.fullmatch(text)
    return _Import("c", frozenset({match[1]}), ()) if match else None


def _go(text: bytes) -> _Import | None:
    return _go_of(_GO_IMPORT.fullmatch(text))


def _go_spec(text: bytes) -> _Import | None:
    return _go_of(_GO_SPEC.fullmatch(text))


def _go_of(match: re.Match[bytes] | None) -> _Import | None:
    if not match:
        return None
    parts = [part for part in match[2].split(b"/") if not _GO_VERSION.fullmatch(part)]
    name = match[1] or (parts or [match[2]])[-1]
    return _Import("go", frozenset({match[2]}), () if name == b"_" else ((name, match[2]),))
