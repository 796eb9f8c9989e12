"""What a git that was killed has half updated in a checkout, and how it goes back.

Rules:
- Only paths in which the two commits differ are looked at. What is gone comes back, and what holds what git was
  writing, or the beginning of it, gives way to what was there before. Anything else is a person's and stays.
- Nothing that exists is written over: a file is taken away only when it is known whose it is.
- It may be killed too: done again, it goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from work_milestone.git import trees
from work_milestone.git.repo import LITERAL, Repo, decode, encode, split
from work_milestone.git.trees import NOTHING, Change
from work_milestone.system import MilestoneError

_LINK, _PROGRAM, _FILE, _FOLDER, _MODULE = "120000", "100755", "100644", "040000", "160000"
_BEHIND = "behind"  # something that is no folder stands where a folder on the way to the path would be
_ANY = range(-64, 256)  # exit codes, those of a git that a signal ended too
_SPARSE = "S"  # the tag of an entry that git keeps out of the checkout


class Undone(NamedTuple):
    """The paths that went back, and those of a person's that stayed as they are."""

    back: tuple[str, ...]
    left: tuple[str, ...]


def undo(repo: Repo, place: Path, old: str, new: str) -> Undone:
    """Bring a checkout that stands at `old`, half updated to `new`, back. Raise MilestoneError when git cannot."""
    changes = trees.diff(repo, old, new)
    back, left = _undo_index(repo, place, old, changes)
    sparse = {path for path, entry in _index(repo, place).items() if entry[0] == _SPARSE}
    ours = [change for change in changes if change.path not in left and change.path not in sparse]
    # By `.gitattributes` git tells whether a file is what it was: they go first.
    for wanted in (True, False):
        part = [change for change in ours if trees.is_attributes(change.path) is wanted]
        try:
            done = _Files(repo, place, new).undo(part)
        except OSError as error:
            raise MilestoneError(f"{error.filename or place}: cannot be brought back ({error.strerror})") from error
        back, left = back.union(done.back), left.union(done.left)
    return Undone(tuple(sorted(back - left)), tuple(sorted(left)))


def blocker(place: Path, path: str) -> str | None:
    """Return what stands at a path of a checkout, or in the place of a folder on the way to it; None for nothing."""
    for length in range(1, path.count("/") + 2):
        name = "/".join(path.split("/")[:length])
        kind = _kind(place / name)
        if kind == NOTHING[0]:
            return None
        if kind != _FOLDER:
            return name
    return path if any((place / path).iterdir()) else None


def _index(repo: Repo, place: Path) -> dict[str, tuple[str, tuple[str, str]]]:
    """Read the index: by path its tag, and mode and object; no object where a merge has left several."""
    found = {}
    for row in split(repo.call("ls-files", "-s", "-v", "-z", cwd=place).stdout):
        words, _, path = row.partition("\t")
        tag, mode, blob, stage = words.split(" ")
        found[path] = (tag, (mode, blob if stage == "0" else ""))
    return found


def _undo_index(repo: Repo, place: Path, old: str, changes: Iterable[Change]) -> tuple[set[str], set[str]]:
    """Bring back index entries that are new already. Return them, and the paths where a person has staged else."""
    index = _index(repo, place)
    entries = {change: index.get(change.path, ("", NOTHING))[1] for change in changes}
    ahead = {change.path for change, entry in entries.items() if entry == change.new}
    if ahead:
        repo.call("reset", "-q", "--pathspec-from-file=-", "--pathspec-file-nul", old, cwd=place,
                  stdin=_joined(ahead), env=LITERAL)  # fmt: skip
    return ahead, {change.path for change, entry in entries.items() if entry not in (change.old, change.new)}


class _Files:
    """The files of a checkout, as far as two commits differ in them."""

    def __init__(self, repo: Repo, place: Path, new: str) -> None:
        self.repo, self.place, self.new = repo, place, new
        self.modes = repo.config("core.fileMode", kind="bool") != "false"

    def undo(self, changes: Sequence[Change]) -> Undone:
        """Take away what is new, then bring back what is missing."""
        held, left = self._judge(changes)
        for change in held:
            self._take_away(change.path)
        for change in changes:
            if change.old == NOTHING:
                self._take_folders_away(change.path)
        wanted = {change.path for change in changes if change.old != NOTHING}
        kinds = {path: self._kind(path) for path in wanted}
        missing = {path for path, kind in kinds.items() if kind == NOTHING[0]}
        self._bring_back(missing)
        modules = {change.path for change in changes if change.old[0] == _MODULE}
        taken = {path for path, kind in kinds.items() if kind == _BEHIND or (kind == _FOLDER and path not in modules)}
        return Undone((*missing, *(change.path for change in held)), (*left, *taken))

    def _judge(self, changes: Iterable[Change]) -> tuple[list[Change], list[str]]:
        """Tell what holds the new version, or the beginning of it, from what is a person's."""
        kinds = {change: self._kind(change.path) for change in changes}
        hashes = self._hashes([change.path for change, kind in kinds.items() if kind in (_FILE, _PROGRAM)])
        held, doubtful, theirs = [], [], []
        for change, kind in kinds.items():
            if kind in (NOTHING[0], _BEHIND):
                continue
            if kind == _FOLDER:
                if change.new[0] == _MODULE and change.old[0] != _MODULE:
                    held.append(change)
                continue
            found = {(mode, self._link(change.path) if kind == _LINK else hashes[change.path])
                     for mode in self._alike(kind)}  # fmt: skip
            if change.old in found:
                continue
            if change.new in found:
                held.append(change)
            elif change.new[0] in self._alike(kind) and kind != _LINK:
                doubtful.append(change)
            else:
                theirs.append(change.path)
        begun = self._begun([change.path for change in doubtful])
        held += [change for change in doubtful if change.path in begun]
        return held, theirs + [change.path for change in doubtful if change.path not in begun]

    def _alike(self, kind: str) -> set[str]:
        """The modes that git does not tell from one, by its configuration."""
        return {_FILE, _PROGRAM} if kind in (_FILE, _PROGRAM) and not self.modes else {kind}

    def _kind(self, path: str) -> str:
        """Tell the mode of what stands at a path, without going through a link."""
        for length in range(1, path.count("/") + 1):
            kind = _kind(self.place / "/".join(path.split("/")[:length]))
            if kind != _FOLDER:
                return NOTHING[0] if kind == NOTHING[0] else _BEHIND
        return _kind(self.place / path)

    def _hashes(self, paths: Sequence[str]) -> Mapping[str, str]:
        """Name the objects that files would be as git would add them, through their filters."""
        if not paths:
            return {}
        lines = encode("".join(f"{_quoted(path)}\n" for path in paths))
        done = self.repo.call("hash-object", "--stdin-paths", cwd=self.place, stdin=lines, accept=_ANY)
        if done.returncode == 0:
            return dict(zip(paths, done.stdout.decode().split(), strict=True))
        if len(paths) == 1:
            return {paths[0]: ""}  # a file that was cut off need not go through its filter
        middle = len(paths) // 2
        return {**self._hashes(paths[:middle]), **self._hashes(paths[middle:])}

    def _link(self, path: str) -> str:
        target = os.fsencode((self.place / path).readlink())
        algorithm = "sha256" if len(self.new) == 64 else "sha1"
        return hashlib.new(algorithm, b"blob %d\0" % len(target) + target).hexdigest()

    def _begun(self, paths: Sequence[str]) -> set[str]:
        """Find the files that are the beginning of what git was writing, byte by byte, by the new attributes."""
        if not paths:
            return set()
        with tempfile.TemporaryDirectory(prefix="work-milestone-") as folder:
            # In a work tree without files git takes `.gitattributes` from the index, which is the new one here.
            tree = Path(folder) / "tree"
            tree.mkdir()
            env = {"GIT_DIR": self.repo.text("rev-parse", "--absolute-git-dir", cwd=self.place),
                   "GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(Path(folder) / "index")}  # fmt: skip
            self.repo.call("read-tree", self.new, cwd=tree, env=env)
            self.repo.call("checkout-index", "-q", "-z", "--stdin", cwd=tree, env=env, stdin=_joined(paths),
                           accept=_ANY)  # fmt: skip
            return {path for path in paths
                    if (tree / path).exists() and _is_beginning(self.place / path, tree / path)}  # fmt: skip

    def _take_away(self, path: str) -> None:
        target = self.place / path
        if _kind(target) != _FOLDER:
            target.unlink()
            return
        with contextlib.suppress(OSError):  # of a submodule; one that has been filled is a person's
            target.rmdir()

    def _take_folders_away(self, path: str) -> None:
        """Take away the folders that were made for a path and are empty."""
        if self._kind(path) != NOTHING[0]:
            return
        for folder in list((self.place / path).parents)[: path.count("/")]:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return

    def _bring_back(self, paths: Iterable[str]) -> None:
        """Check out what is missing. Raise MilestoneError, with git's words, when something stays missing."""
        wanted = sorted(paths)
        if not wanted:
            return
        done = self.repo.call("checkout-index", "-q", "-u", "-z", "--stdin", cwd=self.place, stdin=_joined(wanted),
                              accept=_ANY)  # fmt: skip
        missing = [path for path in wanted if self._kind(path) == NOTHING[0]]
        if missing:
            raise MilestoneError(
                f"{self.place}: git cannot bring back {', '.join(missing[:8])}: "
                f"{' '.join(decode(done.stderr).split())[:500]}"
            )


def _kind(path: Path) -> str:
    """Tell the mode of what stands at a path as git would, NOTHING's when nothing does."""
    try:
        found = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return NOTHING[0]
    if stat.S_ISREG(found):
        return _PROGRAM if found & stat.S_IXUSR else _FILE
    return _LINK if stat.S_ISLNK(found) else _FOLDER if stat.S_ISDIR(found) else "other"


def _is_beginning(path: Path, whole: Path) -> bool:
    with path.open("rb") as one, whole.open("rb") as other:
        while part := one.read(1 << 20):
            if other.read(len(part)) != part:
                return False
    return True


def _quoted(path: str) -> str:
    """Write a path as `hash-object --stdin-paths` takes it, one a line."""
    if not path.startswith('"') and not {"\n", "\r"}.intersection(path):
        return path
    return '"' + "".join(f"\\{byte:03o}" for byte in encode(path)) + '"'


def _joined(paths: Iterable[str]) -> bytes:
    return b"".join(encode(path) + b"\0" for path in paths)
