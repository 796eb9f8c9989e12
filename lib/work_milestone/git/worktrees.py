"""A pool of worktrees: as many as sessions ever ran at once, reused, removed at the end.

Rules:
- A worktree is either one item's or free. It is freed when the session's head is safe in a ref, and cleaned of
  every trace (ignored files and nested repositories included) before the next item gets it.
- What cannot be cleaned for certain (an unfinished rebase, a stale lock, submodules, a broken link to its
  repository) is not mended but replaced.
- Nothing is removed, reset or given away but what lies in the pool's own folder.
- One lock around add, remove and prune, in this process and across processes: git's own races lose worktrees.
- Links to heavy folders and the lock file stay out of git's sight through an excludes file of the run's own,
  handed over by environment; nothing of the user's configuration changes.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from work_milestone.git import checkouts
from work_milestone.git.repo import Repo, environment
from work_milestone.system import GitError, KernelLock, ProcessError, process

LOCK_FILE = ".claude/kage-bunshin.lock"  # in a worktree: it stops the method's tools from being started inside
MEASURE = 5.0  # seconds that telling how much is on disk may take
LOCK_NAME = "work-milestone.lock"
_IN_PROCESS = threading.Lock()


@contextmanager
def repository_lock(repo: Repo) -> Iterator[None]:
    """Hold the lock that all runs in a repository share, per common git dir."""
    lock = KernelLock(repo.common / LOCK_NAME)
    with _IN_PROCESS:
        lock.await_turn()
        try:
            yield
        finally:
            lock.release()


def remove_repository_lock(repo: Repo) -> None:
    """Take the lock's file away, where no run needs it any more."""
    with repository_lock(repo):
        (repo.common / LOCK_NAME).unlink(missing_ok=True)


class Pool:
    """The worktrees of one run. `take` and `free` may be called from any thread."""

    def __init__(self, repo: Repo, folder: Path, links: Sequence[str]) -> None:
        self.repo = repo
        self.folder = folder
        self.links = links
        self.excludes = folder.parent / "excludes"
        self.shown: dict[Path, str] = {}  # the `.gitattributes` that worktrees are known to show
        self._lock = threading.Lock()
        self._free: dict[Path, str | None] | None = None
        self._busy: set[Path] = set()

    def config(self) -> dict[str, str]:
        """Configuration of git for whatever runs in a worktree."""
        return {"core.excludesFile": str(self.excludes)}

    def environment(self) -> dict[str, str]:
        """Environment for git commands in a worktree."""
        return environment({"GIT_TERMINAL_PROMPT": "0"}, self.config())

    def write_excludes(self) -> None:
        """Write the run's excludes file: the user's own, the links, the lock file."""
        own = self.repo.config("core.excludesFile", kind="path")
        default = Path.home() / ".config" / "git" / "ignore"
        try:
            user = Path(own).read_text() if own else default.read_text()
        except (OSError, UnicodeDecodeError):
            user = ""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"/{link}" for link in self.links] + [f"/{LOCK_FILE}"]
        self.excludes.write_text(user.rstrip("\n") + "\n" + "\n".join(lines) + "\n")

    def keep(self, path: Path) -> None:
        """Mark a worktree as in use by a session that is already at work in it."""
        with self._lock:
            self._busy.add(path)
            if self._free is not None:
                self._free.pop(path, None)

    def owns(self, path: Path) -> bool:
        """Tell whether a path is one of this pool: what a damaged record names may be a person's own folder."""
        return path.parent == self.folder and path.name != ".."

    def free(self, path: Path) -> None:
        """Give a worktree back."""
        with self._lock:
            self._busy.discard(path)
            if self._free is not None and self.owns(path):
                self._free[path] = None

    def take(self, branch: str, base: str) -> Path:
        """Return a clean worktree with `branch` checked out, the branch set to `base`."""
        while (path := self._pick(branch)) is not None:
            try:
                self._reset(path, branch, base)
            except (GitError, OSError):
                self.remove(path)
            else:
                return path
        path = self._new_path()
        self.repo.move(f"refs/heads/{branch}", base)
        with repository_lock(self.repo):
            try:
                # Forced: a free worktree that is just being given to another item may still be on the branch.
                self.repo.call("worktree", "add", "-f", "-q", "--", str(path), branch)
            except GitError:
                if checkouts.git_dir(path) is None or checkouts.head_of(path) != f"ref: refs/heads/{branch}":
                    raise  # else it was a post-checkout hook that failed
        self.link(path)
        return path

    def drop(self, path: Path) -> None:
        """Remove a worktree that nobody should get any more. Raise GitError for a folder that is none of this pool."""
        if not self.owns(path):
            raise GitError(f"{path}: is not below {self.folder}, and stays", 1)
        self.remove(path)
        with self._lock:
            self._busy.discard(path)

    def _pick(self, branch: str) -> Path | None:
        """Take a free worktree, one that has the branch checked out before any other."""
        with self._lock:
            if self._free is None:
                self._free = self._scan()
            if not self._free:
                return None
            # git refuses a branch that another worktree has checked out.
            path = next((path for path, on in self._free.items() if on == branch), next(iter(self._free)))
            del self._free[path]
            self._busy.add(path)
            return path

    def _new_path(self) -> Path:
        with self._lock:
            number = 1
            while (path := self.folder / str(number)) in self._busy or path.exists():
                number += 1
            self._busy.add(path)
            return path

    def _scan(self) -> dict[Path, str | None]:
        """Find the worktrees that an earlier run left, and drop the broken ones."""
        found = {}
        known = {checkout.path: checkout for checkout in checkouts.find_all(self.repo)}
        folders = set(self.folder.iterdir()) if self.folder.exists() else set()
        for path in sorted(folders | {path for path in known if self.owns(path)}):
            if path in self._busy:
                continue
            checkout = known.get(path)
            if checkout is None or checkout.locked or checkout.prunable or checkouts.is_unfinished(path):
                self.remove(path)
            else:
                found[path] = checkout.branch
        return found

    def _reset(self, path: Path, branch: str, base: str) -> None:
        if checkouts.is_unfinished(path) or checkouts.is_bent(self.repo, path):
            raise GitError(f"{path}: cannot be cleaned for certain", 1)
        anyway = ("-f", "--ignore-other-worktrees", "--no-track")
        settle(self.repo, path, base, "checkout", "-q", *anyway, "-B", branch, base)
        self.repo.call("clean", "-ffdxq", cwd=path)
        self.link(path)

    def link(self, path: Path) -> None:
        """Link the heavy folders of the main checkout into a worktree."""
        for link in self.links:
            source, target = self.repo.root / link, path / link
            if source.exists() and not target.exists() and not target.is_symlink():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)

    def remove(self, path: Path) -> None:
        """Remove a worktree, however broken."""
        with repository_lock(self.repo):
            if path.is_symlink():
                path.unlink()  # git would follow it, to what may be a person's worktree
            else:
                # Twice forced: a worktree whose making was killed stays locked.
                self.repo.call("worktree", "remove", "-f", "-f", "--", str(path), accept=range(256))
                shutil.rmtree(path, ignore_errors=True)
            self.repo.call("worktree", "prune")

    def measure(self, *others: Path) -> int:
        """Return the bytes that the pool's worktrees, and others, take on disk; 0 where nobody can tell."""
        places = [str(path) for path in (self.folder, *others) if path.exists()]
        try:
            done = process.run(["du", "-sk", *places], timeout=MEASURE, check=False) if places else None
        except ProcessError:
            return 0  # no du, or more files than it is worth waiting for
        rows = done.stdout.decode(errors="replace").splitlines() if done else []
        return 1024 * sum(int(row.split()[0]) for row in rows if row.split()[:1] and row.split()[0].isdecimal())

    def remove_all(self, *others: Path) -> None:
        """Remove every worktree of the pool, and others of the run's: the folders, then what git knows of them."""
        everything = checkouts.find_all(self.repo)
        known = [found for found in everything if self.owns(found.path) or found.path in others]
        with repository_lock(self.repo):
            for path in (self.folder, *others):
                shutil.rmtree(path, ignore_errors=True)
            for found in known:
                if found.locked:  # its making was killed: prune would leave it
                    self.repo.call("worktree", "unlock", str(found.path), accept=range(256))
            # Also where git lists none: one whose removal was killed half way is in no list, and still there.
            self.repo.call("worktree", "prune")
        self._free = None


def settle(repo: Repo, path: Path, commit: str, *args: str) -> None:
    """Check something out. What counts is where HEAD then stands: a post-checkout hook may have failed since."""
    try:
        repo.call(*args, cwd=path)
    except GitError:
        if (
            repo.text("rev-parse", "HEAD", cwd=path) != commit
            or checkouts.read_state(repo, path, untracked=False).tracked
        ):
            raise
