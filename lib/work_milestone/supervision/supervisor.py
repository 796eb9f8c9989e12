"""Stands over one agent process and outlives the run that started it.

Started by `attempts.start` with `ATTEMPT LOCK_FD SECONDS STDIN -- ARGV...`, leader of a session of its own,
as an imported module, so that it need not be compiled each time. Rules:
- It is small and quick: nothing is imported but what every session needs, and nothing of this package. Hence one file,
  longer than others: what is installed over it while a session runs, it has no need of.
- The kernel lock on the attempt (LOCK_FD) is held from before its start to its last instant, and by it alone.
- It never polls where the kernel tells: signals come through a pipe, time limits count a monotonic clock.
- No descendant of the agent outlives it: TERM, `GRACE` seconds, KILL, repeated until none is left. One that cannot be
  killed within `BOUND` seconds is named in `exit.json`.
- It leaves `exit.json`, written last and atomically. Room for it is reserved before the agent is started.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # what `signal` wraps in enums, which take longer to load than all the rest

GRACE = 2.0  # seconds between TERM and KILL
BOUND = 10.0  # seconds after which what cannot be killed is given up, and said so
RECORD_SIZE = 2048  # bytes; exit.json is padded to it, so that a full disk cannot refuse it
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
CUT = ": the session's output may be cut"  # ends the error of a session whose disk was full
LINUX = sys.platform == "linux"


class Session:
    """One agent process, its descendants, and what is known of their end."""

    def __init__(self, folder: int, seconds: float) -> None:
        self.folder = folder
        self.began, self.clock = time.time(), time.monotonic()
        self.deadline = self.clock + seconds
        self.agent = 0
        self.status: int | None = None
        self.reason = "not-started"
        self.code: int | None = None
        self.error = ""
        self.leaked: set[int] = set()
        self.reaps = _prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.wake = _open_ears()

    def start(self, argv: list[str], stdin: str) -> None:
        """Start the agent, unless a stop came first; returns when its program runs, or could not."""
        for name in ("supervisor.json.tmp", "exit.json.tmp"):
            _write(self.folder, name, b"")
        if self.listen(0):
            self.reason = "stopped"
            return
        new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        files = [os.open(os.devnull if stdin == "-" else stdin, os.O_RDONLY)]
        files += [os.open(name, new, 0o600, dir_fd=self.folder) for name in ("stdout", "stderr")]
        told, tell = os.pipe()
        supervisor = os.getpid()
        self.agent = os.fork()
        if self.agent == 0:
            _become_agent(argv, files, tell, supervisor)
        os.close(tell)
        self.introduce()
        # Nothing comes, and the pipe is closed, when the agent's program runs.
        if fault := os.read(told, 1024):
            self.code, self.error = int(fault[:3]), fault[4:].decode(errors="replace")
            os.write(files[2], fault[4:] + b"\n")
        else:
            self.reason = "exited"
        for fd in (told, *files):
            os.close(fd)

    def introduce(self) -> None:
        """Write `supervisor.json`: who may be signalled to stop this attempt."""
        pid = os.getpid()
        text = f'{{"version": 1, "pid": {pid}, "created": {_created(pid):.2f}, "agent_pid": {self.agent}}}'
        _write(self.folder, "supervisor.json.tmp", text.encode())
        _rename(self.folder, "supervisor.json")

    def watch(self) -> None:
        """Wait for the agent's end, the time limit or a stop, whichever comes first."""
        while self.reason == "exited":
            stop = self.listen(self.deadline - time.monotonic())
            if self.status is not None:
                return
            if stop:
                self.reason = "stopped"
            elif time.monotonic() >= self.deadline:
                self.reason = "timeout"

    def listen(self, seconds: float) -> bool:
        """Sleep until a signal comes, at most so long; collect the dead; true when a stop was asked for."""
        # An hour at most: some kernels refuse longer waits.
        ready, _, _ = select.select([self.wake], [], [], max(0.0, min(seconds, 3600.0)))
        heard = os.read(self.wake, 4096) if ready else b""
        self.reap()
        return signal.SIGTERM in heard or signal.SIGINT in heard

    def reap(self) -> bool:
        """Collect every child that died; true when there are no children left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self.agent:
                self.status = status

    def alone(self) -> bool:
        """Whether no descendant is left."""
        if not self.reap():
            return False
        # For a subreaper no children means no descendants. Without that, the session or group is asked.
        if self.reaps or not self.agent:
            return True
        return not _find_descendants() if LINUX else not _send(-self.agent, 0)

    def end_all(self) -> None:
        """End every descendant: TERM, grace (cut short by a stop), KILL until none is left."""
        if self.alone():
            return
        self.signal_all(signal.SIGTERM)
        limit = time.monotonic() + GRACE
        # Only where there is no subreaper can a descendant end unheard.
        step = GRACE if self.reaps else 0.05
        while not self.alone() and (left := limit - time.monotonic()) > 0:
            if self.listen(min(left, step)):
                break
        limit = time.monotonic() + BOUND
        while not self.alone() and time.monotonic() < limit:
            self.signal_all(signal.SIGKILL)
            self.listen(0.1)
        if not self.alone():
            self.error = self.error or f"processes that cannot be killed are left: {sorted(self.leaked)}"

    def signal_all(self, number: int) -> None:
        """Signal every descendant once."""
        if not LINUX:
            _send(-self.agent, number)
            # They cannot be counted there.
            self.leaked.update([self.agent] if self.status is not None else [])
            return
        found = _find_descendants()
        self.leaked.update(pid for pid, (state, _) in found.items() if state not in "ZX" and pid != self.agent)
        # By group, as a signal to a group cannot be outrun by forking. A descendant's group has only
        # descendants in it, but for the supervisor's own; 0 is a group outside of this pid namespace.
        groups = {group for _, group in found.values()} - {0, 1, os.getpgrp()}
        for target in [-group for group in groups] + [pid for pid in found if found[pid][1] not in groups]:
            _send(target, number)

    def record(self) -> None:
        """Write `exit.json`, the last thing that is done."""
        import resource

        code, ended_by = self.code, None
        if self.status is not None and self.reason != "not-started":
            if os.WIFSIGNALED(self.status):
                ended_by = os.WTERMSIG(self.status)
                self.reason = "signalled" if self.reason == "exited" else self.reason
            else:
                code = os.WEXITSTATUS(self.status)
        if self.agent and not self.error and (full := _find_fault_of_disk(self.folder)):
            self.error = full + CUT
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        ended = self.began + time.monotonic() - self.clock
        text = (
            f'{{"version": 1, "code": {_json(code)}, "signal": {_json(ended_by)}, "reason": "{self.reason}", '
            f'"started": {self.began:.6f}, "ended": {ended:.6f}, '
            f'"peak_rss_kb": {peak if LINUX else peak // 1024}, "leaked": {len(self.leaked)}, '
            f'"error": {_json(self.error or None)}}}'
        )
        _write(self.folder, "exit.json.tmp", text.encode(), durable=True)
        _rename(self.folder, "exit.json")
        os.fsync(self.folder)


def _become_agent(argv: list[str], files: list[int], tell: int, supervisor: int) -> None:
    """Turn the forked child into the agent, with nothing of the supervisor's but its environment."""
    code = 127
    try:
        signal.set_wakeup_fd(-1)
        os.setpgid(0, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The supervisor may have been killed before the line above.
        if os.getppid() == supervisor:
            for target, fd in enumerate(files):
                os.dup2(fd, target)
            os.execvp(argv[0], argv)  # noqa: S606 - a list, never a shell
    except (OSError, ValueError) as fault:
        code = 127 if isinstance(fault, (FileNotFoundError, NotADirectoryError)) else 126
        why = (getattr(fault, "strerror", None) or str(fault)).encode()
        name = os.fsencode(argv[0])[:200]
        os.write(tell, b"%d cannot start " % code + name + b": " + why)
    finally:
        os._exit(code)


def _open_ears() -> int:
    """Let signals be heard through a pipe, and return its reading end."""
    wake, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Signals are blocked from before this process was started: one that came early is heard now.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return wake


def _prctl(option: int, value: int) -> bool:
    """Linux's prctl(2); false where there is none."""
    if not LINUX:
        return False
    try:
        import _ctypes  # `ctypes` around it takes 4 ms to load

        prctl = _ctypes.dlsym(_ctypes.dlopen("", 0), "prctl")
        return int(_ctypes.call_function(prctl, (option, value, 0, 0, 0))) == 0
    except (ImportError, OSError, AttributeError):
        return False


def _find_descendants() -> dict[int, tuple[str, int]]:
    """Every process below this one or in its session, zombies too: pid -> (state, process group)."""
    me = os.getpid()
    rows: dict[int, list[str]] = {}
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and (row := _read_stat(entry.name)):
                rows[int(entry.name)] = row
    found: dict[int, tuple[str, int]] = {}
    size = -1
    while len(found) > size:
        size = len(found)
        for pid, (state, parent, group, session, *_) in rows.items():
            if pid != me and (int(parent) == me or int(parent) in found or int(session) == me):
                found[pid] = (state, int(group))
    return found


def _read_stat(pid: str) -> list[str]:
    """Read /proc/PID/stat from the state on (proc(5), field 3); empty when there is no such process."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return []
    try:
        # The name before stands in parentheses and may hold anything.
        return os.read(fd, 4096).rpartition(b")")[2].decode().split()
    except OSError:
        return []
    finally:
        os.close(fd)


def _created(pid: int) -> float:
    """When a process was created: on Linux seconds since boot, elsewhere (of this one) about now."""
    if not LINUX:
        return time.time()
    return int(_read_stat(str(pid))[19]) / os.sysconf("SC_CLK_TCK")


def _send(target: int, number: int) -> bool:
    """Signal a process, or a group by its number negated; false when nobody could be reached."""
    try:
        os.kill(target, number)
    except OSError:
        return False
    return True


def _write(folder: int, name: str, data: bytes, *, durable: bool = False) -> None:
    """Write a record over its own reserve, without giving back the room that it has."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
    try:
        if os.write(fd, data.ljust(RECORD_SIZE - 1) + b"\n") < RECORD_SIZE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)


def _rename(folder: int, name: str) -> None:
    """Put a written record in its place."""
    os.replace(name + ".tmp", name, src_dir_fd=folder, dst_dir_fd=folder)


def _find_fault_of_disk(folder: int) -> str:
    """Why the disk takes no more output; empty when it does. Tried on the reserve, which is kept."""
    fd = os.open("exit.json.tmp", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=folder)
    try:
        size = 1 << 16
        return "" if os.pwrite(fd, bytes(size), RECORD_SIZE) == size else os.strerror(errno.ENOSPC)
    except OSError as fault:
        return os.strerror(fault.errno or 0)
    finally:
        os.ftruncate(fd, RECORD_SIZE)
        os.close(fd)


def _json(value: int | str | None) -> str:
    """Format a value as JSON; texts are cut short, and pure ASCII in the file."""
    if not isinstance(value, str):
        return "null" if value is None else str(value)
    raw = value[:200].encode("utf-16-be", "replace")
    units = [raw[i] << 8 | raw[i + 1] for i in range(0, len(raw), 2)]
    return '"' + "".join(chr(u) if 32 <= u < 127 and u not in b'"\\' else f"\\u{u:04x}" for u in units) + '"'


def main(argv: list[str]) -> int:
    """Supervise one session; 0 when its record is written, whatever became of the agent."""
    attempt, lock, seconds, stdin, _, *command = argv
    os.set_inheritable(int(lock), False)
    session = Session(os.open(attempt, os.O_RDONLY), float(seconds))
    try:
        session.start(command, stdin)
        session.watch()
    except OSError as fault:
        session.error = str(fault)
    finally:
        session.end_all()
        session.record()
    return 0
