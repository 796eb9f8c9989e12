"""Files: opened so that they are nobody else's business, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from work_milestone.system.errors import ReceiptError

REMEDY = "make room or give yourself the right to write there, then type the same line again"


def private(path: str, flags: int) -> int:
    """Open a file, for `open(..., opener=private)`: made anew, nobody else may read it."""
    return os.open(path, flags, 0o600)


def is_there(path: str | Path) -> bool:
    """Tell whether a path names something; words that can be no path name nothing."""
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def read_end(path: Path, size: int = 65536) -> str:
    """Read the end of a file, as much as a person would; "" where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def write_atomic(path: Path, text: str, *, durable: bool = False) -> None:
    """Write a file whole or not at all. Raise ReceiptError, naming path and cause, when it cannot be written."""
    try:
        try:
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_encode(text))
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105 - the plain call is what the rule is about
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        raise ReceiptError(f"{path}: cannot be written ({error.strerror}); {REMEDY}") from error


def _encode(text: str) -> bytes:
    """Turn any text into bytes: a file name's are what they were, half a character of an agent's becomes a mark."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
