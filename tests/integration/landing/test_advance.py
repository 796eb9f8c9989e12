"""The advance of main in a person's checkout: git killed in the middle of it, and what is brought back.

Git is killed by what it calls itself: a smudge filter at the n-th file, a hook at the update of a ref.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work_milestone import git
from work_milestone.git import checkouts, rollback, trees
from work_milestone.landing import advance
from work_milestone.run import Run
from work_milestone.store import records
from work_milestone.system import MilestoneError

if TYPE_CHECKING:
    from tests.conftest import Sandbox

# The filter turns letters round, and at its n-th file kills git, and who called git.
FILTER = """#!/bin/sh
echo . >> "$0.count"
if [ "$(wc -l < "$0.count")" -eq "$(cat "$0.at")" ]; then
    kill -9 $(cat "$0.also") $PPID
    exit 1
fi
exec tr a-z n-za-m
"""
HOOK = '#!/bin/sh\n[ "$1" = {state} ] && grep -q " {ref}" && kill -9 $(cat "{outside}/filter.also") $PPID\nexit 0\n'
MOVER = """
import os, sys
from pathlib import Path
from work_milestone.git import repo
from work_milestone.landing import advance
from work_milestone.run import Run
repo.SHARED_PATIENCE = 0.05
run = Run(Path(sys.argv[1]), {"n": "7"})
run.take()
Path(sys.argv[3]).write_text(str(os.getpid()))
advance.move_main(run, sys.argv[2])
"""
HOSTILE = (
    "new\nline.txt",
    '"quoted".txt',
    "-f.txt",
    " lead.txt",
    "return.txt\r",
    "bytes\udcff.txt",
    "*.txt",
    ":(top)x.txt",
)
OLD: Mapping[str, str] = {
    ".gitattributes": "*.txt* filter=turn\n*.crlf eol=crlf\n", "changed.txt": "before\n", "gone.txt": "gone\n",
    "stays.txt": "stays\n", "folder/only.txt": "only\n", "becomes/file.txt": "inside\n", "thing": "a file\n",
    "script": "echo\n", "plain": "plain\n", "lines.crlf": "one\r\n", "zz/last.txt": "last\n", "emptied.txt": "full\n",
    "target": "link's\n",
}  # fmt: skip
NEW: Mapping[str, str | None] = {
    "changed.txt": "after\n", "gone.txt": None, "folder/only.txt": None, "becomes/file.txt": None,
    "becomes": "now a file\n", "thing": None, "thing/inside.txt": "now a folder\n",
    "deep/er/new.txt": "new\n", "lines.crlf": "one\r\ntwo\r\n",
    "plain": "plain\nmore\n", "zz/last.txt": "last\nmore\n", "zz/more.txt": "more\n", "emptied.txt": "",
    "empty/file": "",
}  # fmt: skip
ATTRIBUTES = {
    ".gitattributes": "*.txt* filter=turn\nplain filter=turn\nthing/* -filter\n*.crlf -text\nscript eol=crlf\n"
}
SMUDGED = 14  # files that the filter writes


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a lock is stale is told sooner."""
    monkeypatch.setattr(git.repo, "SHARED_PATIENCE", 0.05)


class Scene:
    """A repository of which main is to move, and the checkout where it is."""

    def __init__(self, sandbox: Sandbox, place: Path, old: str, new: str) -> None:
        self.sandbox, self.place, self.old, self.new = sandbox, place, old, new
        self.program = install_filter(sandbox)
        self.strike_at(0)
        if place != sandbox.root:
            sandbox.git("switch", "-q", "topic")
            sandbox.git("worktree", "add", "-q", str(place), "main")
        assert self.status() == ""
        self.before = snapshot(place)

    def strike_at(self, number: int) -> None:
        Path(f"{self.program}.at").write_text(str(number))
        Path(f"{self.program}.count").write_text("")
        Path(f"{self.program}.also").write_text("")

    def hook(self, state: str, ref: str) -> Path:
        path = self.sandbox.root / ".git/hooks/reference-transaction"
        path.parent.mkdir(exist_ok=True)
        path.write_text(HOOK.format(state=state, ref=ref, outside=self.program.parent))
        path.chmod(0o755)
        return path

    def kill(self) -> None:
        """Move main in a process of its own, which is killed together with its git."""
        argv = [sys.executable, "-c", MOVER, str(self.sandbox.root), self.new, f"{self.program}.also"]
        done = subprocess.run(argv, capture_output=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        self.strike_at(0)

    def kill_at(self, number: int) -> None:
        self.strike_at(number)
        self.kill()
        assert self.main() == self.old
        assert (self.git_dir() / "index.lock").exists()
        assert snapshot(self.place) != self.before

    def git_dir(self) -> Path:
        return Path(self.sandbox.git("rev-parse", "--absolute-git-dir", cwd=self.place))

    def main(self) -> str:
        return self.sandbox.git("rev-parse", "main")

    def status(self) -> str:
        return self.sandbox.git("status", "--porcelain", "--untracked-files=all", cwd=self.place)

    def repair(self) -> Run:
        with self.run() as run:
            advance.repair(run)
        return run

    def move(self) -> None:
        with self.run() as run:
            advance.move_main(run, self.new)

    @contextmanager
    def run(self) -> Iterator[Run]:
        """A run that holds its lock, as the next process would."""
        run = self.sandbox.run()
        run.take()
        try:
            yield run
        finally:
            run.lock.release()

    def journal(self) -> Path:
        return self.sandbox.root / ".milestone/7/advance.json"

    def notes(self) -> list[str]:
        path = self.sandbox.root / ".milestone/7/journal.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row["detail"] for row in rows if (row["step"], row["outcome"]) == ("land", "note")]

    def require_as_before(self) -> None:
        """Nothing of what git did is left."""
        assert not self.journal().exists()
        assert self.main() == self.old
        assert self.status() == ""
        assert snapshot(self.place) == self.before
        assert not list(self.git_dir().glob("*.lock"))

    def require_moves(self) -> None:
        """Main can be moved, and the checkout with it."""
        self.move()
        assert self.main() == self.new
        assert self.status() == ""
        assert not self.journal().exists()
        assert not list(self.git_dir().glob("*.lock"))


def snapshot(place: Path) -> dict[str, tuple[int, bytes]]:
    """All that stands in a checkout, folders too, by name: what it is and what it holds."""
    found = {}
    for folder, folders, files in os.walk(place):
        if folder == str(place):
            folders[:] = [name for name in folders if name not in (".git", ".milestone")]
            files = [name for name in files if name != ".git"]
        for name in (*folders, *files):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            text = os.fsencode(path.readlink()) if stat.S_ISLNK(mode) else b"" if path.is_dir() else path.read_bytes()
            found[str(path.relative_to(place))] = (mode, text)
    return found


def install_filter(sandbox: Sandbox) -> Path:
    """Let a repository have the filter in a place of its own."""
    program = sandbox.root.parent / "outside/filter"
    program.parent.mkdir()
    program.write_text(FILTER)
    program.chmod(0o755)
    sandbox.git("config", "filter.turn.smudge", str(program))
    return program


def paint(sandbox: Sandbox, new: Mapping[str, str | None]) -> tuple[str, str]:
    """Make the commit that main stands on, checked out, and the one where it is to move."""
    sandbox.git("config", "filter.turn.smudge", "tr a-z n-za-m")
    sandbox.git("config", "filter.turn.clean", "tr a-z n-za-m")
    sandbox.git("config", "filter.turn.required", "true")
    hostile = {f"odd/{name}": name for name in HOSTILE}
    sandbox.commit("feat: attributes", {".gitattributes": OLD[".gitattributes"]})
    sandbox.write({**OLD, **hostile})
    (sandbox.root / "link").symlink_to("target")
    (sandbox.root / "linked").write_text("no link yet\n")
    before = sandbox.commit("feat: old", {})
    sandbox.git("switch", "-qc", "topic")
    sandbox.write({path: None for path, text in new.items() if text is None})
    for name in ("becomes", "folder"):
        (sandbox.root / name).rmdir()
    sandbox.write({path: text for path, text in new.items() if text is not None})
    sandbox.write({path: text + "more\n" for path, text in hostile.items()})
    for name, target in (("link", "changed.txt"), ("linked", "zz"), ("deep/link", "../nowhere")):
        (sandbox.root / name).unlink(missing_ok=True)
        (sandbox.root / name).parent.mkdir(exist_ok=True)
        (sandbox.root / name).symlink_to(target)
    (sandbox.root / "script").chmod(0o755)
    after = sandbox.commit("feat: new", {})
    sandbox.git("switch", "-q", "main")
    return before, after


@pytest.fixture(scope="module")
def painted(empty: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> tuple[Sandbox, str, str]:
    """The repository that each test begins with a copy of."""
    sandbox = empty.copy(tmp_path_factory.mktemp("painted") / "repository")
    return (sandbox, *paint(sandbox, NEW))


@pytest.fixture
def scene(painted: tuple[Sandbox, str, str], tmp_path: Path) -> Scene:
    template, *commits = painted
    sandbox = template.copy(tmp_path.resolve() / "repository")
    return Scene(sandbox, sandbox.root, *commits)


@pytest.fixture
def linked(painted: tuple[Sandbox, str, str], tmp_path: Path) -> Scene:
    template, *commits = painted
    sandbox = template.copy(tmp_path.resolve() / "repository")
    return Scene(sandbox, sandbox.root.parent / "linked", *commits)


def test_main_moves_with_its_checkout(scene: Scene) -> None:
    scene.require_moves()
    assert scene.sandbox.git("log", "-1", "--format=%H", "HEAD") == scene.new


@pytest.mark.parametrize("number", range(1, SMUDGED + 1))
def test_git_killed_at_a_file(scene: Scene, number: int) -> None:
    scene.kill_at(number)
    scene.repair()
    scene.require_as_before()
    assert len(scene.notes()) == 1
    assert scene.new[:10] in scene.notes()[0]
    assert "left as they are" not in scene.notes()[0]
    scene.require_moves()


@pytest.mark.parametrize("size", [0, 1, 4])
@pytest.mark.parametrize(
    "path", ["changed.txt", "becomes", "lines.crlf", "plain", "thing/inside.txt", "deep/er/new.txt"]
)
def test_a_file_that_was_cut_off(scene: Scene, path: str, size: int) -> None:
    scene.kill_at(SMUDGED)
    os.truncate(scene.place / path, size)
    scene.repair()
    scene.require_as_before()
    assert "left as they are" not in scene.notes()[0]


@pytest.mark.parametrize("number", [1, 5, SMUDGED])
def test_git_killed_in_another_worktree(linked: Scene, number: int) -> None:
    linked.kill_at(number)
    linked.repair()
    linked.require_as_before()
    linked.require_moves()


@pytest.mark.parametrize("number", [1, 4, 8, 12])
def test_git_killed_while_attributes_change(sandbox: Sandbox, number: int) -> None:
    scene = Scene(sandbox, sandbox.root, *paint(sandbox, {**NEW, **ATTRIBUTES}))
    scene.kill_at(number)
    scene.repair()
    scene.require_as_before()
    scene.require_moves()


@pytest.mark.parametrize("place", ["scene", "linked"])
@pytest.mark.parametrize(
    ("state", "ref"), [("prepared", "ORIG_HEAD"), ("prepared", "refs/heads/main"), ("committed", "refs/heads/main")]
)
def test_git_killed_at_the_update_of_a_ref(request: pytest.FixtureRequest, place: str, state: str, ref: str) -> None:
    scene: Scene = request.getfixturevalue(place)
    hook = scene.hook(state, ref)
    scene.kill()
    hook.unlink()
    assert scene.journal().exists()
    moved = state == "committed"
    assert scene.main() == (scene.new if moved else scene.old)
    scene.repair()
    if moved:
        assert not scene.journal().exists()
        assert (scene.status(), scene.notes()) == ("", [])
    else:
        scene.require_as_before()
    scene.require_moves()


@pytest.mark.parametrize("again", [1, 2, 3])
def test_a_repair_that_is_killed_is_taken_up(scene: Scene, again: int) -> None:
    scene.kill_at(9)
    scene.strike_at(again)
    code = MOVER.replace("advance.move_main(run, sys.argv[2])", "advance.repair(run)")
    argv = [sys.executable, "-c", code, str(scene.sandbox.root), scene.new, f"{scene.program}.also"]
    assert subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == -signal.SIGKILL
    scene.strike_at(0)
    assert scene.journal().exists()
    scene.repair()
    scene.require_as_before()
    scene.require_moves()


@pytest.mark.parametrize("number", [2, 9])
def test_git_killed_alone_is_brought_back_by_the_run_itself(scene: Scene, number: int) -> None:
    scene.strike_at(number)
    with pytest.raises(advance.RefusedError, match="git cannot update it"):
        scene.move()
    scene.strike_at(0)
    scene.require_as_before()
    scene.require_moves()


def test_a_filter_that_fails_leaves_nothing_half_done(scene: Scene) -> None:
    scene.program.write_text(FILTER.replace("kill -9", "true"))
    scene.strike_at(9)
    with pytest.raises(advance.RefusedError, match="filter"):
        scene.move()
    scene.require_as_before()
    scene.require_moves()


def size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


@pytest.mark.parametrize("after", range(0, 300, 43))
def test_three_hundred_files_and_a_kill_at_any_moment(sandbox: Sandbox, after: int) -> None:
    names = [f"files/{number % 7}/{number:03}" for number in range(300)]
    sandbox.git("config", "core.looseCompression", "0")  # of what no compression makes smaller
    sandbox.commit("feat: old", {name: os.urandom(30_000) for name in names[:250]})
    old, before = sandbox.git("rev-parse", "main"), snapshot(sandbox.root)
    new = sandbox.branch_commit("topic", "main", "feat: new", {name: os.urandom(200_000) for name in names[50:]})
    run = sandbox.run()
    run.take()
    run.receipts.write(records.Advance(status="begun", place=str(sandbox.root), main="main", old=old, new=new))
    path = sandbox.root / sorted(names[50:])[min(after, 249)]
    size = size_of(path)
    with subprocess.Popen(["git", "merge", "-q", "--ff-only", new], cwd=sandbox.root) as child:
        while child.poll() is None and size_of(path) in (size, None):
            os.sched_yield()
        child.kill()
    advance.repair(run)
    if sandbox.git("rev-parse", "main") == old:
        assert snapshot(sandbox.root) == before
    assert sandbox.status() == ""
    advance.move_main(run, new)
    assert sandbox.status() == ""
    run.lock.release()


@pytest.mark.parametrize("moment", ["file", "ref"])
def test_what_is_out_of_a_sparse_checkout_stays_out(scene: Scene, moment: str) -> None:
    scene.sandbox.git("sparse-checkout", "set", "--cone", "zz")
    scene.before = snapshot(scene.place)
    assert "odd" not in scene.before
    if moment == "file":
        scene.kill_at(3)
    else:
        hook = scene.hook("prepared", "refs/heads/main")
        scene.kill()
        hook.unlink()
    scene.repair()
    scene.require_as_before()
    scene.require_moves()


@pytest.mark.parametrize("size", [0, 3, 9])
def test_a_file_cut_off_which_its_filter_does_not_take(sandbox: Sandbox, size: int) -> None:
    sandbox.git("config", "filter.whole.clean", 'text="$(cat)"; case "$text" in *end) echo "$text";; *) exit 1;; esac')
    sandbox.git("config", "filter.whole.smudge", "cat")
    sandbox.git("config", "filter.whole.required", "true")
    names = ("a", "b", "c", "d")
    old = sandbox.commit("feat: old", {".gitattributes": "? filter=whole\n", **dict.fromkeys(names, "before, end\n")})
    before = snapshot(sandbox.root)
    new = sandbox.branch_commit("topic", "main", "feat: new", dict.fromkeys(names, "this is after, end\n"))
    sandbox.git("read-tree", "-m", "-u", old, new)
    sandbox.git("read-tree", old)
    os.truncate(sandbox.root / "c", size)
    assert rollback.undo(git.Repo(sandbox.root), sandbox.root, old, new) == rollback.Undone(names, ())
    assert snapshot(sandbox.root) == before
    assert sandbox.status() == ""


@pytest.mark.skipif(
    os.geteuid() == 0, reason="root may write everywhere: run the tests as another user to see this one"
)
def test_a_folder_that_cannot_be_written_is_told_and_tried_again(scene: Scene) -> None:
    scene.kill_at(SMUDGED)
    folder = scene.place / "zz"
    mode = folder.stat().st_mode
    folder.chmod(0o555)
    with pytest.raises(MilestoneError, match=r"zz/.* cannot be brought back"):
        scene.repair()
    folder.chmod(mode)
    scene.repair()
    scene.require_as_before()


@pytest.mark.parametrize("number", [1, 2])
def test_submodules_that_come_and_go(sandbox: Sandbox, number: int) -> None:
    def commit(*modules: str, **files: str) -> str:
        for name in modules:
            sandbox.git("update-index", "--add", "--cacheinfo", f"160000,{sandbox.base},{name}")
            (sandbox.root / name).mkdir(exist_ok=True)
        return sandbox.commit("feat: modules", {path.replace("_", "."): text for path, text in files.items()})

    old = commit("goes", "becomes.txt", was_txt="file\n")
    before = snapshot(sandbox.root)
    sandbox.git("switch", "-qc", "topic")
    sandbox.git("rm", "-q", "goes", "becomes.txt", "was.txt")
    new = commit("comes", "was.txt", becomes_txt="file\n", z="new\n")
    sandbox.git("switch", "-q", "main")
    assert snapshot(sandbox.root) == before
    modes = {change.path: (change.old[0], change.new[0]) for change in trees.diff(git.Repo(sandbox.root), old, new)}
    assert modes["goes"] == modes["comes"][::-1] == ("160000", "000000")
    assert modes["becomes.txt"] == modes["was.txt"][::-1] == ("160000", "100644")
    sandbox.git("read-tree", "-m", "-u", old, new)
    if number == 1:
        sandbox.git("read-tree", old)
        (sandbox.root / "z").unlink()
    assert rollback.undo(git.Repo(sandbox.root), sandbox.root, old, new).left == ()
    assert snapshot(sandbox.root) == before
    assert sandbox.status() == ""


# a person in between


Edit = Callable[[Path], None]


def write(path: str, text: str) -> Edit:
    def edit(place: Path) -> None:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)

    return edit


def link(path: str, target: str) -> Edit:
    def edit(place: Path) -> None:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).unlink(missing_ok=True)
        (place / path).symlink_to(target)

    return edit


EDITS: Mapping[str, tuple[str, str, Edit]] = {  # where, the path that is told, the edit
    "what is new already": ("changed.txt", "changed.txt", write("changed.txt", "after\nand mine\n")),
    "what is still old": ("zz/last.txt", "zz/last.txt", write("zz/last.txt", "mine\n")),
    "where a new one is to be": ("zz/more.txt", "zz/more.txt", write("zz/more.txt", "mine\n")),
    "where one was deleted": ("gone.txt", "gone.txt", write("gone.txt", "mine\n")),
    "a file where a folder was": ("folder", "folder/only.txt", write("folder", "mine\n")),
    "a link where a file was": ("plain", "plain", link("plain", "target")),
    "another link": ("link", "link", link("link", "mine")),
    "another file": ("stays.txt", "", write("stays.txt", "mine\n")),
    "untracked": ("mine.txt", "", write("mine.txt", "mine\n")),
    "untracked in a new folder": ("deep/er/mine", "", write("deep/er/mine", "mine\n")),
}


@pytest.mark.parametrize("number", [5, SMUDGED])
@pytest.mark.parametrize(("path", "told", "edit"), EDITS.values(), ids=list(EDITS))
def test_what_a_person_has_changed_since_survives(scene: Scene, number: int, path: str, told: str, edit: Edit) -> None:
    scene.kill_at(number)
    edit(scene.place)
    mine = snapshot(scene.place)[path]
    scene.repair()
    after = snapshot(scene.place)
    assert after[path] == mine
    assert scene.main() == scene.old
    assert not scene.journal().exists()
    of_mine = {name for name in {*after, *scene.before} if name.startswith(f"{path}/") or path.startswith(f"{name}/")}
    assert {name for name in {*after, *scene.before} - of_mine if after.get(name) != scene.before.get(name)} == {path}
    assert scene.notes()[0].partition("somebody has changed them since: ")[2] == told


def test_what_a_person_has_staged_since_survives(scene: Scene) -> None:
    scene.kill_at(SMUDGED)
    (scene.git_dir() / "index.lock").unlink()
    scene.sandbox.write({"changed.txt": "staged\n", "mine": "mine\n"})
    scene.sandbox.git("add", "changed.txt", "mine", "plain", "deep")
    scene.repair()
    assert set(scene.status().splitlines()) == {"M  changed.txt", "A  mine"}
    assert (scene.place / "changed.txt").read_text() == "staged\n"


def leave(scene: Scene, how: str) -> None:
    (scene.git_dir() / "index.lock").unlink()
    if how == "gone":
        subprocess.run(["rm", "-r", str(scene.place)], check=True)
    elif how == "another branch":
        scene.sandbox.git("symbolic-ref", "HEAD", "refs/heads/mine", cwd=scene.place)
    else:
        scene.sandbox.git("commit", "-q", "--allow-empty", "-m", "feat: mine", cwd=scene.place)


@pytest.mark.parametrize("how", ["gone", "another branch", "another commit"])
def test_a_checkout_that_is_elsewhere_now_is_left_alone(linked: Scene, how: str) -> None:
    linked.kill_at(7)
    leave(linked, how)
    before, main = snapshot(linked.place), linked.main()
    linked.repair()
    assert (snapshot(linked.place), linked.main()) == (before, main)
    assert not linked.journal().exists()


def test_a_git_of_a_persons_is_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git.repo, "PATIENCE", 0.1)
    scene.kill_at(7)
    half = snapshot(scene.place)
    with subprocess.Popen(["git", "hash-object", "--stdin"], cwd=scene.place, stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL) as theirs:  # fmt: skip
        with pytest.raises(MilestoneError, match=r"index\.lock: .* still at work in .*doit milestone n=7"):
            scene.repair()
        assert snapshot(scene.place) == half
        assert scene.journal().exists()
        theirs.communicate(b"")
    scene.repair()
    scene.require_as_before()


def test_a_damaged_receipt_is_told_and_nothing_is_touched(scene: Scene) -> None:
    scene.kill_at(7)
    half = snapshot(scene.place)
    scene.journal().write_text("{")
    run = scene.repair()
    assert snapshot(scene.place) == half
    assert any("advance.json" in note for note in run.receipts.notes.values())


# refused


@pytest.mark.parametrize("name", ["what is still old", "where a new one is to be", "a link where a file was"])
def test_what_is_in_the_way_is_seen_before_anything_is_begun(scene: Scene, name: str) -> None:
    path, _, edit = EDITS[name]
    edit(scene.place)
    before = snapshot(scene.place)
    with pytest.raises(advance.RefusedError, match=path):
        scene.move()
    assert snapshot(scene.place) == before
    assert not scene.journal().exists()


@pytest.mark.parametrize(
    ("path", "kind"),
    [*itertools.product(["deep", "deep/er", "deep/er/new.txt", "zz/more.txt"], ["file", "link"]),
     ("deep/er/new.txt", "folder"), ("zz/more.txt", "folder")],
)  # fmt: skip
def test_an_ignored_file_is_not_written_over(scene: Scene, path: str, kind: str) -> None:
    (scene.git_dir() / "info").mkdir(exist_ok=True)
    (scene.git_dir() / "info/exclude").write_text(f"{path}\nwithin\n/.milestone\n")
    {"file": write(path, "mine\n"), "link": link(path, "zz"), "folder": write(f"{path}/within", "mine\n")}[kind](
        scene.place
    )
    before = snapshot(scene.place)
    with pytest.raises(advance.RefusedError, match=f"in the way: {path}"):
        scene.move()
    assert snapshot(scene.place) == before


# any half updated checkout


NAMES = ("a", "a/b", "a/c", "d/e", "d/e/f", "g", ".gitattributes")
TEXTS = (b"", b"x", b"xy\n", b"xyz\n" * 9, b"* text\n")


def without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    return {path: text for path, text in files.items() if not any(other.startswith(f"{path}/") for other in files)}


TREES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(TEXTS)).map(without_clashes)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(old=TREES, new=TREES, stop=st.integers(0, 12), cut=st.integers(0, 9), staged=st.booleans())
def test_any_half_updated_checkout_goes_back(
    sandbox: Sandbox, old: dict[str, bytes], new: dict[str, bytes], stop: int, cut: int, staged: bool
) -> None:
    repo = git.Repo(sandbox.root)
    commits = []
    for files in (new, old):
        sandbox.git("rm", "-qrf", "--ignore-unmatch", ".")
        commits.append(sandbox.commit("feat: any", files))
    after, before = commits
    stands = snapshot(sandbox.root)
    changes = trees.diff(repo, before, after)
    steps = [(change.path, False) for change in changes if change.new == trees.NOTHING]
    steps += [(change.path, True) for change in changes if change.new != trees.NOTHING]
    if staged:
        sandbox.git("read-tree", after)
    for path, written in steps if staged else steps[:stop]:
        target = sandbox.root / path
        target.unlink(missing_ok=True)
        for folder in list(target.parents)[: path.count("/")]:
            folder.rmdir() if not written and not any(folder.iterdir()) else None
        if written:
            if target.is_dir():
                target.rmdir()
            target.parent.mkdir(parents=True, exist_ok=True)
            last = not staged and path == steps[:stop][-1][0]
            target.write_bytes(new[path][:cut] if last else new[path])
    assert rollback.undo(repo, sandbox.root, before, after).left == ()
    assert snapshot(sandbox.root) == stands
    assert checkouts.read_state(repo, sandbox.root).is_dirty is False
