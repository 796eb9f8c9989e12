"""The only module that starts processes, signals them, and asks whether they live.

Rules:
- A program is given as a list of arguments, never as a line for a shell.
- Whatever is started is ended as a whole tree: TERM, `GRACE` seconds, KILL, then a sweep by environment mark.
- A process is known by its pid and its creation together, never by the pid alone.
- Waiting blocks in the kernel. Only strangers that are being swept are looked at again and again.
- An attempt's folder serves for one supervisor; its kernel lock says whether that lives (`attempt_state`).
- `stop_all` may be called from a signal handler: it takes no lock, waits for nothing, prints nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NoReturn

from work_milestone.errors import LockedError, MilestoneError, ProcessError, ReceiptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import psutil

MARK = "WORK_MILESTONE_SESSION"  # the variable that marks what belongs to one session or gate
GRACE = 2.0  # seconds between TERM and KILL
TIMED_OUT, CANNOT_LOG, NOT_EXECUTABLE, NOT_FOUND = 124, 125, 126, 127  # as timeout(1) and the shells have it
_ROUNDS = 10  # of a sweep among processes that go on forking
# Imported, it is compiled once; run as a script, at each start.
SUPERVISE = "import sys; sys.path.append(sys.argv[1]); import supervisor; sys.exit(supervisor.main(sys.argv[2:]))"

AttemptState = Literal["none", "alive", "finished", "dead"]


class Stopped(MilestoneError):  # noqa: N818 - not a fault: the user asked for it
    """The run is being stopped: nothing new is started, and what was under way was ended."""


class Stopping:
    """A flag that a signal handler may set: unlike `threading.Event` it takes no lock."""

    def __init__(self) -> None:
        self._set = False

    def is_set(self) -> bool:
        """Whether the run is being stopped."""
        return self._set

    def set(self) -> None:
        """From now on nothing is started."""
        self._set = True

    def clear(self) -> None:
        """Allow starting again."""
        self._set = False


stopping = Stopping()
_live: dict[int, Callable[[int], object]] = {}  # what `stop_all` signals
_numbers = itertools.count()


def stop_all(sig: int = signal.SIGTERM) -> None:
    """Set `stopping` and signal every supervisor and gate of this process, adopted ones too; never waits."""
    stopping.set()
    for send in list(_live.values()):
        send(sig)


@contextlib.contextmanager
def _registered(send: Callable[[int], object]) -> Iterator[None]:
    """Let `stop_all` reach a process while the block runs."""
    number = next(_numbers)
    _live[number] = send
    try:
        yield
    finally:
        del _live[number]


def _require_running() -> None:
    """Raise Stopped when the run is being stopped."""
    if stopping.is_set():
        raise Stopped("the run is being stopped")


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ended: its exit code (negative: by that signal) and what it wrote."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,  # noqa: A002 - the name that subprocess has taught everyone
    timeout: float | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end, `timeout` in seconds; raise ProcessError on failure (124 on time, 126, 127).

    `env` is the whole environment. The program gets a session of its own: a Ctrl-C meant for the run does
    not tear a git command in two, and nothing can ask at the terminal.
    """
    try:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as fault:
        _fail_to_start(argv, cwd, fault)
    try:
        stdout, stderr = child.communicate(input, timeout)
    except subprocess.TimeoutExpired as fault:
        _end_group(child)
        said = _tail(fault.stderr)
        raise ProcessError(_tell(argv, cwd, f"not done after {timeout:g} s", said), TIMED_OUT, said) from None
    except BaseException:
        _end_group(child)
        raise
    if check and child.returncode:
        said = _tail(stderr)
        raise ProcessError(_tell(argv, cwd, _describe(child.returncode), said), child.returncode, said)
    return Completed(child.returncode, stdout, stderr)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Kill a short-lived program with its group, and let go of its pipes."""
    with contextlib.suppress(OSError):
        os.killpg(child.pid, signal.SIGKILL)
    for pipe in (child.stdin, child.stdout, child.stderr):
        with contextlib.suppress(OSError):
            if pipe:
                pipe.close()
    child.wait()


def _fail_to_start(argv: Sequence[str], cwd: Path | None, fault: OSError | ValueError) -> NoReturn:
    """Raise ProcessError for a program that could not be started."""
    code, why = _explain(fault, cwd)
    raise ProcessError(_tell(argv, cwd, why, ""), code) from fault


def _explain(fault: OSError | ValueError, cwd: Path | None) -> tuple[int, str]:
    """Why a program was not started, and its code: 127 when it is not there, 126 for anything else."""
    if not isinstance(fault, OSError):
        return NOT_EXECUTABLE, f"cannot be started: {fault}"
    # subprocess names the folder where that is what is missing.
    missing = isinstance(fault, FileNotFoundError) and str(fault.filename) != str(cwd)
    return (NOT_FOUND if missing else NOT_EXECUTABLE), f"cannot be started: {fault.strerror}: {fault.filename}"


def _describe(returncode: int) -> str:
    """Put an exit in words."""
    return f"exit code {returncode}" if returncode >= 0 else f"ended by signal {-returncode}"


def _tail(said: bytes | None) -> str:
    """Keep the end of a program's words."""
    return (said or b"")[-2000:].decode(errors="replace").strip()


def _tell(argv: Sequence[str], cwd: Path | None, what: str, said: str) -> str:
    """Name the program, where it ran, how it failed and its last words."""
    line = shlex.join(argv)
    line = line if len(line) <= 500 else line[:500] + "..."
    return f"{line} (in {cwd or Path.cwd()}): {what}" + (f"\n{said}" if said else "")


@dataclass(frozen=True, slots=True)
class LoggedExit:
    """A gate's end: exit code (128+n for signal n), duration in seconds, and what the code does not tell."""

    code: int
    seconds: float
    timed_out: bool
    reason: str = ""


class _Gate:
    """A running gate. Its words come through a queue that a signal handler may write to."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        self.words: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._wait, name=f"gate-{child.pid}", daemon=True).start()

    def _wait(self) -> None:
        self.child.wait()
        self.words.put("ended")

    def signal(self, sig: int) -> None:
        """Signal the group, and wake up who waits for it."""
        self.signal_group(sig)
        self.words.put("stop")

    def signal_group(self, sig: int) -> None:
        """Signal the group, which is there for certain until its leader was collected."""
        if self.child.returncode is None:
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, sig)

    def hear(self, seconds: float) -> str:
        """Wait for `ended` or `stop`; `time` when neither came."""
        try:
            return self.words.get(timeout=max(0.0, min(seconds, threading.TIMEOUT_MAX)))
        except queue.Empty:
            return "time"

    def end(self, *, signalled: bool) -> None:
        """End the gate and what it started: TERM, grace (cut short by a second stop), KILL."""
        import psutil

        limit = time.monotonic() + GRACE
        below: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            below = psutil.Process(self.child.pid).children(recursive=True)
        if not signalled:
            self.signal_group(signal.SIGTERM)
        _signal([one for one in below if not _in_group(one, self.child.pid)], signal.SIGTERM)
        if self.hear(limit - time.monotonic()) == "ended":
            _await_end(below, limit)
        self.signal_group(signal.SIGKILL)
        _signal(below, signal.SIGKILL)
        self.child.wait()


def run_logged(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path, timeout: float) -> LoggedExit:
    """Run a gate, both outputs into `log`; raise Stopped when the run is stopped meanwhile.

    A mark that `env` holds beyond this process's own must be this call's alone: what bears it is ended.
    """
    _require_running()
    began = time.monotonic()
    mark = env.get(MARK)
    if mark is None or mark == os.environ.get(MARK):
        mark = f"gate-{uuid.uuid4().hex}"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        out = log.open("wb", buffering=0)
    except OSError as fault:
        return LoggedExit(CANNOT_LOG, 0.0, timed_out=False, reason=f"cannot write {log}: {fault.strerror}")
    try:
        with out:
            try:
                child = subprocess.Popen(
                    argv,
                    cwd=cwd,
                    env={**env, MARK: mark},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    start_new_session=True,
                )
            except (OSError, ValueError) as fault:
                code, why = _explain(fault, cwd)
                with contextlib.suppress(OSError):
                    out.write(f"{why}\n".encode(errors="replace"))
                return LoggedExit(code, time.monotonic() - began, timed_out=False, reason=why)
        return _await_gate(_Gate(child), log, began, timeout)
    finally:
        # Also when a signal handler raised anywhere above: the mark is known from before the start.
        sweep(mark)


def _await_gate(gate: _Gate, log: Path, began: float, timeout: float) -> LoggedExit:
    """Wait for a gate's end, the time limit or a stop, and end it in the latter two."""
    with _registered(gate.signal):
        if stopping.is_set():
            gate.signal(signal.SIGTERM)
        word = gate.hear(timeout - (time.monotonic() - began))
        if word != "ended":
            gate.end(signalled=word == "stop")
    if word == "stop" or stopping.is_set():
        raise Stopped("the run is being stopped")
    seconds = time.monotonic() - began
    if word == "time":
        return LoggedExit(TIMED_OUT, seconds, timed_out=True, reason=f"not done after {timeout:g} s")
    code = gate.child.returncode
    code = code if code >= 0 else 128 - code
    return LoggedExit(code, seconds, timed_out=False, reason=_find_fault_of_disk(log) if code else "")


def _find_fault_of_disk(path: Path) -> str:
    """Say that the disk is full, when it is: that may be why a program failed."""
    with contextlib.suppress(OSError):
        return "" if os.statvfs(path).f_bavail else f"no space left on the disk of {path}"
    return ""


def sweep(mark: str) -> int:
    """End every process whose environment holds MARK=mark, but for this one and those above; how many."""
    import psutil

    me = psutil.Process()
    spared = {me, *me.parents()}
    ended: set[psutil.Process] = set()
    for _ in range(_ROUNDS):
        found = [one for one in psutil.process_iter() if one not in spared and _bears(one, mark)]
        if not found:
            break
        ended.update(found)
        for sig in (signal.SIGTERM, signal.SIGKILL):
            _signal(found, sig)
            _await_end(found, time.monotonic() + GRACE)
    return len(ended)


def await_marked(mark: str, seconds: float) -> None:
    """Wait until no process bears a mark any more, at most `seconds`."""
    import psutil

    found = [one for one in psutil.process_iter() if _bears(one, mark)]
    _await_end(found, time.monotonic() + seconds)


def is_anybody_in(folder: Path, name: str) -> bool:
    """Tell whether a program of that name is at work in or below a folder."""
    import psutil

    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if one.name() == name and Path(one.cwd()).is_relative_to(folder):
                return True
    return False


def _bears(one: psutil.Process, mark: str) -> bool:
    """Whether a process is this user's and was started with the mark."""
    import psutil

    try:
        return one.uids().real == os.getuid() and one.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False


def _signal(them: Iterable[psutil.Process], sig: int) -> None:
    """Signal processes; psutil refuses where the pid has passed to another."""
    import psutil

    for one in them:
        with contextlib.suppress(psutil.Error):
            one.send_signal(sig)


def _in_group(one: psutil.Process, group: int) -> bool:
    """Whether a process is in a group."""
    try:
        return os.getpgid(one.pid) == group
    except OSError:
        return False


def _await_end(them: Iterable[psutil.Process], limit: float) -> None:
    """Wait for strangers' ends; `psutil.wait_procs` would collect a child that a `Popen` waits for."""
    import psutil

    waiting = list(them)
    while time.monotonic() < limit:
        with contextlib.suppress(psutil.Error):
            waiting = [one for one in waiting if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
            if not waiting:
                return
        time.sleep(0.01)


def find_created(pid: int) -> float | None:
    """When a process was created, for telling it from another with its pid; None when it does not run.

    On Linux in seconds since boot (proc(5), starttime), so that setting the clock changes nothing; elsewhere
    since the epoch.
    """
    if sys.platform == "linux":
        try:
            row = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        except OSError:
            return None
        return None if row[0] in (b"Z", b"X") else int(row[19]) / os.sysconf("SC_CLK_TCK")
    else:  # noqa: RET505 - so that mypy sees that it is the other platform's
        import psutil

        try:
            one = psutil.Process(pid)
            return None if one.status() == psutil.STATUS_ZOMBIE else one.create_time()
        except psutil.Error:
            return None


def is_alive(pid: int, create_time: float) -> bool:
    """Whether the process with this pid and creation (`find_created`) still runs; a zombie does not."""
    found = find_created(pid)
    # A supervisor outside of Linux records when it began to run, which is a moment after its creation.
    return found is not None and abs(found - create_time) <= (0.005 if sys.platform == "linux" else 2.0)


class Supervised:
    """A supervisor that this process has started over one session."""

    def __init__(self, attempt: Path, child: subprocess.Popen[bytes]) -> None:
        self.attempt = attempt
        self.pid = child.pid
        self._child = child
        self._number = next(_numbers)
        _live[self._number] = child.send_signal

    def wait(self) -> int:
        """Block until the supervisor is gone; 0 when it left its record, `exit.json`."""
        try:
            return self._child.wait()
        finally:
            if self._child.returncode is not None:
                _live.pop(self._number, None)

    def signal(self, sig: int) -> None:
        """Signal the supervisor: SIGTERM or SIGINT ends the session politely, a second one at once."""
        self._child.send_signal(sig)


def start_supervisor(
    attempt: Path,
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: Path,
    timeout: float,
    mark: str,
) -> Supervised:
    """Start a session that outlives this process. `timeout` in seconds, `env` whole, `stdin` `-` for nothing.

    Raises Stopped, LockedError (the attempt is under way), ReceiptError (its folder was used before or cannot
    be written) and ProcessError (the supervisor cannot be started; the folder is as if untouched).
    """
    _require_running()
    stdin_name = "-" if str(stdin) == "-" else str(stdin.absolute())
    lock = _take_lock(attempt)
    try:
        given = [str(attempt.absolute()), str(lock), repr(float(timeout)), stdin_name, "--", *argv]
        with _signals_held():
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", SUPERVISE, str(Path(__file__).parent), *given],
                cwd=cwd,
                env={**env, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(lock,),
                start_new_session=True,
            )
    except (OSError, ValueError) as fault:
        (attempt / "lock").unlink()
        _fail_to_start(argv, cwd, fault)
    finally:
        os.close(lock)
    supervised = Supervised(attempt, child)
    if stopping.is_set():
        supervised.signal(signal.SIGTERM)
        supervised.wait()
        _require_running()
    return supervised


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Block signals for a child to inherit, so that none can end it before it has learnt to listen."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _take_lock(attempt: Path) -> int:
    """Create the attempt's lock file and lock it; a descriptor to be handed down."""
    lock = attempt / "lock"
    try:
        attempt.mkdir(parents=True, exist_ok=True)
        fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        if _is_locked(lock):
            raise LockedError(f"{attempt} is under way (pid {_read(attempt, 'supervisor').get('pid', '?')})") from None
        raise ReceiptError(f"{attempt} was used before: start the next attempt in a folder of its own") from None
    except OSError as fault:
        raise ReceiptError(f"cannot write {attempt}: {fault.strerror}") from fault
    # The file is new, so nobody can hold it but an `_is_locked`, for an instant.
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _is_locked(lock: Path) -> bool | None:
    """Whether somebody holds a lock file exclusively; None when it is not there."""
    try:
        # Opened for reading and tried with a shared lock: two that ask at once do not see each other.
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return None
    return False


def _read(attempt: Path, name: str) -> dict[str, object]:
    """Read a record of the supervisor's; empty when it is absent, half-written or foreign."""
    try:
        found = json.loads((attempt / f"{name}.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "version" in found else {}


def attempt_state(attempt: Path) -> AttemptState:
    """Tell by kernel lock and `exit.json` how an attempt stands.

    | lock file | `exit.json` | state |
    |---|---|---|
    | held | any | alive |
    | free, absent | readable | finished |
    | free | absent, unreadable | dead |
    | absent | absent, unreadable | none |
    """
    # The lock comes first. The supervisor writes its record, and then ends, which frees the lock: so once the
    # lock is free, a record that was ever to come is there. Asked in the other order, a supervisor that
    # writes and ends between the two questions has neither record nor lock, and a good session looks dead.
    # Held with a record is alive still: the supervisor has only to end, which `wait_attempt` awaits.
    locked = _is_locked(attempt / "lock")
    if locked:
        return "alive"
    if _read(attempt, "exit"):
        return "finished"
    return "none" if locked is None else "dead"


def wait_attempt(attempt: Path) -> None:
    """Adopt a session: block until its supervisor is gone. `stop_all` reaches it meanwhile."""
    try:
        file = (attempt / "lock").open("rb")
    except FileNotFoundError:
        return
    with file, _registered(lambda sig: stop_attempt(attempt, sig)):
        if stopping.is_set():
            stop_attempt(attempt, signal.SIGTERM)
        fcntl.flock(file, fcntl.LOCK_SH)


def stop_attempt(attempt: Path, sig: int = signal.SIGTERM) -> bool:
    """Signal an attempt's supervisor; false when it is gone, or has not introduced itself yet."""
    known = _read(attempt, "supervisor")
    pid, created = known.get("pid"), known.get("created")
    if not (isinstance(pid, int) and isinstance(created, float) and _is_locked(attempt / "lock")):
        return False
    if not is_alive(pid, created):
        return False
    with contextlib.suppress(OSError):
        os.kill(pid, sig)
        return True
    return False


def run_attached(argv: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal to its end; its exit code (negative: by that signal).

    Raises ProcessError when it cannot be started. It stays in this process's group: a Ctrl-C reaches both.
    """
    _require_running()
    try:
        child = subprocess.Popen(argv, cwd=cwd, env=env)
    except (OSError, ValueError) as fault:
        _fail_to_start(argv, cwd, fault)
    with _registered(child.send_signal):
        try:
            return child.wait()
        except BaseException:
            child.wait()  # whoever interrupts this process means the program too, which ends in its own order
            raise
