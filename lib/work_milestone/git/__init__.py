"""git as a database: refs, trees, merges, worktrees; every git command goes through here.

Takes commits, refs and paths; gives objects' ids, trees merged without a checkout, clean worktrees. Rules: porcelain
formats and exit codes, never prose; a branch moves by compare and swap; nothing uncommitted is thrown away before it is
kept under a ref; the user's checkout is moved by who lands alone, and brought back where that was cut short.
"""

from work_milestone.git.repo import (
    ABSENT,
    LEAST_VERSION,
    PATIENCE,
    RefMovedError,
    Repo,
    decode,
    encode,
    environment,
    version,
)

__all__ = [
    "ABSENT", "LEAST_VERSION", "PATIENCE", "RefMovedError", "Repo", "checkouts", "decode", "detached", "edits",
    "encode", "environment", "merges", "rollback", "salvage", "trees", "version", "worktrees",
]  # fmt: skip
