"""Everything that is a git command: refs, trees, commits, merges.

Rules:
- Porcelain formats, exit codes and object ids; never git's prose.
- Paths are handed over and read with NUL between them; a title never becomes an option or a path.
- A branch moves by compare and swap only, and nothing here touches the user's checkout.
- Variables that a surrounding git hook sets (GIT_DIR, GIT_INDEX_FILE, ...) do not reach our commands.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from work_milestone import process
from work_milestone.errors import GitError, MilestoneError

LEAST_VERSION = (2, 38)
SHARED_PATIENCE = 2.0  # seconds that such a lock is left to whoever may hold it
PATIENCE = 10.0  # seconds that a git command of a run that was killed may still take
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


@dataclass(frozen=True)
class MergedTree:
    """A merge in the object database: its tree, and the files that conflict (none when it is clean)."""

    tree: str
    conflicts: tuple[str, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True)
class Commit:
    """A commit's id and subject."""

    id: str
    subject: str


@dataclass(frozen=True)
class Checkout:
    """A worktree that git knows: `head` None when unborn, `branch` None when detached."""

    path: Path
    head: str | None
    branch: str | None
    locked: bool
    prunable: bool
    bare: bool


@dataclass(frozen=True)
class TreeState:
    """What `git status` says of a worktree."""

    head: str | None
    branch: str | None
    tracked: tuple[str, ...]
    untracked: tuple[str, ...]
    unmerged: tuple[str, ...]

    @property
    def is_dirty(self) -> bool:
        """Tell whether anything is uncommitted."""
        return bool(self.tracked or self.untracked or self.unmerged)


def environment(extra: Mapping[str, str] | None = None, config: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make the environment of a process that may call git in one of our worktrees."""
    env = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
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
        self._env = environment({"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", process.MARK: mark})
        self._commits: set[str] = set()
        self._ancestors: dict[tuple[str, str], bool] = {}
        self._attributed: dict[str, bool] = {}

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

    # -- refs

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

    def refs(self, prefix: str) -> dict[str, str]:
        """List refs under a prefix with the objects that they name."""
        out = self.text("for-each-ref", "--format=%(refname) %(objectname)", prefix)
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
            process.await_marked(self.mark, PATIENCE)
        for path in left:
            path.unlink(missing_ok=True)

    def remove_shared_lock(self, path: Path) -> None:
        """Remove a lock file that others take too, once it has outlived every git process in the repository."""
        limit = time.monotonic() + SHARED_PATIENCE
        while path.exists() and (time.monotonic() < limit or process.is_anybody_in(self.root, "git")):
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

    # -- history

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

    def changed(self, base: str, head: str) -> list[str]:
        """List the paths in which two commits or trees differ."""
        out = self.call("diff-tree", "-r", "-z", "--name-only", "--no-renames", base, head).stdout
        return split(out)

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

    # -- objects

    def merge_tree(self, ours: str, theirs: str, cwd: Path) -> MergedTree:
        """Merge two commits in the object database; `cwd` is where `.gitattributes` are read from."""
        done = self.call("merge-tree", "--write-tree", "-z", "--messages", ours, theirs, cwd=cwd, accept=(0, 1))
        fields = decode(done.stdout).split("\0")
        # An unknown ref exits 1 as a conflict does: it is one only when an object id comes first.
        if len(fields[0]) not in (40, 64):
            raise GitError(f"git merge-tree {ours} {theirs} gave no tree", done.returncode)
        if done.returncode == 0:
            return MergedTree(fields[0], (), ())
        end = fields.index("", 1)
        paths = dict.fromkeys(entry.partition("\t")[2] for entry in fields[1:end])
        return MergedTree(fields[0], tuple(paths), _conflict_types(fields[end + 1 :]))

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

    def tree_with(self, tree: str, changes: Mapping[str, str | None]) -> str:
        """Return a tree with some files' texts replaced or added, or removed where the text is None."""
        modes = self._modes(tree, [path for path, text in changes.items() if text is not None])
        lines = []
        for path, text in changes.items():
            if text is None:
                lines.append(f"0 {'0' * len(tree)}\t{path}\0")
                continue
            blob = decode(self.call("hash-object", "-w", "--stdin", stdin=encode(text)).stdout).strip()
            lines.append(f"{modes.get(path, '100644')} {blob}\t{path}\0")
        with tempfile.TemporaryDirectory(prefix="work-milestone-") as folder:
            env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            self.call("read-tree", tree, env=env)
            self.call("update-index", "-z", "--index-info", stdin=encode("".join(lines)), env=env)
            return self.text("write-tree", env=env)

    def _modes(self, tree: str, paths: list[str]) -> dict[str, str]:
        out = decode(self.call("ls-tree", "-z", tree, "--", *paths).stdout) if paths else ""
        return {row.partition("\t")[2]: row[:6] for row in out.split("\0") if row}

    def has_path(self, tree: str, path: str) -> bool:
        """Tell whether a tree holds a path."""
        return bool(self.call("ls-tree", "-z", "--name-only", tree, "--", path).stdout)

    def files(self, rev: str, *paths: str) -> dict[str, bytes]:
        """Read the files at and below some paths of a commit or tree."""
        rows = split(self.call("ls-tree", "-r", "-z", rev, "--", *paths).stdout)
        blobs = [(row.split(None, 3)[2], row.partition("\t")[2]) for row in rows if row.startswith("100")]
        if not blobs:
            return {}
        done = self.call("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob, _ in blobs).encode())
        found, at = {}, 0
        for _, path in blobs:
            end = done.stdout.index(b"\n", at)
            size = int(done.stdout[at:end].split()[2])
            found[path] = done.stdout[end + 1 : end + 1 + size]
            at = end + size + 2
        return found

    def has_attributes(self, rev: str) -> bool:
        """Tell whether a commit holds `.gitattributes`, which merges must then see checked out."""
        if rev not in self._attributed:
            names = split(self.call("ls-tree", "-r", "-z", "--name-only", rev).stdout)
            self._attributed[rev] = any(is_attributes(name) for name in names)
        return self._attributed[rev]

    def derive_attributes(self, new: str, old: str, changed: Iterable[str]) -> None:
        """Note that a commit holds `.gitattributes` as another does, unless it changes one."""
        if old in self._attributed and not any(is_attributes(name) for name in changed):
            self._attributed[new] = self._attributed[old]

    # -- worktrees

    def checkouts(self) -> list[Checkout]:
        """List the worktrees of the repository, the main one first."""
        out = decode(self.call("worktree", "list", "--porcelain", "-z").stdout)
        found = []
        for block in out.split("\0\0"):
            fields = dict([*line.split(" ", 1), ""][:2] for line in block.split("\0") if line)
            if "worktree" in fields:
                branch = fields.get("branch", "").removeprefix("refs/heads/") or None
                found.append(
                    Checkout(Path(fields["worktree"]), fields.get("HEAD"), branch, "locked" in fields,
                             "prunable" in fields, "bare" in fields)
                )  # fmt: skip
        return found

    def state(self, cwd: Path, *, untracked: bool = True, env: Mapping[str, str] | None = None) -> TreeState:
        """Return what `git status` says of a worktree."""
        mode = "normal" if untracked else "no"
        done = self.call("status", "--porcelain=v2", "--branch", "-z", f"--untracked-files={mode}",
                         "--ignore-submodules=none", cwd=cwd, env=env)  # fmt: skip
        return parse_status(decode(done.stdout))


def _lock_files(place: Path) -> list[Path]:
    own = place.with_name(f"{place.name}.lock")
    return [*([own] if own.exists() else []), *(place.rglob("*.lock") if place.is_dir() else [])]


def is_attributes(path: str) -> bool:
    """Tell whether a path is one of the files that git reads attributes from."""
    return path.rpartition("/")[2] == ".gitattributes"


def parse_status(text: str) -> TreeState:
    """Read `git status --porcelain=v2 --branch -z`."""
    head = branch = None
    groups: dict[str, list[str]] = {"tracked": [], "untracked": [], "unmerged": []}
    rows = iter(text.split("\0"))
    for row in rows:
        kind, _, rest = row.partition(" ")
        if kind == "#":
            key, _, value = rest.partition(" ")
            head = value if key == "branch.oid" and value != "(initial)" else head
            branch = value if key == "branch.head" and value != "(detached)" else branch
        elif kind == "1":
            groups["tracked"].append(rest.split(" ", 7)[7])
        elif kind == "2":
            groups["tracked"].append(rest.split(" ", 8)[8])
            next(rows)
        elif kind == "u":
            groups["unmerged"].append(rest.split(" ", 9)[9])
        elif kind == "?":
            groups["untracked"].append(rest)
    tracked, untracked, unmerged = (tuple(groups[key]) for key in ("tracked", "untracked", "unmerged"))
    return TreeState(head, branch, tracked, untracked, unmerged)


def _conflict_types(fields: list[str]) -> tuple[str, ...]:
    """Pick the stable type strings, `CONFLICT (contents)` and the like, out of merge-tree's messages."""
    found, rest = [], list(fields)
    while len(rest) > 2 and rest[0].isdecimal():
        count = int(rest[0])
        found.append(rest[1 + count])
        rest = rest[3 + count :]
    return tuple(dict.fromkeys(kind for kind in found if kind.startswith("CONFLICT")))


def decode(raw: bytes) -> str:
    """Read git's bytes, any bytes, as text that `encode` turns back."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Turn `decode`'s text back into bytes."""
    return text.encode("utf-8", "surrogateescape")


def split(raw: bytes) -> list[str]:
    """Split what `-z` printed."""
    return [name for name in decode(raw).split("\0") if name]
