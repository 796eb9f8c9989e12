"""`doit demo` as a newcomer runs it: nothing configured, or everything configured against it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
DOIT = [sys.executable, "-m", "doit"]
LIMIT = 100  # seconds; it takes a few, unless it hangs
HOOKS = ("pre-commit", "commit-msg", "post-checkout", "post-merge", "reference-transaction")
HOSTILE = """
[commit]
    gpgSign = true
[gpg]
    program = false
[init]
    defaultBranch = trunk
    templateDir = {templates}
[core]
    hooksPath = {templates}/hooks
    autocrlf = true
    excludesFile = {templates}/ignored
[merge]
    ff = false
    verifySignatures = true
[user]
    useConfigOnly = true
"""


@dataclass(frozen=True)
class Demo:
    """A demo that has ended, and where it has left its repository."""

    out: str
    folder: Path
    env: dict[str, str]

    def git(self, *args: str) -> str:
        return call(["git", *args], self.folder, self.env)

    def doit(self, *args: str) -> str:
        return call([*DOIT, *args], self.folder, self.env)


def call(argv: list[str], cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(base: Path, temporary: str = "temporary") -> dict[str, str]:
    """Make an environment with an empty HOME and no word of git's, Python's or a surrounding run's."""
    env = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("GIT_", "MILESTONE_", "PYTHON", "XDG_", "WORK_MILESTONE"))
    }  # fmt: skip
    home, folder = base / "home", base / temporary
    home.mkdir()
    folder.mkdir(parents=True)
    return env | {"HOME": str(home), "TMPDIR": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}


def demonstrate(env: dict[str, str], **given: str) -> Demo:
    """Run the demo in the checkout; `given` is known to the demo alone, and not to who looks at it later."""
    out = call([*DOIT, "demo"], CHECKOUT, env | given)
    line = next(line for line in out.splitlines() if line.strip().startswith("cd "))
    folder = Path(shlex.split(line)[1])
    assert folder.parent == Path(env["TMPDIR"]).resolve()
    return Demo(out, folder, env)


def require_landed(demo: Demo) -> None:
    """Require one merge on main with the six squash commits, and nothing else left."""
    assert demo.git("log", "--first-parent", "--format=%s", "main").splitlines() == [
        "Merge milestone 7: Release 0.2",
        "chore: shelf 0.1, and the plan of 0.2",
    ]
    assert len(demo.git("rev-list", "--parents", "-1", "main").split()) == 3
    for key, values in (("Milestone", ["7"] * 6), ("Milestone-Item", ["11", "12", "13", "14", "15", "16"])):
        trailers = f"--format=%(trailers:key={key},valueonly,separator=)"
        assert sorted(demo.git("log", trailers, "main^1..main^2").split()) == values
    assert demo.git("status", "--porcelain", "--untracked-files=all") == ""
    # What a session that was stopped had not committed yet is kept.
    assert demo.git("for-each-ref", "--format=%(refname)", "refs/heads").splitlines() == ["refs/heads/main"]
    assert demo.git("for-each-ref", "refs/milestone/7/candidate", "refs/remotes") == ""
    assert len(demo.git("worktree", "list").splitlines()) == 1


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return demonstrate(environment(tmp_path_factory.mktemp("plain")))


def test_the_milestone_is_on_main(plain: Demo) -> None:
    require_landed(plain)


def test_the_tests_of_what_landed_pass(plain: Demo) -> None:
    call([sys.executable, "-m", "unittest", "-q"], plain.folder, plain.env)
    assert "median 233" in call([sys.executable, "-m", "shelf", "books.csv"], plain.folder, plain.env)


def test_the_backlog_is_done(plain: Demo) -> None:
    tasks = plain.git("ls-tree", "--name-only", "-z", "main", "backlog/tasks/").rstrip("\0").split("\0")
    assert len(tasks) == 6
    for task in tasks:
        assert "\nstatus: Done\n" in plain.git("show", f"main:{task}")


def test_the_last_session_used_what_the_first_ones_noted(plain: Demo) -> None:
    changes = plain.git("show", "main:CHANGELOG.md")
    assert "- Mean of an empty shelf (#11): Numbers about an empty shelf are 0" in changes
    assert [f"#{issue}" in changes for issue in range(11, 17)] == [True] * 4 + [False] * 2


def test_the_same_line_again_starts_nothing(plain: Demo) -> None:
    before = plain.git("rev-parse", "main")
    assert "started" not in plain.doit("milestone", "n=7")
    assert plain.git("rev-parse", "main") == before
    attempts = (plain.folder / ".milestone" / "7" / "items").glob("*/attempts/*")
    assert len(list(attempts)) == 6
    require_landed(plain)


def test_list_and_status_and_log_work_there(plain: Demo) -> None:
    assert "spawn:16" in plain.doit("list", "n=7")
    assert "6 merged; landed on main" in plain.doit("status", "n=7")
    assert "STATUS: COMPLETE" in plain.doit("log:16", "n=7")


def test_it_shows_steps_relay_and_history_and_is_short(plain: Demo) -> None:
    for words in ("spawn:13", "design notes", "| * ", "doit milestone n=7", "relay.md", "status n=7"):
        assert words in plain.out
    assert "\x1b" not in plain.out
    assert len(plain.out.splitlines()) <= 76


def test_what_the_surroundings_have_set_up_has_no_say(tmp_path: Path) -> None:
    env = environment(tmp_path, 'outer/it\'s a "täst" $HOME')
    outer, templates = tmp_path / "outer", tmp_path / "templates"
    call(["git", "init", "-q", str(outer)], tmp_path, env)
    (templates / "hooks").mkdir(parents=True)
    (templates / "ignored").write_text("*.py\nplan\n")
    for name in HOOKS:
        hook = templates / "hooks" / name
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
    (tmp_path / "home" / ".gitconfig").write_text(HOSTILE.format(templates=templates))
    demo = demonstrate(
        env, GIT_DIR=str(outer / ".git"), GIT_WORK_TREE=str(outer), GIT_INDEX_FILE=str(outer / "index"),
        GIT_AUTHOR_NAME="", GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="commit.gpgSign", GIT_CONFIG_VALUE_0="true",
        MILESTONE_ITEM="99", MILESTONE_PROMPT="/nowhere", WORK_MILESTONE_SESSION="another",
        PYTHONSAFEPATH="1", PYTHONIOENCODING="utf-8",
    )  # fmt: skip
    require_landed(demo)
    assert call(["git", "for-each-ref"], outer, env) == ""
    assert not (outer / "index").exists()


def test_it_goes_on_in_silence_once_nobody_reads(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with subprocess.Popen(
        [*DOIT, "demo"], cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout
        assert child.stderr
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait(LIMIT) == 0
    (folder,) = (tmp_path / "temporary").iterdir()
    require_landed(Demo("", folder, env))


def test_a_failure_is_told_and_the_folder_kept(tmp_path: Path) -> None:
    env = environment(tmp_path)
    shim, git = tmp_path / "bin" / "git", shutil.which("git")
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\ncase "$*" in *merge-tree*) exit 3 ;; esac\nexec {git} "$@"\n')
    shim.chmod(0o755)
    env["PATH"] = f"{shim.parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [*DOIT, "demo"], cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    (folder,) = (tmp_path / "temporary").iterdir()
    assert done.returncode == 1
    assert f"cd {folder} && " in done.stderr
    assert "exit code" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / ".git").is_dir()


def test_when_it_is_stopped_the_milestone_stops_and_can_go_on(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with subprocess.Popen([*DOIT, "demo"], cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        out = next(line for line in child.stdout if "started" in line)
        child.send_signal(signal.SIGTERM)
        out += child.stdout.read()
        assert child.wait(LIMIT) == -signal.SIGTERM, out
    (folder,) = (tmp_path / "temporary").iterdir()
    assert f"cd {folder} && " in out
    assert "landed on main" not in out
    call([*DOIT, "milestone", "n=7"], folder, env)
    require_landed(Demo("", folder, env))
