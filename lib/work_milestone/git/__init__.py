"""git."""

from work_milestone.git.repo import (
    ABSENT,
    LEAST_VERSION,
    LITERAL,
    MOST_NAMED,
    PATIENCE,
    QUIET_CONFIG,
    SHARED_PATIENCE,
    Commit,
    RefMovedError,
    Repo,
    decode,
    encode,
    environment,
    split,
    version,
)

__all__ = [
    "ABSENT",
    "LEAST_VERSION",
    "LITERAL",
    "MOST_NAMED",
    "PATIENCE",
    "QUIET_CONFIG",
    "SHARED_PATIENCE",
    "Commit",
    "RefMovedError",
    "Repo",
    "decode",
    "encode",
    "environment",
    "split",
    "version",
]
