"""What all tests share: an environment without anything of the user's, and real repositories in `tmp_path`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from work_milestone.run import Run
from work_milestone.system import process

sys.path.insert(0, str(Path(__file__).parents[1]))  # `tests.e2e.harness`, also where pytest was started by its name

from tests.e2e import harness

WATCHDOG = 60  # seconds; a command that hangs fails its test instead of the whole suite
SLOWEST_FIRST = ("faults", "e2e", "integration", "unit")

# How long an example takes is the machine's affair, and no fault of what it shows.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Let a worker of `-n` that has come to its end take over what another has still before it."""
    if config.getoption("numprocesses", None) and config.getoption("dist") == "no":
        config.option.dist = "worksteal"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Have `-n auto` start three workers for two cores: a third of their time they wait, for disks and signals."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_make_parametrize_id(val: object) -> str | None:
    """Cut what is long short: a test's id stands in the environment of all that it starts, which has its bounds."""
    return ascii(val[:60])[1:-1] + "…" if isinstance(val, str) and len(val) > 200 else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left alone with it at the end."""
    ranks = {name: rank for rank, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda one: ranks.get(one.path.relative_to(Path(__file__).parent).parts[0], len(ranks)))


@pytest.fixture(autouse=True, scope="session")
def isolated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the configuration of user and machine away, and name who commits."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("GIT_", "MILESTONE_"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Test")
            patch.setenv(f"GIT_{who}_EMAIL", "test@example.invalid")
        for number in (signal.SIGHUP, signal.SIGINT):
            if signal.getsignal(number) is signal.SIG_IGN:  # by nohup or `&`: what is started would be deaf to it too
                signal.signal(number, lambda *_: None)
        yield


class Sandbox:
    """A real git repository, with one commit on main."""

    base: str  # the first commit

    def __init__(self, root: Path, template: Sandbox | None = None) -> None:
        self.root = root
        if template:
            shutil.copytree(template.root, root, symlinks=True, dirs_exist_ok=True)
            self.base = template.base
            self.git("update-index", "-q", "--refresh")  # copies have inodes of their own
        else:
            root.mkdir(parents=True)
            self.git("init", "-q", "-b", "main")
            self.base = self.commit("chore: begin", {"README.md": "hello\n"})

    def copy(self, root: Path) -> Sandbox:
        """Make another repository of this one, which is quicker than to make it anew."""
        return Sandbox(root, self)

    def run_git(self, *args: str | bytes, cwd: Path | None = None, stdin: bytes = b"") -> bytes:
        """Run git; fail the test with git's words when git fails."""
        done = subprocess.run(
            ["git", *args], cwd=cwd or self.root, input=stdin, capture_output=True, timeout=WATCHDOG, check=False
        )
        assert done.returncode == 0, (args, done.stderr.decode(errors="replace"))
        return done.stdout

    def git(self, *args: str | bytes, cwd: Path | None = None, stdin: bytes = b"") -> str:
        """Run git and return what it printed, without white space around it."""
        return self.run_git(*args, cwd=cwd, stdin=stdin).decode("utf-8", "surrogateescape").strip()

    def write(self, files: Mapping[str, str | bytes | None], cwd: Path | None = None) -> None:
        """Write files, or remove those that are None."""
        for name, text in files.items():
            path = (cwd or self.root) / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))

    def commit(self, message: str, files: Mapping[str, str | bytes | None], cwd: Path | None = None) -> str:
        """Write files and commit all that there is. Return the commit."""
        self.write(files, cwd)
        self.git("add", "-A", cwd=cwd)
        self.git("commit", "-q", "--allow-empty", "-F", "-", cwd=cwd, stdin=message.encode())
        return self.git("rev-parse", "HEAD", cwd=cwd)

    def branch_commit(self, branch: str, base: str, message: str, files: Mapping[str, str | bytes | None]) -> str:
        """Commit on a branch made from `base`, and switch back to where it was."""
        self.git("checkout", "-q", "-B", branch, base)
        head = self.commit(message, files)
        self.git("checkout", "-q", "main")
        return head

    def tree(self, rev: str) -> dict[str, bytes]:
        """Read every file of a commit."""
        names = self.run_git("ls-tree", "-r", "-z", "--name-only", rev).split(b"\0")[:-1]
        return {os.fsdecode(name): self.run_git("cat-file", "blob", rev.encode() + b":" + name) for name in names}

    def status(self) -> str:
        """What the user sees in the checkout."""
        return self.git("status", "--porcelain", "--untracked-files=all")

    def plan(
        self, waves: Sequence[Sequence[Mapping[str, Any]]], *, gates: Mapping[str, Sequence[str]] | None = None,
        number: int = 7, title: str = "Test", **milestone: Any,
    ) -> None:  # fmt: skip
        """Commit a plan of items `{issue, title, ...}`, wave by wave."""
        document = {
            "milestone": {"number": number, "title": title, **milestone},
            "waves": [{"wave": at, "items": [dict(item) for item in items]} for at, items in enumerate(waves, 1)],
            "quality_gates": dict(gates or {}),
        }
        self.commit("docs: plan", {f"plan/milestone-{number}-dispatch.yaml": json.dumps(document)})

    def run(self, **variables: str) -> Run:
        """Open the run of milestone 7 as a process of its own would."""
        return Run(self.root, {"n": "7", **variables})


@pytest.fixture(scope="session")
def empty(isolated: None, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The repository that each test begins with a copy of."""
    return Sandbox(tmp_path_factory.mktemp("empty") / "repository")


@pytest.fixture
def sandbox(empty: Sandbox, tmp_path: Path) -> Sandbox:
    """A repository of the test's own."""
    return empty.copy(tmp_path.resolve() / "repository")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[harness.Sandbox]:
    """An empty repository that is worked as users do, cleaned up after."""
    made = harness.Sandbox(tmp_path)
    yield made
    made.remove()


@pytest.fixture
def guarded() -> Iterator[None]:
    """Fail a test that hangs, with a traceback, and one that leaves processes behind."""
    process.stopping.clear()
    with harness.watchdog("the test hangs", WATCHDOG):
        yield
    process.stopping.clear()
    assert not process.live
