"""Every git command of the tool, against real git and names that are meant to hurt."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work_milestone import git
from work_milestone.git import checkouts, edits, merges, trees
from work_milestone.git import repo as repos
from work_milestone.system import GitError

if TYPE_CHECKING:
    from tests.conftest import Sandbox

HOSTILE = ("a\nb", 'quo"te\'s', "-f", "--force", "tab\there", "back\\slash", " lead", "trail ", "é🦀",
           "bytes\udcff\udcfe", "a b", ":(top)x", "*", "[x]", "#", "$(id)")  # fmt: skip
UNKNOWN = "1" * 40


@pytest.fixture
def repo(sandbox: Sandbox) -> git.Repo:
    return git.Repo(sandbox.root)


def hostile(sandbox: Sandbox, text: str = "x\n") -> str:
    """Commit a file under each hostile name, in a folder of that name too."""
    for name in HOSTILE:
        path = Path(os.fsdecode(os.fsencode(sandbox.root) + b"/" + git.encode(f"dir {name}/{name}")))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sandbox.commit("feat: names", {})


PATHS = sorted(f"dir {name}/{name}" for name in HOSTILE)


# calls


def test_version_is_new_enough() -> None:
    assert git.version() >= git.LEAST_VERSION


def test_a_call_that_fails_says_command_place_and_code(repo: git.Repo) -> None:
    with pytest.raises(GitError) as caught:
        repo.text("rev-parse", "--verify", "absent")
    assert caught.value.returncode == 128
    assert f"git rev-parse failed in {repo.root} (exit 128)" in str(caught.value)
    assert repo.call("rev-parse", "--verify", "absent", accept=(0, 128)).returncode == 128


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX",
                                  "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
                                  "GIT_ALTERNATE_OBJECT_DIRECTORIES"])  # fmt: skip
def test_variables_of_a_surrounding_hook_do_not_leak(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(sandbox.root / "elsewhere"))
    repo = git.Repo(sandbox.root)
    assert name not in git.environment()
    assert repo.resolve("HEAD") == sandbox.base
    assert repo.common == sandbox.root / ".git"
    assert checkouts.read_state(repo, sandbox.root).tracked == ()
    assert list(repo.refs("refs/heads")) == ["refs/heads/main"]


@pytest.mark.parametrize("count", [None, "", "2", "garbage"])
def test_configuration_by_environment_is_added_to(monkeypatch: pytest.MonkeyPatch, repo: git.Repo, count: str) -> None:
    for number, key in enumerate(("user.one", "user.two")):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", "theirs")
    if count is not None:
        monkeypatch.setenv("GIT_CONFIG_COUNT", count)
    again = git.Repo(repo.root)
    assert again.config("user.one") == ("theirs" if count == "2" else None)
    assert again.config("gc.auto") == "0"
    assert git.environment({"MINE": "1"}, {"gc.auto": "7"})["MINE"] == "1"


def test_config_kinds(sandbox: Sandbox, repo: git.Repo) -> None:
    sandbox.git("config", "test.flag", "on")
    sandbox.git("config", "test.path", "~/x")
    assert repo.config("test.flag", kind="bool") == "true"
    assert repo.config("test.path", kind="path") == f"{os.environ['HOME']}/x"
    assert repo.config("test.absent") is None


# refs


@pytest.mark.parametrize(
    "rev", ["absent", UNKNOWN, "", "-x", "--all", "HEAD^{tree}x", "main:README.md", "\n", "HEAD~9"]
)
def test_resolve_finds_commits_alone(repo: git.Repo, rev: str) -> None:
    assert repo.resolve(rev) is None


def test_resolve_and_refs(sandbox: Sandbox, repo: git.Repo) -> None:
    sandbox.git("tag", "-a", "v1", "-m", "one")
    assert {repo.resolve(rev) for rev in ("HEAD", "main", "refs/heads/main", "v1", sandbox.base[:9])} == {sandbox.base}
    sandbox.git("branch", "work/7/1")
    sandbox.git("branch", "work/77")
    assert repo.refs("refs/heads/work/7") == {"refs/heads/work/7/1": sandbox.base}
    repo.delete([])
    repo.delete(["refs/heads/work/7/1", "refs/heads/work/7/absent"])
    assert set(repo.refs("refs/heads")) == {"refs/heads/main", "refs/heads/work/77"}


STANDS = ("nothing", "one", "two")


@pytest.mark.parametrize(("at", "old"), [*itertools.product(STANDS, (None, "absent", "one", "two"))])
def test_move_is_a_compare_and_swap(sandbox: Sandbox, repo: git.Repo, at: str, old: str | None) -> None:
    one, two = sandbox.base, sandbox.commit("feat: two", {})
    new = sandbox.commit("feat: new", {})
    ids = {"nothing": None, "absent": git.ABSENT, "one": one, "two": two}
    ref = "refs/heads/milestone/7-x"
    if at != "nothing":
        repo.move(ref, str(ids[at]))
    fits = old is None or ids[old] == (ids[at] or git.ABSENT)
    if fits:
        repo.move(ref, new, ids[old] if old else None)
    else:
        with pytest.raises(git.RefMovedError):
            repo.move(ref, new, ids[old] if old else None)
    assert repo.resolve(ref) == (new if fits else ids[at])


def test_move_that_git_refuses_is_no_race(sandbox: Sandbox, repo: git.Repo) -> None:
    with pytest.raises(GitError):
        repo.move("refs/heads/x", UNKNOWN)
    with pytest.raises(GitError):
        repo.move("refs/heads/main/below", sandbox.base, git.ABSENT)
    (sandbox.root / ".git/refs/heads/main.lock").touch()
    with pytest.raises(GitError):
        repo.move("refs/heads/main", sandbox.base, sandbox.base)


# history


def test_ancestors_and_bases(sandbox: Sandbox, repo: git.Repo) -> None:
    head = sandbox.branch_commit("one", "main", "feat: one", {"one": "1"})
    other = sandbox.branch_commit("two", "main", "feat: two", {"two": "2"})
    sandbox.git("checkout", "-q", "--orphan", "apart")
    apart = sandbox.commit("feat: apart", {"apart": "3"})
    assert repo.is_ancestor(sandbox.base, head)
    assert not repo.is_ancestor(head, other)
    assert repo.merge_base(head, other) == sandbox.base
    assert repo.merge_base(head, apart) is None
    with pytest.raises(GitError):
        repo.is_ancestor(UNKNOWN, head)


def test_commits_are_listed_oldest_first(sandbox: Sandbox, repo: git.Repo) -> None:
    subjects = ["feat: one", "fix: -n --all \x1b[0m", "chore: é 🦀"]
    ids = [sandbox.commit(f"{subject}\n\nbody\nSTATUS: x\n", {"f": subject}) for subject in subjects]
    found, files = repo.commits(sandbox.base, ids[-1])
    assert [(commit.id, commit.subject) for commit in found] == list(zip(ids, subjects, strict=True))
    assert files == ["f"]
    assert repo.commits(ids[-1], ids[-1]) == ([], [])


def test_commits_name_any_path_that_they_change(sandbox: Sandbox, repo: git.Repo) -> None:
    head = hostile(sandbox)
    commits, files = repo.commits(sandbox.base, head)
    assert [commit.id for commit in commits] == [head]
    assert sorted(files) == PATHS


def test_changed_names_any_path(sandbox: Sandbox, repo: git.Repo) -> None:
    head = hostile(sandbox)
    assert sorted(repo.changed(sandbox.base, head)) == PATHS
    assert repo.changed(head, head) == []


def trailered(sandbox: Sandbox, message: str) -> dict[str, str] | None:
    commit = sandbox.commit(message, {})
    found = dict(git.Repo(sandbox.root).trailers("Milestone", "main"))
    return found.get(commit)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("feat: x (#4)\n\n* one\n\nMilestone: 7\nMilestone-Item: 4\n", {"Milestone": "7", "Milestone-Item": "4"}),
        ("feat: x\n\nMilestone: 7\n", {"Milestone": "7"}),
        ("Milestone: 7\n", None),
        ("feat: x\n\nMilestone: 7\nis our goal, it says\nin this body\n\nand ends.\n", None),
        ("feat: x\n\nMilestone: 7\n\nSigned-off-by: A <a@b.invalid>\n", None),
        ("feat: x\n\nMilestone-Item: 7\n", None),
        ("feat: x\n\n> Milestone: 7\n", None),
        ("feat: x\n\nSigned-off-by: A <a@b.invalid>\nMilestone: 8\n", {"Signed-off-by": "A <a@b.invalid>",
                                                                       "Milestone": "8"}),
    ],
)  # fmt: skip
def test_trailers_are_what_git_calls_so(sandbox: Sandbox, message: str, expected: dict[str, str] | None) -> None:
    assert trailered(sandbox, message) == expected


def test_trailers_of_a_span_newest_first(sandbox: Sandbox, repo: git.Repo) -> None:
    ids = [sandbox.commit(f"feat: {n}\n\nMilestone: 7\nMilestone-Item: {n}\n", {}) for n in (1, 2, 3)]
    sandbox.commit("chore: none", {})
    found = repo.trailers("Milestone", "main", f"^{ids[0]}")
    assert [(commit, trailers["Milestone-Item"]) for commit, trailers in found] == [(ids[2], "3"), (ids[1], "2")]
    assert repo.trailers("Milestone", sandbox.base) == []


# trees and commits


def test_commit_tree_is_deterministic(sandbox: Sandbox, repo: git.Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = repo.tree_of("HEAD")
    first = repo.commit_tree(tree, [sandbox.base], "feat: é\udcff\n\nbody\n", 1_700_000_000.9)
    monkeypatch.setenv("GIT_AUTHOR_DATE", "1999-01-01T00:00:00Z")
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    again = git.Repo(sandbox.root)
    assert again.commit_tree(tree, [sandbox.base], "feat: é\udcff\n\nbody\n", 1_700_000_000.1) == first
    assert sandbox.git("log", "-1", "--format=%ad %cd", "--date=raw", first) == "1700000000 +0000 1700000000 +0000"
    assert again.commit_tree(tree, [sandbox.base], "feat: x\n", 1_700_000_001) != first


def test_tree_with_adds_replaces_removes_and_keeps_modes(sandbox: Sandbox, repo: git.Repo) -> None:
    sandbox.write({"run.sh": "#!/bin/sh\n", "old": "old\n", "deep/gone": "x", "deep/stays": "y"})
    (sandbox.root / "run.sh").chmod(0o755)
    sandbox.commit("feat: files", {})
    before = sandbox.tree("HEAD")
    changes = {"run.sh": "new\n", "old": None, "deep/gone": None, "absent": None, "a/b/new": "n\n"}
    tree = edits.edit(repo, repo.tree_of("HEAD"), {**changes, "bytes\udcff": "\udcfe\n", "-f": "dash\n"})
    expected = {**before, "run.sh": b"new\n", "a/b/new": b"n\n", "bytes\udcff": b"\xfe\n", "-f": b"dash\n"}
    assert sandbox.tree(tree) == {name: raw for name, raw in expected.items() if name not in ("old", "deep/gone")}
    assert sandbox.git("ls-tree", tree, "run.sh").startswith("100755 ")
    assert edits.edit(repo, tree, {}) == tree
    assert sandbox.status() == "", "neither index nor checkout has noticed"


SAFE = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=9).filter(
    lambda name: name.strip(".") != "" and not name.lower().startswith((".git", "git~")) and name.isprintable()
)


# Git sorts a folder as if its name ended with a slash: before "d0" and after "d-" and "d.".
PLACES = st.lists(st.sampled_from(["d", "d-", "d.", "d0"]), max_size=3).flatmap(
    lambda above: st.sampled_from(["f", "f-", "f\n", "f\udcff"]).map(lambda name: "/".join([*above, name]))
)


@pytest.mark.parametrize("kind", ["sha1", "sha256"])
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(PLACES, max_size=8), st.dictionaries(PLACES, st.none() | st.text(max_size=3), max_size=8))
def test_an_edited_tree_is_what_an_index_makes(
    tmp_path: Path, kind: str, files: list[str], changes: dict[str, str | None]
) -> None:
    root = tmp_path / kind
    if not root.exists():
        subprocess.run(["git", "init", "-q", f"--object-format={kind}", root], check=True)
    repo = git.Repo(root)
    begun = _by_index(repo, [], dict.fromkeys(files, ("100755", "begin")))
    wanted = {path: text if text is None else ("100755" if path in files else "100644", text)
              for path, text in changes.items()}  # fmt: skip
    assert edits.edit(repo, begun, changes) == _by_index(repo, [begun], wanted)


def _by_index(repo: git.Repo, begun: Sequence[str], files: Mapping[str, tuple[str, str] | None]) -> str:
    """A tree with some files in it, or none of that path, by way of git's own index."""
    rows = ""
    for path, file in files.items():
        mode, blob = "0", repo.text("hash-object", "-t", "tree", "/dev/null")
        if file:
            mode, text = file
            blob = git.decode(repo.call("hash-object", "-w", "--stdin", stdin=text.encode()).stdout).strip()
        rows += f"{mode} {blob}\t{path}\0"
    repo.call("read-tree", *(begun or ["--empty"]))
    repo.call("update-index", "-z", "--index-info", stdin=git.encode(rows))
    return repo.text("write-tree")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(SAFE, st.text(max_size=40), min_size=1, max_size=5))
def test_what_tree_with_writes_files_reads(sandbox: Sandbox, files: dict[str, str]) -> None:
    repo = git.Repo(sandbox.root)
    wanted = {f"in/{name}": text for name, text in files.items()}
    tree = edits.edit(repo, repo.tree_of("HEAD"), dict(wanted))
    found = trees.read_files(repo, tree, "in")
    assert found == {name: text.encode() for name, text in wanted.items()}
    assert {name: trees.read_file(repo, tree, name) for name in wanted} == found


def test_files_and_has_path(sandbox: Sandbox, repo: git.Repo) -> None:
    head = hostile(sandbox, "line\n\nno end")
    assert trees.read_files(repo, head) == {**dict.fromkeys(PATHS, b"line\n\nno end"), "README.md": b"hello\n"}
    assert trees.read_files(repo, head, "README.md", "absent") == {"README.md": b"hello\n"}
    assert trees.read_files(repo, head, "absent") == {}
    assert trees.has_path(repo, head, "dir -f/-f")
    assert trees.has_path(repo, head, "dir -f")
    assert not trees.has_path(repo, head, "README")


def test_files_leave_out_what_is_no_file(sandbox: Sandbox, repo: git.Repo) -> None:
    (sandbox.root / "link").symlink_to("/etc/passwd")
    head = sandbox.commit("feat: link", {"empty": ""})
    assert trees.read_files(repo, head) == {"README.md": b"hello\n", "empty": b""}
    names = ("empty", "README.md", "link", "absent", "absent/empty", "README.md/x")
    assert [trees.read_file(repo, repo.tree_of(head), name) for name in names] == [b"", b"hello\n", *[None] * 4]


@pytest.mark.parametrize(("path", "found"), [(".gitattributes", True), ("a/b/.gitattributes", True),
                                             ("x.gitattributes", False), (".gitattributes.md", False)])  # fmt: skip
def test_attributes(sandbox: Sandbox, repo: git.Repo, path: str, found: bool) -> None:
    first, same, other = (sandbox.commit("feat: x", files) for files in (
        {path: "* text\n"}, {"README.md": "else\n"}, {path: "* -text\n"}))  # fmt: skip
    assert bool(merges.attributes(repo, first)) is found
    assert merges.attributes(repo, same) == merges.attributes(repo, first)
    assert (merges.attributes(repo, other) != merges.attributes(repo, first)) is found
    assert not merges.attributes(repo, sandbox.base)


def test_encode_turns_decode_back() -> None:
    for raw in (bytes(range(256)), b"", "é🦀".encode()):
        assert git.encode(git.decode(raw)) == raw
    assert repos.split(b"a\0\xff\0") == ["a", "\udcff"]


# merging in the object database


def two_sides(
    sandbox: Sandbox, base: dict[str, str], ours: dict[str, str | None], theirs: dict[str, str | None]
) -> None:
    """Branches `ours` and `theirs` from one base."""
    common = sandbox.commit("feat: base", dict(base))
    sandbox.branch_commit("ours", common, "feat: ours", ours)
    sandbox.branch_commit("theirs", common, "feat: theirs", theirs)


LINES = "".join(f"line {number}\n" for number in range(30))


def merge(sandbox: Sandbox) -> merges.Merged:
    merged = merges.merge(git.Repo(sandbox.root), "ours", "theirs", sandbox.root)
    assert sandbox.status() == "", "a merge in the object database touches no checkout"
    return merged


def test_clean_merge_has_the_work_of_both(sandbox: Sandbox) -> None:
    two_sides(sandbox, {"f": LINES}, {"f": "ours\n" + LINES, "o": "o"}, {"f": LINES + "theirs\n", "t\n\udcff": "t"})
    merged = merge(sandbox)
    assert (merged.conflicts, merged.kinds) == ((), {})
    tree = sandbox.tree(merged.tree)
    assert tree["f"] == f"ours\n{LINES}theirs\n".encode()
    assert (tree["o"], tree["t\n\udcff"]) == (b"o", b"t")


@pytest.mark.parametrize("name", HOSTILE)
def test_content_conflict_names_the_file(sandbox: Sandbox, name: str) -> None:
    two_sides(sandbox, {name: "base\n"}, {name: "ours\n"}, {name: "theirs\n"})
    merged = merge(sandbox)
    assert merged.conflicts == (name,)
    assert merged.kinds == {name: ("CONFLICT (contents)",)}


def test_binary_conflict(sandbox: Sandbox) -> None:
    two_sides(sandbox, {"b": "\0base"}, {"b": "\0ours"}, {"b": "\0theirs"})
    assert merge(sandbox).conflicts == ("b",)
    assert any(kind.startswith("CONFLICT") for kind in merge(sandbox).kinds["b"])


def test_rename_against_delete(sandbox: Sandbox) -> None:
    two_sides(sandbox, {"old": LINES}, {"old": None, "new": LINES}, {"old": None})
    merged = merge(sandbox)
    assert merged.conflicts
    assert any("CONFLICT (rename/delete)" in kinds for kinds in merged.kinds.values())


def test_delete_against_change(sandbox: Sandbox) -> None:
    two_sides(sandbox, {"f": LINES, "g": LINES}, {"f": None}, {"f": "x" + LINES})
    assert merge(sandbox).kinds == {"f": ("CONFLICT (modify/delete)",)}


def test_several_conflicts_are_all_named(sandbox: Sandbox) -> None:
    names = [f"f{number}" for number in range(12)]
    two_sides(sandbox, dict.fromkeys(names, "b\n"), dict.fromkeys(names, "o\n"), dict.fromkeys(names, "t\n"))
    assert sorted(merge(sandbox).conflicts) == sorted(names)


def test_what_cannot_be_merged_raises(sandbox: Sandbox, repo: git.Repo) -> None:
    sandbox.git("checkout", "-q", "--orphan", "apart")
    apart = sandbox.commit("feat: apart", {"apart": "3"})
    with pytest.raises(GitError):
        merges.merge(repo, sandbox.base, apart, sandbox.root)
    for unknown in (UNKNOWN, "absent", "-x"):
        with pytest.raises(GitError):
            merges.merge(repo, sandbox.base, unknown, sandbox.root)


def test_attributes_are_those_of_the_place(sandbox: Sandbox, repo: git.Repo) -> None:
    two_sides(sandbox, {"log": "base\n"}, {"log": "base\nours\n"}, {"log": "base\ntheirs\n"})
    assert merge(sandbox).conflicts == ("log",)
    sandbox.commit("chore: attributes", {".gitattributes": "log merge=union\n"})
    assert merge(sandbox).conflicts == ()


# worktrees


def test_state_of_a_clean_checkout(sandbox: Sandbox, repo: git.Repo) -> None:
    assert checkouts.read_state(repo, sandbox.root) == checkouts.State(sandbox.base, "main", (), (), ())
    sandbox.git("checkout", "-q", "--detach")
    assert checkouts.read_state(repo, sandbox.root).branch is None


def test_state_before_the_first_commit(tmp_path: Path, sandbox: Sandbox) -> None:
    sandbox.git("init", "-q", "-b", "trunk", str(tmp_path / "empty"))
    state = checkouts.read_state(git.Repo(tmp_path / "empty"), tmp_path / "empty")
    assert (state.head, state.branch) == (None, "trunk")


def test_state_names_every_kind_of_change(sandbox: Sandbox, repo: git.Repo) -> None:
    sandbox.commit("feat: files", dict.fromkeys(("changed", "staged", "renamed from", "gone"), LINES))
    sandbox.write({"changed": "x", "staged": "x", "gone": None, "new\nfile": "", "folder/a": "", "folder/b": ""})
    sandbox.git("mv", "renamed from", "renamed to\udcff")
    sandbox.git("add", "staged")
    state = checkouts.read_state(repo, sandbox.root)
    assert set(state.tracked) == {"changed", "staged", "renamed to\udcff", "gone"}
    assert set(state.untracked) == {"new\nfile", "folder/"}
    assert checkouts.read_state(repo, sandbox.root, untracked=False).untracked == ()


def test_state_names_what_is_unmerged(sandbox: Sandbox, repo: git.Repo) -> None:
    two_sides(sandbox, {"f 1": "b\n"}, {"f 1": "o\n"}, {"f 1": "t\n"})
    sandbox.git("checkout", "-q", "ours")
    repo.call("merge", "theirs", accept=(1,))
    assert checkouts.read_state(repo, sandbox.root).unmerged == ("f 1",)


def test_state_names_hostile_files(sandbox: Sandbox, repo: git.Repo) -> None:
    hostile(sandbox)
    hostile(sandbox, "changed\n")
    sandbox.git("reset", "-q", "--mixed", "HEAD~1")
    assert sorted(checkouts.read_state(repo, sandbox.root).tracked) == PATHS


def test_checkouts(sandbox: Sandbox, repo: git.Repo, tmp_path: Path) -> None:
    names = ["plain", "with space", "new\nline", "é", "gone"]
    for number, name in enumerate(names):
        sandbox.git("worktree", "add", "-q", "-b", f"work/{number}", str(tmp_path / name))
    sandbox.git("worktree", "lock", "--reason", "a b", str(tmp_path / "é"))
    sandbox.git("checkout", "-q", "--detach", cwd=tmp_path / "plain")
    for path in (tmp_path / "gone").iterdir():
        path.unlink()
    (tmp_path / "gone").rmdir()
    found = {checkout.path: checkout for checkout in checkouts.find_all(repo)}
    assert next(iter(found)) == sandbox.root
    assert set(found) == {sandbox.root, *(tmp_path.resolve() / name for name in names)}
    own = found[tmp_path / "plain"]
    assert (own.head, own.branch, own.locked, own.prunable, own.bare) == (sandbox.base, None, False, False, False)
    assert found[tmp_path / "new\nline"].branch == "work/2"
    assert found[tmp_path / "é"].locked
    assert found[tmp_path / "gone"].prunable
    assert git.Repo(tmp_path / "plain").common == sandbox.root / ".git"


def test_checkouts_of_a_bare_repository(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.git("clone", "-q", "--bare", str(sandbox.root), str(tmp_path / "bare.git"))
    found = checkouts.find_all(git.Repo(tmp_path / "bare.git"))
    assert [(checkout.bare, checkout.head) for checkout in found] == [(True, None)]


def test_parse_status_of_nothing() -> None:
    assert checkouts.parse_status("") == checkouts.State(None, None, (), (), ())
