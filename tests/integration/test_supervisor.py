"""Sessions under their supervisor: real processes, ended in every way. FIFOs keep the two sides in step."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from work_milestone.supervision import attempts
from work_milestone.system import command as gate_process
from work_milestone.system import process, process_table
from work_milestone.system.errors import LockedError, ProcessError, ReceiptError

pytestmark = pytest.mark.usefixtures("guarded")
SCRIPT = Path(attempts.__file__).with_name("supervisor.py")
LIBS = os.pathsep.join([str(SCRIPT.parents[2]), *sys.path])
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs prctl(2) and /proc")


class Bench:
    """One attempt, and a FIFO that whatever runs in it can hold open."""

    def __init__(self, tmp_path: Path) -> None:
        self.attempt = tmp_path / "attempts" / "1"
        self.cwd = tmp_path
        self.fifo = tmp_path / "fifo"
        os.mkfifo(self.fifo)
        self.mark = f"test-{tmp_path.name}-{os.getpid()}"

    def start(self, *argv: str, timeout: float = 50, stdin: Path = Path("-"), **env: str) -> attempts.Supervised:
        return attempts.start(
            self.attempt,
            argv,
            cwd=self.cwd,
            env={**os.environ, "FIFO": str(self.fifo), **env},
            stdin=stdin,
            timeout=timeout,
            mark=self.mark,
        )

    def run(self, *argv: str, timeout: float = 50, stdin: Path = Path("-"), **env: str) -> dict[str, Any]:
        assert self.start(*argv, timeout=timeout, stdin=stdin, **env).wait() == 0
        return self.record()

    def record(self) -> dict[str, Any]:
        return json.loads((self.attempt / "exit.json").read_text())  # type: ignore[no-any-return]

    def supervisor(self) -> dict[str, Any]:
        return json.loads((self.attempt / "supervisor.json").read_text())  # type: ignore[no-any-return]

    def out(self) -> bytes:
        return (self.attempt / "stdout").read_bytes()

    def nobody_reads(self) -> bool:
        """Whether every process that had the FIFO open for reading is gone."""
        try:
            os.close(os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return True
        return False


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    process_table.sweep(made.mark)


def agent_of(bench: Bench) -> int:
    return int(bench.supervisor()["agent_pid"])


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *args]


WAIT = 'exec cat "$FIFO"'  # an agent that works until the FIFO's writer lets it go
STUBBORN = 'trap "" TERM INT; while :; do cat "$FIFO"; done'
# Three ways of slipping away, each holding the FIFO: a child, a new session, a double fork that ignores TERM.
DAEMONS = """
import os, signal, sys
held = os.open(os.environ["FIFO"], os.O_RDONLY)
ready, tell = os.pipe()
def daemon(depth, stubborn):
    for _ in range(depth):
        if os.fork():
            return False
        os.setsid()
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(tell, b".")
    signal.pause()
    os._exit(0)
for depth, stubborn in ((1, False), (2, False), (3, True)):
    pid = os.fork()
    if not pid:
        daemon(depth, stubborn)
        os._exit(0)
    os.waitpid(pid, 0)
got = b""
while len(got) < 3:
    got += os.read(ready, 3)
"""


# How an agent ends


@pytest.mark.parametrize("code", [0, 1, 127, 255])
def test_exit_codes_are_recorded(bench: Bench, code: int) -> None:
    record = bench.run("sh", "-c", f"exit {code}")
    assert (record["code"], record["signal"], record["reason"]) == (code, None, "exited")
    assert (record["version"], record["leaked"], record["error"]) == (1, 0, None)
    assert record["started"] <= record["ended"]
    assert 100 < record["peak_rss_kb"] < 1_000_000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV])
def test_a_death_by_signal_is_recorded(bench: Bench, number: int) -> None:
    record = bench.run("sh", "-c", f"ulimit -c 0; kill -{int(number)} $$")
    assert (record["code"], record["signal"], record["reason"]) == (None, number, "signalled")


@pytest.mark.parametrize(("name", "code"), [("absent", 127), ("plain", 126), ("no-such-program", 127)])
def test_an_agent_that_cannot_be_started(bench: Bench, name: str, code: int) -> None:
    plain = bench.cwd / "plain"
    plain.write_text("no program")
    record = bench.run(name if name.startswith("no-") else str(bench.cwd / name), PATH=str(bench.cwd))
    assert (record["code"], record["signal"], record["reason"]) == (code, None, "not-started")
    assert name in record["error"]
    assert name.encode() in (bench.attempt / "stderr").read_bytes()


def test_an_absent_prompt_is_not_an_empty_one(bench: Bench) -> None:
    record = bench.run("touch", str(bench.cwd / "ran"), stdin=bench.cwd / "absent.md")
    assert (record["code"], record["reason"]) == (None, "not-started")
    assert "absent.md" in record["error"]
    assert not (bench.cwd / "ran").exists()


# What an agent is given


def test_the_prompt_comes_on_stdin_and_outputs_go_to_private_files(bench: Bench) -> None:
    prompt = bench.cwd / "prompt.md"
    prompt.write_bytes(b"do \xff it\n")
    bench.run("sh", "-c", "cat; echo fault >&2", stdin=prompt)
    assert bench.out() == b"do \xff it\n"
    assert (bench.attempt / "stderr").read_bytes() == b"fault\n"
    for name in ("stdout", "stderr", "exit.json", "supervisor.json", "lock"):
        assert stat.S_IMODE((bench.attempt / name).stat().st_mode) == 0o600
    assert sorted(p.name for p in bench.attempt.iterdir()) == [
        "exit.json",
        "lock",
        "stderr",
        "stdout",
        "supervisor.json",
    ]


HOSTILE = ["a b", "'\"$(false)`\\", "new\nline", "🦀 é", "--", "-c", "", "*", "\udcff", "x" * 100_000]


def test_hostile_arguments_arrive_untouched(bench: Bench) -> None:
    argv = python("import os, sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))", *HOSTILE)
    assert bench.run(*argv)["code"] == 0
    assert bench.out() == b"\0".join(map(os.fsencode, HOSTILE))


def test_hostile_program_names_are_told_as_valid_json(bench: Bench) -> None:
    record = bench.run('/absent/"🦀\n\\\udcff' + "x" * 300)
    assert record["code"] == 127
    assert '/absent/"🦀\n\\' in record["error"]


def test_folder_environment_and_mark(bench: Bench) -> None:
    bench.run("sh", "-c", 'pwd; echo "$GIVEN"; echo "$WORK_MILESTONE_SESSION"', GIVEN="a\nb")
    assert bench.out().decode() == f"{bench.cwd}\na\nb\n{bench.mark}\n"


def test_the_agent_starts_with_clean_signals_in_a_group_of_its_own(bench: Bench) -> None:
    code = """
import os, signal
print([int(s) for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN])
print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), os.getpgrp() == os.getpid(), os.getsid(0) == os.getppid())
"""
    bench.run(*python(code))
    own = {int(signal.SIGPIPE), int(signal.SIGXFSZ)}  # Python ignores these itself
    first, second = bench.out().decode().splitlines()
    assert set(json.loads(first)) <= own
    assert second == "set() True True"


def test_the_agent_does_not_inherit_the_lock(bench: Bench) -> None:
    code = """
import os, sys
lock = os.stat(sys.argv[1])
def same(fd):
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (lock.st_dev, lock.st_ino)
print([fd for fd in range(3, 1024) if same(fd)])
"""
    bench.run(*python(code, str(bench.attempt / "lock")))
    assert bench.out() == b"[]\n"


def test_huge_output_is_kept_whole(bench: Bench) -> None:
    record = bench.run("sh", "-c", "head -c 64000000 /dev/zero; head -c 9000000 /dev/zero >&2")
    assert (record["code"], record["error"]) == (0, None)
    assert (bench.attempt / "stdout").stat().st_size == 64_000_000
    assert (bench.attempt / "stderr").stat().st_size == 9_000_000


# Time limit and stop


@pytest.mark.parametrize(("agent", "number"), [(WAIT, signal.SIGTERM), (STUBBORN, signal.SIGKILL)])
def test_the_time_limit_ends_the_polite_and_the_stubborn(bench: Bench, agent: str, number: int) -> None:
    supervised = bench.start("sh", "-c", agent, timeout=0.5)
    with bench.fifo.open("wb"):
        supervised.wait()
    record = bench.record()
    assert (record["code"], record["signal"], record["reason"]) == (None, number, "timeout")
    assert bench.nobody_reads()


def test_an_agent_that_ends_well_when_told_keeps_its_code(bench: Bench) -> None:
    agent = 'trap "echo saved; exit 5" TERM; while :; do cat "$FIFO"; done'
    supervised = bench.start("sh", "-c", agent)
    with bench.fifo.open("wb"):
        supervised.signal(signal.SIGTERM)
        supervised.wait()
    record = bench.record()
    assert (record["code"], record["signal"], record["reason"]) == (5, None, "stopped")
    assert bench.out() == b"saved\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_session(bench: Bench, number: int) -> None:
    supervised = bench.start("sh", "-c", WAIT)
    with bench.fifo.open("wb"):
        supervised.signal(number)
        assert supervised.wait() == 0
    assert bench.record()["reason"] == "stopped"
    assert bench.nobody_reads()


TELLING = """
import os, signal
tell = os.open(os.environ["FIFO"], os.O_WRONLY)
signal.signal(signal.SIGTERM, lambda *_: os.write(tell, b"t"))
os.write(tell, b"r")
while True:
    signal.pause()
"""


@contextlib.contextmanager
def altered(bench: Bench, change: str, *argv: str, timeout: str = "50") -> Iterator[subprocess.Popen[bytes]]:
    """A session whose supervisor runs with a line of code changed."""
    bench.attempt.mkdir(parents=True)
    lock = os.open(bench.attempt / "lock", os.O_RDWR | os.O_CREAT)
    code = f"import sys; from work_milestone.supervision import supervisor as s; {change}; s.main(sys.argv[1:])"
    words = [sys.executable, "-c", code, str(bench.attempt), str(lock), timeout, "-", "--", *argv]
    env = {**os.environ, "FIFO": str(bench.fifo), "PYTHONPATH": LIBS, process_table.MARK: bench.mark}
    try:
        with subprocess.Popen(words, env=env, pass_fds=(lock,), start_new_session=True) as supervisor:
            yield supervisor
    finally:
        os.close(lock)


def test_a_second_stop_kills_at_once(bench: Bench) -> None:
    # With a grace that no test outlasts, only the second signal can end it.
    with (
        altered(bench, "s.GRACE = 3600", *python(TELLING)) as supervisor,
        bench.fifo.open("rb", buffering=0) as told,
    ):
        assert told.read(1) == b"r"
        supervisor.terminate()
        assert told.read(1) == b"t"
        supervisor.terminate()
        assert told.read(1) == b""
    assert (bench.record()["signal"], bench.record()["reason"]) == (signal.SIGKILL, "stopped")


@pytest.mark.parametrize("change", ["s.LINUX = False", "s._prctl = lambda *_: False"])
def test_without_a_subreaper_the_group_is_ended(bench: Bench, change: str) -> None:
    agent = 'trap "" TERM; exec 8<"$FIFO"; cat <&8 & exit 3'
    with altered(bench, change, "sh", "-c", agent) as supervisor, bench.fifo.open("wb"):
        supervisor.wait()
    record = bench.record()
    assert (record["code"], record["reason"], record["leaked"] > 0) == (3, "exited", True)
    assert bench.nobody_reads()


def test_setting_the_clock_changes_no_limit(bench: Bench) -> None:
    # The clock on the wall leaps a year back at every look.
    leap = "now = [s.time.time()]; s.time.time = lambda: now.append(now[-1] - 3e7) or now[-1]"
    with altered(bench, leap, "sh", "-c", WAIT, timeout="0.5") as supervisor, bench.fifo.open("wb"):
        supervisor.wait()
    record = bench.record()
    assert record["reason"] == "timeout"
    assert 0.5 <= record["ended"] - record["started"] < 3600


def test_a_stop_that_comes_before_the_supervisor_listens_is_not_lost(bench: Bench) -> None:
    supervised = bench.start("sh", "-c", WAIT)
    supervised.signal(signal.SIGTERM)
    supervised.wait()
    assert bench.record()["reason"] == "stopped"


def test_a_hangup_is_survived(bench: Bench) -> None:
    supervised = bench.start("sh", "-c", 'echo "$(cat "$FIFO")"')
    with bench.fifo.open("wb") as fifo:
        supervised.signal(signal.SIGHUP)
        fifo.write(b"done")
    supervised.wait()
    assert bench.record()["code"] == 0
    assert bench.out() == b"done\n"


# Descendants


@linux
def test_daemons_are_ended_after_the_agent(bench: Bench) -> None:
    supervised = bench.start(*python(DAEMONS))
    with bench.fifo.open("wb"):
        supervised.wait()
    record = bench.record()
    assert (record["code"], record["reason"], record["leaked"]) == (0, "exited", 3)
    assert bench.nobody_reads()


@linux
def test_daemons_are_ended_at_the_time_limit(bench: Bench) -> None:
    supervised = bench.start(*python(DAEMONS + "signal.pause()"), timeout=0.5)
    with bench.fifo.open("wb"):
        supervised.wait()
    record = bench.record()
    assert (record["signal"], record["reason"], record["leaked"]) == (signal.SIGTERM, "timeout", 3)
    assert bench.nobody_reads()


@linux
def test_children_that_fork_faster_than_they_are_found(bench: Bench) -> None:
    runner = """
import os, signal
held = os.open(os.environ["FIFO"], os.O_RDONLY)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    while True:
        if os.fork():
            os._exit(0)
"""
    supervised = bench.start(*python(runner))
    with bench.fifo.open("wb"):
        supervised.wait()
    record = bench.record()
    # They cannot be counted for certain: each may be seen only when it is a zombie already.
    assert (record["code"], record["error"]) == (0, None)
    assert bench.nobody_reads()


@linux
def test_zombies_are_collected_while_the_agent_works(bench: Bench) -> None:
    code = """
import os
tell = os.open(os.environ["FIFO"], os.O_WRONLY)
for _ in range(50):
    if os.fork() == 0:
        os.fork()
        os._exit(0)
    os.wait()
os.write(tell, b"r")
os.read(0, 1)
"""
    prompt = bench.cwd / "hold"
    os.mkfifo(prompt)
    # Opened for both, so that neither side waits for the other.
    hold = os.open(prompt, os.O_RDWR)
    supervised = bench.start(*python(code), stdin=prompt)
    with bench.fifo.open("rb") as told:
        assert told.read(1) == b"r"
        # Blocks until the agent alone is left; they die a moment after it has waited for their parents.
        while [one.pid for one in psutil.Process(supervised.pid).children()] != [agent_of(bench)]:
            pass
    os.write(hold, b"x")
    supervised.wait()
    os.close(hold)
    assert bench.record()["leaked"] == 0


# The lock, and what it tells


def test_the_lock_is_held_for_the_whole_life_and_not_longer(bench: Bench) -> None:
    supervised = bench.start("sh", "-c", WAIT)
    assert attempts.state(bench.attempt) == "alive"
    with pytest.raises(LockedError, match="under way"):
        bench.start("true")
    with bench.fifo.open("wb"):
        assert attempts.state(bench.attempt) == "alive"
        with (bench.attempt / "lock").open("rb") as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    supervised.wait()
    assert attempts.state(bench.attempt) == "finished"
    with (bench.attempt / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_an_attempt_is_never_used_twice(bench: Bench) -> None:
    bench.run("echo", "first")
    with pytest.raises(ReceiptError, match="used before"):
        bench.start("echo", "second")
    assert bench.out() == b"first\n"


@pytest.mark.parametrize("record", ["absent", "good", "empty", "half", "list", "binary"])
@pytest.mark.parametrize("lock", ["absent", "free", "held"])
def test_attempt_state_truth_table(tmp_path: Path, lock: str, record: str) -> None:
    contents = {
        "good": b'{"version": 1, "reason": "exited"}   \n',
        "empty": b"",
        "half": b'{"version": 1, "rea',
        "list": b"[1]",
        "binary": b"\xff\0",
    }
    if record in contents:
        (tmp_path / "exit.json").write_bytes(contents[record])
    with contextlib.ExitStack() as stack:
        if lock != "absent":
            file = stack.enter_context((tmp_path / "lock").open("wb"))
            if lock == "held":
                fcntl.flock(file, fcntl.LOCK_EX)
        expected = {
            ("absent", False): "none",
            ("absent", True): "finished",
            ("free", False): "dead",
            ("free", True): "finished",
            ("held", False): "alive",
            ("held", True): "alive",
        }[lock, record == "good"]
        assert attempts.state(tmp_path) == expected
    assert attempts.state(tmp_path / "absent") == "none"


def test_asking_about_an_attempt_never_looks_like_holding_it(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("rb") as another_that_asks:
        fcntl.flock(another_that_asks, fcntl.LOCK_SH)
        assert attempts.state(tmp_path) == "dead"


# Deaths around it


@linux
def test_killing_the_supervisor_kills_the_agent_and_leaves_it_dead(bench: Bench) -> None:
    other = bench.cwd / "agent"
    os.mkfifo(other)
    supervised = bench.start("sh", "-c", 'exec 9>"$OTHER"; cat "$FIFO" 9>&- & wait', OTHER=str(other))
    with other.open("rb") as agent, bench.fifo.open("wb"):
        supervised.signal(signal.SIGKILL)
        assert supervised.wait() == -signal.SIGKILL
        assert agent.read() == b""  # comes when the agent is gone
        assert attempts.state(bench.attempt) == "dead"
        assert not attempts.stop(bench.attempt)
        # The agent's own child is found by the mark.
        assert process_table.sweep(bench.mark) == 1
    assert bench.nobody_reads()


STARTER = """
import os, sys
from pathlib import Path
from work_milestone.supervision import attempts
attempts.start(
    Path(sys.argv[1]), ["sh", "-c", 'cat "$FIFO"'], cwd=Path("."), env=dict(os.environ),
    stdin=Path("-"), timeout=50, mark=sys.argv[2],
).wait()
"""


@contextlib.contextmanager
def orphaned(bench: Bench) -> Iterator[None]:
    """A session whose starter was killed; it works while the block runs."""
    env = {**os.environ, "FIFO": str(bench.fifo), "PYTHONPATH": LIBS}
    argv = [sys.executable, "-c", STARTER, str(bench.attempt), bench.mark]
    with (
        subprocess.Popen(argv, cwd=bench.cwd, env=env) as starter,
        bench.fifo.open("wb", buffering=0) as fifo,
    ):
        starter.kill()
        starter.wait()
        assert attempts.state(bench.attempt) == "alive"
        yield
        with contextlib.suppress(BrokenPipeError):
            fifo.write(b"adopted")


def test_killing_the_starter_leaves_a_session_to_be_adopted(bench: Bench) -> None:
    with orphaned(bench):
        adopter = threading.Thread(target=attempts.wait, args=(bench.attempt,))
        adopter.start()
    adopter.join()
    assert attempts.state(bench.attempt) == "finished"
    assert (bench.record()["code"], bench.out()) == (0, b"adopted")
    attempts.wait(bench.attempt)  # returns at once
    attempts.wait(bench.cwd / "absent")


def test_an_orphan_is_stopped_by_its_own_introduction(bench: Bench) -> None:
    with orphaned(bench):
        assert attempts.stop(bench.attempt, signal.SIGTERM)
        attempts.wait(bench.attempt)
    assert bench.record()["reason"] == "stopped"
    assert not attempts.stop(bench.attempt)


def test_an_adopted_session_is_reached_by_stop_all(bench: Bench) -> None:
    with orphaned(bench):
        adopter = threading.Thread(target=attempts.wait, args=(bench.attempt,))
        adopter.start()
        process.stop_all()
        adopter.join()
    assert bench.record()["reason"] == "stopped"


def test_an_adopted_session_that_has_not_said_yet_who_it_is_is_reached_by_stop_all(bench: Bench) -> None:
    with orphaned(bench):
        known, aside = bench.attempt / "supervisor.json", bench.cwd / "aside"
        known.rename(aside)
        adopter = threading.Thread(target=attempts.wait, args=(bench.attempt,))
        adopter.start()
        while not process.live:
            assert adopter.is_alive()
        process.stop_all()
        aside.rename(known)
        adopter.join()
    assert bench.record()["reason"] == "stopped"


def test_a_pid_that_passed_to_another_is_never_signalled(bench: Bench) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other:
        bench.attempt.mkdir(parents=True)
        text = json.dumps({"version": 1, "pid": other.pid, "created": 1.25, "agent_pid": 1})
        (bench.attempt / "supervisor.json").write_text(text)
        with (bench.attempt / "lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert not attempts.stop(bench.attempt, signal.SIGKILL)
        assert other.poll() is None


# The run's own stop


def test_stop_all_ends_every_session_while_threads_wait(tmp_path: Path) -> None:
    benches = []
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        benches.append(Bench(tmp_path / str(number)))
    workers = [threading.Thread(target=one.start("sh", "-c", WAIT).wait) for one in benches]
    for worker in workers:
        worker.start()
    with contextlib.ExitStack() as stack:
        for one in benches:
            stack.enter_context(one.fifo.open("wb"))
        before = signal.signal(signal.SIGUSR1, lambda *_: process.stop_all(signal.SIGTERM))
        signal.raise_signal(signal.SIGUSR1)
        for worker in workers:
            worker.join()
        signal.signal(signal.SIGUSR1, before)
    assert [one.record()["reason"] for one in benches] == ["stopped"] * 5


def test_nothing_is_started_in_a_run_that_is_stopping(bench: Bench) -> None:
    process.stop_all()
    with pytest.raises(process.Stopped):
        bench.start("true")
    assert attempts.state(bench.attempt) == "none"


def test_a_stop_during_the_start_is_noticed_after_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    popen = subprocess.Popen

    def interrupted(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        process.stop_all()  # as a signal handler would, before the new child is known
        return popen(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    assert bench.start("sh", "-c", WAIT).wait() == 0
    assert attempts.state(bench.attempt) == "finished"
    assert (bench.record()["reason"], bench.record()["code"]) == ("stopped", None)


@pytest.mark.parametrize("fault", ["cwd", "nul"])
def test_a_start_that_fails_leaves_the_attempt_unused(bench: Bench, fault: str) -> None:
    if fault == "cwd":
        bench.cwd = bench.cwd / "absent"
    with pytest.raises(ProcessError):
        bench.start("a\0b" if fault == "nul" else "true")
    assert attempts.state(bench.attempt) == "none"


def test_an_attempt_folder_that_cannot_be_made(bench: Bench) -> None:
    bench.attempt.parent.write_text("in the way")
    with pytest.raises(ReceiptError, match="cannot write"):
        bench.start("true")


# A full disk


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("mounting a tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("code", [0, 3])
def test_a_disk_that_fills_up_does_not_lose_the_record(bench: Bench, tiny_disk: Path, code: int) -> None:
    bench.attempt = tiny_disk / "attempts" / "1"
    record = bench.run("sh", "-c", f"head -c 1000000 /dev/zero; exit {code}")
    assert (record["code"], record["reason"]) == (code, "exited")
    assert "No space left" in record["error"]
    assert attempts.state(bench.attempt) == "finished"


def test_a_disk_that_is_full_starts_no_agent(bench: Bench, tiny_disk: Path) -> None:
    bench.attempt = tiny_disk / "attempts" / "1"
    with contextlib.suppress(OSError), (tiny_disk / "filler").open("wb", buffering=0) as filler:
        while filler.write(bytes(4096)):
            pass
    with contextlib.suppress(ReceiptError):
        bench.start("touch", str(bench.cwd / "ran")).wait()
    assert not (bench.cwd / "ran").exists()
    assert attempts.state(bench.attempt) in ("none", "dead")


def test_a_gate_that_fills_the_disk_says_so(tiny_disk: Path) -> None:
    argv = ["sh", "-c", "head -c 1000000 /dev/zero || exit 9"]
    done = gate_process.run(argv, cwd=tiny_disk, env=os.environ, log=tiny_disk / "gate.log", timeout=50)
    assert done.code == 9
    assert "no space left" in done.reason


# The script itself


def test_the_supervisor_imports_little(bench: Bench) -> None:
    bench.attempt.mkdir(parents=True)
    lock = os.open(bench.attempt / "lock", os.O_RDWR | os.O_CREAT)
    argv = [sys.executable, "-I", "-S", "-X", "importtime", "-c", attempts.SUPERVISE, str(SCRIPT.parent)]
    argv += [str(bench.attempt), str(lock), "50", "-", "--", "true"]
    done = subprocess.run(argv, check=True, capture_output=True, text=True, pass_fds=(lock,))
    os.close(lock)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "select" in loaded
    assert loaded.isdisjoint({"json", "subprocess", "pathlib", "typing", "threading", "re", "psutil"})
