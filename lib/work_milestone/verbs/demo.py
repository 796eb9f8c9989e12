"""`doit demo`: a small milestone in a repository of its own, worked before a newcomer's eyes.

Rules:
- All of it is real: the repository, its tests, sessions, gates, merges, the landing. Only the agents are scripts,
  so that no network, no key and no model is needed.
- The milestone is worked by the line that a user would type, in a process of its own, on the same terminal.
- What the surroundings have set up for git, for a run or for Python has no say: the repository's own configuration
  overrides git's, and variables of such kinds are not handed on.
- The folder is kept, above all when a step has failed: the message says where to look.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from work_milestone.run import Run
from work_milestone.system import MilestoneError, process
from work_milestone.text import wants_color

NUMBER = 7
SHOWN = 13  # the item whose steps and notes are shown: its wave is the last with a wave after it
FILES = Path(__file__).parent / "demo_files" / "repository.txt"
_SECTION = re.compile(r"^==> (.+) <==\n", re.MULTILINE)
_FOREIGN = ("GIT_", "MILESTONE_", "PYTHONSAFEPATH")
# The user's own configuration may ask for signatures, hooks, filters or line ends that a demo cannot give.
_CONFIG = {
    "user.name": "work-milestone demo",
    "user.email": "demo@example.invalid",
    "commit.gpgSign": "false",
    "core.attributesFile": os.devnull,
    "core.autocrlf": "false",
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "merge.verifySignatures": "false",
    "log.showSignature": "false",
}
_BEFORE = """\
A small real milestone: 6 items in 3 waves, each worked in a git worktree of its own, squashed and tested before it is
merged; then all of it lands on main. The sessions are short scripts in place of coding agents: no model, no key.
It happens in {folder}, which is kept.

$ doit milestone n=7
"""
_AFTER = "\nEach step left a receipt there: the same line a second time finds nothing to do. To look around:\n"
_TO_TRY = (
    ("cd {folder}", ""),
    ("{doit} list n=7", "every step of the milestone"),
    ("{doit} status n=7", "where each item stands"),
    ("{doit} log:16 n=7", "what the session of #16 said; log:N for any other"),
    ("less .milestone/7/waves/2/relay.md", "what the sessions of wave 3 were told"),
    ("cat CHANGELOG.md", "what #16 made of that"),
)


def work(_run: Run) -> None:
    """Make the repository, work its milestone, show what came of it. Raise MilestoneError when a step fails."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="work-milestone-demo-")).resolve()
    except OSError as fault:
        raise MilestoneError(f"no folder for the demo: {fault}; name one that can be written: TMPDIR=...") from fault
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as a run does: once nobody reads, it goes on in silence
    _say(_BEFORE.format(folder=folder))
    try:
        _make(folder)
        _work_milestone(folder)
        _show(folder)
    except (MilestoneError, OSError) as fault:
        where = shlex.quote(str(folder))
        raise MilestoneError(
            f"the demo did not come to its end: {fault}\n"
            f"its folder is kept; look there: cd {where} && {_command()} status n={NUMBER}"
        ) from fault


# -- before


def _make(folder: Path) -> None:
    """Fill the folder and commit it, under a configuration that leaves nothing to the user's own."""
    python = json.dumps(shlex.quote(sys.executable), ensure_ascii=False)[1:-1]
    _, *parts = _SECTION.split(FILES.read_text(encoding="utf-8"))
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@PYTHON@", python), encoding="utf-8", newline="\n")
    _git(folder, "init", "--quiet", "--initial-branch=main", "--template=")
    for key, value in _CONFIG.items():
        _git(folder, "config", key, value)
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--message", "chore: shelf 0.1, and the plan of 0.2")


def _environment() -> dict[str, str]:
    """Return the environment of everything that the demo starts."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    if env.get("PYTHONPATH"):  # it may be relative to where the demo was called
        env["PYTHONPATH"] = os.pathsep.join(str(Path(path).absolute()) for path in env["PYTHONPATH"].split(os.pathsep))
    return env


def _git(folder: Path, *args: str) -> str:
    done = process.run(["git", *args], cwd=folder, env=_environment())
    return done.stdout.decode(errors="replace")


def _doit(command: str) -> list[str]:
    return [sys.executable, "-m", "doit", command, f"n={NUMBER}"]


def _work_milestone(folder: Path) -> None:
    """Run doit on the milestone. A Ctrl-C or TERM is first for it, which ends in its own order, and then for us."""
    heard: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        heard.append(number)
        process.stop_all(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = process.run_attached(_doit("milestone"), cwd=folder, env=_environment())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        _say(f"\nstopped; to go on: cd {shlex.quote(str(folder))} && {_command()} milestone n={NUMBER}\n")
        os.kill(os.getpid(), heard[0])
    if code:
        raise MilestoneError(f"doit milestone n={NUMBER} ended with exit code {code}")


# -- after


def _show(folder: Path) -> None:
    """Show the graph, the relay and the history in excerpts, and how to see more."""
    env = {**_environment(), "PYTHONIOENCODING": "utf-8"}
    listed = process.run(_doit("list"), cwd=folder, env=env).stdout.decode(errors="replace").splitlines()
    steps = [line.split()[1] for line in listed if f":{SHOWN} " in line]
    done = sum(line.startswith("U ") for line in listed)
    _title(f"doit list n={NUMBER}", f"its {done} steps, all up to date (U) now; those of #{SHOWN}, one after another:")
    _say(f"U {' -> '.join(steps)}\n")
    _title("cat .milestone/7/waves/2/relay.md", f"what wave 3 was told of #{SHOWN}")
    _say(_relay(folder))
    _title("git log --graph --oneline", "one squash commit an item, one merge")
    colors = "--color=always" if wants_color(sys.stdout) else "--color=never"
    _say(_git(folder, "log", "--graph", "--oneline", "--no-decorate", colors))
    _say(_AFTER)
    lines = [(line.format(folder=shlex.quote(str(folder)), doit=_command()), what) for line, what in _TO_TRY]
    width = max(len(line) for line, what in lines if what)
    _say("".join(f"  {line:<{width}}  {what}".rstrip() + "\n" for line, what in lines))


def _relay(folder: Path) -> str:
    """Return what the relay of wave 2 tells of one item, without blank lines."""
    text = (folder / ".milestone" / str(NUMBER) / "waves" / "2" / "relay.md").read_text(encoding="utf-8")
    told = re.search(rf"^### #{SHOWN} .*\n((?!#).*\n?)*", text, re.MULTILINE)
    return "".join(f"{line}\n" for line in (told[0] if told else text).splitlines() if line.strip())


def _command() -> str:
    """Return how this user calls doit: by its name where that is on PATH."""
    return "doit" if shutil.which("doit") else f"{shlex.quote(sys.executable)} -m doit"


def _title(command: str, what: str) -> None:
    bold, plain = ("\x1b[1m", "\x1b[0m") if wants_color(sys.stdout) else ("", "")
    _say(f"\n{bold}$ {command}{plain}   # {what}\n")


def _say(text: str) -> None:
    """Write to stdout, in whatever letters it has, as long as anybody reads."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still in the buffer would fail again when Python ends, and the milestone's process writes here too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
