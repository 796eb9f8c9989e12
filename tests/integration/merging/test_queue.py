"""The merge queue: what reaches the integration branch, and what it says of itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from work_milestone.git import checkouts, detached
from work_milestone.git.worktrees import LOCK_FILE
from work_milestone.landing import candidate, landing
from work_milestone.merging import candidates, integration, queue
from work_milestone.run import Run
from work_milestone.store import records
from work_milestone.system import MilestoneError

from tests.integration.merging.queues import REF, Files, begin, finish, merge, read, reason, trailers

if TYPE_CHECKING:
    from tests.conftest import Sandbox

# what is merged


def test_clean(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    head = finish(sandbox, run, 42, {"new\n🦀": "x", "f": "zero\none\ntwo\nthree\n"})
    old, checkout = sandbox.git("rev-parse", REF), sandbox.status()
    assert merge(run, 42) == "merged"
    assert sandbox.git("rev-parse", f"{REF}^") == old
    assert sandbox.tree(REF) == sandbox.tree(head)
    assert sandbox.git("log", "-1", "--format=%s", REF) == "feat: Second (#42)"
    assert trailers(sandbox) == ["Milestone: 7", "Milestone-Item: 42", f"Milestone-Head: {head}"]
    assert run.standing(42).merged
    assert sandbox.status() == checkout == ""
    assert sandbox.git("for-each-ref", "refs/milestone") == ""


def test_several_in_a_row_keep_each_others_work(sandbox: Sandbox) -> None:
    run = begin(sandbox, "test -f f")
    finish(sandbox, run, 41, {"f": "ONE\ntwo\nthree\n", "a": "a"})
    finish(sandbox, run, 42, {"f": "one\ntwo\nTHREE\n", "b": "b"})
    assert (merge(run, 42), merge(run, 41)) == ("merged", "merged")
    tree = sandbox.tree(REF)
    assert (tree["f"], tree["a"], tree["b"]) == (b"ONE\ntwo\nTHREE\n", b"a", b"b")
    assert sandbox.git("rev-list", "--count", f"main..{REF}") == "2"


def test_the_sessions_branch_may_be_gone(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"})
    sandbox.git("branch", "-D", "work/7/42")
    assert merge(run, 42) == "merged"


def test_the_lock_file_reaches_no_candidate(sandbox: Sandbox) -> None:
    run = begin(sandbox, f"test ! -e {LOCK_FILE}")
    finish(sandbox, run, 42, {LOCK_FILE: "{}", ".claude/settings.json": "{}"})
    assert merge(run, 42) == "merged"
    assert LOCK_FILE not in sandbox.tree(REF)
    assert ".claude/settings.json" in sandbox.tree(REF)


def test_partial_work_is_merged_and_its_rest_later(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "half"}, status="partial")
    assert merge(run, 42) == "merged"
    assert trailers(sandbox)[-1] == "Milestone-Part: partial"
    assert not sandbox.run().standing(42).settled
    first = sandbox.git("rev-parse", REF)
    queue.merge(run, run.dispatch.items[42])
    assert sandbox.git("rev-parse", REF) == first, "the same part is not merged twice"
    again = sandbox.run()
    assert (again.standing(42).word, again.standing(42).followed) == ("partial", True)
    assert again.dispatch.items[43].title == "Finish: Second"
    assert [[item.issue for item in wave.items] for wave in again.dispatch.waves] == [[41, 42], [43]]
    finish(sandbox, again, 43, {"a": "whole"}, base=REF)
    assert merge(again, 43) == "merged"
    assert trailers(sandbox)[-1] == "Milestone-Settles: 42"
    assert again.standing(42).merged
    assert sandbox.run().standing(42).merged
    (again.milestone.folder.path / "overlay.json").unlink()
    assert sandbox.run().standing(42).merged, "git says so"
    assert sandbox.tree(REF)["a"] == b"whole"


def test_work_that_is_there_already_is_merged_without_a_change(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 41, {"a": "same"})
    finish(sandbox, run, 42, {"a": "same"})
    assert (merge(run, 41), merge(run, 42)) == ("merged", "merged")
    assert sandbox.git("rev-parse", f"{REF}^{{tree}}") == sandbox.git("rev-parse", f"{REF}^^{{tree}}")


def test_attributes_of_the_branch_count(sandbox: Sandbox) -> None:
    run = begin(sandbox, begun={".gitattributes": "log merge=union\n", "log": "begin\n"})
    finish(sandbox, run, 41, {"log": "begin\nfirst\n"})
    finish(sandbox, run, 42, {"log": "begin\nsecond\n"})
    assert (merge(run, 41), merge(run, 42)) == ("merged", "merged")
    assert sandbox.tree(REF)["log"] == b"begin\nfirst\nsecond\n"


def test_attributes_that_an_item_brings_count_for_the_next(sandbox: Sandbox) -> None:
    run = begin(sandbox, begun={"log": "begin\n"})
    finish(sandbox, run, 41, {"log": "begin\nfirst\n", ".gitattributes": "log merge=union\n"})
    finish(sandbox, run, 42, {"log": "begin\nsecond\n"})
    assert (merge(run, 41), merge(run, 42)) == ("merged", "merged")


UNION: Files = {".gitattributes": "log merge=union\n", "log": "begin\n"}


def test_attributes_of_the_branch_count_for_the_first_merge_too(sandbox: Sandbox) -> None:
    run = begin(sandbox, begun=UNION)
    finish(sandbox, run, 42, {"log": "begin\nsecond\n"})
    sandbox.git("update-ref", REF, sandbox.branch_commit("theirs", "main", "feat: theirs", {"log": "begin\ntheirs\n"}))
    assert merge(sandbox.run(), 42) == "merged"
    assert sandbox.tree(REF)["log"] == b"begin\ntheirs\nsecond\n"


def test_a_run_that_begins_again_trusts_no_empty_worktree(sandbox: Sandbox) -> None:
    run = begin(sandbox, begun=UNION)
    sandbox.git("update-ref", REF, sandbox.branch_commit("theirs", "main", "feat: theirs", {"log": "begin\ntheirs\n"}))
    finish(sandbox, run, 42, {"log": "begin\nsecond\n"})
    detached.ensure(run.pool, run.place, sandbox.git("rev-parse", REF))  # and then it is killed
    assert merge(sandbox.run(), 42) == "merged"


def test_attributes_that_a_gate_has_seen_and_refused_are_nobodys(sandbox: Sandbox) -> None:
    run = begin(sandbox, "! grep union .gitattributes", begun={"log": "begin\n", ".gitattributes": "log -text\n"})
    finish(sandbox, run, 41, {"log": "begin\nfirst\n"})
    assert merge(run, 41) == "merged"
    finish(sandbox, run, 42, UNION)
    assert merge(run, 42) == "gate"
    finish(sandbox, run, 42, {"log": "begin\nsecond\n"}, attempt=2)
    assert merge(run, 42) == "conflict"


def test_what_attributes_say_is_checked_out_once(sandbox: Sandbox) -> None:
    run = begin(sandbox, begun=UNION)
    place = run.place
    finish(sandbox, run, 41, {"log": "begin\nfirst\n"})
    assert merge(run, 41) == "merged"
    shown = checkouts.head_of(place)
    finish(sandbox, run, 42, {"log": "begin\nsecond\n"})
    assert merge(run, 42) == "merged"
    assert checkouts.head_of(place) == shown
    assert sandbox.tree(REF)["log"] == b"begin\nfirst\nsecond\n"


def test_a_repeat_makes_the_same_commit(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"})
    old = sandbox.git("rev-parse", REF)
    merge(run, 42)
    made = sandbox.git("rev-parse", REF)
    assert sandbox.git("log", "-1", "--format=%at %ct", REF) == "1700000000 1700000000"
    sandbox.git("update-ref", REF, old)
    run.receipts.remove(records.Merge, 42)
    assert merge(sandbox.run(), 42) == "merged"
    assert sandbox.git("rev-parse", REF) == made


# what is not


CANNOT: dict[str, tuple[tuple[str, ...], Files, str, str]] = {
    "conflict": ((), {"f": "ONE?\ntwo\nthree\n"}, "conflict", "medium: f: line 1: both sides change the same line"),
    "deleted against changed": ((), {"f": None}, "conflict", "heavy: f: modify/delete"),
    "gate says no": (("true", "echo why >&2; exit 3"), {"b": "b"}, "gate", "exit 3: why"),
    "gate is missing": (("no-such-program",), {"b": "b"}, "gate", "exit 127"),
    "gate changes a file": (("echo formatted > f",), {"b": "b"}, "gate", "changed tracked files: f"),
    "gate adds to the index": (("echo x > new && git add new",), {"b": "b"}, "gate", "changed tracked files: new"),
    "gate commits": (("git commit -q --allow-empty -m mine && echo x > f",), {"b": "b"}, "gate", "changed tracked"),
    "gate finds the work of another": (("test ! -e b",), {"b": "b"}, "gate", "exit 1"),
}


@pytest.mark.parametrize(("gates", "files", "status", "why"), CANNOT.values(), ids=list(CANNOT))
def test_what_stands_in_the_way_leaves_nothing(
    sandbox: Sandbox, gates: tuple[str, ...], files: Files, status: str, why: str
) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 41, {"f": "ONE!\ntwo\nthree\n"})
    merge(run, 41)
    sandbox.plan([[{"issue": 41, "title": "First"}, {"issue": 42, "title": "Second"}]], gates={"pre_merge": gates})
    finish(sandbox, run, 42, files, base="main~1")
    run, before = sandbox.run(), (sandbox.git("rev-parse", REF), sandbox.tree(REF))
    assert merge(run, 42) == status
    assert why in reason(run, 42)
    assert (sandbox.git("rev-parse", REF), sandbox.tree(REF)) == before
    assert bool(sandbox.git("for-each-ref", "refs/milestone/7/candidate")) == (status == "gate"), "for who fixes it"
    assert not run.standing(42).needs_session, "its session is not to be done again"
    assert run.standing(42).word == status
    assert sandbox.status() == ""


def test_a_gate_that_failed_is_tried_again_on_the_head_of_now(sandbox: Sandbox) -> None:
    run = begin(sandbox, "test -f a")
    finish(sandbox, run, 42, {"b": "b"})
    assert merge(run, 42) == "gate"
    log = Path(read(run, 42).log)
    assert log.is_relative_to(run.milestone.folder.path / "gates")
    assert log.exists()
    finish(sandbox, run, 41, {"a": "a"})
    assert (merge(run, 41), merge(run, 42)) == ("merged", "merged")


def test_gates_see_the_candidate_and_no_leftovers(sandbox: Sandbox) -> None:
    run = begin(sandbox, 'test "$(git status --porcelain)" = "" && touch left && git diff --quiet HEAD')
    finish(sandbox, run, 41, {"a": "a"})
    finish(sandbox, run, 42, {"b": "b"})
    assert (merge(run, 41), merge(run, 42)) == ("merged", "merged")


def test_an_item_waits_for_what_it_depends_on(sandbox: Sandbox) -> None:
    run = begin(sandbox, items=[{"issue": 50, "title": "Later", "depends_on": [41, 42]}])
    finish(sandbox, run, 41, {"a": "a"})
    assert merge(run, 41) == "merged"
    old = sandbox.git("rev-parse", REF)
    assert merge(run, 50) == "waiting"
    assert reason(run, 50) == "waits for #42 (pending)"
    assert sandbox.git("rev-parse", REF) == old
    assert run.standing(50).word == "waiting"


@pytest.mark.parametrize("status", ["blocked", "failed", "timeout", "budget", "quota", "transient", "auth", "stopped",
                                    "crashed"])  # fmt: skip
def test_a_session_without_work_writes_no_merge(sandbox: Sandbox, status: str) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"}, status=status)
    old = sandbox.git("rev-parse", REF)
    assert merge(run, 42) is None
    assert sandbox.git("rev-parse", REF) == old


def test_a_skipped_item_stays_skipped(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"})
    run.receipts.write(records.Merge(status="skipped", reason="by hand"), 42)
    assert merge(sandbox.run(), 42) == "skipped"
    assert "a" not in sandbox.tree(REF)


@pytest.mark.parametrize("planned", ["complete", "skipped"])
def test_what_the_plan_leaves_out_is_not_merged(sandbox: Sandbox, planned: str) -> None:
    run = begin(sandbox, items=[{"issue": 50, "title": "Done", "status": planned}])
    finish(sandbox, run, 50, {"a": "a"})
    assert merge(run, 50) is None
    assert queue.is_done(run, run.dispatch.items[50])
    assert "a" not in sandbox.tree(REF)


def test_a_branch_that_is_gone_is_told(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"})
    sandbox.git("update-ref", "-d", REF)
    with pytest.raises(MilestoneError, match="milestone/7-test is gone"):
        queue.merge(run, run.dispatch.items[42])


# gates


@pytest.fixture
def tally(sandbox: Sandbox) -> Callable[[], list[str]]:
    """What the gates `note(...)` have noted, a line a time that one was run."""

    def read() -> list[str]:
        path = sandbox.root / ".git" / "tally"
        return path.read_text().split() if path.exists() else []

    return read


def note(word: str) -> str:
    return f'echo {word} >> "$(git rev-parse --git-common-dir)/tally"'


def ledger_of(run: Run) -> Path:
    return run.milestone.folder.path / "gates" / "green"


def test_a_gate_that_was_green_on_the_tree_is_not_run_on_it_again(
    sandbox: Sandbox, tally: Callable[[], list[str]]
) -> None:
    run = begin(sandbox, note("one"), f"{note('two')}; test -e ../allowed", note("three"))
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "gate"
    assert tally() == ["one", "two"]
    assert merge(sandbox.run(), 42) == "gate"
    assert tally() == ["one", "two", "two"], "what failed is asked again, what passed is not"
    (run.milestone.folder.path / "allowed").touch()
    assert merge(sandbox.run(), 42) == "merged"
    assert tally() == ["one", "two", "two", "two", "three"]
    tree = sandbox.git("rev-parse", f"{REF}^{{tree}}")
    assert [line.split()[0] for line in ledger_of(run).read_text().splitlines()] == [tree] * 3


def test_nothing_is_checked_out_where_all_is_known(sandbox: Sandbox, tally: Callable[[], list[str]]) -> None:
    run = begin(sandbox, note("one"))
    finish(sandbox, run, 41, {"a": "same"})
    finish(sandbox, run, 42, {"a": "same"})
    assert merge(run, 41) == "merged"
    first = sandbox.git("rev-parse", REF)
    assert merge(run, 42) == "merged"
    assert sandbox.git("rev-parse", REF) != first
    assert tally() == ["one"]
    assert sandbox.git("rev-parse", "HEAD", cwd=run.place) == first


def test_another_tree_or_another_command_is_gated(sandbox: Sandbox, tally: Callable[[], list[str]]) -> None:
    run = begin(sandbox, note("one"))
    finish(sandbox, run, 41, {"a": "a"})
    finish(sandbox, run, 42, {"b": "b"})
    assert (merge(run, 41), merge(run, 42)) == ("merged", "merged")
    assert tally() == ["one", "one"]
    landing.check(run)
    assert tally() == ["one", "one"]
    sandbox.plan([[{"issue": 41, "title": "First"}, {"issue": 42, "title": "Second"}]],
                 gates={"pre_merge": [note("one"), note("two")]})  # fmt: skip
    landing.check(sandbox.run())
    assert tally() == ["one", "one", "one", "two"], "main has moved by the plan: another tree"


@pytest.mark.parametrize("damage", [b"", b"\0\xff\n" * 9, b"torn"])
def test_a_damaged_ledger_costs_a_repeat(sandbox: Sandbox, tally: Callable[[], list[str]], damage: bytes) -> None:
    run = begin(sandbox, note("one"), "test -e ../allowed")
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "gate"
    ledger_of(run).write_bytes(damage)
    (run.milestone.folder.path / "allowed").touch()
    assert merge(run, 42) == "merged"
    assert tally() == ["one", "one"]


@pytest.mark.parametrize(
    "gate", ["echo x > f", "git commit -q --allow-empty -m mine", "echo x > f && git commit -qam mine"]
)
def test_a_gate_that_changes_what_it_judges_has_never_passed(sandbox: Sandbox, gate: str) -> None:
    run = begin(sandbox, gate, "true")
    finish(sandbox, run, 42, {"a": "a"})
    for _ in range(2):
        assert merge(run, 42) == "gate"
        assert not ledger_of(run).exists()


CODES = {"exit": ("echo 1; echo '  why' >&2; exit 3", 3), "missing": ("no-such-program", 127),
         "no program": ("./f", 126), "over time": ("echo begun; exec sleep 60", 124),
         "signal": ("kill -9 $$", 137), "changes": ("echo said; echo x > f", 0)}  # fmt: skip


@pytest.mark.parametrize(("gate", "code"), CODES.values(), ids=list(CODES))
def test_the_receipt_of_a_failed_gate(sandbox: Sandbox, gate: str, code: int) -> None:
    run = begin(sandbox, "echo fine", gate)
    finish(sandbox, run, 42, {"a": "a"})
    run = sandbox.run(timeout="1s" if code == 124 else "1m")
    queue.merge(run, run.dispatch.items[42])
    receipt = json.loads(run.receipts.path(records.Merge, 42).read_text())
    assert (receipt["status"], receipt["code"]) == ("gate", code)
    assert receipt["log"] == str(run.milestone.folder.path / "gates" / "42-2.log")
    assert receipt["tail"] == Path(receipt["log"]).read_text().splitlines()
    assert (run.milestone.folder.path / "gates" / "42-1.log").read_text() == "fine\n"


def test_the_tail_is_short(sandbox: Sandbox) -> None:
    run = begin(sandbox, "seq 1 9999; printf '\\tE  a\\033[0m\\n\\n'; head -c 999 /dev/zero | tr '\\0' x; exit 1")
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "gate"
    assert read(run, 42).tail == ("9997", "9998", "9999", "    E  a [0m", "x" * 160)


def test_the_landings_receipt_has_it_too(sandbox: Sandbox) -> None:
    sandbox.plan([[{"issue": 42, "title": "Second"}]], gates={"post_merge": ["echo one; echo two; exit 9"]})
    run = sandbox.run()
    run.pool.write_excludes()
    integration.begin(run)
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "merged"
    with pytest.raises(MilestoneError, match="exit 9: two"):
        landing.check(run)
    receipt = json.loads((run.milestone.folder.path / "gates.json").read_text())
    assert (receipt["status"], receipt["code"], receipt["tail"]) == ("failed", 9, ["one", "two"])


# others, and the end of the process at any moment


def test_a_branch_that_others_move_is_merged_onto_as_it_is(sandbox: Sandbox) -> None:
    theirs = f"git update-ref {REF} $(git commit-tree -p {REF} -m theirs {REF}^{{tree}})"
    run = begin(sandbox, f"test -e ../once || {{ touch ../once; {theirs}; }}")
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "merged"
    assert sandbox.git("log", "--format=%s", f"main..{REF}").splitlines() == ["feat: Second (#42)", "theirs"]


def test_a_branch_that_never_rests_is_told(sandbox: Sandbox) -> None:
    more = f'{{ git ls-tree {REF} | awk "\\$4 != \\"n\\""; printf "100644 blob %s\\tn\\n" "$blob"; }} | git mktree'
    theirs = f"git update-ref {REF} $(git commit-tree -p {REF} -m theirs $({more}))"
    run = begin(sandbox, f"echo . >> ../n && blob=$(git hash-object -w ../n) && {theirs}")
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "conflict"
    assert "moved by others" in reason(run, 42)
    assert "a" not in sandbox.tree(REF)
    assert len((run.place.parent / "n").read_text()) == 2 * queue.TRIES, "gated anew each time"


def test_git_shows_a_merge_when_the_run_folder_is_gone(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"})
    merge(run, 42)
    old = sandbox.git("rev-parse", REF)
    for name in ("result.json", "merge.json"):
        (run.milestone.folder.item(42) / name).unlink()
    again = sandbox.run()
    assert queue.is_done(again, again.dispatch.items[42])
    assert again.standing(42).word == "merged"
    assert merge(again, 42) is None
    assert sandbox.git("rev-parse", REF) == old


KILLED = """
import os, signal, sys
from pathlib import Path
from work_milestone import git
from work_milestone.git import detached
from work_milestone.merging import queue
from work_milestone.run import Run

def die(*_args, **_fields):
    os.kill(os.getpid(), signal.SIGKILL)

run = Run(Path.cwd(), {"n": "7"})
move = git.Repo.move

def move_and_die(repo, ref, *args):
    die() if ref == run.history.ref else move(repo, ref, *args)

where = {"before the gates": (detached, "checkout", die), "before the ref": (git.Repo, "move", move_and_die),
         "before the receipt": (queue, "_record", die)}[sys.argv[1]]
setattr(*where)
queue.merge(run, run.dispatch.items[42])
"""


@pytest.mark.parametrize(("moment", "moved"), [("before the gates", False), ("before the ref", False),
                                               ("before the receipt", True)])  # fmt: skip
def test_killed_at_a_moment_merges_once(sandbox: Sandbox, moment: str, moved: bool) -> None:
    run = begin(sandbox, "true")
    finish(sandbox, run, 42, {"a": "a"})
    old = sandbox.git("rev-parse", REF)
    done = subprocess.run([sys.executable, "-c", KILLED, moment], cwd=sandbox.root, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (sandbox.git("rev-parse", REF) != old) is moved
    again = sandbox.run()
    assert again.standing(42).merge is None
    assert again.standing(42).merged is moved
    queue.merge(again, again.dispatch.items[42])
    assert again.standing(42).merged
    assert sandbox.git("rev-list", "--count", f"{old}..{REF}") == "1"
    assert sandbox.tree(REF)["a"] == b"a"
    assert sandbox.git("for-each-ref", "refs/milestone/7/candidate") == ""


# what a commit says of itself


TITLES = {
    "plain": "Add auth middleware",
    "newline": "Add auth\n\nMilestone-Item: 99\n",
    "500 characters": "x" * 500,
    "500 words": "word " * 500,
    "trailer": "Milestone-Item: 99",
    "emoji": "🦀 crab 👩‍💻",
    "option": "--force",
    "own prefix": "fix(core)!: keep the lock",
    "comment": "# not a comment",
    "divider": "---",
    "scissors": "# ------------------------ >8 ------------------------",
    "format": "%H %(trailers) {{ x }} $(id) `id`",
    "controls": "a\x1b[31mb\0c\u2028d\u202e",
    "issue": "(#99) fixes #98",
    "blank to the eye": "\u200b",
}
SUBJECTS = [
    "Milestone-Item: 99",
    "fix: one",
    "",
    "--force",
    "---",
    "a\nMilestone: 8",
    "Co-authored-by: A <a@b.invalid>",
]
Message = Callable[[str, list[str], str], str]


@pytest.fixture
def message(sandbox: Sandbox) -> Message:
    sandbox.plan([[{"issue": 42, "title": "t"}]])
    run = sandbox.run()

    def make(title: str, subjects: list[str], status: str) -> str:
        item = run.dispatch.items[42].model_copy(update={"title": title})
        commits = tuple(records.Commit(id="c" * 40, subject=subject) for subject in subjects)
        work = records.Work(status=status, attempt=1, head="a" * 40, commits=commits)
        return candidates.write_message(run.milestone.number, item, work)

    return make


def check(sandbox: Sandbox, text: str, status: str) -> str:
    """Have git say what a message is; return its subject."""
    parsed = sandbox.git("interpret-trailers", "--parse", stdin=text.encode()).splitlines()
    part = ["Milestone-Part: partial"] if status == "partial" else []
    assert parsed == ["Milestone: 7", "Milestone-Item: 42", f"Milestone-Head: {'a' * 40}", *part]
    commit = sandbox.git("commit-tree", "HEAD^{tree}", "-F", "-", stdin=text.encode())
    assert trailers(sandbox, commit) == parsed
    subject = text.split("\n", 1)[0]
    assert text.startswith(subject + "\n\n"), "one line, and a blank one"
    assert sandbox.git("log", "-1", "--format=%s", commit) == subject
    assert subject.endswith("(#42)")
    assert subject.isprintable()
    assert len(subject) <= candidates.SUBJECT_WIDTH + 20
    return subject


@pytest.mark.parametrize("status", ["complete", "partial"])
@pytest.mark.parametrize("title", TITLES.values(), ids=list(TITLES))
def test_message_has_one_subject_and_our_trailers(sandbox: Sandbox, message: Message, title: str, status: str) -> None:
    subject = check(sandbox, message(title, SUBJECTS, status), status)
    expected = "fix(core)!: " if title.startswith("fix") else "fix: "
    assert subject.startswith(expected)
    assert not subject.startswith("fix: fix")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.text(min_size=1), st.lists(st.text(), max_size=4), st.sampled_from(["complete", "partial"]))
@example("x", [], "complete")
def test_any_message_has(sandbox: Sandbox, message: Message, title: str, subjects: list[str], status: str) -> None:
    check(sandbox, message(title, subjects, status), status)


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        ([], "feat"), (["work", "more work"], "feat"), (["fix: a"], "fix"), (["docs: a", "fix: b", "fix: c"], "fix"),
        (["docs: a", "fix: b"], "docs"), (["fix: b", "docs: a"], "fix"), (["test(api): a"], "test"),
        (["perf!: a"], "perf"), (["fix(x)!: a"], "fix"), (["fixes: a", "fix a", "fix:"], "feat"), (["Fix: a"], "feat"),
        (["wip: a"], "feat"), (["work", "chore: a"], "chore"),
    ],
)  # fmt: skip
def test_commonest_type(subjects: list[str], expected: str) -> None:
    assert candidates.find_commonest_type(subjects) == expected


def test_what_main_is_to_become_is_the_same_commit_whenever_it_is_made(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 42, {"a": "a"})
    assert merge(run, 42) == "merged"
    built = candidate.build(run)
    assert isinstance(built, candidate.Candidate)
    dates = sandbox.git("log", "--no-walk", "--format=%ct", "main", REF).split()
    assert sandbox.git("log", "-1", "--format=%at %ct", built.commit) == f"{max(dates)} {max(dates)}"
    assert candidate.build(sandbox.run()) == built
