"""A repository in a temporary folder, worked by the tool as its users run it.

What is not the repository's lies beside it, in `outside`: HOME, the agents' behaviour, the log of their starts.
An agent is a shell line. It logs its start with O_APPEND, holds a lock for as long as it or anything that it started
lives (so that two at once are seen), and then does what `behave` has written for its item, or else plain work.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

PLANS = Path(__file__).parents[1] / "plans"
LIMIT = 100  # seconds; nothing here takes as long, unless it hangs
Items = Sequence[Sequence[Mapping[str, Any]]]
KEEP = 'cp "$MILESTONE_PROMPT" "$OUT/prompt-$name"'  # an agent keeps a copy of its prompt

AGENT = """
name=$MILESTONE_ITEM
[ "$MILESTONE_KIND" = work ] || name=$MILESTONE_ITEM-$MILESTONE_KIND
echo "$name $MILESTONE_ATTEMPT" >> "$OUT/starts"
exec 9> "$OUT/alive-$MILESTONE_ITEM"
flock -n 9 || echo "$MILESTONE_ITEM" >> "$OUT/overlaps"
commit() { git add -A && git commit -qm "$1"; }
report() { printf 'STATUS: %s\\nNOTES: notes of %s\\n' "$1" "$MILESTONE_ITEM"; }
work() { echo "work on $MILESTONE_ITEM" > "item-$MILESTONE_ITEM.txt"; commit "fix: work on $MILESTONE_ITEM"; }
if [ -f "$OUT/do-$name" ]; then . "$OUT/do-$name"; else work && report COMPLETE; fi
"""


def signal_run(name: str) -> str:
    """A shell line of whatever runs here: it sends the run a signal."""
    return f'kill -{name} "$(cat "$OUT/doit.pid")"'


KILL = signal_run("KILL")


class Command(subprocess.Popen[bytes]):
    """A command that nobody waits for without end: one that hangs is ended, and an error goes on instead of waiting."""

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None:
            return super().wait(timeout)
        try:
            return super().wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.send_signal(signal.SIGABRT)  # Python tells then where each of its threads is
            super().wait(LIMIT)
            raise

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> None:
        if kind:
            self.kill()
        super().__exit__(kind, *rest)


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    rc: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def item(issue: int, *depends_on: int, **keys: Any) -> dict[str, Any]:
    return {"title": f"Item {issue}", "issue": issue, "depends_on": list(depends_on), **keys}


def plan(waves: Items, *, number: int = 3, pre: Iterable[str] = (), post: Iterable[str] = (), **wave: Any) -> str:
    """Write a plan; `wave` has further keys of every wave."""
    document = {
        "milestone": {"number": number, "title": "A milestone", "integration_branch": f"milestone/{number}-test"},
        "waves": [{"wave": at, **wave, "items": list(items)} for at, items in enumerate(waves, 1)],
        "quality_gates": {"pre_merge": list(pre), "post_merge": list(post)},
    }
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


class Sandbox:
    """One repository with one plan."""

    def __init__(self, base: Path) -> None:
        self.root, self.outside = base / "repository", base / "outside"
        self.root.mkdir()
        (self.outside / "home").mkdir(parents=True)
        (self.outside / "agent.sh").write_text(AGENT)
        keep = ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "SYSTEMROOT")
        self.env = {name: os.environ[name] for name in keep if name in os.environ}
        who = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
               for what, value in (("NAME", "Test"), ("EMAIL", "test@example.org"))}  # fmt: skip
        self.env |= {**who, "HOME": str(self.outside / "home"), "GIT_CONFIG_GLOBAL": "/dev/null",
                     "GIT_CONFIG_NOSYSTEM": "1", "OUT": str(self.outside)}  # fmt: skip
        self.git("init", "-q", "-b", "main", ".")

    # -- making it

    def make(self, text: str | None = None, *, number: int = 3, files: Mapping[str, str] | None = None,
             **settings: Any) -> Sandbox:  # fmt: skip
        """Commit a plan, settings and files; without a plan's text the sample of that number."""
        if text is None:
            text = next(PLANS.glob(f"milestone-{number}-*.yaml")).read_text(encoding="utf-8")
        chosen = {
            "command": '. "$OUT/agent.sh"',
            "max_sessions": 4,
            "backoff": 0.01,
            "pass_env": ["OUT", "PYTHON", "ROOT"],
            **settings,
        }
        self.write("dodo.py", "from work_milestone.dodo import *\n")
        self.write(f"plan/milestone-{number}-dispatch.yaml", text)
        self.write("milestone.yaml", yaml.safe_dump(chosen))
        for path, content in {"README.md": "hello\n", **(files or {})}.items():
            self.write(path, content)
        self.git("add", "-A")
        self.git("commit", "-qm", "chore: begin")
        return self

    def replan(self, text: str) -> None:
        """Commit another plan, and whatever else has changed."""
        self.write("plan/milestone-3-dispatch.yaml", text)
        self.git("commit", "-qam", "chore: another plan")

    def write(self, path: str, text: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        return target

    def behave(self, issue: int | str, script: str) -> None:
        """Say what the agent of an item does from now on: shell, with `work`, `commit` and `report` at hand.

        A session that mends has a name of its own: `42-resolve`, `42-fix`, `landing-fix`.
        """
        (self.outside / f"do-{issue}").write_text(script + "\n", encoding="utf-8")

    def mend(self, issue: int) -> None:
        """Let the agent of an item do plain work again."""
        (self.outside / f"do-{issue}").unlink()

    def script(self, name: str, text: str) -> str:
        """Write a script beside the repository and return the shell line that runs it."""
        (self.outside / name).write_text(text + "\n", encoding="utf-8")
        return f'. "$OUT/{name}"'

    def install(self, name: str, text: str) -> None:
        """Put a program on the PATH of whatever runs here."""
        program = self.outside / "bin" / name
        program.parent.mkdir()
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        self.env["PATH"] = f"{program.parent}{os.pathsep}{self.env['PATH']}"

    def hook(self, name: str, text: str, repository: Path | None = None) -> Path:
        path = (repository or self.root / ".git") / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + text + "\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def fifo(self, *names: str) -> list[str]:
        """Make FIFOs, by which a test and what runs here wait for each other; return them as words of the shell."""
        for name in names:
            os.mkfifo(self.outside / name)
        return [f'"$OUT/{name}"' for name in names]

    # -- running it

    def run(self, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Done:
        with Command(argv, cwd=cwd or self.root, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:  # fmt: skip
            try:
                out, err = command.communicate(timeout=LIMIT)
            except subprocess.TimeoutExpired:
                command.send_signal(signal.SIGABRT)
                out, err = command.communicate(timeout=LIMIT)
                raise AssertionError(f"{argv} hangs: {out!r} {err.decode(errors='replace')}") from None
        return Done(command.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def git(self, *args: str, cwd: Path | None = None, rc: int | None = 0) -> str:
        done = self.run("git", *args, cwd=cwd)
        assert rc is None or done.rc == rc, f"git {args}: {done}"
        return done.out.removesuffix("\n")

    def doit(self, *words: str, rc: int | None = None, env: Mapping[str, str] | None = None) -> Done:
        """Run doit, its pid recorded beside the repository; whatever happens, no traceback is shown."""
        done = self.run(*self.argv(*words), env=env)
        assert "Traceback" not in done.text, done.text
        assert not list(self.root.glob(".milestone/*/crash.log")), self.crashes() + done.text
        assert rc is None or done.rc == rc, f"rc {done.rc}\n{done.text}"
        return done

    def milestone(self, *words: str, rc: int | None = 0) -> Done:
        return self.doit("milestone", "n=3", *words, rc=rc)

    def start(self, *words: str) -> Command:
        """Start doit and return at once."""
        with (self.outside / "output").open("ab") as out:
            return Command(self.argv(*words), cwd=self.root, env=self.env, stdin=subprocess.DEVNULL,
                           stdout=out, stderr=out)  # fmt: skip

    def begin(self, *fifos: str) -> Command:
        """Start the run, and wait until somebody in it has written to each of these FIFOs."""
        run = self.start()
        for name in fifos:
            assert await_line(self.outside / name), "somebody came, and went without a word"
        return run

    def argv(self, *words: str) -> list[str]:
        line = 'echo $$ > "$OUT/doit.pid"; exec "$0" -X faulthandler -m doit "$@"'
        return ["/bin/sh", "-c", line, sys.executable, *(words or ("milestone", "n=3"))]

    def crashes(self) -> str:
        return "".join(path.read_text() for path in self.root.glob(".milestone/*/crash.log"))

    # -- what became of it

    def starts(self) -> Counter[int]:
        """How often the agent of each item was started."""
        return Counter(int(name) for name in self.names() if name.isdecimal())

    def mends(self) -> Counter[str]:
        """How often sessions that mend were started, as `42-resolve`."""
        return Counter(name for name in self.names() if not name.isdecimal())

    def names(self) -> list[str]:
        return [line.split()[0] for line in self.lines("starts")]

    def prompt(self, name: str) -> str:
        """The prompt that a session has kept a copy of."""
        return (self.outside / f"prompt-{name}").read_text(encoding="utf-8")

    def lines(self, name: str) -> list[str]:
        path = self.outside / name
        return path.read_text(errors="replace").splitlines() if path.exists() else []

    def refs(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname)").split()

    def rev(self, name: str = "main") -> str:
        return self.git("rev-parse", "--verify", name)

    def files(self, rev: str = "main") -> set[str]:
        return set(self.git("ls-tree", "-r", "-z", "--name-only", rev).split("\0")) - {""}

    def show(self, path: str, rev: str = "main") -> str:
        return self.git("show", f"{rev}:{path}")

    def changed(self, commit: str) -> list[str]:
        """The files that a commit changes."""
        return self.git("diff-tree", "-r", "--no-commit-id", "--name-only", commit).splitlines()

    def kept(self, issue: int) -> set[str]:
        """Every file that the refs of an item's attempts hold."""
        refs = [ref for ref in self.refs() if ref.startswith(f"refs/milestone/3/attempt/{issue}/")]
        return {path for ref in refs for path in self.files(ref)}

    def trailers(self, commit: str) -> dict[str, str]:
        message = self.outside / "message"
        message.write_text(self.git("log", "-1", "--format=%B", commit), encoding="utf-8")
        rows = self.git("interpret-trailers", "--parse", str(message)).splitlines()
        return dict(row.split(": ", 1) for row in rows)

    def squashes(self, rev: str = "main") -> dict[int, list[str]]:
        """The squash commits of each item that a rev holds, oldest first."""
        found: dict[int, list[str]] = {}
        told = "--format=%H" + "".join(f"%x09%(trailers:key={key},valueonly,separator=%x20)"
                                       for key in ("Milestone", "Milestone-Item"))  # fmt: skip
        for row in self.git("log", "--reverse", "--topo-order", "--no-merges", told, rev, "--").splitlines():
            commit, milestone, issue = row.split("\t")
            if issue:
                assert milestone == "3", row
                found.setdefault(int(issue), []).append(commit)
        return found

    def receipt(self, path: str) -> dict[str, Any]:
        found = json.loads((self.root / ".milestone/3" / path).read_text(encoding="utf-8"))
        assert isinstance(found, dict)
        return found

    def journal(self) -> list[dict[str, Any]]:
        """What a run has told so far, line by line."""
        return [json.loads(line) for line in (self.root / ".milestone/3/journal.jsonl").read_text().splitlines()]

    def states(self) -> dict[str, str]:
        """What `doit list` says of each step, in its order."""
        rows = (line.split() for line in self.doit("list", "n=3", rc=0).out.splitlines())
        return {row[1]: row[0] for row in rows}

    def standing(self) -> dict[int, str]:
        """The state of each item, from the table of `doit status`."""
        table = rows(self.doit("status", "n=3", rc=0).out)
        assert table, self.doit("status", "n=3").text
        return {issue: columns[2] for issue, columns in table.items()}

    def processes(self) -> list[psutil.Process]:
        """Every process that a run of this repository has started and that still lives."""
        return [one for one in psutil.process_iter() if _environment(one).get("OUT") == str(self.outside)]

    def await_idle(self) -> None:
        """Wait for the end of every process that is left."""
        assert not psutil.wait_procs(self.processes(), timeout=LIMIT)[1]

    def require_clean(self) -> None:
        """Nothing of a run is left, but its folder, which git does not see."""
        assert self.git("status", "--porcelain", "--untracked-files=all") == ""
        # What a failed session made is kept for good, and what somebody else brought to main in a form of their own.
        kept = ("refs/remotes/", "refs/milestone/3/attempt/", "refs/milestone/3/landed/")
        assert [ref for ref in self.refs() if not ref.startswith(kept)] == ["refs/heads/main"], self.refs()
        assert len(self.git("worktree", "list", "--porcelain").split("\n\n")) == 1
        assert not list(self.root.rglob("kage-bunshin.lock"))
        assert self.git("fsck", "--connectivity-only") is not None
        assert self.processes() == []

    def require_own_files(self, *issues: int) -> None:
        """Each item is merged once, and its squash commit holds its own file and nothing else."""
        merged = {issue: [self.changed(commit) for commit in commits] for issue, commits in self.squashes().items()}
        assert merged == {issue: [[f"item-{issue}.txt"]] for issue in issues}

    def require_landed(self, *issues: int, base: str | None = None) -> None:
        """Every item is on main, once, under one merge commit."""
        merged = self.squashes()
        assert {issue: len(commits) for issue, commits in merged.items()} == dict.fromkeys(issues, 1)
        history = self.git("rev-list", "--first-parent", "main").split()
        assert len(history) == 2 or (base and history[1] == base), history
        assert len(self.git("rev-list", "--parents", "-1", "main").split()) == 3, "a merge has two parents"

    def require_done(self, *issues: int) -> None:
        """All is landed, nothing is left, and no item ever had two agents at once."""
        self.require_landed(*issues)
        self.await_idle()
        self.require_clean()
        assert self.lines("overlaps") == []

    def remove(self) -> None:
        """End whatever a failed test has left."""
        for one in self.processes():
            one.kill() if one.is_running() else None
        shutil.rmtree(self.root, ignore_errors=True)


def _environment(one: psutil.Process) -> Mapping[str, str]:
    try:
        return one.environ() if one.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.Error, OSError):
        return {}


def rows(text: str) -> dict[int, list[str]]:
    """A table's lines by item, in columns: wave, priority, state."""
    split = (line.split() for line in text.splitlines() if line.startswith("#") and ":" not in line.split()[1])
    return {int(words[0][1:]): words[1:] for words in split}


def await_line(path: Path) -> str:
    """Wait for the first line that is written to a FIFO, which blocks until somebody has it open."""
    with watchdog(f"nobody wrote to {path}"), path.open() as fifo:
        return fifo.readline().strip()


def await_text(path: Path, text: str) -> None:
    """Wait until a file holds a text: an event, asked for again and again because files do not tell."""
    with watchdog(f"{path} never had {text!r}"):
        while not path.exists() or text not in path.read_text(errors="replace"):
            time.sleep(0.005)


@contextmanager
def watchdog(words: str, seconds: int = LIMIT) -> Iterator[None]:
    """Fail, and do not hang, when what is waited for never comes."""

    def bark(*_: object) -> None:
        raise TimeoutError(words)

    before = signal.signal(signal.SIGALRM, bark)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
