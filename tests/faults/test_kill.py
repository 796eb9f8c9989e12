"""SIGKILL at any moment: the same line goes on, pays for no session twice and merges nothing twice.

The moments are events: the n-th update of a ref, a gate, a step of an agent, a hook of git's. Whoever sees the event
kills the run by its recorded pid.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

import pytest

from tests.e2e.harness import KILL, Sandbox, item, plan
from tests.e2e.merging.sides import APP, GOOD

ISSUES = (11, 12, 13)
KILLED = -signal.SIGKILL
STRIKE = f"""
strike() {{  # NAME N: the N-th time that NAME happens
    echo . >> "$OUT/count-$1"
    [ "$(wc -l < "$OUT/count-$1")" -ge "$2" ] && mkdir "$OUT/struck" 2> /dev/null && {KILL}
}}
"""
BRANCH, MAIN, LANDING = "refs/heads/milestone/3-test", "refs/heads/main", "refs/milestone/3/candidate/landing"
MOMENTS = [  # an update of a ref by the run itself: which ref, the how manyth time
    *((BRANCH, time) for time in (1, 2, 3, 4, 5)),  # made, moved by three merges, deleted
    *(("refs/heads/work/", time) for time in (1, 2, 3)),
    *(("refs/milestone/3/candidate/1", time) for time in (1, 2, 4)),
    *((LANDING, time) for time in (1, 2)),
    *((" HEAD", time) for time in (1, 2, 4)),  # a worktree's checkout
    ("ORIG_HEAD", 1),
    (MAIN, 1),
]


def make(box: Sandbox, *, gate: str = ":", landing: str = ":", files: Mapping[str, str] | None = None) -> Sandbox:
    """Two items and a third that needs the first, gates before each merge and before the landing."""
    text = plan([[item(11), item(12)], [item(13, 11)]], pre=['. "$OUT/gate"'], post=['. "$OUT/landing"'])
    for name, script in (("strike", STRIKE), ("gate", gate), ("landing", landing)):
        box.script(name, '. "$OUT/strike"\n' + script if name != "strike" else script)
    return box.make(text, files=files)


def hook_updates(box: Sandbox, state: str, ref: str, number: int, more: str = ":") -> None:
    """Kill the run at the n-th update of a ref that is not an agent's."""
    box.hook(
        "reference-transaction",
        f'[ -n "$MILESTONE_ITEM" ] || [ "$1" != {state} ] && exit 0\n'
        f"grep -q '{ref}' || exit 0\n"
        f'. "$OUT/strike"\nif strike update {number}; then {more}; fi\nexit 0',
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The tree that a run ends with when nobody disturbs it."""
    box = make(Sandbox(tmp_path_factory.mktemp("undisturbed")))
    box.milestone()
    return box.rev("main^{tree}")


def require_done(box: Sandbox, tree: str, starts: dict[int, int] | None = None) -> None:
    """All is as if nothing had happened."""
    assert box.rev("main^{tree}") == tree
    box.require_done(*ISSUES)
    assert box.starts() == (starts or dict.fromkeys(ISSUES, 1))


def was_struck(box: Sandbox) -> bool:
    return (box.outside / "struck").exists()


@pytest.mark.parametrize(("ref", "number"), MOMENTS)
def test_killed_at_an_update_of_a_ref_which_git_completes(
    box: Sandbox, undisturbed: str, ref: str, number: int
) -> None:
    make(box)
    hook_updates(box, "committed", ref, number)
    box.milestone(rc=KILLED)
    box.milestone()
    require_done(box, undisturbed)


def test_the_same_line_has_nothing_to_do_once_a_killed_run_was_completed(box: Sandbox, undisturbed: str) -> None:
    make(box)
    hook_updates(box, "prepared", MAIN, 1)
    box.milestone(rc=KILLED)
    box.milestone()
    assert "nothing to do" in box.milestone().out
    require_done(box, undisturbed)


@pytest.mark.parametrize(("ref", "number"), MOMENTS)
def test_killed_with_its_git_command_which_leaves_lock_files(
    box: Sandbox, undisturbed: str, ref: str, number: int
) -> None:
    make(box)
    hook_updates(box, "prepared", ref, number, more="kill -9 $PPID")
    box.milestone(rc=KILLED)
    box.milestone()
    require_done(box, undisturbed)


def test_killed_with_its_git_command_which_leaves_half_of_the_packed_refs(box: Sandbox, undisturbed: str) -> None:
    make(box, landing="git -c core.hooksPath=/dev/null pack-refs --all")
    hook_updates(box, "prepared", BRANCH, 5, more="kill -9 $PPID")
    box.milestone(rc=KILLED)
    assert (box.root / ".git/packed-refs.new").exists()
    box.milestone()
    require_done(box, undisturbed)
    assert not list((box.root / ".git").glob("packed-refs.*"))


@pytest.mark.parametrize(
    "script",
    [
        "strike start 1; work && report COMPLETE",
        "work; strike work 1; report COMPLETE",
        "work; report COMPLETE; strike end 1",
        "echo half > half.txt; strike half 1; rm half.txt; work && report COMPLETE",
    ],
)
@pytest.mark.parametrize("issue", [11, 13])
def test_killed_by_an_agent_whose_session_is_adopted(box: Sandbox, undisturbed: str, issue: int, script: str) -> None:
    make(box).behave(issue, f'. "$OUT/strike"\n{script}\nexit 0')
    box.milestone(rc=KILLED)
    box.milestone()
    require_done(box, undisturbed)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_killed_by_a_gate(box: Sandbox, undisturbed: str, number: int) -> None:
    make(box, gate=f"strike gate {number}; :").milestone(rc=KILLED)
    box.milestone()
    require_done(box, undisturbed)


ALONE = 'exec 8> "$OUT/gate-alive"; flock -n 8 || echo gate >> "$OUT/overlaps"; '


@pytest.mark.parametrize("number", [1, 2, 4])
def test_the_gate_of_a_run_that_was_killed_is_ended_by_the_next(box: Sandbox, undisturbed: str, number: int) -> None:
    box.fifo("never")
    make(box, gate=f'{ALONE} strike gate {number} && read -r _ < "$OUT/never"; :')
    box.milestone(rc=KILLED)
    box.milestone()
    require_done(box, undisturbed)


def test_killed_by_the_gate_before_the_landing(box: Sandbox, undisturbed: str) -> None:
    make(box, landing="strike landing 1; :").milestone(rc=KILLED)
    assert len(box.squashes()) == 0
    box.milestone()
    require_done(box, undisturbed)


@pytest.mark.parametrize("hook", ["post-merge", "post-checkout"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_killed_by_a_hook_of_the_users(box: Sandbox, undisturbed: str, hook: str, number: int) -> None:
    make(box).hook(hook, f'. "$OUT/strike"\nstrike hook {number}\nexit 0')
    first = box.milestone(rc=None)
    assert first.rc == (KILLED if was_struck(box) else 0)
    box.milestone()
    require_done(box, undisturbed)


HALF = 'if [ "$PWD" = "$(cat "$OUT/checkout")" ] && strike file {}; then kill -9 $PPID; fi; exec cat'


def half_updated(box: Sandbox, number: int) -> Sandbox:
    """Let the run and its git be killed at the n-th file that the landing brings to the checkout, and see it happen."""
    box.script("checkout", str(box.root))
    make(box, files={".gitattributes": "item-* filter=half\n"})
    box.script("half", '. "$OUT/strike"\n' + HALF.format(number))
    box.git("config", "filter.half.smudge", '. "$OUT/half"')
    box.git("config", "filter.half.clean", "cat")
    box.milestone(rc=KILLED)
    assert (box.root / ".git/index.lock").exists()
    assert box.files("main").isdisjoint({"item-11.txt"})
    return box


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("word", ["milestone", "land"])
def test_killed_with_git_while_it_updates_the_checkout(box: Sandbox, word: str, number: int) -> None:
    half_updated(box, number).doit(word, "n=3", rc=0)
    assert (box.root / "item-13.txt").exists()
    box.milestone()
    require_done(box, box.rev("main^2^{tree}"))


def test_what_a_person_does_to_a_half_updated_checkout_survives(box: Sandbox) -> None:
    half_updated(box, 3)
    mine = box.write("item-12.txt", "mine\n")
    box.write("README.md", "mine\n")
    box.write("notes.txt", "mine\n")
    done = box.milestone(rc=1)
    assert "somebody has changed them since: item-12.txt" in done.text
    assert "untracked files in the way: item-12.txt" in done.text
    assert box.git("status", "--porcelain").splitlines() == [" M README.md", "?? item-12.txt", "?? notes.txt"]
    assert mine.read_text() == "mine\n"
    mine.unlink()
    box.milestone()
    assert box.git("status", "--porcelain").splitlines() == [" M README.md", "?? notes.txt"]
    box.require_landed(*ISSUES)
    assert box.starts() == dict.fromkeys(ISSUES, 1)


def test_killed_again_and_again_each_time_a_little_later(box: Sandbox, undisturbed: str) -> None:
    make(box)
    for number in range(1, 30):
        (box.outside / "count-update").unlink(missing_ok=True)
        (box.outside / "struck").rmdir() if was_struck(box) else None
        hook_updates(box, "committed", "", number)
        if box.milestone(rc=None).rc == 0:
            break
    require_done(box, undisturbed)
    box.milestone()
    require_done(box, undisturbed)


# sessions that mend


MEND = {  # by the session's name, `resolve` being that of whichever is merged after the other: what it does
    "resolve": GOOD,
    "11-fix": "git rm -q broken; commit 'fix: broken'; report COMPLETE",
    "landing-fix": "git mv item-12.txt two.txt; commit 'fix: two'; report COMPLETE",
}
DEAD = f"{KILL}; kill -9 $PPID; exit 1"  # the run, and the supervisor of this session
MEET = {11: 'echo > "$OUT/one"; read -r _ < "$OUT/two"', 12: 'read -r _ < "$OUT/one"; echo > "$OUT/two"'}


def behave_together(box: Sandbox, scripts: Mapping[int, str]) -> None:
    """Let items 11 and 12 work at the same time: neither sees what the other brings."""
    box.fifo("one", "two")
    for issue, script in scripts.items():
        box.behave(issue, f"{MEET[issue]}; {script}")


def make_mending(box: Sandbox, name: str, script: str) -> Sandbox:
    """Items 11 and 12, of which a session of that name has to mend something."""
    box.script("strike", STRIKE)
    gates = {"11-fix": ("! test -e broken", ":"), "landing-fix": (":", "! test -e item-12.txt")}
    pre, post = gates.get(name, (":", ":"))
    box.make(plan([[item(11), item(12)]], pre=[pre], post=[post]), files={"app.txt": APP})
    if name == "resolve":
        behave_together(box, {issue: f"sed -i 's/^line 4$/by {issue}/' app.txt; work; report COMPLETE"
                              for issue in (11, 12)})  # fmt: skip
    if name == "11-fix":
        box.behave(11, "touch broken; work; report COMPLETE")
    for own in (f"{issue}-resolve" for issue in (11, 12)) if name == "resolve" else (name,):
        box.behave(own, '. "$OUT/strike"\n' + script)
    return box


def require_mended(box: Sandbox, name: str, starts: int) -> None:
    box.require_done(11, 12)
    assert box.starts() == {11: 1, 12: 1}
    assert [name in own for own in box.names() if not own.isdecimal()] == [True] * starts
    assert "broken" not in box.files()
    if name == "resolve":
        assert sorted(line for line in box.show("app.txt").splitlines() if "by" in line) == ["by 11", "by 12"]


@pytest.mark.parametrize("name", list(MEND))
@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_a_session_mends(box: Sandbox, name: str, moment: str, *, ended: bool) -> None:
    strike = "strike mend 1"
    make_mending(box, name, f"{strike}\n{MEND[name]}" if moment == "before" else f"{MEND[name]}\n{strike}\nexit 0")
    box.milestone(rc=KILLED)
    if ended:
        box.await_idle()
    box.milestone()
    require_mended(box, name, 1)


@pytest.mark.parametrize("name", list(MEND))
def test_killed_with_a_session_that_mends(box: Sandbox, name: str) -> None:
    make_mending(box, name, f'mkdir "$OUT/died" 2> /dev/null && {{ {DEAD}; }}\n{MEND[name]}')
    box.milestone(rc=KILLED)
    box.milestone()
    require_mended(box, name, 2)


# between generations


DODO = """import os, signal, sys
from pathlib import Path

out, overlay = Path(os.environ["OUT"]), Path(".milestone/3/overlay.json")


def strike(moment):
    if (out / "moment").read_text() == f"{moment}\\n" and not (out / "struck").exists():
        (out / "struck").mkdir()
        os.kill(os.getpid(), signal.SIGKILL)


def see(event, args):
    if event == "os.rename":
        strike("before the overlay" if Path(os.fsdecode(args[1])).name == overlay.name else
               "after the overlay" if overlay.exists() else "")
    if event == "os.exec":
        strike("before the next generation")


sys.addaudithook(see)
if "WORK_MILESTONE_GENERATION" in os.environ:
    strike("at the next generation's begin")
from work_milestone.dodo import *
"""
TASK = "---\nid: TASK-{0}\ntitle: Item {0}\nstatus: To Do\nlabels: []\nmilestone: m-3\ndependencies: []\n---\n"
BETWEEN = ["before the overlay", "after the overlay", "before the next generation", "at the next generation's begin"]


@pytest.mark.parametrize("moment", BETWEEN)
@pytest.mark.parametrize("why", ["rest", "conflict"])
def test_killed_between_generations(box: Sandbox, why: str, moment: str) -> None:
    box.script("moment", moment)
    box.make(plan([[item(11), item(12)], [item(13)]]), files={"app.txt": APP, ".gitignore": "/backlog/\n"})
    for issue in ISSUES:
        box.write(f"backlog/tasks/task-{issue} - Item-{issue}.md", TASK.format(issue))
    box.write("backlog/milestones/m-3 - a-milestone.md", "---\nid: m-3\ntitle: A milestone\n---\n")
    box.write("dodo.py", DODO)
    box.git("commit", "-qam", "chore: see what happens")
    base = box.rev()
    if why == "rest":
        box.behave(11, "echo half > half.txt; commit 'feat: half'; report PARTIAL")
    else:
        behave_together(box, {11: "git rm -q app.txt; work; report COMPLETE",
                              12: "echo line 8 >> app.txt; work; report COMPLETE"})  # fmt: skip
    box.milestone(rc=KILLED)
    for _ in range(2):
        box.milestone()
        assert box.starts() == dict.fromkeys((11, 12, 13, 14), 1)
        merged = box.squashes()
        assert {len(commits) for commits in merged.values()} == {1}
        settled = int(box.trailers(merged[14][0])["Milestone-Settles"])
        assert merged.keys() | {settled} == {11, 12, 13, 14}
        assert (settled in merged) is (why == "rest")
        assert box.git("rev-list", "--first-parent", "main").split()[1] == base
        tasks = [path.read_text().replace('"', "") for path in (box.root / "backlog/tasks").glob("*.md")]
        assert ["status: Done" in task for task in tasks] == [True] * 4
        box.await_idle()
        box.require_clean()
