"""All that can be known to fail is said before anything starts, all at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Sandbox, item, plan

PLAN = plan([[item(1)]])
Break = Callable[[Sandbox], object]


def _dirty(box: Sandbox) -> None:
    box.write("README.md", "changed\n")


def _merge(box: Sandbox) -> None:
    (box.root / ".git/MERGE_HEAD").write_text(box.rev() + "\n")


def _rebase(box: Sandbox) -> None:
    (box.root / ".git/rebase-merge").mkdir()


def _foreign(box: Sandbox) -> None:
    when = "2001-01-01T00:00:00Z"
    env = {"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when}
    made = box.run("git", "commit-tree", "main^{tree}", "-p", "main", "-m", "old", env=env).out.strip()
    box.git("branch", "milestone/3-test", made)


def _checked_out(box: Sandbox) -> None:
    box.git("switch", "-qc", "milestone/3-test")


def _nobody(box: Sandbox) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        del box.env[f"GIT_{role}_NAME"], box.env[f"GIT_{role}_EMAIL"]
    box.git("config", "user.useConfigOnly", "true")


def _plan(text: str) -> Break:
    def breaks(box: Sandbox) -> None:
        box.write("plan/milestone-3-dispatch.yaml", text)

    return breaks


def _settings(text: str) -> Break:
    def breaks(box: Sandbox) -> None:
        box.write("milestone.yaml", text)

    return breaks


def _git(*words: str) -> Break:
    return lambda box: box.git(*words)


STATES: dict[str, tuple[Break, str]] = {  # of the repository, which nothing that only looks asks about
    "lock file of a session": (lambda box: box.write(".claude/kage-bunshin.lock", "{}"), "kage-bunshin.lock"),
    "modified files": (_dirty, "README.md"),
    "unfinished merge": (_merge, "a merge is unfinished"),
    "unfinished rebase": (_rebase, "a rebase is unfinished"),
    "nobody who commits": (_nobody, "git config user.name"),
    "branch in the way": (_git("branch", "milestone"), "git branch -m milestone milestone-old"),
    "work in the way": (_git("branch", "work"), "git branch -m work work-old"),
    "work/3 in the way": (_git("branch", "work/3"), "git branch -m work/3 work/3-old"),
    "branches below": (_git("branch", "milestone/3-test/x"), "milestone/3-test/"),
    "integration branch checked out": (_checked_out, "is checked out in"),
}
FILES: dict[str, tuple[Break, str]] = {  # and refs that loading reads
    "no main": (_git("branch", "-m", "main", "trunk"), "main=NAME"),
    "main of another name": (_settings("command: 'true'\nmain: nowhere\n"), "branch nowhere does not exist"),
    "integration branch is main": (_plan(PLAN.replace("milestone/3-test", "main")), "both the integration branch"),
    "foreign branch": (_foreign, "(stale)"),
    "not groomed": (_plan(plan([[item(1, groomed=False)]])), "is not groomed"),
    "no plan": (lambda box: (box.root / "plan/milestone-3-dispatch.yaml").unlink(), "there is no such plan"),
    "plan is no YAML": (_plan("waves: [\n"), "plan/milestone-3-dispatch.yaml:"),
    "plan of nothing": (_plan(""), "plan/milestone-3-dispatch.yaml"),
    "plan of another number": (_plan(plan([[item(1)]], number=4)), "milestone.number is 4"),
    "issue twice": (_plan(plan([[item(1), item(1)]])), "issue 1 stands twice"),
    "unknown dependency": (_plan(plan([[item(1, 9)]])), "#9"),
    "dependency in the same wave": (_plan(plan([[item(1), item(2, 1)]])), "#1"),
    "unknown group": (_plan(plan([[item(1, conflict_group=5)]])), "5"),
    "unknown setting": (_settings("comand: 'true'\n"), "command"),
    "setting of a wrong type": (_settings("max_sessions: many\n"), "milestone.yaml:1"),
    "settings are no YAML": (_settings("a: [\n"), "milestone.yaml:"),
    "unknown agent": (_settings("agent: clawd\n"), "claude"),
    "no command": (_settings("agent: command\n"), "set command:"),
    "agent not on PATH": (_settings("agent: claude\n"), "no program 'claude' on PATH"),
}


@pytest.mark.parametrize("name", [*STATES, *FILES])
def test_each_fault(box: Sandbox, name: str) -> None:
    breaks, words = (STATES | FILES)[name]
    box.make(PLAN)
    box.env["PATH"] = _without_claude(box)
    breaks(box)
    before = (box.git("status", "--porcelain"), box.refs(), box.git("worktree", "list"))
    done = box.milestone(rc=1)
    assert words in done.text
    assert "Error" not in done.text
    assert before == (box.git("status", "--porcelain"), box.refs(), box.git("worktree", "list"))
    assert box.starts() == {}
    assert [path.name for path in (box.root / ".milestone/3").glob("*")] in ([], ["run.lock"])
    for word in ("list", "status") if name in FILES else ():
        box.doit(word, "n=3")


def _without_claude(box: Sandbox) -> str:
    """The PATH without a program that may be installed here."""
    folders = [folder for folder in box.env["PATH"].split(os.pathsep) if not (Path(folder) / "claude").exists()]
    return os.pathsep.join(folders)


def test_all_faults_at_once(box: Sandbox) -> None:
    box.make(plan([[item(1, groomed=False), item(2, command=None, agent="clawd")]]))
    _merge(box)
    _foreign(box)
    box.git("branch", "work")
    _nobody(box)
    box.write("README.md", "changed\n")
    done = box.milestone(rc=1)
    for words in ("a merge is unfinished", "git config user.name", "(stale)", "work-old", "README.md", "clawd"):
        assert words in done.err
    assert "not groomed" in done.err
    assert box.starts() == {}
    for word in ("list", "status"):
        box.doit(word, "n=3")


def test_no_repository_and_no_commit(box: Sandbox) -> None:
    box.make(PLAN)
    (box.root / ".git").rename(box.outside / "git")
    assert "git init" in box.milestone(rc=1).text
    box.git("init", "-q", "-b", "main", ".")
    assert "no commit yet" in box.milestone(rc=1).text
    assert not (box.root / ".milestone").exists()


def test_a_folder_below_the_top(box: Sandbox) -> None:
    box.make(PLAN)
    below = box.root / "below"
    below.mkdir()
    for name in ("dodo.py", "milestone.yaml", "plan"):
        (box.root / name).rename(below / name)
    done = box.run(*box.argv("milestone", "n=3"), cwd=below)
    assert done.rc == 1
    assert "not the top of its repository" in done.err


def test_a_foreign_branch_is_resumed_or_recreated(box: Sandbox) -> None:
    box.make(PLAN)
    place = box.outside / "place"
    box.git("worktree", "add", "-q", "-b", "milestone/3-test", str(place), "main")
    (place / "theirs.txt").write_text("theirs\n")
    box.git("add", "-A", cwd=place)
    box.git("commit", "-qm", "feat: theirs", cwd=place)
    box.git("worktree", "remove", str(place))
    theirs = box.rev("milestone/3-test")
    assert "branch=resume" in box.milestone(rc=1).text
    box.milestone("branch=recreate")
    assert "theirs.txt" not in box.files()
    assert theirs in box.git("for-each-ref", "--format=%(objectname)", "refs/milestone").split()


def test_a_foreign_branch_is_resumed(box: Sandbox) -> None:
    box.make(PLAN)
    tree = box.git("rev-parse", "main^{tree}")
    box.git("branch", "milestone/3-test", box.git("commit-tree", tree, "-p", "main", "-m", "theirs"))
    box.milestone("branch=resume")
    assert "theirs" in box.git("log", "--format=%s", "main").splitlines()
    assert "item-1.txt" in box.files()


def test_a_plan_and_settings_not_committed_yet(box: Sandbox) -> None:
    box.make(PLAN)
    box.write("plan/milestone-3-dispatch.yaml", plan([[item(1), item(2)]]))
    box.milestone()
    assert box.starts() == {1: 1, 2: 1}
    assert box.git("status", "--porcelain") == " M plan/milestone-3-dispatch.yaml"


def test_a_plan_without_waves_is_refused_in_a_line(box: Sandbox) -> None:
    box.make(plan([]))
    refs = box.refs()
    done = box.milestone(rc=1)
    assert "plan/milestone-3-dispatch.yaml" in done.err
    assert "no items" in done.err or "no waves" in done.err
    assert box.refs() == refs
    for words in (("list", "n=3"), ("status", "n=3")):
        box.doit(*words, rc=0)


def test_a_remote_that_does_not_exist_is_told_before_anything_starts(box: Sandbox) -> None:
    done = box.make(plan([[item(1)]])).milestone("remote=nowhere", rc=1)
    assert "remote nowhere does not exist" in done.err
    assert box.starts() == {}
    assert box.refs() == ["refs/heads/main"]


def test_a_file_where_the_lock_files_folder_belongs_is_told_before_anything_starts(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), files={".claude": "a file\n"})
    assert f"{box.root / '.claude'}: a file" in box.milestone(rc=1).err
    assert box.starts() == {}
    assert box.refs() == ["refs/heads/main"]
