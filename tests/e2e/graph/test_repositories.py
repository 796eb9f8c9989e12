"""Repositories out of the ordinary: with names, contents and settings that git has, and this tool makes nothing of."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan

GATE = 'git diff --quiet main || test -f "$OUT/allowed"'


def test_a_repository_with_everything_hostile_in_its_own_configuration(box: Sandbox) -> None:
    """A user's settings that change what git prints or does."""
    box.make()
    for line in """
        core.quotePath true | color.ui always | log.showSignature true | status.short true | merge.ff only
        diff.noprefix true | core.abbrev 5 | pull.rebase true | log.date relative | branch.autoSetupRebase always
        fetch.prune true | commit.template /nowhere | diff.external false | status.showUntrackedFiles no
        core.hooksPath /nowhere | rerere.enabled true | format.pretty oneline | merge.conflictStyle zdiff3
        checkout.defaultRemote x | commit.verbose true | trailer.separators % | core.pager false | diff.renames copies
    """.replace("\n", "|").split("|"):
        if words := line.split():
            box.git("config", *words)
    box.milestone()
    assert len(box.git("log", "--format=%H", "--grep=^Milestone-Item: ", "main").split()) == 6
    box.require_clean()


@pytest.mark.parametrize("folder", ["a b", "l\u2028ine", "x\x0bx", "é"])
def test_a_repository_in_a_folder_of_any_name(box: Sandbox, folder: str) -> None:
    box.root = box.root.rename(box.root.parent / folder)
    box.make(plan([[item(1)]])).milestone()
    box.require_landed(1)
    box.require_clean()


def test_a_run_folder_that_is_a_link_to_another_disk(box: Sandbox) -> None:
    elsewhere = box.outside / "elsewhere"
    elsewhere.mkdir()
    box.make(plan([[item(1)]]), files={".gitignore": ".milestone\n"})
    (box.root / ".milestone").symlink_to(elsewhere)
    box.milestone()
    box.require_landed(1)


def test_names_and_subjects_that_are_no_utf8_cost_one_session(box: Sandbox) -> None:
    """The worktree of one is the other's by the time that its result is read again."""
    box.make(plan([[item(1), item(2)]], pre=[GATE]), max_sessions=1)
    script = 'name=$(printf \'caf\\351\')-$MILESTONE_ITEM; echo x > "$name.txt"; commit "feat: $name"; report COMPLETE'
    for issue in (1, 2):
        box.behave(issue, script)
    assert "2 gate" in box.milestone(rc=1).out
    (box.outside / "allowed").touch()
    box.milestone()
    assert len([path for path in box.files() if path.startswith("caf")]) == 2
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_a_populated_submodule_of_a_failed_item_is_not_the_next_ones(box: Sandbox) -> None:
    source = box.outside / "library"
    box.git("init", "-q", "-b", "main", str(source))
    box.git("commit", "-q", "--allow-empty", "-m", "begin", cwd=source)
    box.make(plan([[item(1), item(2), item(3)]]), retries=0, max_sessions=1)
    allowed = ("-c", "protocol.file.allow=always", "submodule")
    box.git(*allowed, "--quiet", "add", str(source), "library")
    box.git("commit", "-qm", "chore: a submodule")
    base, pinned = box.rev(), box.rev("main:library")
    populate = f"git {' '.join(allowed)} --quiet update --init && cd library && echo x > x && git add x &&"
    box.behave(1, f"{populate} git commit -qm moved && cd .. && git add library && exit 1; touch $OUT/unpopulated")
    box.milestone(rc=1)
    assert not (box.outside / "unpopulated").exists()
    box.mend(1)
    box.milestone()
    assert box.rev("main:library") == pinned
    box.require_own_files(1, 2, 3)
    box.require_landed(1, 2, 3, base=base)


def test_a_repository_of_sha256(box: Sandbox) -> None:
    box.run("rm", "-rf", ".git")
    box.git("init", "-q", "-b", "main", "--object-format=sha256", ".")
    box.make(plan([[item(1), item(2)], [item(3, 1)]], pre=[GATE], post=["test -f item-1.txt"]), retries=0)
    box.behave(2, "echo half > half.txt; commit 'feat: half'; exit 1")
    assert "#1 gate: " in box.milestone(rc=1).out
    (box.outside / "allowed").touch()
    box.mend(2)
    box.milestone()
    assert len(box.rev()) == 64
    box.require_own_files(1, 2, 3)
    box.require_landed(1, 2, 3)
    assert "half.txt" in box.files("refs/milestone/3/attempt/2/1")
    assert box.starts() == {1: 1, 2: 2, 3: 1}
    assert "nothing to do" in box.milestone().out
    box.require_clean()
