"""conflicts."""

from work_milestone.conflicts.classes import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_FILES,
    MAX_PARSED,
    Class,
    Sides,
    Verdict,
    classify,
    merge_file,
    read_sides,
)

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_FILES",
    "MAX_PARSED",
    "Class",
    "Sides",
    "Verdict",
    "classify",
    "merge_file",
    "read_sides",
]
