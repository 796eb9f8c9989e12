"""Sessions that mend and do not do as they are told: nothing of theirs is believed that git does not show."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.merging.test_mending import APP, edit, two_sides

TAKE_BOTH = "sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt"
LIES = {
    "markers left": "git add -A; git commit -q --no-edit",
    "ours": "git checkout -q --ours .; git add -A; git commit -q --no-edit",
    "ours and more": "git checkout -q --ours .; echo x > x; git add -A; git commit -q --no-edit",
    "aborted": "git merge --abort",
    "aborted, something else": "git merge --abort; echo x > x; commit x",
    "another branch": f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; git checkout -q -b elsewhere-$$",
    "detached": f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; git checkout -q --detach",
    "reset to main": "git reset -q --hard main",
    "reset to main, something else": "git reset -q --hard main; echo x > x; commit x",
    "reset to the item": "git reset -q --hard MERGE_HEAD",
    "nothing": "true",
    "files deleted": f"{TAKE_BOTH}; git rm -q -f README.md; git add -A; git commit -q --no-edit",
    "flattened": "git merge --abort; git merge -q --squash work/3/1-item-1 >&2; echo x > x; commit x",
    "repository gone": "rm -rf .git",
    "worktree gone": 'rm -rf "$PWD"',
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_resolution_that_lies_is_not_merged(box: Sandbox, lie: str) -> None:
    two_sides(box, max_sessions=2)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{lie}; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert sum(box.mends().values()) == 2, "bounded"
    assert len(box.squashes("milestone/3-test")) == 1
    assert set(box.show("app.txt", "milestone/3-test").splitlines()) & {"one", "two"}
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; report COMPLETE")
    box.milestone()
    assert {"one", "two"} < set(box.show("app.txt").splitlines())
    assert "README.md" in box.files()
    assert "x" not in box.files()
    box.require_landed(1, 2)
    for branch in box.git("for-each-ref", "--format=%(refname:short)", "refs/heads/elsewhere-*").split():
        box.git("branch", "-D", branch)  # a session's own, which nobody takes away
    box.require_clean()


def test_a_resolution_left_uncommitted_is_committed(box: Sandbox) -> None:
    two_sides(box)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{TAKE_BOTH}; report COMPLETE")
    box.milestone()
    assert {"one", "two"} < set(box.show("app.txt").splitlines())
    box.require_landed(1, 2)
    box.require_clean()


def test_the_lock_file_that_a_resolution_commits_reaches_no_branch(box: Sandbox) -> None:
    two_sides(box)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{TAKE_BOTH}; git add -A; git add -f .claude; git commit -q --no-edit; report COMPLETE")
    box.milestone()
    assert not [name for name in box.files() if "lock" in name]
    box.require_landed(1, 2)


UNDONE = {
    "all": "git rm -q item-1.txt broken; commit 'fix: all'",
    "all but something else": "git rm -q item-1.txt broken; echo x > x; commit 'fix: all'",
    "reset": "git reset -q --hard HEAD^; echo x > x; commit 'fix: all'",
    "revert": "git revert --no-edit HEAD >&2",
    "orphan": "git checkout -q --orphan o$$; rm broken; commit x; git checkout -q -B $was",
}


@pytest.mark.parametrize("script", UNDONE.values(), ids=list(UNDONE))
def test_a_fix_that_takes_the_work_back_is_not_merged(box: Sandbox, script: str) -> None:
    box.make(plan([[item(1), item(2)]], pre=["! test -e broken"]))
    box.behave(1, "touch broken; work; report COMPLETE")
    box.behave("1-fix", f"was=$(git branch --show-current); {script}; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert 1 not in box.squashes("milestone/3-test")
    assert "x" not in box.files("milestone/3-test")


def test_a_landing_fix_that_takes_the_milestone_back_does_not_land(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], post=["! test -e item-1.txt"]))
    box.behave("landing-fix", "git rm -q item-1.txt item-2.txt; commit 'fix: all'; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert {"item-1.txt", "item-2.txt"} <= box.files("milestone/3-test")


def test_the_lock_file_that_a_landing_fix_commits_does_not_land(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=["test -e good"]))
    box.behave("landing-fix", "touch good; git add -A; git add -f .claude/*.lock; commit 'fix: good'; report COMPLETE")
    box.milestone()
    assert not [name for name in box.files() if "lock" in name]
    assert "good" in box.files()
    box.require_clean()


# stopped, and the same line again

GOOD = f"{TAKE_BOTH}; git add -A; git commit -q --no-edit; report COMPLETE"
HELD = 'mkfifo "$OUT/go-$name" 2>/dev/null; echo began > "$OUT/began"; read line < "$OUT/go-$name"'


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_resolution_is_begun_again_and_nothing_else_is(box: Sandbox, number: signal.Signals) -> None:
    two_sides(box)
    box.fifo("began")
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{HELD}; {GOOD}")
    run = box.begin("began")
    os.kill(run.pid, number)
    assert run.wait() == 128 + number
    box.await_idle()
    mended = next(iter(box.mends()))
    issue = mended.split("-")[0]
    assert box.receipt(f"items/{issue}/mend.json")["status"] == "stopped"
    assert "conflict" in box.doit("status", "n=3").out
    box.behave(mended, GOOD)
    box.milestone()
    assert box.mends() == {mended: 2}
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


@pytest.mark.parametrize("words", [(), ("mends=0",), ("mends=1",)])
def test_a_resolution_that_outlives_its_run_is_taken_up(box: Sandbox, words: tuple[str, ...]) -> None:
    two_sides(box)
    box.fifo("began")
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{HELD}; {GOOD}")
    run = box.begin("began")
    status = box.doit("status", "n=3").out
    assert "resolve" in status
    assert "running" in status
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    mended = next(iter(box.mends()))
    (box.outside / f"go-{mended}").write_text("go\n")
    box.milestone(*words)
    assert box.mends() == {mended: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_the_costs_of_all_sessions_are_told_once(box: Sandbox) -> None:
    """`command` agents cost nothing: a stub of claude tells 0.25 each."""
    box.make(plan([[item(1)]], pre=["! test -e broken"], post=["test -e good"]), agent="claude", command=None)
    said = '{"type":"result","subtype":"success","is_error":false,"result":"STATUS: COMPLETE","total_cost_usd":0.25}'
    stub = box.outside / "bin" / "claude"
    stub.parent.mkdir()
    stub.write_text(f"""#!/bin/sh
case $MILESTONE_KIND in
  work) echo 1 > item.txt; touch broken ;;
  *) if [ -e broken ]; then git rm -q broken; else touch good; fi ;;
esac
git add -A; git commit -qm 'fix: x'
echo '{said}'
""")
    stub.chmod(0o755)
    done = box.doit("milestone", "n=3", env={"PATH": f"{stub.parent}:{box.env['PATH']}"}, rc=0)
    assert "$0.50" in next(line for line in done.out.splitlines() if line.startswith("#1 "))
    assert "1 merged, $0.75" in done.out


def test_what_a_session_has_cost_is_not_forgotten_when_another_is_asked_for(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), agent="claude", command=None, retries=0)
    stub = box.outside / "bin" / "claude"
    stub.parent.mkdir()
    stub.write_text("""#!/bin/sh
[ $MILESTONE_ATTEMPT = 1 ] || { echo 1 > item.txt; git add -A; git commit -qm 'fix: x'; }
echo '{"type":"result","subtype":"success","is_error":false,"result":"STATUS: COMPLETE","total_cost_usd":0.25}'
""")
    stub.chmod(0o755)
    env = {"PATH": f"{stub.parent}:{box.env['PATH']}"}
    assert "$0.25" in box.doit("milestone", "n=3", env=env, rc=1).out
    box.doit("retry:1", "n=3", env=env, rc=0)
    assert "1 merged, $0.50" in box.doit("milestone", "n=3", env=env, rc=0).out


# the landing


def moved(box: Sandbox, script: str, *, files: dict[str, str] | None = None, **keys: Any) -> Sandbox:
    """Item 1 changes line 4; before the landing, a person changes main, by a script in the checkout."""
    box.make(plan([[item(1)]], **keys), files={"app.txt": APP, **(files or {})})
    box.behave(1, f"{script_on(box, script)} {edit('app.txt', 'line 4', 'one')}")
    return box


def script_on(box: Sandbox, script: str) -> str:
    return f"(cd '{box.root}'; {script}) >&2;"


CHANGE = "sed -i 's/^line 4$/main/' app.txt; git commit -qam 'feat: main'"


def test_main_that_conflicts_is_merged_by_a_session(box: Sandbox) -> None:
    moved(box, CHANGE).behave("landing-resolve", GOOD)
    box.milestone()
    assert {"one", "main"} < set(box.show("app.txt").splitlines())
    assert box.mends() == {"landing-resolve": 1}
    assert box.starts() == {1: 1}
    box.require_clean()


# One of each way in which one is refused: that all lies are seen through is shown above, by the same function.
LANDING_LIES = (
    "markers left", "ours", "aborted", "another branch", "reset to main", "nothing", "repository gone", "worktree gone",
)  # fmt: skip


@pytest.mark.parametrize("name", LANDING_LIES)
def test_a_resolution_of_the_landing_that_lies_does_not_land(box: Sandbox, name: str) -> None:
    moved(box, CHANGE).behave("landing-resolve", f"{LIES[name]}; report COMPLETE")
    done = box.milestone(rc=1)
    assert "git merge main" in done.text
    assert box.git("log", "-1", "--format=%s", "main") == "feat: main"
    assert box.git("log", "-1", "--format=%s", "milestone/3-test") == "feat: Item 1 (#1)"
    assert box.mends() == {"landing-resolve": 2}
    box.behave("landing-resolve", GOOD)
    box.doit("land", "n=3", rc=0)
    assert {"one", "main"} < set(box.show("app.txt").splitlines())
    assert "x" not in box.files()
    box.milestone()
    for branch in box.git("for-each-ref", "--format=%(refname:short)", "refs/heads/elsewhere-*").split():
        box.git("branch", "-D", branch)
    box.require_clean()


def test_main_that_moves_while_the_landing_is_fixed(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=["test -e good"]), files={"app.txt": APP})
    box.behave(1, edit("app.txt", "line 4", "one"))
    more = "echo more > more.txt; git add more.txt; git commit -qm more"
    box.behave("landing-fix", f"{script_on(box, more)} touch good; commit 'fix: good'; report COMPLETE")
    box.milestone()
    assert {"more.txt", "good"} <= box.files()
    assert box.mends() == {"landing-fix": 1}
    box.require_clean()


def test_main_that_comes_to_conflict_while_the_landing_is_fixed(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=["test -e good"]), files={"app.txt": APP})
    box.behave(1, edit("app.txt", "line 4", "one"))
    box.behave("landing-fix", f"{script_on(box, CHANGE)} touch good; commit 'fix: good'; report COMPLETE")
    box.behave("landing-resolve", GOOD)
    box.milestone()
    assert "good" in box.files()
    assert {"one", "main"} < set(box.show("app.txt").splitlines())
    assert box.mends() == {"landing-fix": 1, "landing-resolve": 1}
    box.require_clean()


def test_the_branch_that_a_person_moves_while_the_landing_is_fixed(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=["test -e good"]))
    more = "git switch -q milestone/3-test; git commit -q --allow-empty -m more; git switch -q main"
    box.behave("landing-fix", f"{script_on(box, more)} touch good; commit 'fix: good'; report COMPLETE")
    done = box.milestone(rc=None)
    if done.rc:
        box.behave("landing-fix", "touch good; commit 'fix: good'; report COMPLETE")
        box.milestone()
    assert {"good", "item-1.txt"} <= box.files()
    assert "more" in box.git("log", "--format=%s").splitlines()
    box.require_clean()


def test_a_landing_that_would_drop_all_of_it_waits(box: Sandbox) -> None:
    moved(box, CHANGE, files={".gitattributes": "app.txt merge=mine\n"})
    box.git("config", "merge.mine.driver", "true")
    done = box.milestone(rc=1)
    assert "would drop 1 line of app.txt: `one`" in done.text
    assert box.git("log", "-1", "--format=%s", "main") == "feat: main"
    assert "one" in box.show("app.txt", "milestone/3-test")


def test_the_branch_that_a_person_moves_while_the_fixed_landing_is_gated(box: Sandbox) -> None:
    more = "git update-ref refs/heads/milestone/3-test $(git commit-tree -p HEAD^2^ -m more HEAD^2^^{tree})"
    box.make(
        plan([[item(1)]], post=[f'test -e good && {{ test -e "$OUT/once" || {{ touch "$OUT/once"; {more}; }}; }}'])
    )
    box.behave("landing-fix", "touch good; commit 'fix: good'; report COMPLETE")
    assert "doit milestone n=3" in box.milestone(rc=1).err
    box.milestone()
    assert {"good", "item-1.txt"} <= box.files()
    assert "more" in box.git("log", "--format=%s").splitlines()
    box.require_clean()


def test_a_heavy_conflict_of_the_landing_waits_for_a_person(box: Sandbox) -> None:
    moved(box, "git rm -q app.txt; git commit -qm 'feat: away'")
    done = box.milestone(rc=1)
    assert "heavy" in done.text
    assert box.mends() == {}
    assert box.git("log", "-1", "--format=%s", "main") == "feat: away"
    assert "git merge main" in box.doit("land", "n=3", rc=1).text
    box.git("switch", "-q", "milestone/3-test")
    box.git("merge", "-q", "main", rc=None)
    box.git("add", "-A")
    box.git("commit", "-qm", "merge")
    box.git("switch", "-q", "main")
    box.doit("land", "n=3", rc=0)
    assert "one" in box.show("app.txt")


def test_the_remote_is_ahead_and_conflicts(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), files={"app.txt": APP})
    remote, other = box.outside / "remote.git", box.outside / "other"
    box.git("clone", "-q", "--bare", ".", str(remote))
    box.git("remote", "add", "origin", str(remote))
    box.git("clone", "-q", str(remote), str(other))
    theirs = f"cd '{other}'; {CHANGE}; git push -q origin main"
    box.behave(1, f"({theirs}) >&2; {edit('app.txt', 'line 4', 'one')}")
    box.behave("landing-resolve", GOOD)
    box.milestone()
    assert {"one", "main"} < set(box.show("app.txt").splitlines())
    assert box.git("rev-parse", "main") == box.git("ls-remote", "origin", "refs/heads/main").split()[0]
    assert box.mends() == {"landing-resolve": 1}


def test_a_trivial_conflict_of_the_landing_needs_no_session(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), files={"list.md": "# List\n\n- a\n- b\n"})
    main = script_on(box, "echo '- main' >> list.md; git commit -qam 'docs: main'")
    box.behave(1, f"{main} echo '- one' >> list.md; commit 'docs: one'; report COMPLETE")
    box.milestone()
    assert {"- main", "- one"} < set(box.show("list.md").splitlines())
    assert box.mends() == {}
    box.require_clean()


# many at once, and single steps


def three_sides(box: Sandbox, **settings: Any) -> Sandbox:
    """Items 1 to 4 change the same line; sessions count how many of them are at work."""
    box.make(plan([[item(1), item(2), item(3), item(4)]], pre=["test -e app.txt"]), files={"app.txt": APP}, **settings)
    for issue in range(1, 5):
        box.behave(issue, f"{COUNTED} {OLD} {edit('app.txt', 'line 4', f'side {issue}')}")
        box.behave(f"{issue}-resolve", f"{COUNTED} {GOOD}")
    return box


# A slot of its own, from the first that is free: the number of the highest is how many are at work.
COUNTED = """n=1; while ! mkdir "$OUT/slot-$n" 2>/dev/null; do n=$((n+1)); done; echo $n >> "$OUT/slots"
trap 'rmdir "$OUT/slot-$n"' EXIT;"""
OLD = "git reset -q --hard main;"  # as if the session had begun with the run


@pytest.mark.parametrize("schedule", ["waves", "eager"])
@pytest.mark.parametrize("most", [1, 2])
def test_many_conflicts_and_few_slots(box: Sandbox, most: int, schedule: str) -> None:
    three_sides(box, max_sessions=most, schedule=schedule, mends=4)
    box.milestone()
    assert {f"side {issue}" for issue in range(1, 5)} < set(box.show("app.txt").splitlines())
    assert max(map(int, box.lines("slots"))) <= most
    assert box.starts() == dict.fromkeys(range(1, 5), 1)
    box.require_landed(1, 2, 3, 4)
    box.require_clean()


def test_one_that_never_resolves_keeps_nobody_back(box: Sandbox) -> None:
    three_sides(box, max_sessions=1)
    # The first that is asked to resolve anything never does.
    first = (
        '[ -e "$OUT/bad" ] || echo $MILESTONE_ITEM > "$OUT/bad"; [ $MILESTONE_ITEM != "$(cat "$OUT/bad")" ] || exit 1;'
    )
    for issue in range(1, 5):
        box.behave(f"{issue}-resolve", f"{COUNTED} {first} {GOOD}")
    done = box.milestone(rc=1)
    bad = int((box.outside / "bad").read_text())
    assert set(box.squashes("milestone/3-test")) == {1, 2, 3, 4} - {bad}
    assert f"#{bad} conflict" in done.out
    box.doit(f"skip:{bad}", "n=3", rc=0)
    box.milestone()
    box.require_clean()


@pytest.mark.parametrize("step", ["merge", "mend", "item"])
def test_single_steps(box: Sandbox, step: str) -> None:
    two_sides(box)
    box.behave("2-resolve", GOOD)
    box.doit("item:1", "n=3", rc=0)
    (box.outside / "do-2").write_text(edit("app.txt", "line 4", "two") + "\n")
    box.doit("branch", "n=3", rc=0)
    box.behave(2, f"{OLD} {edit('app.txt', 'line 4', 'two')}")
    done = box.doit(f"{step}:2", "n=3")
    assert box.mends() == ({} if step == "merge" else {"2-resolve": 1})
    assert done.rc == 0
    box.milestone()
    assert {"one", "two"} < set(box.show("app.txt").splitlines())
    assert box.mends() == {"2-resolve": 1}
    box.require_clean()


@pytest.mark.parametrize("verb", ["retry", "skip", "again"])
@pytest.mark.parametrize("outcome", ["conflict", "gate", "dropped"])
def test_what_a_person_may_do_after(box: Sandbox, outcome: str, verb: str) -> None:
    attributes = {"app.txt": APP, ".gitattributes": "app.txt merge=mine\n" if outcome == "dropped" else ""}
    box.make(plan([[item(1)], [item(2)]], pre=["! test -e broken"]), files=attributes)
    box.git("config", "merge.mine.driver", "true")
    box.behave(1, edit("app.txt", "line 4", "one"))
    box.behave(2, f"{OLD} {edit('app.txt', 'line 2' if outcome == 'dropped' else 'line 4', 'two')}")
    if outcome == "gate":
        box.behave(2, "touch broken; work; report COMPLETE")
    for name in ("2-resolve", "2-fix"):
        box.behave(name, "echo STATUS: BLOCKED; echo BLOCKER: they exclude each other")
    done = box.milestone(rc=1)
    assert f"#2 {outcome}" in done.out
    assert "retry:2" in done.out
    if outcome != "dropped":
        assert "they exclude each other" in done.out
    if verb == "again":
        assert f"#2 {outcome}" in box.milestone(rc=1).out
        verb = "retry"
    box.doit(f"{verb}:2", "n=3", rc=0)
    box.behave(2, "work; report COMPLETE")
    box.milestone()
    assert ("item-2.txt" in box.files()) is (verb == "retry")
    assert "broken" not in box.files()
    assert "one" in box.show("app.txt")
    box.require_clean()


# files of every kind

WEIRD = {
    "a b.txt": "crlf",
    "-dash.txt": "plain",
    "new\nline.txt": "plain",
    "🦀.txt": "no end",
    "back\\slash.txt": "plain",
    ":(top)x.txt": "plain",
}
OPEN = """import os, re
from pathlib import Path
path = Path((Path(os.environ["OUT"]) / "name").read_text())
text = path.read_bytes()
"""
CHANGE_IT = """path.write_bytes(text.replace(b"line 4", b"side " + os.environ["MILESTONE_ITEM"].encode()))
if os.environ["MILESTONE_ITEM"] == "1":
    Path("picture.bin").write_bytes(bytes(9))
"""
RESOLVE_IT = r"""assert b"<<<<<<< " in text
both = re.sub(rb"^(<<<<<<<|>>>>>>>) .*\n|^\|{7}(?s:.*?)^=======\r?\n", b"", text, flags=re.M)
path.write_bytes(both)
"""


@pytest.mark.parametrize("name", WEIRD, ids=range(len(WEIRD)))
def test_a_conflict_in_a_file_of_any_name_and_end(box: Sandbox, name: str) -> None:
    box.make(plan([[item(1), item(2)]]))
    app = APP.replace("\n", "\r\n") if WEIRD[name] == "crlf" else APP
    (box.root / name).write_bytes((app.rstrip() if WEIRD[name] == "no end" else app).encode())
    (box.root / "picture.bin").write_bytes(bytes(range(256)))
    box.git("add", "-A")
    box.git("commit", "-qm", "chore: files")
    for file, text in (("name", name), ("change.py", OPEN + CHANGE_IT), ("resolve.py", OPEN + RESOLVE_IT)):
        (box.outside / file).write_text(text)
    for issue in (1, 2):
        box.behave(issue, 'python3 "$OUT/change.py"; commit "feat: side"; report COMPLETE')
        box.behave(f"{issue}-resolve", 'python3 "$OUT/resolve.py" && commit "merge"; report COMPLETE')
    box.milestone()
    text = box.run("git", "cat-file", "blob", f"main:{name}").out
    assert {"side 1", "side 2"} < {line.strip() for line in text.split("\n")}
    assert sum(box.mends().values()) == 1
    box.require_clean()


def test_a_gate_that_fails_but_once_pays_for_no_second_fix(box: Sandbox) -> None:
    box.make(plan([[item(1)]], pre=['test ! -e item-1.txt || test -e "$OUT/once" || { touch "$OUT/once"; exit 1; }']))
    box.behave("1-fix", "echo STATUS: COMPLETE; echo NOTES: nothing to fix")
    done = box.milestone(rc=None)
    assert box.mends() == {"1-fix": 1}, done.text
    box.require_landed(1)


def test_a_gate_red_on_merged_trees_alone(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], pre=["! test -e item-1.txt || ! test -e item-2.txt"]))
    for name in ("1-fix", "2-fix"):
        box.behave(name, "git mv item-2.txt two.txt; commit 'fix: two'; report COMPLETE")
    box.milestone()
    assert {"item-1.txt", "two.txt"} <= box.files()
    assert sum(box.mends().values()) == 1
    box.require_landed(1, 2)
    box.require_clean()


def test_accepted_gates_and_mends(box: Sandbox) -> None:
    box.make(plan([[item(1)]], pre=["exit 3", "! test -e broken"]))
    box.behave(1, "touch broken; work; report COMPLETE")
    box.behave("1-fix", "git rm -q broken; commit 'fix: broken'; report COMPLETE")
    box.milestone("gates=baseline")
    assert box.mends() == {"1-fix": 1}
    box.require_landed(1)


def test_a_resolution_that_moves_the_integration_branch_itself(box: Sandbox) -> None:
    two_sides(box, max_sessions=2)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"{GOOD}; git update-ref refs/heads/milestone/3-test HEAD")
    box.milestone()
    assert {"one", "two"} < set(box.show("app.txt").splitlines())
    box.milestone()
    assert sum(box.mends().values()) == 1


def test_processes_that_a_resolution_leaves_are_ended(box: Sandbox) -> None:
    two_sides(box)
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, f"(sleep 600 &) >/dev/null 2>&1; {GOOD}")
    box.milestone()
    assert box.processes() == []
    box.require_clean()


def test_the_status_of_a_landing_that_a_session_mends(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=["test -e good"]))
    box.fifo("began")
    box.behave("landing-fix", f"{HELD}; touch good; commit 'fix: good'; report COMPLETE")
    run = box.begin("began")
    assert ".milestone/3/landing/attempts" in box.doit("status", "n=3").out
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    (box.outside / "go-landing-fix").write_text("go\n")
    box.doit("land", "n=3", rc=0)
    assert box.mends() == {"landing-fix": 1}
    assert "good" in box.files()
