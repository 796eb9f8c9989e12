"""Texts of others, made fit for one line of a terminal, a commit's subject or a table."""

from __future__ import annotations

import os
from typing import TextIO


def one_line(text: str) -> str:
    """Fold a text, whatever it holds, into one printable line."""
    if text.isprintable() and "  " not in text:
        return text.strip()
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def last_line(text: str, width: int = 300) -> str:
    """Return the last line that says anything, in at most `width` characters."""
    lines = [line for line in text.splitlines() if line.strip()]
    return one_line(lines[-1])[:width] if lines else ""


def last_lines(text: str, most: int = 5, width: int = 160) -> list[str]:
    """Return the last lines that say anything: printable, indented as they are, of at most `width` characters."""
    lines = ("".join(char if char.isprintable() else " " for char in line.expandtabs(4)) for line in text.splitlines())
    return [cut for line in lines if (cut := line[:width].rstrip())][-most:]


def shown(text: object, limit: int = 60) -> str:
    """Text for a message: one line, printable, bounded."""
    words = str(text)
    words = words if len(words) <= limit else words[:limit] + "…"
    return words if words.isprintable() else repr(words)[1:-1]


def count(number: int, noun: str) -> str:
    """Write a number of things: 1 commit, 2 commits."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def span(seconds: float | None) -> str:
    """Write a duration as people do: 0.4s, 12s, 3m12s, 1h04m."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def size(number: int) -> str:
    """Write a number of bytes as people do: 4 KB, 1.5 MB, 12 GB."""
    value, unit = number / 1024, "KB"
    for unit in ("KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1024
    return f"{value:.1f} {unit}" if value < 10 and unit != "KB" else f"{value:.0f} {unit}"


def wants_color(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal whose user has not asked for NO_COLOR."""
    if stream is None:
        return False
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
