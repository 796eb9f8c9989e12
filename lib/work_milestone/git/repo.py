"""A repository: its configuration, refs and history, and the call that every git command goes through.

Rules:
- Porcelain formats, exit codes and object ids; never git's prose.
- Paths are handed over and read with NUL between them; a title never becomes an option or a path.
- A branch moves by compare and swap only, and nothing here touches the user's checkout.
- Variables that a surrounding git hook sets (GIT_DIR, GIT_INDEX_FILE, ...) do not reach our commands.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from work_milestone.system import GitError, MilestoneError, process, process_table

LEAST_VERSION = (2, 38)
SHARED_PATIENCE = 2.0  # seconds that such a lock is left to whoever may hold it
PATIENCE = 10.0  # seconds that a git command of a run that was killed may still take
MOST_NAMED = 200  # paths on a command line, which has an end
LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}  # a path that begins with a colon is a path
ABSENT = ""  # as an old value of update-ref: the ref must not exist yet
_FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_QUARANTINE_PATH")  # fmt: skip
# A gc beside working sessions loses commits; tracking races when worktrees are added side by side.
QUIET_CONFIG = {
    "gc.auto": "0",
    "maintenance.auto": "false",
    "branch.autoSetupMerge": "false",
    "core.fsync": "committed",
    "core.quotePath": "false",
    "log.showSignature": "false",
    "advice.detachedHead": "false",
}


class RefMovedError(MilestoneError):
    """A compare and swap lost: the ref is not where it was."""


class Commit(NamedTuple):
    """A commit's id and subject."""

    id: str
    subject: str


def environment(
    extra: Mapping[str, str] | None = None,
    config: Mapping[str, str] | None = None,
    base: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Make the environment of a process that may call git in one of our worktrees; `base` is this process's own."""
    env = {name: value for name, value in (os.environ if base is None else base).items() if name not in _FOREIGN}
    begin = int(env.get("GIT_CONFIG_COUNT", "") or "0") if env.get("GIT_CONFIG_COUNT", "0").isdecimal() else 0
    settings = {**QUIET_CONFIG, **(config or {})}
    for number, (key, value) in enumerate(settings.items(), begin):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    env["GIT_CONFIG_COUNT"] = str(begin + len(settings))
    env.update(extra or {})
    return env


def version() -> tuple[int, ...]:
    """Return git's version as numbers. Raise ProcessError when there is no git."""
    words = process.run(["git", "--version"]).stdout.decode().split()
    return tuple(int(part) for part in words[2].split(".")[:3] if part.isdecimal())


class Repo:
    """One repository, seen from the checkout that the user works in."""

    def __init__(self, root: Path, mark: str = "") -> None:
        self.root = root
        self.mark = mark  # by which a later run finds the git commands that have outlived this one
        self._env = environment({"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", process_table.MARK: mark})
        self._commits: set[str] = set()
        self._ancestors: dict[tuple[str, str], bool] = {}
        self.attributes: dict[str, str] = {}  # what `trees` has found of commits and `.gitattributes`

    def call(
        self,
        *args: str,
        cwd: Path | None = None,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        accept: Sequence[int] = (0,),
    ) -> process.Completed:
        """Run `git args`; raise GitError unless it exits with an accepted code."""
        done = process.run(
            ["git", *args], cwd=cwd or self.root, input=stdin, env={**self._env, **(env or {})}, check=False
        )
        if done.returncode not in accept:
            words = done.stderr.decode(errors="replace").strip()
            raise GitError(
                f"git {args[0]} failed in {cwd or self.root} (exit {done.returncode}): {words[-2000:]}",
                done.returncode, words,
            )  # fmt: skip
        return done

    def text(self, *args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run a git command and return what it printed, without the final newline."""
        return decode(self.call(*args, cwd=cwd, env=env).stdout).rstrip("\n")

    @cached_property
    def common(self) -> Path:
        """The git dir that all worktrees of the repository share."""
        return Path(self.text("rev-parse", "--path-format=absolute", "--git-common-dir"))

    @cached_property
    def git_dir(self) -> Path:
        """The git dir of the user's own checkout."""
        return Path(self.text("rev-parse", "--path-format=absolute", "--git-dir"))

    def config(self, key: str, *, kind: str | None = None) -> str | None:
        """Return a value of git's configuration."""
        done = self.call("config", *([f"--type={kind}"] if kind else []), "--get", key, accept=(0, 1))
        return decode(done.stdout).rstrip("\n") if done.returncode == 0 else None

    def resolve(self, rev: str) -> str | None:
        """Return the commit that a ref or id names, None when there is none."""
        if rev in self._commits:
            return rev
        done = self.call("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}",
                         accept=(0, 1, 128))  # fmt: skip
        if done.returncode != 0:
            return None
        found = decode(done.stdout).strip()
        self._commits.add(found)
        return found

    def tree_of(self, commit: str) -> str:
        """Return a commit's tree."""
        return self.text("rev-parse", f"{commit}^{{tree}}")

    def refs(self, *prefixes: str) -> dict[str, str]:
        """List refs at and under prefixes with the objects that they name."""
        out = self.text("for-each-ref", "--format=%(refname) %(objectname)", *prefixes)
        rows = (line.split(" ", 1) for line in out.splitlines())
        return {row[0]: row[1] for row in rows}

    def move(self, ref: str, new: str, old: str | None = None) -> None:
        """Set a ref; with `old` only if it stands there (ABSENT: only if it does not exist yet).

        Raise RefMovedError when it does not stand there.
        """
        done = self.call("update-ref", "--create-reflog", ref, new, *([old] if old is not None else []),
                         accept=(0, 1, 128))  # fmt: skip
        if done.returncode == 0:
            return
        now = self.resolve(ref)
        if old is not None and (now or ABSENT) != old:
            raise RefMovedError(f"{ref} stands at {now or 'nothing'} and not at {old}")
        words = done.stderr.decode(errors="replace").strip()
        raise GitError(f"git update-ref {ref} failed: {words}", done.returncode, words)

    def delete(self, refs: Iterable[str]) -> None:
        """Delete refs, those that exist."""
        lines = b"".join(b"delete " + ref.encode() + b"\n" for ref in refs)
        if lines:
            self.call("update-ref", "--stdin", stdin=lines)

    def remove_locks(self, *prefixes: str) -> None:
        """Remove the lock files that killed git commands have left on refs; the caller owns these refs."""
        left = [path for prefix in prefixes for path in _lock_files(self.common / prefix)]
        if left:
            process_table.await_marked(self.mark, PATIENCE)
        for path in left:
            path.unlink(missing_ok=True)

    def remove_shared_lock(self, path: Path, place: Path | None = None) -> None:
        """Remove a lock file that others take too, once it has outlived every git process in the repository.

        `place` is a worktree elsewhere, where such a process may be at work too.
        """
        limit = time.monotonic() + SHARED_PATIENCE
        places = {self.root, place or self.root}
        while path.exists() and (
            time.monotonic() < limit or any(process_table.is_anybody_in(where, "git") for where in places)
        ):
            time.sleep(0.05)
            if time.monotonic() > limit + PATIENCE:
                return
        path.unlink(missing_ok=True)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Tell whether `new` contains `old`, both commit ids: what holds between commits holds for good."""
        if (old, new) not in self._ancestors:
            done = self.call("merge-base", "--is-ancestor", old, new, accept=(0, 1))
            self._ancestors[old, new] = done.returncode == 0
        return self._ancestors[old, new]

    def merge_base(self, one: str, other: str) -> str | None:
        """Return the commit where two histories part, None when they share none."""
        done = self.call("merge-base", one, other, accept=(0, 1))
        return decode(done.stdout).strip() or None

    def commits(self, base: str, head: str) -> tuple[list[Commit], list[str]]:
        """List the commits that `head` has and `base` has not, oldest first, and the files that they change."""
        # No commit can hold the id of the last one, so that is what parts them, whatever subjects and names hold.
        out = self.call("log", "--reverse", "-z", f"--format=%x00{head}%x00%H%x00%s", "--name-only", "--no-renames",
                        "-m", "--first-parent", f"{base}..{head}", "--").stdout  # fmt: skip
        commits: list[Commit] = []
        files: dict[str, None] = {}
        for entry in decode(out).split(f"\0{head}\0")[1:]:
            commit, subject, names = entry.split("\0", 2)
            commits.append(Commit(commit, subject))
            files |= dict.fromkeys(name for name in names.removeprefix("\n").split("\0") if name)
        return commits, list(files)

    def changed(self, base: str, head: str, *paths: str) -> list[str]:
        """List the paths, of some or of all, in which two commits or trees differ."""
        named = paths if len(paths) <= MOST_NAMED else ()
        out = self.call("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, head, "--", *named,
                        env=LITERAL).stdout  # fmt: skip
        wanted = set(paths)
        return [name for name in split(out) if not paths or name in wanted]

    def differ(self, pairs: Sequence[tuple[str, str]], paths: Sequence[str]) -> bool:
        """Tell by one process whether any of these pairs of commits differ in some paths; many paths count as if."""
        if len(paths) > MOST_NAMED:
            return True
        fed = "".join(f"{one} {other}\n" for one, other in pairs if one != other)
        return bool(self.call("diff-tree", "--stdin", "-r", "-z", "--name-only", "--no-renames", "--", *paths,
                              stdin=fed.encode(), env=LITERAL).stdout)  # fmt: skip

    def trailers(self, key: str, *span: str) -> list[tuple[str, dict[str, str]]]:
        """List the commits of a span that bear a trailer, newest first, with all their trailers."""
        out = self.text("log", f"--grep=^{key}: ", "--format=%H%x00%(trailers:only,unfold)%x01", *span, "--")
        found = []
        for entry in out.split("\x01"):
            commit, _, lines = entry.strip().partition("\0")
            pairs = (line.partition(": ") for line in lines.splitlines())
            trailers = {name: value.strip() for name, mark, value in pairs if mark}
            if key in trailers:
                found.append((commit, trailers))
        return found

    def commit_tree(self, tree: str, parents: Sequence[str], message: str, date: float) -> str:
        """Make a commit; `date` in seconds since 1970, fixed by the caller so that a repeat makes the same one."""
        sign = ["-S"] if self._signs else []
        stamp = f"{int(date)} +0000"
        done = self.call(
            "commit-tree", *sign, tree, *(word for parent in parents for word in ("-p", parent)), "-F", "-",
            stdin=encode(message), env={"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp},
        )  # fmt: skip
        return decode(done.stdout).strip()

    @cached_property
    def _signs(self) -> bool:
        return self.config("commit.gpgsign", kind="bool") == "true"


def _lock_files(place: Path) -> list[Path]:
    own = place.with_name(f"{place.name}.lock")
    return [*([own] if own.exists() else []), *(place.rglob("*.lock") if place.is_dir() else [])]


def decode(raw: bytes) -> str:
    """Read git's bytes, any bytes, as text that `encode` turns back."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Turn `decode`'s text back into bytes."""
    return text.encode("utf-8", "surrogateescape")


def split(raw: bytes) -> list[str]:
    """Split what `-z` printed."""
    return [name for name in decode(raw).split("\0") if name]
