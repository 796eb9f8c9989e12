"""gates."""

from work_milestone.gates.checks import (
    LEDGER,
    Failure,
    Place,
    Report,
    Result,
    check,
    end_left,
    read_end,
    read_log,
    run_each,
)

__all__ = ["LEDGER", "Failure", "Place", "Report", "Result", "check", "end_left", "read_end", "read_log", "run_each"]
