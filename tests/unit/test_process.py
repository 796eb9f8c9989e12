"""Programs that fail in every way, gates that will not end, and who is found by a mark."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from work_milestone.system import command as gate_process
from work_milestone.system import process, process_table
from work_milestone.system.errors import ProcessError

LIBS = os.pathsep.join([str(Path(process.__file__).parents[2]), *sys.path])
pytestmark = pytest.mark.usefixtures("guarded")


def python(code: str, *args: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code, *args]


def gate(argv: list[str], tmp_path: Path, timeout: float = 50, **env: str) -> gate_process.Exit:
    return gate_process.run(
        argv, cwd=tmp_path, env={**os.environ, **env}, log=tmp_path / "logs" / "gate.log", timeout=timeout
    )


# run


def test_run_returns_both_outputs_apart() -> None:
    done = process.run(python("import os; os.write(1, b'out\\xff'); os.write(2, b'err')"))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\xff", b"err")


def test_run_gives_input_and_else_nothing_to_read() -> None:
    echo = python("import sys; sys.stdout.write(sys.stdin.read()[::-1])")
    assert process.run(echo, input=b"abc").stdout == b"cba"
    assert process.run(echo).stdout == b""


def test_run_with_more_output_than_a_pipe_holds() -> None:
    done = process.run(python("import os; [os.write(fd, b'x' * 9999) for _ in range(300) for fd in (1, 2)]"))
    assert len(done.stdout) == len(done.stderr) == 300 * 9999


def test_run_uses_the_folder_and_the_whole_environment(tmp_path: Path) -> None:
    argv = python("import os; print(os.getcwd(), sorted(k for k in os.environ if k != 'LC_CTYPE'))")
    assert process.run(argv, cwd=tmp_path, env={"A": "b"}).stdout.decode() == f"{tmp_path} ['A']\n"


@pytest.mark.parametrize("word", ["a b", "'\"$(false)`", "new\nline", "🦀", "--", "", "*", "\udcff"])
def test_run_passes_arguments_untouched(word: str) -> None:
    argv = python("import os, sys; os.write(1, os.fsencode(sys.argv[1]))", word)
    assert process.run(argv).stdout == os.fsencode(word)


def test_run_failing_names_program_folder_code_and_last_words(tmp_path: Path) -> None:
    argv = python("import sys; sys.stderr.write('x' * 9000 + 'the end'); sys.exit(3)")
    with pytest.raises(ProcessError) as caught:
        process.run(argv, cwd=tmp_path)
    assert caught.value.returncode == 3
    assert caught.value.stderr.endswith("the end")
    assert len(caught.value.stderr) == 2000
    for part in (sys.executable, str(tmp_path), "exit code 3", "the end"):
        assert part in str(caught.value)


def test_run_failing_unchecked() -> None:
    assert process.run(python("raise SystemExit(3)"), check=False).returncode == 3
    assert process.run(python("import os; os.kill(os.getpid(), 9)"), check=False).returncode == -9


def test_run_killed_says_so() -> None:
    with pytest.raises(ProcessError, match="ended by signal 9"):
        process.run(python("import os; os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("fault", "code"), [("absent", 127), ("plain", 126), ("nul", 126), ("long", 126)])
def test_run_of_what_cannot_be_started(tmp_path: Path, fault: str, code: int, check: bool) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    argv = {
        "absent": ["/absent/program"],
        "plain": [str(plain)],
        "nul": ["a\0b"],
        "long": [sys.executable, "x" * (1 << 23)],
    }[fault]
    with pytest.raises(ProcessError, match="cannot be started") as caught:
        process.run(argv, cwd=tmp_path, check=check)
    assert caught.value.returncode == code
    assert len(str(caught.value)) < 9000 + len(str(tmp_path))


def test_run_in_an_absent_folder_does_not_blame_the_program(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="absent") as caught:
        process.run(["true"], cwd=tmp_path / "absent")
    assert caught.value.returncode == 126


def test_run_past_its_time_ends_the_whole_group(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    # The child in the background holds all the pipes open until it is killed.
    argv = ["sh", "-c", 'exec 9>"$1"; echo words >&2; cat /dev/zero >&9 & cat /dev/zero >&9', "sh", str(fifo)]
    with pytest.raises(ProcessError, match=r"not done after 0\.3 s") as caught:
        process.run(argv, timeout=0.3)
    assert caught.value.returncode == 124
    os.set_blocking(held, True)
    while os.read(held, 1 << 16):  # ends when nobody writes any more
        pass
    os.close(held)


def test_run_from_many_threads_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda n: process.run(["printf", "%s", str(n)]).stdout, range(200)))
    assert done == [str(n).encode() for n in range(200)]


def test_run_leaves_no_descriptor_open() -> None:
    before = list(Path("/dev/fd").iterdir())
    process.run(["true"])
    process.run(["false"], check=False)
    assert len(list(Path("/dev/fd").iterdir())) == len(before)


# gates


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(0)", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_gate_returns_the_code(tmp_path: Path, code: str, expected: int) -> None:
    done = gate(python(code), tmp_path)
    assert (done.code, done.timed_out, done.reason) == (expected, False, "")


def test_gate_logs_both_outputs_and_reads_nothing(tmp_path: Path) -> None:
    gate(["sh", "-c", "cat; echo out; echo err >&2"], tmp_path)
    assert (tmp_path / "logs" / "gate.log").read_text() == "out\nerr\n"


def test_gate_that_cannot_be_started(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    assert gate(["/absent/gate"], tmp_path).code == 127
    assert "/absent/gate" in (tmp_path / "logs" / "gate.log").read_text()
    done = gate([str(plain)], tmp_path)
    assert done.code == 126
    assert "Permission" in done.reason


def test_gate_whose_log_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    done = gate(["true"], tmp_path)
    assert done.code == 125
    assert str(tmp_path / "logs") in done.reason


STUBBORN = "trap '' TERM; echo $$ > pids; (trap '' TERM; setsid cat {fifo} & cat {fifo}) & cat {fifo}"


def nobody_reads(fifo: Path) -> bool:
    try:
        os.close(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return True
    return False


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    if not shutil.which("setsid"):
        pytest.skip("no setsid(1) here")
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def test_gate_past_its_time_is_ended_with_all_its_children(tmp_path: Path, fifo: Path) -> None:
    done = gate(["sh", "-c", STUBBORN.format(fifo=fifo)], tmp_path, timeout=0.3)
    assert (done.code, done.timed_out) == (124, True)
    assert "0.3 s" in done.reason
    assert nobody_reads(fifo)


def test_gate_leaves_nothing_in_the_background(tmp_path: Path, fifo: Path) -> None:
    assert gate(["sh", "-c", f"setsid cat {fifo} & exit 4"], tmp_path).code == 4
    assert nobody_reads(fifo)


@pytest.mark.parametrize("signals", [1, 2])
def test_gate_of_a_run_that_is_stopped(tmp_path: Path, fifo: Path, signals: int) -> None:
    caught: list[BaseException] = []

    def work() -> None:
        try:
            gate(["sh", "-c", STUBBORN.format(fifo=fifo)], tmp_path)
        except process.Stopped as stop:
            caught.append(stop)

    worker = threading.Thread(target=work)
    worker.start()
    with fifo.open("wb"):  # blocks until the gate has begun to read
        for _ in range(signals):
            process.stop_all(signal.SIGTERM)
        worker.join()
    assert len(caught) == 1
    assert nobody_reads(fifo)


def test_gate_is_not_started_in_a_run_that_is_stopping(tmp_path: Path) -> None:
    process.stop_all()
    with pytest.raises(process.Stopped):
        gate(["touch", str(tmp_path / "started")], tmp_path)
    assert not (tmp_path / "started").exists()


@pytest.fixture
def leaving() -> Iterator[None]:
    """SIGUSR1 makes the main thread leave, wherever it is."""

    def leave(*_: object) -> None:
        raise SystemExit(130)

    before = signal.signal(signal.SIGUSR1, leave)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("leaving")
def test_gate_interrupted_in_the_main_thread_is_ended(tmp_path: Path, fifo: Path) -> None:
    def interrupt() -> None:
        with fifo.open("wb"):
            os.kill(os.getpid(), signal.SIGUSR1)

    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(SystemExit):
            gate(["cat", str(fifo)], tmp_path)
    finally:
        other.join()
    assert nobody_reads(fifo)


@pytest.mark.usefixtures("leaving")
@pytest.mark.parametrize("moment", ["before", "inside", "behind"])
@pytest.mark.parametrize("shell", ["exec cat", "exec env -i cat", "cat & cat"])
def test_gate_interrupted_while_it_is_being_started_is_collected(
    tmp_path: Path, fifo: Path, monkeypatch: pytest.MonkeyPatch, moment: str, shell: str
) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGUSR1)

    class Interrupted(subprocess.Popen[bytes]):
        """Tells the main thread to leave at a moment of its own start."""

        def __init__(self, *args: Any, **words: Any) -> None:
            if moment == "before":
                interrupt()
            super().__init__(*args, **words)
            if moment == "behind":
                interrupt()

        def _execute_child(self, *args: Any) -> None:
            super()._execute_child(*args)  # type: ignore[misc]  # what starts it, and waits until its program runs
            if moment == "inside":
                interrupt()

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    with pytest.raises(SystemExit):
        gate(["sh", "-c", shell.replace("cat", f"cat <> {fifo}")], tmp_path)
    gc.collect()  # what nobody has waited for complains now
    assert nobody_reads(fifo)
    assert not psutil.Process().children(recursive=True)


def test_gate_does_not_sweep_by_the_mark_of_a_surrounding_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(process_table.MARK, "surrounding")
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as sibling:
        gate(["true"], tmp_path)
        assert sibling.poll() is None


# sweeping, identity


def test_sweep_ends_what_bears_the_mark_and_nothing_else(tmp_path: Path, fifo: Path) -> None:
    mark = f"sweep-{os.getpid()}"
    env = {**os.environ, process_table.MARK: mark}
    script = f"(setsid sh -c 'trap \"\" TERM; read x < {fifo}; read y' &) ; exec cat"
    with (
        subprocess.Popen(["sh", "-c", script], env=env, stdin=subprocess.PIPE) as marked,
        subprocess.Popen(["cat"], env={**env, process_table.MARK: mark + "0"}, stdin=subprocess.PIPE) as other,
        fifo.open("wb"),
    ):
        assert process_table.sweep(mark) == 2
        assert marked.wait() == -signal.SIGTERM
        assert other.poll() is None
    assert nobody_reads(fifo)
    assert process_table.sweep(mark) == 0


def test_sweep_spares_the_caller_and_those_above() -> None:
    mark = f"self-{os.getpid()}"
    code = "import os; from work_milestone.system import process_table as t; print(t.sweep(os.environ[t.MARK]))"
    env = {**os.environ, process_table.MARK: mark, "PYTHONPATH": LIBS}
    argv = ["sh", "-c", '"$@"; echo "shell lives"', "sh", sys.executable, "-c", code]
    assert process.run(argv, env=env).stdout == b"0\nshell lives\n"


def test_is_alive_knows_a_process_by_pid_and_creation() -> None:
    created = process_table.find_created(os.getpid())
    assert created is not None
    assert process_table.is_alive(os.getpid(), created)
    assert not process_table.is_alive(os.getpid(), created - 60)


def test_is_alive_of_the_dead_and_of_a_zombie() -> None:
    if sys.platform == "linux":
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        created = process_table.find_created(child.pid)
        assert created is not None
        assert child.stdin
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not process_table.is_alive(child.pid, created)  # a zombie
        child.wait()
        assert not process_table.is_alive(child.pid, created)
    else:
        pytest.skip("needs waitid(2)")


def test_importing_is_cheap() -> None:
    code = "import sys, work_milestone.system.process; print('psutil' in sys.modules)"
    env = {**os.environ, "PYTHONPATH": LIBS}
    assert process.run([sys.executable, "-c", code], env=env).stdout == b"False\n"
