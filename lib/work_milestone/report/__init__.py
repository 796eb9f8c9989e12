"""report."""

from work_milestone.report.table import (
    COLORS,
    MOST_ROWS,
    WIDE,
    Page,
    Row,
    closing_line,
    print_plans,
    print_status,
    print_summary,
    rows,
)

__all__ = [
    "COLORS",
    "MOST_ROWS",
    "WIDE",
    "Page",
    "Row",
    "closing_line",
    "print_plans",
    "print_status",
    "print_summary",
    "rows",
]
