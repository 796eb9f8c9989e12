"""Scratch repositories for the benchmarks: made afresh, far from the user's configuration, removed at the end."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

NUMBER = 7
BRANCH = f"milestone/{NUMBER}-x"
SLOTS = 8
FILES = 20  # in the repository that the sessions start from
MEMORY = Path("/dev/shm")
CHANGE = (
    'echo "$MILESTONE_ITEM" > "item-$MILESTONE_ITEM.txt" && git add -A && git commit -qm "fix: item $MILESTONE_ITEM"'
)
DOIT = Path(sys.executable).with_name("doit")


@contextmanager
def folder(where: Path | None) -> Iterator[Path]:
    """A temporary folder, on the disk where `where` says nothing else, that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="work-milestone-bench-", dir=where))
    try:
        (path / "home").mkdir()
        yield path
    finally:
        shutil.rmtree(path)


def places() -> dict[str, Path | None]:
    """The kinds of file systems to measure on: memory where there is one, and the disk."""
    disk = {"disk": Path("/var/tmp") if Path("/var/tmp").is_dir() else None}
    return {"tmpfs": MEMORY, **disk} if os.access(MEMORY, os.W_OK) else disk


def environment(home: Path) -> dict[str, str]:
    """The environment of everything that is measured: none of the user's configuration, a fixed identity."""
    env = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER")
           for part, value in (("NAME", "Bench"), ("EMAIL", "bench@localhost"))}  # fmt: skip
    isolated = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    return {**env, **who, **isolated, "HOME": str(home), "TMPDIR": str(home)}


class Sample(NamedTuple):
    """What a command took: seconds by the clock, and of the processor, its own and its descendants'."""

    wall: float
    cpu: float


def _used(*whose: int) -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in whose)


def clock(work: Callable[[], object]) -> Sample:
    """Do something in this process, and say what it took."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    began, used = time.perf_counter(), _used(*whose)
    work()
    return Sample(time.perf_counter() - began, _used(*whose) - used)


@contextmanager
def inside(env: Mapping[str, str]) -> Iterator[None]:
    """Have an environment as this process's own while the block runs."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(env)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Ground:
    """A temporary folder with an environment, where commands run and are timed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.env = environment(path / "home")

    def run(self, *argv: str, cwd: Path, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> bytes:
        """Run a command and return what it printed. Raise SystemExit with its words when it fails."""
        done = subprocess.run(
            argv, cwd=cwd, env={**self.env, **(env or {})}, input=stdin, capture_output=True, check=False
        )
        if done.returncode:
            words = (done.stdout + done.stderr).decode(errors="replace")[-3000:]
            raise SystemExit(f"{' '.join(argv)[:200]} failed in {cwd} (exit {done.returncode}):\n{words}")
        return done.stdout

    def time(self, *argv: str, cwd: Path, env: Mapping[str, str] | None = None) -> Sample:
        """Run a command, and say what it took."""
        began, used = time.perf_counter(), _used(resource.RUSAGE_CHILDREN)
        self.run(*argv, cwd=cwd, env=env)
        return Sample(time.perf_counter() - began, _used(resource.RUSAGE_CHILDREN) - used)

    def repository(self, name: str, files: Mapping[str, str]) -> Path:
        """Make a repository with one commit of some files and of `FILES` others."""
        root = self.path / name
        padding = {f"src/part-{number}/code.txt": f"line {number}\n" * 20 for number in range(FILES)}
        for path, text in {**padding, **files}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        self.run("git", "init", "-q", "-b", "main", ".", cwd=root)
        self.run("git", "add", "-A", cwd=root)
        self.run("git", "commit", "-qm", "chore: begin", cwd=root)
        return root

    def copy(self, source: Path, name: str) -> Path:
        """Copy a repository, so that each round begins with the same."""
        target = self.path / name
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)
        self.run("git", "status", "--porcelain", cwd=target)  # the copy's index is refreshed before the clock runs
        return target

    def git(self, *words: str, cwd: Path) -> str:
        """Run a git command and return what it printed."""
        return self.run("git", *words, cwd=cwd).decode().strip()


def plan(waves: Sequence[Sequence[int]]) -> str:
    """Write a dispatch plan: the issues of each wave."""
    lines = ["milestone:", f"  number: {NUMBER}", "  title: x", f"  integration_branch: {BRANCH}", "waves:"]
    for number, issues in enumerate(waves, 1):
        lines += [f"  - wave: {number}", "    parallel: true", "    items:"]
        lines += [
            f'      - {{title: "Change number {issue}", issue: {issue}, priority: P1, depends_on: []}}'
            for issue in issues
        ]
    return "\n".join(lines) + "\n"


def files(waves: Sequence[Sequence[int]], command: str) -> dict[str, str]:
    """What a repository holds for the tool to work a plan in it."""
    return {
        "dodo.py": "from work_milestone.dodo import *\n",
        f"plan/milestone-{NUMBER}-dispatch.yaml": plan(waves),
        "milestone.yaml": f"agent: command\nmax_sessions: {SLOTS}\ncommand: {command!r}\n",
    }
