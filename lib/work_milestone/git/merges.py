"""Merges in the object database, and the one thing that git reads from a checkout for them: `.gitattributes`.

Rules:
- What is merged here is the same whatever the user's checkout holds.
- Who merges onto a commit provides a worktree that shows the attributes of that commit: `provide` says which one does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from work_milestone.git import checkouts, detached
from work_milestone.git.repo import Repo, decode, split
from work_milestone.git.trees import is_attributes
from work_milestone.git.worktrees import Pool
from work_milestone.system import GitError

MOST_MARKED = 20_000  # characters of conflicts that a prompt carries


class Stage(NamedTuple):
    """One side of a path that conflicts, `number` as in git's index: 1 the base, 2 ours, 3 theirs."""

    mode: str
    blob: str
    number: int
    path: str


class Merged(NamedTuple):
    """A merge in the object database: its tree, and the files that conflict (none when it is clean).

    `kinds` has git's types of conflict by path; `place` is where attributes were read.
    """

    tree: str
    place: Path
    conflicts: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    kinds: Mapping[str, tuple[str, ...]] = MappingProxyType({})


def merge(repo: Repo, ours: str, theirs: str, cwd: Path) -> Merged:
    """Merge two commits in the object database; `cwd` is where `.gitattributes` are read from."""
    done = repo.call("merge-tree", "--write-tree", "-z", "--messages", ours, theirs, cwd=cwd, accept=(0, 1))
    fields = decode(done.stdout).split("\0")
    # An unknown ref exits 1 as a conflict does: it is one only when an object id comes first.
    if len(fields[0]) not in (40, 64):
        raise GitError(f"git merge-tree {ours} {theirs} gave no tree", done.returncode)
    if done.returncode == 0:
        return Merged(fields[0], cwd)
    end = fields.index("", 1)
    stages = tuple(map(_read_stage, fields[1:end]))
    kinds = _read_kinds(fields[end + 1 :])
    by_path = {path: tuple(kind for kind, paths in kinds if path in paths) for _, paths in kinds for path in paths}
    return Merged(fields[0], cwd, tuple(dict.fromkeys(stage.path for stage in stages)), stages, by_path)


def _read_stage(entry: str) -> Stage:
    words, _, path = entry.partition("\t")
    mode, blob, number = words.split(" ")
    return Stage(mode, blob, int(number), path)


def _read_kinds(fields: list[str]) -> list[tuple[str, list[str]]]:
    """Pick the stable types, `CONFLICT (contents)` and the like, and their paths out of merge-tree's messages."""
    found, at = [], 0
    while at + 2 < len(fields) and fields[at].isdecimal():
        end = at + 1 + int(fields[at])
        found.append((fields[end], fields[at + 1 : end]))
        at = end + 2
    return [(kind, paths) for kind, paths in found if kind.startswith("CONFLICT")]


def attributes(repo: Repo, rev: str) -> str:
    """Return the rows of a commit's `.gitattributes`, which merges must see checked out, empty where it has none."""
    if rev not in repo.attributes:
        listed = repo.call("ls-tree", "-r", "-z", rev).stdout
        # In most repositories there is none, and the rows of all files take long to look at one by one.
        rows = split(listed) if b".gitattributes\0" in listed else []
        repo.attributes[rev] = "\0".join(row for row in rows if is_attributes(row.partition("\t")[2]))
    return repo.attributes[rev]


def derive_attributes(repo: Repo, new: str, old: str, changed: Iterable[str]) -> None:
    """Note that a commit holds `.gitattributes` as another does, unless it changes one."""
    if old in repo.attributes and not any(is_attributes(name) for name in changed):
        repo.attributes[new] = repo.attributes[old]


def provide(pool: Pool, place: Path, commit: str) -> Path:
    """Have a worktree show the attributes of a commit, and return it.

    It has the commit checked out unless it shows the same such files already, which costs a look at every file:
    a rejected candidate's attributes are nobody's.
    """
    detached.ensure(pool, place, commit)
    wanted = attributes(pool.repo, commit)
    if not _shows(pool, place, commit, wanted):
        detached.checkout(pool, place, commit)
    pool.shown[place] = wanted
    return place


def _shows(pool: Pool, place: Path, commit: str, wanted: str) -> bool:
    """Tell whether a worktree shows a commit's attributes for certain, one of an earlier run's or a gate's too."""
    if place in pool.shown:
        return pool.shown[place] == wanted
    before = checkouts.head_of(place)
    if before == commit:
        return not wanted or checkouts.is_filled(place)
    return not (wanted or (before and attributes(pool.repo, before)))


def begin(repo: Repo, place: Path, commit: str, env: Mapping[str, str]) -> None:
    """Begin to merge a commit into what a worktree has checked out; what conflicts stays there, markers and all."""
    quiet = ("-c", "merge.conflictStyle=zdiff3", "-c", "rerere.enabled=false", "-c", "commit.gpgsign=false")
    how = ("--no-commit", "--no-ff", "--quiet", "--no-verify-signatures", "--no-autostash")
    repo.call(*quiet, "merge", *how, commit, cwd=place, accept=(0, 1), env=env)


def show_conflicts(repo: Repo, place: Path) -> str:
    """Return the conflicts as they stand in a worktree, markers included, as many as a prompt should carry."""
    paths = split(repo.call("diff", "--name-only", "-z", "--diff-filter=U", cwd=place).stdout)
    found: list[str] = []
    for path in dict.fromkeys(paths):
        inside = False
        found.append(f"--- {path}")
        try:
            text = (place / path).read_bytes().decode(errors="replace")
        except OSError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            inside = inside or line.startswith("<<<<<<< ")
            if inside:
                found.append(f"{number}: {line}")
            inside = inside and not line.startswith(">>>>>>> ")
    text = "\n".join(found)
    return text if len(text) <= MOST_MARKED else f"{text[:MOST_MARKED]}\n[cut; the worktree has all of it]"
