"""The pool of worktrees: nothing of one session reaches the next, and nothing of the user's changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from work_milestone import git
from work_milestone.git import checkouts, detached, salvage
from work_milestone.git.worktrees import LOCK_FILE, Pool
from work_milestone.system import GitError

if TYPE_CHECKING:
    from tests.conftest import Sandbox

PIN = "refs/milestone/7/attempt/42/1"


@pytest.fixture
def pool(sandbox: Sandbox) -> Pool:
    """The pool of a run: links to `.venv`, which is there, and to `node_modules`, which is not."""
    sandbox.write({".gitignore": "*.log\n/build/\n/.milestone/\n.venv\n"})
    sandbox.base = sandbox.commit("chore: ignore", {})
    sandbox.write({".venv/bin/python": "a program\n"})
    return fresh(sandbox)


def fresh(sandbox: Sandbox) -> Pool:
    """The same pool as the next run sees it."""
    made = Pool(git.Repo(sandbox.root), sandbox.root / ".milestone/7/worktrees", (".venv", "node_modules"))
    made.write_excludes()
    return made


def fingerprint(path: Path) -> set[str]:
    """Everything that lies in a worktree, followed into no link."""
    return {str(Path(folder, name).relative_to(path)) for folder, folders, files in os.walk(path)
            for name in (*folders, *files)}  # fmt: skip


def assert_clean(pool: Pool, path: Path, branch: str, base: str) -> None:
    state = checkouts.read_state(pool.repo, path, env=pool.environment())
    assert (state.branch, state.head) == (branch, base)
    assert (state.tracked, state.untracked, state.unmerged) == ((), (), ())
    assert fingerprint(path) == {".git", ".gitignore", "README.md", ".venv"}
    assert (path / "README.md").read_text() == "hello\n"
    assert (path / ".venv").is_symlink()
    assert not (path / "README.md").stat().st_mode & 0o111
    pool.repo.call("fsck", "--no-dangling", cwd=path)


# what a session may leave behind

Mess = Callable[["Sandbox", Path], object]


def _commits(sandbox: Sandbox, path: Path) -> None:
    sandbox.commit("feat: work", {"README.md": "mine\n", "new": "x"}, path)


def _dirty(sandbox: Sandbox, path: Path) -> None:
    sandbox.write({"README.md": "changed\n", ".gitignore": None, "deep/new": "x", "-f": "", "a\nb": ""}, path)


def _staged(sandbox: Sandbox, path: Path) -> None:
    _dirty(sandbox, path)
    sandbox.git("add", "-A", cwd=path)


def _ignored(sandbox: Sandbox, path: Path) -> None:
    sandbox.write({"x.log": "1", "build/out": "2", "deep/y.log": "3", LOCK_FILE: "{}"}, path)


def _nested(sandbox: Sandbox, path: Path) -> None:
    for name in ("vendor", "build"):
        sandbox.git("init", "-q", str(path / name))
        sandbox.commit("feat: nested", {"file": "x"}, path / name)


def _conflict(sandbox: Sandbox, path: Path) -> None:
    """Two commits on one base that cannot both be."""
    sandbox.commit("feat: one", {"README.md": "one\n"}, path)
    sandbox.git("checkout", "-q", "-b", "other", sandbox.base, cwd=path)
    sandbox.commit("feat: two", {"README.md": "two\n"}, path)


def _half(*command: str) -> Mess:
    def leave(sandbox: Sandbox, path: Path) -> None:
        branch = sandbox.git("symbolic-ref", "--short", "HEAD", cwd=path)
        _conflict(sandbox, path)
        done = subprocess.run(["git", *command, branch], cwd=path, capture_output=True, check=False)
        assert done.returncode == 1

    return leave


def _link_replaced(sandbox: Sandbox, path: Path) -> None:
    (path / ".venv").unlink()
    sandbox.write({".venv/bin/python": "another\n"}, path)


def _index_lock(sandbox: Sandbox, path: Path) -> None:
    Path(sandbox.git("rev-parse", "--absolute-git-dir", cwd=path), "index.lock").touch()


def _repoint(sandbox: Sandbox, path: Path) -> None:
    (path / ".git").write_text("gitdir: /nonexistent\n")


def _bit(option: str) -> Mess:
    def leave(sandbox: Sandbox, path: Path) -> None:
        sandbox.git("update-index", option, "README.md", cwd=path)
        sandbox.write({"README.md": "changed\n"}, path)

    return leave


def _file_instead(sandbox: Sandbox, path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("x")


def _link_instead(sandbox: Sandbox, path: Path) -> None:
    (path / "README.md").unlink()
    (path / "README.md").symlink_to("x")


def _read_only(sandbox: Sandbox, path: Path) -> None:
    sandbox.write({"deep/x": ""}, path)
    (path / "deep").chmod(0o500)


def _own_config(sandbox: Sandbox, path: Path) -> None:
    sandbox.git("config", "extensions.worktreeConfig", "true", cwd=path)
    sandbox.git("config", "--worktree", "user.name", "Somebody", cwd=path)


MESSES: dict[str, Mess] = {
    "nothing": lambda sandbox, path: None,
    "commits": _commits,
    "untracked and changed": _dirty,
    "staged": _staged,
    "ignored": _ignored,
    "nested repositories": _nested,
    "half a merge": _half("merge"),
    "half a rebase": _half("rebase"),
    "half a cherry-pick": _half("cherry-pick"),
    "another branch": lambda sandbox, path: sandbox.git("checkout", "-q", "-b", "mine", cwd=path),
    "detached": lambda sandbox, path: sandbox.git("checkout", "-q", "--detach", cwd=path),
    "unborn branch": lambda sandbox, path: sandbox.git("checkout", "-q", "--orphan", "none", cwd=path),
    "index.lock": _index_lock,
    "link replaced": _link_replaced,
    "link removed": lambda sandbox, path: (path / ".venv").unlink(),
    "no .git": lambda sandbox, path: (path / ".git").unlink(),
    "wrong .git": _repoint,
    "garbage .git": lambda sandbox, path: (path / ".git").write_bytes(b"\xff\xfe"),
    "gone": lambda sandbox, path: shutil.rmtree(path),
    "a file in its place": _file_instead,
    "broken index": lambda sandbox, path: Path(sandbox.git("rev-parse", "--absolute-git-dir", cwd=path),
                                               "index").write_bytes(b"broken"),
    "bisecting": lambda sandbox, path: sandbox.git("bisect", "start", cwd=path),
    "assume-unchanged": _bit("--assume-unchanged"),
    "mode": lambda sandbox, path: (path / "README.md").chmod(0o755),
    "tracked is a link": _link_instead,
    "read-only folder": _read_only,
}  # fmt: skip
# What only a worktree that is replaced is rid of.
BENT: dict[str, Mess] = {
    "skip-worktree": _bit("--skip-worktree"),
    "sparse": lambda sandbox, path: sandbox.git("sparse-checkout", "set", "--no-cone", "/none", cwd=path),
    "own config": _own_config,
}


@pytest.mark.parametrize("restarted", [False, True], ids=["same run", "next run"])
@pytest.mark.parametrize("mess", [*MESSES.values(), *BENT.values()], ids=[*MESSES, *BENT])
def test_reuse_leaves_no_trace(sandbox: Sandbox, pool: Pool, mess: Mess, restarted: bool) -> None:
    before = sandbox.status()
    first = pool.take("work/7/41", sandbox.base)
    assert_clean(pool, first, "work/7/41", sandbox.base)
    mess(sandbox, first)
    if restarted:
        pool = fresh(sandbox)
    else:
        pool.free(first)
    second = pool.take("work/7/42", sandbox.base)
    assert_clean(pool, second, "work/7/42", sandbox.base)
    # The same branch again, as a further attempt asks for it.
    pool.free(second)
    assert_clean(pool, pool.take("work/7/42", sandbox.base), "work/7/42", sandbox.base)
    assert sandbox.status() == before


def test_a_session_does_not_commit_under_the_name_that_the_one_before_has_set(sandbox: Sandbox, pool: Pool) -> None:
    first = pool.take("work/7/41", sandbox.base)
    _own_config(sandbox, first)
    pool.free(first)
    assert git.Repo(pool.take("work/7/42", sandbox.base)).config("user.name") != "Somebody"


def test_a_worktree_is_reused_and_set_to_the_new_base(sandbox: Sandbox, pool: Pool) -> None:
    first = pool.take("work/7/41", sandbox.base)
    pool.free(first)
    base = sandbox.commit("feat: later", {"README.md": "later\n"})
    assert pool.take("work/7/42", base) == first
    assert (first / "README.md").read_text() == "later\n"
    assert pool.take("work/7/43", base) != first, "what is in use is given to nobody else"


def test_a_worktree_that_is_kept_is_not_given_away(sandbox: Sandbox, pool: Pool) -> None:
    adopted = pool.take("work/7/41", sandbox.base)
    sandbox.write({"README.md": "at work\n"}, adopted)
    later = fresh(sandbox)
    later.keep(adopted)
    assert later.take("work/7/42", sandbox.base) != adopted
    assert (adopted / "README.md").read_text() == "at work\n"
    later.free(adopted)
    assert later.take("work/7/43", sandbox.base) == adopted


def test_the_branch_of_an_earlier_run_is_taken_over_by_its_worktree(sandbox: Sandbox, pool: Pool) -> None:
    places = {branch: pool.take(branch, sandbox.base) for branch in ("work/7/1", "work/7/2", "work/7/3")}
    later = fresh(sandbox)
    for branch in ("work/7/3", "work/7/1", "work/7/2"):
        assert later.take(branch, sandbox.base) == places[branch]


def test_making_that_was_killed_is_replaced(sandbox: Sandbox, pool: Pool) -> None:
    """What SIGKILL leaves of `worktree add`: locked, "initializing", without a checkout."""
    path = pool.folder / "1"
    sandbox.git("worktree", "add", "-q", "--no-checkout", "-b", "work/7/41", str(path))
    sandbox.git("worktree", "lock", "--reason", "initializing", str(path))
    assert_clean(pool, pool.take("work/7/41", sandbox.base), "work/7/41", sandbox.base)


@pytest.mark.parametrize("name", ["1", "7", "notes"])
def test_a_folder_that_is_no_worktree_is_no_obstacle(sandbox: Sandbox, pool: Pool, name: str) -> None:
    sandbox.write({f"{name}/half/file": "x"}, pool.folder)
    assert_clean(pool, pool.take("work/7/41", sandbox.base), "work/7/41", sandbox.base)
    assert not (pool.folder / name / "half").exists()


def test_sixteen_threads_take_and_free_at_once(sandbox: Sandbox, pool: Pool) -> None:
    def use(number: int) -> Path:
        path = pool.take(f"work/7/{number}", sandbox.base)
        assert sandbox.git("symbolic-ref", "--short", "HEAD", cwd=path) == f"work/7/{number}"
        sandbox.write({"trace": str(number)}, path)
        assert fingerprint(path) == {".git", ".gitignore", "README.md", ".venv", "trace"}
        if number % 2:
            pool.free(path)
        return path

    with ThreadPoolExecutor(16) as threads:
        paths = list(threads.map(use, range(16)))
    held = [path for number, path in enumerate(paths) if number % 2 == 0]
    assert len(set(held)) == 8
    with ThreadPoolExecutor(16) as threads:
        more = list(threads.map(lambda number: pool.take(f"work/7/{number}", sandbox.base), range(20, 36)))
    assert len({*held, *more}) == 24
    assert {checkout.path for checkout in checkouts.find_all(pool.repo)} == {sandbox.root, *held, *more, *paths}


# what git and the user see


def test_links_and_lock_file_are_never_in_git_status(sandbox: Sandbox, pool: Pool) -> None:
    folders = "/.milestone/\n.venv/\nnode_modules/\n"  # which links do not match
    base = sandbox.commit("chore: ignore folders", {".gitignore": folders})
    sandbox.write({"node_modules/left-pad/index.js": "x"})
    path = pool.take("work/7/41", base)
    sandbox.write({LOCK_FILE: "{}", ".claude/settings.json": "{}"}, path)
    assert (path / "node_modules").is_symlink()
    state = checkouts.read_state(pool.repo, path, env=pool.environment())
    assert (state.tracked, state.untracked) == ((), (".claude/",))
    salvage.commit_rest(pool.repo, path, pool.environment(), "chore: rest")
    assert set(sandbox.tree("work/7/41")) - set(sandbox.tree(base)) == {".claude/settings.json"}


def test_links_go_around_what_is_tracked(sandbox: Sandbox, pool: Pool) -> None:
    base = sandbox.commit("feat: tracked modules", {"node_modules/own.js": "x"})
    path = pool.take("work/7/41", base)
    assert not (path / "node_modules").is_symlink()
    assert checkouts.read_state(pool.repo, path, env=pool.environment()).tracked == ()


def test_cleaning_never_follows_a_link(sandbox: Sandbox, pool: Pool) -> None:
    path = pool.take("work/7/41", sandbox.base)
    pool.free(path)
    pool.take("work/7/42", sandbox.base)
    pool.remove_all()
    assert (sandbox.root / ".venv/bin/python").read_text() == "a program\n"


@pytest.mark.parametrize("where", ["setting", "default"])
def test_the_users_own_excludes_still_count(sandbox: Sandbox, pool: Pool, tmp_path: Path, where: str,
                                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    ignore = tmp_path / (".config/git/ignore" if where == "default" else "my ignore")
    ignore.parent.mkdir(parents=True, exist_ok=True)
    ignore.write_text("*.swp")
    if where == "setting":
        sandbox.git("config", "core.excludesFile", str(ignore))
    again = fresh(sandbox)
    path = again.take("work/7/41", sandbox.base)
    sandbox.write({"x.swp": "", LOCK_FILE: "", "seen": ""}, path)
    assert checkouts.read_state(again.repo, path, env=again.environment()).untracked == ("seen",)
    assert ignore.read_text() == "*.swp"


def test_remove_all_ends_a_removal_that_was_killed_half_way(sandbox: Sandbox, pool: Pool) -> None:
    known = sandbox.root / ".git/worktrees/1"
    pool.take("work/7/1", sandbox.base)
    (known / "gitdir").unlink()
    assert len(sandbox.git("worktree", "list").splitlines()) == 1
    pool.remove_all()
    assert not known.exists()


def test_remove_all_leaves_the_main_worktree_alone(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    sandbox.write({"README.md": "the user's\n", "untracked": "x"})
    before, config = sandbox.status(), (sandbox.root / ".git/config").read_bytes()
    sandbox.git("worktree", "add", "-q", "-b", "theirs", str(tmp_path / "theirs"))
    paths = [pool.take(f"work/7/{number}", sandbox.base) for number in range(4)]
    other = pool.folder.parent / "integration"
    detached.checkout(pool, other, sandbox.base)
    _index_lock(sandbox, paths[0])
    (paths[1] / ".git").unlink()
    shutil.rmtree(paths[2])
    pool.remove_all(other)
    assert {checkout.path for checkout in checkouts.find_all(pool.repo)} == {sandbox.root, tmp_path / "theirs"}
    assert not pool.folder.exists()
    assert not other.exists()
    assert (sandbox.status(), (sandbox.root / ".git/config").read_bytes()) == (before, config)
    assert_clean(pool, pool.take("work/7/1", sandbox.base), "work/7/1", sandbox.base)


@pytest.mark.parametrize("name", ["", ".", "worktrees", "worktrees/..", "worktrees/1/sub", "theirs", "missing"])
def test_only_what_lies_in_the_pool_is_removed_or_given_away(
    sandbox: Sandbox, pool: Pool, tmp_path: Path, name: str
) -> None:
    """A damaged record may name any folder: the user's other worktree, the repository, the run's own."""
    sandbox.git("worktree", "add", "-q", "-b", "theirs", str(tmp_path / "theirs"))
    mine = pool.take("work/7/1", sandbox.base)
    place = Path() if not name else tmp_path / name if name == "theirs" else pool.folder.parent / name
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(GitError, match="stays"):
        pool.drop(place)
    pool.free(place)
    assert sorted(tmp_path.rglob("*")) == before
    assert_clean(pool, mine, "work/7/1", sandbox.base)
    assert pool.take("work/7/2", sandbox.base).parent == pool.folder


def test_a_link_in_place_of_a_worktree_is_not_followed(sandbox: Sandbox, pool: Pool, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    sandbox.git("worktree", "add", "-q", "-b", "theirs", str(theirs))
    (theirs / "untracked").write_text("a person's\n")
    mine = pool.take("work/7/1", sandbox.base)
    shutil.rmtree(mine)
    mine.symlink_to(theirs)
    pool.drop(mine)
    assert not mine.is_symlink()
    assert (theirs / "untracked").read_text() == "a person's\n"
    assert sandbox.git("rev-parse", "--abbrev-ref", "HEAD", cwd=theirs) == "theirs"
    assert_clean(pool, pool.take("work/7/1", sandbox.base), "work/7/1", sandbox.base)


# the worktree where gates run


def test_gates_see_just_the_commit_and_keep_their_caches(sandbox: Sandbox, pool: Pool) -> None:
    place = pool.folder.parent / "integration"
    detached.checkout(pool, place, sandbox.base)
    sandbox.write({"left": "x", "README.md": "formatted\n", "build/cache": "warm"}, place)
    head = sandbox.commit("feat: more", {"more": "x"})
    detached.checkout(pool, place, head)
    assert fingerprint(place) == {".git", ".gitignore", "README.md", ".venv", "more", "build", "build/cache"}
    state = checkouts.read_state(pool.repo, place, env=pool.environment())
    assert (state.head, state.branch, state.tracked) == (head, None, ())


@pytest.mark.parametrize(
    "mess", ["half a rebase", "index.lock", "no .git", "wrong .git", "gone", "nested repositories"]
)
def test_gates_worktree_is_made_anew_where_it_is_broken(sandbox: Sandbox, pool: Pool, mess: str) -> None:
    place = pool.folder.parent / "integration"
    detached.checkout(pool, place, sandbox.base)
    sandbox.git("checkout", "-q", "-b", "for the mess".replace(" ", "-"), cwd=place)
    MESSES[mess](sandbox, place)
    detached.checkout(pool, place, sandbox.base)
    state = checkouts.read_state(pool.repo, place, env=pool.environment())
    assert (state.head, state.branch, state.tracked, state.untracked) == (sandbox.base, None, (), ())


# nothing is lost


def test_pin_keeps_tracked_and_untracked_and_not_what_is_ignored(sandbox: Sandbox, pool: Pool) -> None:
    path = pool.take("work/7/42", sandbox.base)
    head = sandbox.commit("feat: committed", {"committed": "1"}, path)
    sandbox.write({"README.md": "changed\n", "staged": "2", "new\nfile": "3", "x.log": "4", LOCK_FILE: "{}"}, path)
    sandbox.git("add", "staged", cwd=path)
    before = checkouts.read_state(pool.repo, path, env=pool.environment())
    salvage.pin(pool.repo, path, pool.environment(), PIN, 1_700_000_000)
    tree = sandbox.tree(PIN)
    assert set(tree) == {".gitignore", "README.md", "committed", "staged", "new\nfile"}
    assert tree["README.md"] == b"changed\n"
    assert sandbox.git("rev-parse", f"{PIN}^") == head
    assert checkouts.read_state(pool.repo, path, env=pool.environment()) == before, "as it was, its index too"
    assert sandbox.git("diff", "--cached", "--name-only", cwd=path) == "staged"
    assert [entry.name for entry in pool.folder.iterdir()] == [path.name]


def test_rescue_keeps_the_files_of_what_is_no_worktree_any_more(sandbox: Sandbox, pool: Pool) -> None:
    path = pool.take("work/7/42", sandbox.base)
    head = sandbox.commit("feat: committed", {"committed": "1"}, path)
    sandbox.write({"README.md": "changed\n", "new\nfile": "3", "x.log": "4", LOCK_FILE: "{}"}, path)
    (path / ".git").unlink()
    sandbox.git("init", "-q", cwd=path)
    salvage.rescue(pool.repo, path, pool.environment(), PIN, head, 1_700_000_000)
    assert set(sandbox.tree(PIN)) == {".gitignore", "README.md", "committed", "new\nfile"}
    assert sandbox.tree(PIN)["README.md"] == b"changed\n"
    assert sandbox.git("rev-parse", f"{PIN}^") == head


def test_pin_of_a_clean_worktree_is_its_head(sandbox: Sandbox, pool: Pool) -> None:
    path = pool.take("work/7/42", sandbox.base)
    salvage.pin(pool.repo, path, pool.environment(), PIN, 0)
    assert sandbox.git("rev-parse", PIN) == sandbox.base


def test_pin_keeps_a_merge_that_is_unfinished(sandbox: Sandbox, pool: Pool) -> None:
    path = pool.take("work/7/42", sandbox.base)
    MESSES["half a merge"](sandbox, path)
    salvage.pin(pool.repo, path, pool.environment(), PIN, 1_700_000_000)
    assert b"<<<<<<<" in sandbox.tree(PIN)["README.md"]


def test_a_ref_that_keeps_one_thing_is_not_set_to_another(sandbox: Sandbox, pool: Pool) -> None:
    later = sandbox.commit("feat: later", {})
    for commit in (sandbox.base, sandbox.base, later):
        salvage.keep(pool.repo, PIN, commit)
    assert set(pool.repo.refs("refs/milestone").values()) == {sandbox.base, later}
    assert pool.repo.resolve(PIN) == sandbox.base


def test_a_claim_ends_with_the_worktree(sandbox: Sandbox, pool: Pool) -> None:
    path = pool.take("work/7/42", sandbox.base)
    assert not detached.is_claimed(path, "mine")
    detached.claim(path, "mine")
    assert detached.is_claimed(path, "mine")
    assert not detached.is_claimed(path, "another's")
    assert_clean(pool, path, "work/7/42", sandbox.base)
    pool.remove(path)
    assert not detached.is_claimed(path, "mine")


@pytest.mark.parametrize("hook", ["pre-commit", "commit-msg", "post-commit", "prepare-commit-msg"])
def test_commit_rest_runs_no_hooks(sandbox: Sandbox, pool: Pool, hook: str) -> None:
    script = sandbox.root / ".git/hooks" / hook
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\ntouch {sandbox.root}/ran\nexit 1\n")
    script.chmod(0o755)
    path = pool.take("work/7/42", sandbox.base)
    sandbox.write({"rest": "x"}, path)
    salvage.commit_rest(pool.repo, path, pool.environment(), "chore: rest")
    assert sandbox.git("log", "-1", "--format=%s", "work/7/42") == "chore: rest"
    assert not (sandbox.root / "ran").exists()
