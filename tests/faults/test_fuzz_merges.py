"""SIGKILL over merges and landing, again and again, at moments drawn by a seed: nothing is merged twice, nothing lost.

A repository has finished sessions of every class: clean, behind, trivial, partial, heavy, and one that waits for
another. A pass (`one_pass.py`) merges and lands all of it. It is killed and started again until it comes to its end,
and then a new repository takes its turn. The moments: any time, any change that the pass itself makes to a file, any
update of a ref, any write of an index, a gate at work, any file that the landing brings to the checkout. What is
killed is the pass with its git, or the pass alone, whose git goes on beside the next one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from work_milestone.run import Run
from work_milestone.store import records

from tests.e2e.harness import LIMIT, Command, Sandbox, item, plan

SEEDS = range(8)
KILLS = 25  # by each seed: 200 together
PASS = Path(__file__).with_name("one_pass.py")
ENDED = 1_700_000_000.5  # seconds since 1970
BRANCH = "refs/heads/milestone/3-test"
NOTES = "a person's notes\n"
KILLED = -signal.SIGKILL
UPDATES = ("ref-prepared", "ref-committed")
KINDS = ("time", "time", "change", "change", "change", *UPDATES, "index", "gate", "file")

POINT = """
point() {  # KIND: it happens; what is armed for it may strike
    [ -e "$OUT/armed" ] && read -r kind left how < "$OUT/armed" || return 0
    [ "$kind" = all ] && echo "$1" >> "$OUT/events"
    [ "$kind" = "$1" ] || return 0
    left=$((left - 1))
    [ "$left" -gt 0 ] && { echo "$kind $left $how" > "$OUT/armed"; return 0; }
    rm "$OUT/armed"
    kill -9 "$(cat "$OUT/pid")"
    [ "$how" = alone ] || kill -9 0
}
"""
# What lies in the folder, all of it read anew and no index believed.
SEEN = """
exec 8> "$OUT/gate-alive"; flock -n 8 || echo gate >> "$OUT/overlaps"
. "$OUT/point"; point gate
export GIT_INDEX_FILE="$OUT/index-$$"
git read-tree HEAD && git add -A && git write-tree >> "$OUT/{}"; code=$?
rm -f "$GIT_INDEX_FILE"; [ "$code" = 0 ]
"""
SMUDGE = '. "$OUT/point"; [ "$PWD" != "$(cat "$OUT/checkout")" ] || point file; exec cat'


def lines(*changed: str) -> str:
    """A file of seven lines, the fourth replaced."""
    return "".join(f"{text}\n" for text in ("1", "2", "3", *(changed or ("4",)), "5", "6", "7"))


BULK = [f"bulk/{number}.txt" for number in range(10, 50)]
BEGIN = {
    ".gitignore": "/backlog/\n",
    ".gitattributes": "bulk/*5.txt filter=point\n",
    "CHANGELOG.md": "# Changes\n\n## Unreleased\n\n- begun\n",
    "folder/inner.txt": "inner\n",
    "tool.sh": "true\n",
    **dict.fromkeys(("a.txt", "b.txt", "c.txt"), lines()),
    **dict.fromkeys(BULK, "bulk\n"),
}
CHANGES: Mapping[int, Mapping[str, str | None]] = {
    1: {**{name: f"bulk\nitem 1 {name}\n" for name in BULK[:30]}, **dict.fromkeys(BULK[30:]),
        **{f"bulk/new/{number}.txt": f"item 1 new {number}\n" for number in range(10, 20)},
        **{name: lines(f"item 1 in {name}") for name in ("a.txt", "b.txt", "c.txt")}},
    2: {"CHANGELOG.md": BEGIN["CHANGELOG.md"] + "- item 2 entry\n", "item-2.txt": "item 2\n"},
    3: {"CHANGELOG.md": BEGIN["CHANGELOG.md"] + "- item 3 entry\n", "item-3.txt": "item 3\n"},
    4: {"item-4.txt": "item 4 half\n"},
    5: {**{name: lines(f"item 5 in {name}") for name in ("a.txt", "b.txt", "c.txt")}, "item-5.txt": "item 5\n"},
}  # fmt: skip
SESSIONS = {  # begun once what they wait for is merged
    "6": {"item-6.txt": "item 6\n"},
    "follow-4": {"item-4.txt": "item 4 half\nitem 4 rest\n"},
    "follow-5": {"item-5.txt": "item 5\n",
                 **{name: lines(f"item 1 in {name}", f"item 5 in {name}") for name in ("a.txt", "b.txt", "c.txt")}},
}  # fmt: skip
ORIGINS = {7: 4, 8: 5}  # of the follow-ups, in the order in which they come up
MERGED = (1, 2, 3, 4, 6, 7, 8)  # and 5 by its follow-up
TOKENS = [
    *(f"item 1 {name}" for name in BULK[:30]),
    *(f"item 1 new {number}" for number in range(10, 20)),
    *(f"item {issue} in {name}" for issue in (1, 5) for name in ("a.txt", "b.txt", "c.txt")),
    *("- item 2 entry", "item 2", "- item 3 entry", "item 3", "item 4 half", "item 4 rest", "item 5", "item 6"),
]
TASK = "---\nid: TASK-{0}\ntitle: Item {0}\nstatus: To Do\nlabels: []\nmilestone: m-3\ndependencies: []\n---\n"


# a repository


def prepare(box: Sandbox, *, moved: bool) -> Sandbox:
    """Leave what finished sessions leave; where main has `moved`, the integration branch was made before that."""
    for name, text in (("point", POINT), ("gate", SEEN.format("gated")), ("landing", SEEN.format("landed")),
                       ("checkout", str(box.root))):  # fmt: skip
        box.script(name, text)
    (box.root / ".git/info/exclude").write_text("/.milestone/\n")
    box.git("config", "filter.point.smudge", SMUDGE)
    box.git("config", "filter.point.clean", "cat")
    text = plan([[item(issue) for issue in CHANGES], [item(6, 4)]], pre=['. "$OUT/gate"'], post=['. "$OUT/landing"'])
    box.make(text, files=BEGIN)
    box.write("later.txt", "later\n")
    box.git("add", "-A")
    box.git("commit", "-qm", "chore: later")
    for issue in (*CHANGES, 6):
        box.write(f"backlog/tasks/task-{issue} - Item-{issue}.md", TASK.format(issue))
    box.write("backlog/milestones/m-3 - a-milestone.md", "---\nid: m-3\ntitle: A milestone\n---\n")
    for name, files in SESSIONS.items():
        (box.outside / f"session-{name}.json").write_text(json.dumps(files))
    run = Run(box.root, {"n": "3"})
    for issue, changes in CHANGES.items():
        finish(box, run, issue, changes)
    if moved:
        base = box.rev()
        box.git("update-ref", "--create-reflog", BRANCH, base)
        made = records.Branch(status="made", branch=BRANCH.removeprefix("refs/heads/"), base=base, main="main")
        run.receipts.write(made)
        box.write("person.txt", "a person's\n")
        box.git("add", "-A")
        box.git("commit", "-qm", "docs: a person's")
    box.write("notes.txt", NOTES)
    box.git("gc", "-q")
    box.hook("reference-transaction", '[ -e "$OUT/armed" ] || exit 0\n. "$OUT/point"; point "ref-$1"; exit 0')
    box.hook("post-index-change", '[ -e "$OUT/armed" ] || exit 0\n. "$OUT/point"; point index; exit 0')
    return box


def finish(box: Sandbox, run: Run, issue: int, changes: Mapping[str, str | None]) -> None:
    """Leave what a finished session leaves: a branch with a commit, its attempt and the receipt."""
    base, branch = box.rev("main~1" if issue == 3 else "main"), f"work/3/{issue}"
    box.git("checkout", "-q", "-b", branch, base)
    for name, text in changes.items():
        (box.root / name).unlink() if text is None else box.write(name, text)
    if issue == 1:
        shutil.rmtree(box.root / "folder")
        (box.root / "folder").write_text("a file now\n")
        (box.root / "link").symlink_to("README.md")
        (box.root / "tool.sh").chmod(0o755)
    box.git("add", "-A")
    box.git("commit", "-qm", f"feat: work on {issue}")
    head = box.rev("HEAD")
    box.git("checkout", "-q", "main")
    run.milestone.folder.attempt(issue, 1).mkdir(parents=True)
    work = records.Work(
        status="partial" if issue == 4 else "complete", attempt=1, head=head, base=base, branch=branch, ended=ENDED,
        files=tuple(box.git("diff", "--name-only", "--no-renames", base, head).split()),
        commits=(records.Commit(id=head, subject=f"feat: work on {issue}"),),
    )  # fmt: skip
    run.receipts.write(work, issue)


def copy(template: Sandbox, base: Path) -> Sandbox:
    """Make a repository like another."""
    base.mkdir()
    box = Sandbox(base)
    for old, new in ((template.root, box.root), (template.outside, box.outside)):
        shutil.rmtree(new)
        shutil.copytree(old, new, symlinks=True)
    box.script("checkout", str(box.root))
    return box


# a pass


@dataclass(frozen=True)
class Moment:
    """When a pass is to be killed: the n-th event of a kind, or after so many seconds; with its git or `alone`."""

    kind: str = ""
    number: int = 0
    seconds: float = 0
    alone: bool = False


def start(box: Sandbox, moment: Moment) -> tuple[int, list[psutil.Process]]:
    """Let a pass run, kill it when the moment comes; return its exit code, and the processes that it leaves."""
    armed = box.outside / "armed"
    if moment.kind not in ("", "time", "change"):
        armed.write_text(f"{moment.kind} {moment.number} {'alone' if moment.alone else 'all'}\n")
    env = {**box.env, **({"EVENT": str(moment.number)} if moment.kind in ("change", "all") else {})}
    with (box.outside / "output").open("ab") as out:
        one = Command([sys.executable, str(PASS)], cwd=box.root, env=env, stdin=subprocess.DEVNULL,
                      stdout=subprocess.PIPE, stderr=out)  # fmt: skip
    assert one.stdout
    with one, one.stdout:
        one.stdout.readline()
        try:
            one.wait(moment.seconds if moment.kind == "time" else LIMIT)
        except subprocess.TimeoutExpired:
            assert moment.kind == "time", "a pass hangs"
            strike(one, alone=moment.alone)
        finally:
            armed.unlink(missing_ok=True)  # else it would strike who looks at what is left
    return one.returncode, box.processes()


def strike(one: Command, *, alone: bool) -> None:
    """Kill a pass between two of its instructions, so that it starts nothing while its git is being killed."""
    one.send_signal(signal.SIGSTOP)
    if one.returncode is not None:
        return
    os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    for child in () if alone else psutil.Process(one.pid).children():  # each leads a group of its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    one.kill()
    one.wait()


# what must hold


@dataclass
class Expected:
    """What an undisturbed pass ends with, how long it takes, and how many events of each kind it sees."""

    template: Sandbox
    tree: str = ""
    refs: list[str] = field(default_factory=list)
    seconds: float = 0
    totals: Counter[str] = field(default_factory=Counter)


def trees(box: Sandbox, *span: str) -> set[str]:
    return set(box.git("log", "--format=%T", *span, "--", rc=None).split())


def require_sound(box: Sandbox) -> None:
    """What holds at any moment at which nothing is at work."""
    checked = box.run("git", "fsck", "--no-dangling", "--no-progress")
    making = {path.parent.name for path in (box.root / ".git/worktrees").glob("*/locked")}  # by a git that was killed
    known = [f"error: worktrees/{name}/HEAD: detached HEAD points at nothing" for name in making]
    assert set(checked.err.splitlines()) <= set(known), checked
    box.git("worktree", "list", "--porcelain")
    assert box.git("symbolic-ref", "HEAD") == "refs/heads/main"
    refs = [ref for ref in (BRANCH, "refs/heads/main") if box.git("rev-parse", "-q", "--verify", ref, rc=None)]
    items = Counter(box.git("log", "--format=%(trailers:key=Milestone-Item,valueonly)", *refs, "--").split())
    assert set(items.values()) <= {1}, f"merged twice: {items}"
    sessions = [
        json.loads(path.read_text())["head"] for path in (box.root / ".milestone/3/items").glob("*/result.json")
    ]
    merged = box.git("log", "--format=%(trailers:key=Milestone-Head,valueonly)", *refs, "--").split()
    # Of this worktree alone: the HEAD of one that is being made names nothing yet, at which git would give up.
    lost = box.git("rev-list", *sessions, "--not", "--single-worktree", "--all").split()
    assert set(lost) <= set(merged), "a session's work is lost"
    before = trees(box, "refs/tags/begun")
    for ref, seen in ((BRANCH, "gated"), ("refs/heads/main", "landed")):
        stood = trees(box, "-g", ref) | (trees(box, "-1", ref) if ref in refs else set())
        assert stood <= before | set(box.lines(seen)), f"{ref} stood on what no gate has seen"
    if not (box.root / ".milestone/3/advance.json").exists():
        assert box.git("status", "--porcelain", "--untracked-files=all") == "?? notes.txt"
    overlay = box.root / ".milestone/3/overlay.json"
    if overlay.exists():
        origins = {row["issue"]: row["origin"] for row in json.loads(overlay.read_text())["items"]}
        assert origins.items() <= ORIGINS.items()
    assert (box.root / "notes.txt").read_text() == NOTES


def require_whole(box: Sandbox, expected: Expected) -> None:
    """All is as if nothing had happened."""
    require_sound(box)
    box.git("fsck", "--strict", "--no-dangling", "--no-progress")
    assert box.rev("main^{tree}") == expected.tree
    assert box.rev("main^1") == box.rev("begun")
    texts = Counter(box.git("grep", "-h", "-I", "-e", "", "main", "--").splitlines())
    assert {token: texts[token] for token in TOKENS} == dict.fromkeys(TOKENS, 1)
    items = box.git("log", "--format=%(trailers:key=Milestone-Item,valueonly)", "main").split()
    assert sorted(map(int, items)) == list(MERGED)
    assert trees(box, "main^2", "^begun") <= set(box.lines("gated"))
    assert trees(box, "-1", "main") <= set(box.lines("landed"))
    assert box.refs() == expected.refs
    assert len(box.git("worktree", "list", "--porcelain").split("\n\n")) == 1
    assert not list((box.root / ".git").rglob("*.lock"))
    assert not (box.root / ".git/worktrees").exists() or not list((box.root / ".git/worktrees").iterdir())
    assert box.git("status", "--porcelain", "--untracked-files=all") == "?? notes.txt"
    for name in ("worktrees", "integration", "advance.json", "run.lock"):
        assert not (box.root / ".milestone/3" / name).exists()
    tasks = {path.name: path.read_text().replace('"', "") for path in (box.root / "backlog/tasks").glob("*.md")}
    assert len(tasks) == 8, sorted(tasks)
    assert [name for name, text in tasks.items() if "\nstatus: Done\n" not in text] == []
    assert box.lines("overlaps") == []
    assert box.processes() == []


# the fuzz


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Expected]:
    """What a pass ends with when nobody disturbs it: of main as it was at the beginning, and of one that has moved."""
    found = []
    for moved in (False, True):
        base = tmp_path_factory.mktemp("undisturbed")
        (base / "template").mkdir()
        expected = Expected(prepare(Sandbox(base / "template"), moved=moved))
        expected.template.git("update-ref", "refs/tags/begun", "main")
        box = copy(expected.template, base / "undisturbed")
        began = time.monotonic()
        assert start(box, Moment("all", 1_000_000))[0] == 0, "\n".join(box.lines("output"))
        expected.seconds = time.monotonic() - began
        expected.tree, expected.refs = box.rev("main^{tree}"), box.refs()
        expected.totals = Counter(box.lines("events"))
        expected.totals["change"] = 1_000_000 - int(box.lines("left")[0])
        require_whole(box, expected)
        assert all(expected.totals[kind] for kind in KINDS if kind != "time"), expected.totals
        found.append(expected)
    return found


class Drawn:
    """The moments that a seed draws, spread over what a repository's pass still has to do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.done = 0.0  # of a whole pass

    def draw(self, expected: Expected) -> Moment:
        kind, alone = self.random.choice(KINDS), self.random.random() < 0.25
        part = self.random.random() * max(0.2, (1.05 - self.done) / 2)  # several kills to one end, which takes longest
        if kind == "time":
            moment = Moment(kind, seconds=part * expected.seconds, alone=alone)
        else:
            part = self.random.random() if kind == "file" else part  # all of them are the landing's
            moment = Moment(kind, 1 + int(part * (expected.totals[kind] - 1)), alone=alone and kind != "change")
        self.done = 0.9 if kind == "file" else self.done + part
        return moment


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_again_and_again(undisturbed: list[Expected], tmp_path: Path, seed: int) -> None:
    drawn, killed, told = Drawn(seed), 0, [f"seed {seed}"]
    try:
        for number in range(10 * KILLS):
            expected = undisturbed[drawn.random.randrange(2)]
            box = copy(expected.template, tmp_path / str(number))
            killed += kill_until_done(box, expected, drawn, told)
            box.remove()
            if killed >= KILLS:
                return
    except BaseException:
        print("\n".join([*told, f"repository {box.root}", *box.lines("output")[-40:]]))
        raise
    pytest.fail(f"only {killed} kills")


def kill_until_done(box: Sandbox, expected: Expected, drawn: Drawn, told: list[str]) -> int:
    """Start a pass until one comes to its end; return how many were killed."""
    drawn.done, killed, code = 0.0, 0, KILLED
    while code == KILLED:
        moment, beside = drawn.draw(expected), drawn.random.random() < 0.5
        told.append(f"{moment}")
        code, left = start(box, moment)
        assert code in (0, KILLED), "a pass failed"
        killed += code == KILLED
        if code == KILLED and not (left and beside):  # else the next one begins beside what is left
            assert not psutil.wait_procs(left, timeout=LIMIT)[1]
            require_sound(box)
    require_whole(box, expected)
    return killed


def test_the_kills_are_enough() -> None:
    assert len(SEEDS) * KILLS >= 200
