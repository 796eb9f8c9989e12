"""SIGKILL at any moment: the same line goes on, pays for no session twice and merges nothing twice.

The moments are events: the n-th update of a ref, a gate, a step of an agent, a hook of git's. Whoever sees the event
kills the run by its recorded pid.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping

import pytest

from tests.e2e.harness import Sandbox, item, plan

ISSUES = (11, 12, 13)
KILLED = -signal.SIGKILL
STRIKE = """
strike() {  # NAME N ACTION...: the N-th time that NAME happens
    echo . >> "$OUT/count-$1"
    [ "$(wc -l < "$OUT/count-$1")" -ge "$2" ] && mkdir "$OUT/struck" 2> /dev/null && kill -9 "$(cat "$OUT/doit.pid")"
}
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
    box.require_landed(*ISSUES)
    box.await_idle()
    box.require_clean()
    assert box.starts() == (starts or dict.fromkeys(ISSUES, 1))
    assert box.lines("overlaps") == []


def was_struck(box: Sandbox) -> bool:
    return (box.outside / "struck").exists()


@pytest.mark.parametrize(("ref", "number"), MOMENTS)
@pytest.mark.parametrize("state", ["prepared", "committed"])
def test_killed_at_an_update_of_a_ref(box: Sandbox, undisturbed: str, state: str, ref: str, number: int) -> None:
    make(box)
    hook_updates(box, state, ref, number)
    box.milestone(rc=KILLED)
    box.milestone()
    require_done(box, undisturbed)
    box.milestone()
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
