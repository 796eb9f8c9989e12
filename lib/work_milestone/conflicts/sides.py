"""The three texts of a file that conflicts, and git's merge of them line by line."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from work_milestone import git
from work_milestone.conflicts import hunks
from work_milestone.git import merges, trees

REGULAR = ("100644", "100755")  # modes of plain files


class Sides(NamedTuple):
    """The three texts of a file that conflicts; no base when both sides added it."""

    base: bytes | None
    ours: bytes
    theirs: bytes


def read_sides(repo: git.Repo, merged: merges.Merged) -> dict[str, Sides]:
    """Read what conflicts, by path; a side that has no plain file there has an empty one."""
    stages = [stage for stage in merged.stages if stage.mode in REGULAR]
    blobs = trees.read_blobs(repo, (stage.blob for stage in stages))
    texts = {(stage.path, stage.number): blobs[stage.blob] for stage in stages}
    return {path: Sides(texts.get((path, 1)), texts.get((path, 2), b""), texts.get((path, 3), b""))
            for path in merged.conflicts}  # fmt: skip


def merge_file(repo: git.Repo, base: bytes, ours: bytes, theirs: bytes) -> tuple[hunks.Chunk, ...]:
    """Merge three texts into settled lines and conflicts; raise ValueError where git's answer cannot be read."""
    size = hunks.marker_size(base, ours, theirs)
    with tempfile.TemporaryDirectory(prefix="work-milestone-") as folder:
        places = [Path(folder) / name for name in ("ours", "base", "theirs")]
        for place, text in zip(places, (ours, base, theirs), strict=True):
            place.write_bytes(text)
        done = repo.call("merge-file", "-p", "--diff3", f"--marker-size={size}", *map(str, places), accept=range(128))
    return hunks.parse(done.stdout, size, base, ours, theirs)
