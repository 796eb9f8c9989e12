"""Lines that both sides of a merge added at one place, as ours and then theirs. Pure.

Rules:
- Both sides add things of one kind, each of them whole: items of a list in prose, entries that end in a comma, or
  declarations with names of their own at one indentation. What is around them must fit too.
- They have no line in common but for brackets and blanks: lines in common are often one thing written twice.
- Every line of both is in the result, in its order; only blank lines and a line end may come in between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_BULLET = re.compile(rb"([-*+]|\d{1,9}[.)])[ \t]+\S")
_WORD = re.compile(rb"[\w\x80-\xff]")
_STRING = re.compile(rb"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`""")
_BRACKETED = re.compile(rb"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}")
_ID = rb"[A-Za-z_$\x80-\xff][\w$\x80-\xff]*"
_KEY = re.compile(rb"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[\w.$-]+)\s*(?::|=>?)\s*\S""")
_PYTHON = re.compile(rb"(?:async\s+)?def\s|class\s.*:\s*(?:#.*)?$")
_OPENERS, _CLOSERS = b"([{", b")]}"
_MODIFIERS = rb"(?:(?:export|declare|abstract|async|unsafe|static|pub(?:\([^)]*\))?)\s+)*"
_KEYWORDS = rb"(?:def|class|function\s*\*?|func|fn|interface|enum|struct|trait|type|const|mod)"
_DECLARATIONS = (
    re.compile(rb"%s%s\s+(%s)" % (_MODIFIERS, _KEYWORDS, _ID)),
    re.compile(rb"func\s+(\([^()]*\)\s*%s)" % _ID),
    re.compile(rb"([A-Z][A-Z0-9_]+)\s*(?::[^=]+)?=(?!=)"),
    re.compile(rb"""(?:it|test|describe)\(\s*('[^'\\]*'|"[^"\\]*"|`[^`\\]*`)\s*,"""),
)
_PREAMBLE = re.compile(rb"@|#|//|/\*")


def join(
    ours: Sequence[bytes], theirs: Sequence[bytes], before: Sequence[bytes] = (), after: Sequence[bytes] = ()
) -> tuple[bytes, ...] | None:
    """Join what both sides added at one place; None where that is in doubt.

    `before` and `after` are lines of the file around the place, none where it begins or ends.
    """
    mine, others = ([line for line in side if line.strip()] for side in (ours, theirs))
    if not mine or not others or _said(mine) & _said(others):
        return None
    indent = _indentation(mine[0])
    if indent != _indentation(others[0]):
        return None
    ahead = next((line for line in reversed(before) if line.strip()), b"")
    follows = next((line for line in after if line.strip()), b"")
    goes_on = bool(follows) and _is_deeper(follows, indent)
    if not goes_on and _are_items(mine, others, indent):
        return _concatenate(ours, theirs)
    if _are_entries(mine, others, indent, ahead):
        return _concatenate(ours, theirs)
    if not goes_on and _are_declarations(mine, others, indent, ahead):
        return _concatenate(ours, theirs, spaced=True)
    return None


def _said(lines: Sequence[bytes]) -> set[bytes]:
    """Fold the lines that hold more than brackets."""
    return {b" ".join(line.split()) for line in lines if _WORD.search(line)}


def _indentation(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip(b" \t"))]


def _is_deeper(line: bytes, indent: bytes) -> bool:
    own = _indentation(line)
    return own != indent and own.startswith(indent)


def _concatenate(ours: Sequence[bytes], theirs: Sequence[bytes], *, spaced: bool = False) -> tuple[bytes, ...]:
    """Put theirs after ours; `spaced`: with as many blank lines between them as the sides have at their ends."""
    end = b"\r\n" if any(line.endswith(b"\r\n") for line in [*ours, *theirs]) else b"\n"
    first = [*ours[:-1], ours[-1] if ours[-1].endswith(b"\n") else ours[-1] + end]
    gap = 0
    if spaced and first[-1].strip() and theirs[0].strip():
        gap = max(_leading_blanks(ours), _leading_blanks(theirs[::-1]))
    return (*first, *[end] * gap, *theirs)


def _leading_blanks(lines: Sequence[bytes]) -> int:
    return next((at for at, line in enumerate(lines) if line.strip()), len(lines))


def _are_items(mine: list[bytes], others: list[bytes], indent: bytes) -> bool:
    """Tell whether both sides are items of one list, each with the deeper lines that belong to it."""
    marks = set()
    for line in [*mine, *others]:
        if _is_deeper(line, indent):
            continue
        match = _BULLET.match(line.strip())
        if not match or _indentation(line) != indent:
            return False
        marks.add(match[1])
    return len(marks) == 1


def _are_entries(mine: list[bytes], others: list[bytes], indent: bytes, ahead: bytes) -> bool:
    """Tell whether both sides are entries of one line each that end in a comma, with keys of their own."""
    lines = [*mine, *others]
    begins = ahead.strip()
    if begins and begins[-1:] not in b",([{" and not begins.startswith((b"#", b"//")):
        return False
    keys = [_entry_key(line) for line in lines]
    return (
        all(_indentation(line) == indent for line in lines)
        and None not in keys
        and len(set(keys)) == len(keys)
    )  # fmt: skip


def _entry_key(line: bytes) -> bytes | None:
    """Return an entry's key, or the entry itself where it has none; None when this is no whole entry."""
    text = line.strip()
    if not text.endswith(b",") or text == b",":
        return None
    text = text[:-1].rstrip()
    bare = _strip_brackets(_STRING.sub(b"s", text))
    if bare is None or any(quote in bare for quote in b"'\"`#") or b"//" in bare:
        return None
    match = _KEY.match(text)
    if match:
        return match[1].strip(b"'\"")
    return text if not re.search(rb"[\s,;]", bare) else None


def _strip_brackets(text: bytes) -> bytes | None:
    """Take out what stands in brackets; None when they do not match."""
    while True:
        shorter = _BRACKETED.sub(b"", text)
        if shorter == text:
            return None if re.search(rb"[()\[\]{}]", text) else text
        text = shorter


def _are_declarations(mine: list[bytes], others: list[bytes], indent: bytes, ahead: bytes) -> bool:
    """Tell whether both sides are whole declarations with names of their own."""
    if ahead.strip().startswith((b"@", b"#[")):
        return False
    python = any(_PYTHON.match(line.strip()) for line in [*mine, *others])
    names, other_names = _declared(mine, indent, python=python), _declared(others, indent, python=python)
    return names is not None and other_names is not None and not names & other_names


def _declared(lines: list[bytes], indent: bytes, *, python: bool) -> set[bytes] | None:
    """Name what whole declarations at an indentation declare; None when they are not that."""
    depth, names, announced = 0, set(), False
    for line in lines:
        text = line.strip()
        if _indentation(line) != indent:
            if not _is_deeper(line, indent):
                return None
        elif depth:
            if text[0] not in _CLOSERS:
                return None
        else:
            name = next((match[1] for pattern in _DECLARATIONS if (match := pattern.match(text))), None)
            if name:
                names.add(b" ".join(name.split()))
                announced = False
            elif _PREAMBLE.match(text):
                announced = True
            elif python or text[:1] != b"{" or not names:
                return None
        depth += _opened(text, python=python)
        if depth < 0:
            return None
    whole = not depth and not announced and lines[-1].strip()[-1:] not in b":,=\\"
    return names if names and whole else None


def _opened(text: bytes, *, python: bool) -> int:
    """Count the brackets that a line opens and does not close, outside of strings and comments."""
    bare = re.sub(rb"#.*" if python else rb"//.*", b"", _STRING.sub(b"", text))
    return sum(bare.count(char) for char in _OPENERS) - sum(bare.count(char) for char in _CLOSERS)
