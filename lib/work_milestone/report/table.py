"""Lines and tables for a terminal or a pipe."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from work_milestone.report.rows import WIDE, Row
from work_milestone.text import masking, one_line, span

COLORS = {"merged": "32", "complete": "32", "running": "36", "ready": "36", "skipped": "33", "waiting": "33",
          "pending": "2"}  # fmt: skip
_HEAD = ("item", "wave", "pri", "state", "time", "cost", "title", "")


class Page:
    """Writes lines to a terminal or a pipe; what is piped has no terminal's width to heed."""

    def __init__(self, write: Callable[[str], object], *, color: bool, width: int | None = None) -> None:
        self.write = write
        self.color = color
        self.width = width or shutil.get_terminal_size((WIDE, 24)).columns

    def print(self, text: str) -> None:
        """Write a line."""
        self.write(masking.mask(text) + "\n")

    def paint(self, text: str, color: str | None) -> str:
        """Colour a text, where colours are wanted."""
        return f"\x1b[{color}m{text}\x1b[0m" if self.color and color else text


def print_table(page: Page, rows: Sequence[Row]) -> None:
    """Write a line an item, in columns; the title and what is said of it share what room is left."""
    cells = [_HEAD]
    for row in rows:
        said = f"{row.detail}{f', worktree {row.place}' if row.place else ''}"
        cost = f"${row.cost:.2f}" if row.cost is not None else ""
        cells.append((f"#{row.item.issue}", str(row.item.wave), row.item.priority, row.state, span(row.elapsed), cost,
                      one_line(row.item.title), one_line(said)))  # fmt: skip
    widths = [max(cell_len(line[column]) for line in cells) for column in range(len(_HEAD))]
    room = max(24, page.width - sum(widths[:6]) - 14)
    widths[6] = min(widths[6], max(room - widths[7], room // 2))
    widths[7] = room - widths[6]
    colors: list[tuple[str | None, ...]] = [("1",) * len(_HEAD)]
    colors += [(None,) * 3 + (COLORS.get(row.state, "31"),) + (None,) * 3 + ("2",) for row in rows]
    for line, paints in zip(cells, colors, strict=True):
        page.print(_join((_fit(text, width) for text, width in zip(line, widths, strict=True)), paints, page))


def _fit(text: str, width: int) -> str:
    """Cut or fill a text to a width in cells of a terminal, which some letters take two of."""
    short = text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"
    return set_cell_size(short, width)


def _join(texts: Iterable[str], paints: Iterable[str | None], page: Page) -> str:
    """Paint cells and put them in a row, without blanks at its end."""
    row = list(texts)
    while row and not row[-1].strip():
        row.pop()
    last = [*row[:-1], row[-1].rstrip()]
    return "  ".join(page.paint(text, paint) for text, paint in zip(last, paints, strict=False))
