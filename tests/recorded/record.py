"""Run folders for later versions to take up: `python -m tests.recorded.record OUT` at the top of a checkout.

Two sandboxes are worked with real doit until `kill -9`, and what is left of each is frozen into a folder of OUT: `run`
in the middle of a second wave, `landing` in the instant before main moves. Where the sandbox lay stand placeholders.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.e2e.harness import Sandbox, await_line, await_text, item, plan
from tests.e2e.sessions import talks

WIDE = {"COLUMNS": "400"}  # no text is cut, however long a time is in letters
STEPS = {"advance", "baseline", "branch", "gates", "land", "lock", "mend", "merge", "milestone", "overlay", "relay",
         "session", "spawn", "wave", "worktree"}  # fmt: skip
ELSEWHERE = {"worktrees", "integration", "run.lock"}  # what means nothing in another place
AGENTS = ("agent.sh", "do-*", "turn-*", "turns", "talk/*", "bin/*")  # what sessions read, and what they remember
FILES = ("a.txt", "b.txt", "c.txt")
APP = "".join(f"line {number}\n" for number in range(1, 8))
LANDED = [item(1, agent="claude")]
FIRST = [*LANDED, *(item(issue) for issue in range(2, 11))]
SECOND = [item(11, 10), item(12), item(13), item(14, agent="claude"), item(15)]
GATES = ("test -f README.md", "! grep TODO README.md", "! cat broken")  # the second one is red from the beginning
REFUSED = "'usage limit reached, try again in 5 seconds'"
MET = (*range(2, 8), 12, 13, 14)


def meet(issue: int) -> str:
    """A shell line that says that a session is at work, and holds it until it is let go."""
    return f'echo here > "$OUT/begun-{issue}"; read -r _ < "$OUT/go-{issue}"'


def rewrite(word: str) -> str:
    return f"for f in {' '.join(FILES)}; do echo {word} > $f; done"


def edit(*lines: int) -> str:
    """A shell line that changes lines of a file that others change too."""
    return "; ".join(f'sed -i "s/^line {line}$/$MILESTONE_ITEM at {line}/" app.txt' for line in lines)


def from_attempt(number: int, then: str, before: str) -> str:
    """A script that does one thing from an attempt on, and another before."""
    return f'if [ "$MILESTONE_ATTEMPT" -ge {number} ]; then {then}\nelse {before}\nfi'


DONE = "work; report COMPLETE"
BREAK = f"echo it is broken > broken; {DONE}"
MEND = "git rm -q broken; commit 'fix: nothing is broken'; report COMPLETE"
BOTH = "sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt; git add -A"
RESOLVE = "git commit -q --no-edit; report COMPLETE"
FAIL = """echo one > one.txt; commit 'feat: one'; echo two > two.txt
report FAILED; echo 'BLOCKER: no access to the sandbox'; echo 'no access' >&2; exit 1"""
BEHAVIOUR = {
    # Landed before all others. Its own agent was out of quota; what the landing's gate refused was fixed.
    "1": "echo raw > raw.txt; commit 'feat: raw'; report COMPLETE",
    "landing-fix": "git mv raw.txt item-1.txt; commit 'fix: no raw file'; report COMPLETE",
    # Merged; 3 conflicts with it beyond what a session can resolve, 4 not.
    "2": f"{meet(2)}; {rewrite('second')}; {edit(4)}; {DONE}",
    "3": f"{meet(3)}; {rewrite('third')}; {DONE}",
    "4": f"{meet(4)}; {edit(4)}; {DONE}",
    "4-resolve": f"{BOTH}; {RESOLVE}",
    # Merged in part; 6 is resolved and then fixed, the resolutions of 7 lose a file, and 9 is never fixed.
    "5": f"{meet(5)}; {edit(1, 7)}; work; report PARTIAL",
    "6": f"{meet(6)}; {edit(1)}; {BREAK}",
    "6-resolve": f"{BOTH}; {RESOLVE}",
    "6-fix": MEND,
    "7": f"{meet(7)}; {edit(7)}; {DONE}",
    "7-resolve": from_attempt(4, f"{BOTH}; {RESOLVE}", f"{BOTH}; git rm -qf item-7.txt; {RESOLVE}"),
    "9": BREAK,
    "9-fix": from_attempt(4, MEND, 'echo $MILESTONE_ATTEMPT > tried.txt; commit "fix: try"; report COMPLETE'),
    # Failed, and done when it is tried again; ended after the run was killed; at work when it was.
    "10": from_attempt(2, DONE, FAIL),
    "12": f"{meet(12)}; {DONE}",
    "13": f"echo begun; {meet(13)}; {DONE}",
}
TURNS = {  # 14 is cut short, goes on, and is cut short again
    "1": f"error 429 0.10 {REFUSED}",
    "14-1": talks.OVERLOADED,
    "14-2": f"{meet(14)}; error 429 0.60 {REFUSED}",
    "14": talks.FINISH,
}
STRIKE = """
[ -z "$MILESTONE_ITEM" ] && [ "$1" = prepared ] && grep -q ORIG_HEAD || exit 0
kill -9 "$(cat "$OUT/doit.pid")" $PPID
"""


def make_run(box: Sandbox) -> None:
    """Work a milestone until an item has landed; then, with more of them, until the run is killed in its wave 2."""
    files = {**dict.fromkeys(FILES, "begin\n"), "app.txt": APP, "README.md": "TODO\n"}
    gates: dict[str, Any] = {"pre": GATES, "post": ["! test -e raw.txt"]}
    talks.install(box).make(plan([LANDED], **gates), files=files, max_sessions=3)
    for name, script in BEHAVIOUR.items():
        box.behave(name, script)
    for name, script in TURNS.items():
        talks.turn(box, name, script)
    for issue in MET:
        for word in ("begun", "go"):
            os.mkfifo(box.outside / f"{word}-{issue}")
    box.milestone("gates=baseline", "fallback=command")
    box.write("plan/milestone-3-dispatch.yaml", plan([FIRST, SECOND], **gates))
    box.git("commit", "-qam", "docs: what else there is to do")
    box.doit("skip:8", "n=3", rc=0)
    work_until_killed(box)


def work_until_killed(box: Sandbox) -> None:
    """Lead the sessions so that what came of each is the same each time."""

    def await_begun(*issues: int) -> None:
        for issue in issues:
            assert await_line(box.outside / f"begun-{issue}") == "here"

    def let_go(issue: int, receipt: str, text: str) -> None:
        (box.outside / f"go-{issue}").write_text("go\n")
        await_text(box.root / ".milestone/3/items" / receipt, text)

    run = box.start()
    await_begun(2, 3, 4)
    let_go(2, "2/merge.json", '"merged"')
    let_go(3, "3/merge.json", '"heavy"')
    let_go(4, "4/merge.json", '"medium"')
    await_begun(5, 6, 7)
    let_go(5, "5/merge.json", '"merged"')
    await_text(box.root / ".milestone/3/items/4/merge.json", '"merged"')
    let_go(6, "6/merge.json", '"merged"')
    let_go(7, "7/merge.json", '"dropped"')
    await_begun(12, 13, 14)
    await_text(box.root / ".milestone/3/items/11/merge.json", '"waiting"')
    let_go(14, "14/result.json", '"quota"')
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    let_go(12, "12/attempts/1/exit.json", '"exited"')
    assert box.starts() == dict.fromkeys((*range(1, 8), 9, 10, 12, 13), 1)
    assert box.mends() == {"landing-fix": 1, "4-resolve": 1, "6-resolve": 1, "6-fix": 1, "7-resolve": 2, "9-fix": 2}
    assert talks.hows(box, 14) == ["session-id", "resume"]


def make_landing(box: Sandbox) -> None:
    """Work a milestone until main is about to move, once it has waited for what a person had changed."""
    box.make(plan([[item(1)]], pre=GATES[:1]), files={"app.txt": APP})
    box.behave(1, f"{edit(1)}; {DONE}")
    changed = box.write("app.txt", "mine\n")
    assert "ready to land, but" in box.milestone("allow_dirty=yes", rc=1).text
    assert changed.read_text() == "mine\n"
    box.git("checkout", "-q", "app.txt")
    box.hook("reference-transaction", STRIKE)
    box.milestone(rc=-signal.SIGKILL)
    box.await_idle()


def freeze(box: Sandbox, out: Path) -> None:
    """Write down what is left: history, run folder, worktrees, the agents' files, and what is said of it."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    box.git("bundle", "create", "-q", str(out / "history.bundle"), "--all")
    told = {line.split()[1] for line in box.git("bundle", "list-heads", str(out / "history.bundle")).splitlines()}
    assert {name for name in told if not name.startswith("worktrees/")} == {"HEAD", *box.refs()}
    words = {text: place for place, text in places(box).items()}
    folder = box.root / ".milestone/3"
    kept = [path for path in folder.rglob("*") if path.relative_to(folder).parts[0] not in ELSEWHERE]
    copy(kept, folder, out / "milestone", words)
    copy([path for form in AGENTS for path in box.outside.glob(form)], box.outside, out / "outside", words)
    rows = [worktree(box, path) for path in sorted((folder / "worktrees").glob("[0-9]*"))]
    write(out / "worktrees.json", json.dumps(rows, indent=1) + "\n", words)
    write(out / "status.txt", steady(box.doit("status", "n=3", rc=0, env=WIDE).out), words)
    write(out / "list.txt", box.doit("list", "n=3", rc=0).out, words)
    require_whole(box, out)


def worktree(box: Sandbox, path: Path) -> dict[str, Any]:
    """Tell what a worktree is made again of: its branch or head, whose it is, what is not committed in it."""
    own = Path(box.git("rev-parse", "--absolute-git-dir", cwd=path))
    rows = box.git("status", "--porcelain", "-z", "--untracked-files=all", cwd=path).split("\0")
    names = [row[3:] for row in rows if row]
    branch = box.git("symbolic-ref", "-q", "--short", "HEAD", cwd=path, rc=None)
    return {"path": str(path.relative_to(box.root)), "branch": branch, "head": box.git("rev-parse", "HEAD", cwd=path),
            "mark": (own / "work-milestone-session").read_text(),
            "files": {name: (path / name).read_text() for name in names}}  # fmt: skip


def require_whole(box: Sandbox, out: Path) -> None:
    """What receipts name is in the history, and nothing is left that another place would not know.

    The head of what has landed before is in no ref any more, as in any repository after some weeks.
    """
    there = box.git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    lost = set(there) - set(box.git("rev-list", "--objects", "--no-object-names", "--all").split())
    for path in out.rglob("*"):
        text = path.read_bytes() if path.is_file() else b""
        gone = lost.intersection(word.decode() for word in re.findall(rb"\b[0-9a-f]{40}\b", text))
        assert not gone or path.parent.parts[-2:] == ("items", "1"), (path, gone)
        assert not any(word.encode() in text for word in places(box).values()), path


def places(box: Sandbox) -> dict[str, str]:
    """The places of a sandbox, by what stands for them in a recorded folder."""
    return {"@ROOT@": str(box.root), "@OUTSIDE@": str(box.outside), "@PYTHON@": sys.executable}


def copy(paths: list[Path], source: Path, target: Path, words: Mapping[str, str]) -> None:
    """Copy the files among paths below one folder to below another, words replaced."""
    for path in paths:
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            if path.parent.parent.name == "attempts":
                text = re.sub(r" +\n\Z", "\n", text)  # the room that a supervisor has reserved
            write(target / path.relative_to(source), text, words)


def write(path: Path, text: str, words: Mapping[str, str]) -> None:
    for old, new in words.items():
        text = text.replace(old, new)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def steady(text: str) -> str:
    """A table without what goes on: how long a session has been at work, and the columns' widths."""
    return re.sub(r"  running  \S+", "  running  TIME", re.sub(r"(?<=\S) {2,}", "  ", text))


def main() -> None:
    out = Path(sys.argv[1]).resolve()
    for name, make in (("run", make_run), ("landing", make_landing)):
        with tempfile.TemporaryDirectory() as base:
            box = Sandbox(Path(base).resolve())
            try:
                make(box)
                freeze(box, out / name)
            finally:
                box.remove()
                box.await_idle()
    steps = {json.loads(path.read_text()).get("step") for path in out.glob("*/milestone/**/*.json")}
    assert steps - {None} == STEPS, STEPS ^ steps


if __name__ == "__main__":
    main()
