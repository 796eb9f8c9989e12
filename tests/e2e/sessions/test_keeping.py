"""Nothing that a session made is lost, committed or not, whoever or whatever stands in its way."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

LOCKED = 'touch "$(git rev-parse --git-path index.lock)"'


@pytest.mark.parametrize("status", ["COMPLETE", "FAILED"])
def test_what_is_uncommitted_beside_a_lock_that_a_killed_git_left_is_kept(box: Sandbox, status: str) -> None:
    box.make(plan([[item(1)]]), retries=0)
    box.behave(1, f"work; echo rest > rest.txt; {LOCKED}; report {status}")
    box.milestone(rc=1)
    box.mend(1)
    box.milestone()
    assert {"item-1.txt", "rest.txt"} <= box.files("refs/milestone/3/attempt/1/1")
    box.require_landed(1)
    box.require_clean()


def test_what_is_left_uncommitted_is_committed_for_it(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), files={".gitignore": "*.tmp\n"}, links=["heavy"])
    (box.root / "heavy").mkdir()
    box.behave(1, "work; echo more > more.txt; echo x > x.tmp; echo changed > README.md; report COMPLETE")
    box.git("status")
    box.milestone()
    assert box.show("more.txt") == "more"
    assert box.show("README.md") == "changed"
    assert not {path for path in box.files() if path.endswith((".tmp", ".lock")) or path.startswith("heavy")}
    assert "left uncommitted" in box.git("log", "--format=%B", "main")


def test_the_work_of_an_item_skipped_after_its_conflict_is_kept(box: Sandbox) -> None:
    box.make(plan([[item(1), item(3)]]))
    for issue in (1, 3):
        box.behave(issue, f"echo {issue} > README.md; commit 'docs: mine'; report COMPLETE")
    assert "conflict: medium: README.md" in box.milestone("mends=0", rc=1).out
    loser = 4 - next(iter(box.squashes("milestone/3-test")))
    box.doit(f"skip:{loser}", "n=3", rc=0)
    box.milestone()
    assert box.show("README.md") == str(4 - loser)
    assert box.show("README.md", f"refs/milestone/3/attempt/{loser}/1") == str(loser)
    box.require_clean()


def test_commits_on_a_branch_of_the_users_with_an_items_name_are_kept(box: Sandbox) -> None:
    box.make(plan([[item(1)]]))
    box.git("switch", "-qc", "work/3/1-item-1")
    box.write("mine.txt", "mine\n")
    box.git("add", "mine.txt")
    box.git("commit", "-qm", "feat: mine")
    box.git("switch", "-q", "main")
    box.milestone()
    assert "mine.txt" in box.kept(1)
    box.require_own_files(1)
    box.require_clean()


def test_what_a_ref_keeps_is_not_overwritten_once_the_run_folder_is_gone(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), retries=0)
    for name in ("first", "second", "third"):
        box.behave(1, f"echo {name} > {name}.txt; commit 'feat: {name}'; echo {name} > {name}-left.txt; exit 1")
        box.milestone("branch=resume", rc=1)
        box.run("rm", "-rf", ".milestone/3")
    assert {f"{name}{end}.txt" for name in ("first", "second", "third") for end in ("", "-left")} <= box.kept(1)
