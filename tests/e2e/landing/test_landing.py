"""The landing: main moves to what was gated, and never over anything of a person's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.harness import Sandbox, item, plan

WAVES = [[item(1), item(2)]]
TOUCH = 'echo new > README.md; commit "docs: readme"; report COMPLETE'


def make(box: Sandbox, *, post: list[str] | None = None) -> Sandbox:
    return box.make(plan(WAVES, post=post or []))


def commit_elsewhere(box: Sandbox, path: str, text: str) -> str:
    """A shell line that moves main behind the run's back, once, from a worktree of its own."""
    place = box.outside / "colleague"
    return box.script(
        "colleague.sh",
        f'mkdir "$OUT/moved" 2> /dev/null || exit 0\n'
        f'git worktree add -q --detach "{place}" main && cd "{place}" && echo {text} > {path} && git add -A && '
        f'git commit -qm "feat: of a colleague" && git update-ref refs/heads/main HEAD && cd / && '
        f'git -C "{box.root}" worktree remove --force "{place}"',
    )


def require_waits(box: Sandbox, words: str, main: str) -> None:
    starts = box.starts()
    done = box.milestone(rc=1)
    assert "ready to land" in done.text
    assert words in done.text
    assert box.rev() == main
    assert box.starts() == (starts or {1: 1, 2: 1})


def test_a_modified_file_that_the_landing_changes(box: Sandbox) -> None:
    make(box).behave(1, TOUCH)
    main = box.rev()
    box.write("README.md", "mine\n")
    done = box.milestone("allow_dirty=yes", rc=1)
    assert "ready to land" in done.text
    assert "README.md" in done.text
    assert (box.root / "README.md").read_text() == "mine\n"
    assert box.rev() == main
    box.git("checkout", "-q", "--", "README.md")
    box.milestone()
    box.require_landed(1, 2)
    box.require_clean()
    assert box.starts() == {1: 1, 2: 1}


def test_a_modified_file_elsewhere_survives(box: Sandbox) -> None:
    make(box).write("README.md", "mine\n")
    assert "README.md" in box.milestone(rc=1).err
    assert box.starts() == {}
    box.milestone("allow_dirty=yes")
    assert (box.root / "README.md").read_text() == "mine\n"
    assert (box.root / "item-1.txt").exists()
    assert box.git("status", "--porcelain") == " M README.md"


def test_an_untracked_file_in_the_way(box: Sandbox) -> None:
    main = make(box).rev()
    mine = box.write("item-1.txt", "mine\n")
    box.write("item-x.txt", "mine\n")
    require_waits(box, "item-1.txt", main)
    assert mine.read_text() == "mine\n"
    mine.unlink()
    box.milestone()
    assert box.git("status", "--porcelain") == "?? item-x.txt"
    assert box.starts() == {1: 1, 2: 1}


def test_a_held_index_lock(box: Sandbox) -> None:
    make(box)
    main, lock = box.rev(), box.root / ".git/index.lock"
    lock.touch()
    require_waits(box, "index.lock", main)
    lock.unlink()
    box.milestone()
    box.require_clean()


def test_main_checked_out_nowhere(box: Sandbox) -> None:
    make(box).git("switch", "-qc", "topic")
    box.milestone()
    assert box.git("symbolic-ref", "--short", "HEAD") == "topic"
    assert "item-1.txt" in box.files("main")
    assert not (box.root / "item-1.txt").exists()
    assert box.git("status", "--porcelain") == ""


def test_a_detached_checkout(box: Sandbox) -> None:
    make(box).git("switch", "-q", "--detach")
    head = box.rev("HEAD")
    box.milestone()
    assert box.rev("HEAD") == head
    assert "item-1.txt" in box.files("main")
    box.require_clean()


def test_main_checked_out_in_another_worktree(box: Sandbox) -> None:
    make(box).git("switch", "-qc", "topic")
    place = box.outside / "other"
    box.git("worktree", "add", "-q", str(place), "main")
    box.milestone()
    assert (place / "item-1.txt").exists()
    assert box.git("status", "--porcelain", cwd=place) == ""


def test_main_that_moved_meanwhile_is_built_upon_and_gated_again(box: Sandbox) -> None:
    box.git("config", "receive.denyCurrentBranch", "ignore")
    box.make(plan(WAVES, post=['echo . >> "$OUT/gated"', f"({commit_elsewhere(box, 'colleague.txt', 'theirs')})"]))
    box.git("switch", "-qc", "topic")
    box.milestone()
    assert {"item-1.txt", "item-2.txt", "colleague.txt"} <= box.files()
    assert len(box.lines("gated")) == 2
    assert box.git("log", "-1", "--format=%s", "main^1") == "feat: of a colleague"


def test_main_that_moved_and_conflicts(box: Sandbox) -> None:
    box.make(plan(WAVES, post=[f"({commit_elsewhere(box, 'README.md', 'theirs')})"])).behave(1, TOUCH)
    box.git("switch", "-qc", "topic")
    done = box.milestone(rc=1)
    assert "README.md" in done.text
    assert "main has moved and conflicts with milestone/3-test" in done.text
    assert box.show("README.md") == "theirs"
    assert box.git("status", "--porcelain") == ""
    box.git("switch", "-q", "milestone/3-test")  # what the message says
    box.git("merge", "-q", "main", rc=1)
    box.write("README.md", "both\n")
    box.git("commit", "-qam", "merge: main")
    box.git("switch", "-q", "topic")
    box.milestone()
    assert box.show("README.md") == "both"
    assert box.starts() == {1: 1, 2: 1}
    assert not box.git("for-each-ref", "refs/heads/milestone", "refs/heads/work")


def test_a_gate_before_the_landing_fails(box: Sandbox) -> None:
    make(box, post=['test -f "$OUT/allowed"'])
    main = box.rev()
    for _ in range(2):
        done = box.milestone(rc=1)
        assert "main is untouched" in done.text
        assert "gates/landing-1.log" in done.text
        assert box.rev() == main
    (box.outside / "allowed").touch()
    box.milestone()
    box.require_landed(1, 2)
    box.require_clean()
    assert box.starts() == {1: 1, 2: 1}


@pytest.fixture
def remote(box: Sandbox) -> str:
    """A bare remote that has main."""
    bare = box.outside / "remote.git"
    make(box)
    box.git("init", "-q", "--bare", "-b", "main", str(bare))
    box.git("remote", "add", "origin", str(bare))
    box.git("push", "-q", "-u", "origin", "main")
    return str(bare)


def remote_refs(box: Sandbox, remote: str) -> list[str]:
    return box.git("--git-dir", remote, "for-each-ref", "--format=%(refname)").split()


def protect(box: Sandbox, remote: str) -> Path:
    """Let the remote refuse pushes to main, for as long as this hook is there."""
    refuse = "while read old new ref; do [ $ref != refs/heads/main ] || exit 1; done"
    return box.hook("pre-receive", refuse, Path(remote))


def test_the_remote_gets_it(box: Sandbox, remote: str) -> None:
    box.milestone()
    assert box.git("--git-dir", remote, "rev-parse", "main") == box.rev()
    assert remote_refs(box, remote) == ["refs/heads/main"]
    box.require_clean()


def test_remote_none_pushes_nothing(box: Sandbox, remote: str) -> None:
    box.milestone("remote=none")
    assert box.git("--git-dir", remote, "rev-parse", "main") == box.rev("main^1")


def test_the_remotes_main_has_moved(box: Sandbox, remote: str) -> None:
    place = box.outside / "clone"
    box.git("clone", "-q", remote, str(place))
    (place / "theirs.txt").write_text("theirs\n")
    box.git("add", "-A", cwd=place)
    box.git("commit", "-qm", "feat: of a colleague", cwd=place)
    box.git("push", "-q", cwd=place)
    box.milestone()
    assert {"theirs.txt", "item-1.txt"} <= box.files()
    assert box.git("--git-dir", remote, "rev-parse", "main") == box.rev()
    box.require_clean()


@pytest.mark.parametrize("squashed", [False, True])
def test_a_protected_main_waits_until_somebody_has_merged_it_there(box: Sandbox, remote: str, squashed: bool) -> None:
    hook = protect(box, remote)
    main = box.rev()
    done = box.milestone(rc=1)
    assert "ready to land, but origin refuses the push to main" in done.text
    assert "milestone/3-test is pushed" in done.text
    assert box.rev() == main == box.git("--git-dir", remote, "rev-parse", "main")
    hook.unlink()
    place = box.outside / "clone"
    box.git("clone", "-q", remote, str(place))
    how = ["--squash"] if squashed else ["--no-ff", "--no-edit"]
    box.git("merge", "-q", *how, "origin/milestone/3-test", cwd=place)
    if squashed:
        box.git("commit", "-qm", "feat: squashed there", cwd=place)
    box.git("push", "-q", "origin", "main", cwd=place)
    box.milestone()
    assert box.rev() == box.git("--git-dir", remote, "rev-parse", "main") == box.git("rev-parse", "HEAD", cwd=place)
    assert remote_refs(box, remote) == ["refs/heads/main"]
    box.require_clean()
    box.milestone()
    assert "landed" in box.doit("status", "n=3", rc=0).out
    assert box.starts() == {1: 1, 2: 1}


def test_the_branch_pushed_for_a_refused_landing_is_gone_at_the_remote(box: Sandbox, remote: str) -> None:
    box.behave(1, TOUCH)
    hook = protect(box, remote)
    assert "milestone/3-test is pushed" in box.milestone(rc=1).text
    assert len(remote_refs(box, remote)) == 2
    hook.unlink()
    box.write("README.md", "mine\n")
    assert "README.md; commit or stash" in box.milestone("allow_dirty=yes", rc=1).text
    box.git("checkout", "-q", "--", "README.md")
    box.milestone()
    assert remote_refs(box, remote) == ["refs/heads/main"]
    assert box.git("--git-dir", remote, "rev-parse", "main") == box.rev()
    box.require_landed(1, 2)
    box.require_clean()


def test_a_remote_out_of_reach(box: Sandbox, remote: str) -> None:
    box.git("remote", "set-url", "origin", str(box.outside / "nowhere.git"))
    main = box.rev()
    require_waits(box, "origin", main)
    box.git("remote", "set-url", "origin", remote)
    box.milestone()
    box.require_clean()
