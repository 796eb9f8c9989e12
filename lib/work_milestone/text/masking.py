"""Takes out of texts what must not be shown: keys in the forms that are known, and what secret variables hold.

Rules:
- What is masked once stays readable around it, and a text that has no key in it is not changed: a branch, a path or
  a word is no key, however long it is.
- Whatever an agent prints, the time is in proportion to its length: each search within a form is bounded.
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from work_milestone.system import files

MASK = "[masked]"
LEAST = 8  # characters; a shorter value of a variable stands in too many texts by chance
LEAST_LINE = 16  # characters of a line of such a value, which may stand alone
BLOCK, HELD = 1 << 20, 1 << 16  # bytes that are read at a time; characters that wait for the next, for a key in between
_WORD = r"[A-Za-z0-9_-]"
_MIXED = rf"(?={_WORD}{{0,80}}?[A-Z])(?={_WORD}{{0,80}}?[0-9])"
_LONG = rf"(?={_WORD}{{0,60}}?[a-z0-9]{{24}})"
_PRIVATE = "[A-Z ]{0,40}PRIVATE KEY-----"
_BREAK = r"(?:\\[nr]|[\r\n])"
_HEADER = r" +(?=[a-z+/._~-]{0,200}[A-Z0-9=])[A-Za-z0-9+/=_.~-]{16,}"


def _begin(*words: str, then: str, inside: str = "A-Za-z0-9") -> str:
    """Match a word that begins where none is under way, and what follows; within JSON, a line begins after an n."""
    return "|".join(rf"{word}(?:(?<![{inside}]{word})|(?<=\\[nrt]{word})){then}" for word in words)


# Each begins with a letter that is no class and no look around: so texts are passed over quickly.
_KEYS = "|".join((
    _begin("sk-", then=rf"(?:{_MIXED}|{_LONG}){_WORD}{{16,}}"),  # Anthropic, OpenAI and those who do as they do
    r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
    rf"glpat-{_WORD}{{16,}}",
    _begin("AKIA", "ASIA", then=r"[0-9A-Z]{16}\b"),
    rf"AIza{_WORD}{{30,}}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
    rf"npm_[A-Za-z0-9]{{24,}}|hf_[A-Za-z0-9]{{24,}}|pypi-{_MIXED}{_WORD}{{40,}}",
    _begin("eyJ", then=rf"{_WORD}{{10,}}\.{_WORD}{{10,}}\.{_WORD}{{5,}}", inside="A-Za-z0-9_-"),  # a JSON web token
    rf"-----BEGIN {_PRIVATE}(?:(?:(?!-----).){{0,16000}}-----END {_PRIVATE}"
    rf"|(?:{_BREAK}+(?:[A-Za-z0-9+/=]+|(?:Proc-Type|DEK-Info): [^\s\\]+)|[ ]+[A-Za-z0-9+/=]{{40,}})*)",
    _begin("bearer", "Bearer", "BEARER", "basic", "Basic", "BASIC", then=_HEADER),
    r"://[^\s/:@]+:[^\s/@]+(?=@)",  # user and password in an address
))  # fmt: skip
_SECRET = re.compile(
    r"(?:^|_)(?:[A-Z]*KEYS?|[A-Z]*TOKEN|[A-Z]*SECRETS?|[A-Z]*PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)(?:$|_)|_(?:PAT|PWD)$"
)


_set: dict[str, str] = {}  # variables beside this process's own


def learn(variables: Mapping[str, str]) -> None:
    """Take the secrets among further variables for secrets too, from now on."""
    _set.update(variables)
    _pattern.cache_clear()


def mask(text: str) -> str:
    """Return a text without keys."""
    return _pattern().sub(_hide, text)


def read_end(path: Path, size: int = 65536) -> str:
    """Read the end of a log without keys, as much as a person would: a gate has the user's whole environment."""
    return mask(files.read_end(path, size))


def mask_stream(file: BinaryIO) -> Iterator[bytes]:
    """Give what a file holds without keys, also those of several lines; what is no text stays as it is."""
    rest = b""
    while block := file.read(BLOCK):
        # What is cut in the middle of a letter comes back as the bytes that it was.
        text = (rest + block).decode("utf-8", "surrogateescape")
        told, at = _mask_beginning(text, max(0, len(text) - HELD))
        yield told.encode("utf-8", "surrogateescape")
        rest = text[at:].encode("utf-8", "surrogateescape")
    yield mask(rest.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _mask_beginning(text: str, limit: int) -> tuple[str, int]:
    """Mask a text up to a limit, or to the key before it that might go on; return where the rest begins."""
    parts, at = [], 0
    for found in _pattern().finditer(text):
        if found.start() >= limit:
            break
        if found.end() > limit and found.start() > limit - HELD:  # what is longer than that is no key that goes on
            limit = found.start()
            break
        parts += [text[at : found.start()], _hide(found)]
        at = found.end()
    limit = max(at, limit)
    return "".join([*parts, text[at:limit]]), limit


def _hide(found: re.Match[str]) -> str:
    return f"://{MASK}" if found[0].startswith("://") else MASK


@functools.cache
def _pattern() -> re.Pattern[str]:
    """Put known forms and the values of secret variables into one pattern."""
    variables = (*os.environ.items(), *_set.items())
    values = {form for name, value in variables if _SECRET.search(name.upper()) for form in _forms(value)}
    own = [re.escape(value) for value in sorted(values, key=len, reverse=True)]
    return re.compile("|".join([*own, _KEYS]), re.DOTALL)


def _forms(value: str) -> Iterator[str]:
    """Give the forms in which a secret may be printed: as it is, within JSON, a line of it."""
    value = value.strip()
    if len(value) < LEAST or (
        value.startswith("/") and files.is_there(value)
    ):  # the file that a key is in has a name that may be told
        return
    yield from (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield from (line.strip() for line in value.splitlines() if len(line.strip()) >= LEAST_LINE)
