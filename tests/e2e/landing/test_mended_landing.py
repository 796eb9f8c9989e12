"""What keeps the landing back, and sessions that fix or resolve it: main never gets what they have only said."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.e2e.harness import KEEP, Sandbox, item, plan
from tests.e2e.merging.sides import APP, GOOD, LIES, edit, hold, release, remove_branches, sides

CHANGE = "sed -i 's/^line 4$/main/' app.txt; git commit -qam 'feat: main'"
MEND = "touch good; commit 'fix: good'; report COMPLETE"


def script_on(box: Sandbox, script: str) -> str:
    """A shell line of an agent by which a person does something in the checkout."""
    return f"(cd '{box.root}'; {script}) >&2;"


def moved(box: Sandbox, script: str, *, files: dict[str, str] | None = None, **keys: Any) -> Sandbox:
    """Item 1 changes line 4; before the landing, a person changes main, by a script in the checkout."""
    box.make(plan([[item(1)]], **keys), files={"app.txt": APP, **(files or {})})
    box.behave(1, f"{script_on(box, script)} {edit('app.txt', 'line 4', 'one')}")
    return box


def wanting(box: Sandbox) -> Sandbox:
    """Item 1 does plain work; the gate before the landing wants more."""
    return box.make(plan([[item(1)]], post=["test -e good"]), files={"app.txt": APP})


def test_a_fix_session_before_the_landing(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], post=["! test -e item-1.txt || ! test -e item-2.txt"]))
    box.behave("landing-fix", f"{KEEP}; git mv item-2.txt two.txt; commit 'fix: two'; report COMPLETE")
    box.milestone()
    assert {"item-1.txt", "two.txt"} <= box.files()
    assert "item-2.txt" not in box.files()
    assert "fix: what the gates found before the landing" in box.git("log", "--format=%s")
    assert box.mends() == {"landing-fix": 1}
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_a_fix_that_never_helps_is_bounded_and_main_untouched(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=['test -e "$OUT/allowed"']))
    box.behave("landing-fix", "echo tried >> tried; commit 'fix: try'; report COMPLETE")
    main = box.rev()
    done = box.milestone(rc=1)
    assert "main is untouched" in done.text
    assert box.rev() == main
    assert box.mends() == {"landing-fix": 2}
    (box.outside / "allowed").touch()
    box.milestone()
    assert box.mends() == {"landing-fix": 2}
    box.require_landed(1)
    assert "tried" not in box.files(), "what has not helped is not merged"


def test_a_landing_fix_that_takes_the_milestone_back_does_not_land(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], post=["! test -e item-1.txt"]))
    box.behave("landing-fix", "git rm -q item-1.txt item-2.txt; commit 'fix: all'; report COMPLETE")
    main = box.rev()
    box.milestone(rc=1)
    assert box.rev() == main
    assert {"item-1.txt", "item-2.txt"} <= box.files("milestone/3-test")


def test_the_lock_file_that_a_landing_fix_commits_does_not_land(box: Sandbox) -> None:
    wanting(box)
    box.behave("landing-fix", "touch good; git add -A; git add -f .claude/*.lock; commit 'fix: good'; report COMPLETE")
    box.milestone()
    assert not [name for name in box.files() if "lock" in name]
    assert "good" in box.files()
    box.require_clean()


def test_main_that_conflicts_is_merged_by_a_session(box: Sandbox) -> None:
    moved(box, CHANGE).behave("landing-resolve", GOOD)
    box.milestone()
    assert sides(box) == {"one", "main"}
    assert box.mends() == {"landing-resolve": 1}
    assert box.starts() == {1: 1}
    box.require_clean()


# One of each way in which one is refused: that all lies are seen through is shown in merging/test_resolutions.py.
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
    assert sides(box) == {"one", "main"}
    assert "x" not in box.files()
    box.milestone()
    remove_branches(box)
    box.require_clean()


def test_main_that_moves_while_the_landing_is_fixed(box: Sandbox) -> None:
    wanting(box)
    more = "echo more > more.txt; git add more.txt; git commit -qm more"
    box.behave("landing-fix", f"{script_on(box, more)} {MEND}")
    box.milestone()
    assert {"more.txt", "good"} <= box.files()
    assert box.mends() == {"landing-fix": 1}
    box.require_clean()


def test_main_that_comes_to_conflict_while_the_landing_is_fixed(box: Sandbox) -> None:
    wanting(box).behave(1, edit("app.txt", "line 4", "one"))
    box.behave("landing-fix", f"{script_on(box, CHANGE)} {MEND}")
    box.behave("landing-resolve", GOOD)
    box.milestone()
    assert "good" in box.files()
    assert sides(box) == {"one", "main"}
    assert box.mends() == {"landing-fix": 1, "landing-resolve": 1}
    box.require_clean()


def test_the_branch_that_a_person_moves_while_the_landing_is_fixed(box: Sandbox) -> None:
    wanting(box)
    more = "git switch -q milestone/3-test; git commit -q --allow-empty -m more; git switch -q main"
    box.behave("landing-fix", f"{script_on(box, more)} {MEND}")
    done = box.milestone(rc=None)
    if done.rc:
        box.behave("landing-fix", MEND)
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
    box.behave("landing-fix", MEND)
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
    assert sides(box) == {"one", "main"}
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


def test_the_status_of_a_landing_that_a_session_mends(box: Sandbox) -> None:
    wanting(box)
    run = hold(box, MEND, "landing-fix")
    assert ".milestone/3/landing/attempts" in box.doit("status", "n=3").out
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    release(box, "landing-fix")
    box.doit("land", "n=3", rc=0)
    assert box.mends() == {"landing-fix": 1}
    assert "good" in box.files()
