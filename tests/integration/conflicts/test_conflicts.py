"""The class of a merge, by real merges: each kind of conflict, and what the rules make of the trivial ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from work_milestone import conflicts, git
from work_milestone.conflicts import Class, classes, content, hunks, parsers, rules, sides
from work_milestone.git import edits, merges
from work_milestone.system import GitError

if TYPE_CHECKING:
    from tests.conftest import Sandbox

Files = Mapping[str, str | bytes | None]
LINES = "".join(f"line {number}\n" for number in range(30))
HOSTILE = ["-f", "two words", "new\nline", "wild\udcff", "ünï", "a/b\t'c'.txt"]


def classify(sandbox: Sandbox, base: Files, ours: Files, theirs: Files) -> conflicts.Verdict:
    common = sandbox.commit("feat: base", dict(base))
    sandbox.branch_commit("ours", common, "feat: ours", dict(ours))
    sandbox.branch_commit("theirs", common, "feat: theirs", dict(theirs))
    return verdict(sandbox)


def verdict(sandbox: Sandbox) -> conflicts.Verdict:
    """Classify the merge of both branches; what was resolved must hold the work of both, and no marker."""
    repo = git.Repo(sandbox.root)
    merged = merges.merge(repo, "ours", "theirs", sandbox.root)
    found = conflicts.classify(repo, merged)
    assert found.files == merged.conflicts
    assert found.reason.startswith(f"{found.cls}: ")
    assert found.reason.isprintable()
    assert set(found.resolved) == (set(found.files) if found.cls is Class.TRIVIAL else set())
    if found.cls is Class.TRIVIAL:
        tree = edits.edit(repo, merged.tree, {path: git.decode(text) for path, text in found.resolved.items()})
        sides = [sandbox.tree(rev) for rev in (sandbox.git("merge-base", "ours", "theirs"), "ours", "theirs")]
        for path, text in sandbox.tree(tree).items():
            base, ours, theirs = (side.get(path, b"") for side in sides)
            assert not content.has_markers(text, base, ours, theirs)
            if path in found.resolved:
                assert text == found.resolved[path]
                assert content.find_dropped(base, ours, text) == content.find_dropped(base, theirs, text) == []
    return found


def text_of(found: conflicts.Verdict, path: str) -> str:
    return found.resolved[path].decode()


# Clean and trivial


def test_a_clean_merge(sandbox: Sandbox) -> None:
    found = classify(sandbox, {"f": LINES}, {"f": "ours\n" + LINES}, {"f": LINES + "theirs\n"})
    assert (found.cls, found.reason, found.files) == (Class.CLEAN, "clean: nothing conflicts", ())


@pytest.mark.parametrize(
    ("path", "base", "ours", "theirs", "result", "rule"),
    [
        ("CHANGELOG.md", "# Changes\n\n", "# Changes\n\n- one\n", "# Changes\n\n- two\n", "# Changes\n\n- one\n- two\n",
         "entries added by both (A)"),
        ("f", "x = 1\n", "x  = 1\n", "x = 2\n", "x = 2\n", "no line really changed by both (W)"),
        ("f", "a\nb\n", "A\nb\n", "a\nB\n", "A\nB\n", "no line really changed by both (W)"),
        ("a.py", "import os\n\nos()\n", "import os\nimport re\n\nos()\n", "import json\nimport os\nimport z\n\nos()\n",
         "import json\nimport os\nimport re\nimport z\n\nos()\n", "imports changed by both (I)"),
        ("a.py", "x = 1\n", "x = 1\n\n\ndef a():\n    return x\n", "x = 1\n\n\ndef b():\n    return 2\n",
         "x = 1\n\n\ndef a():\n    return x\n\n\ndef b():\n    return 2\n", "entries added by both (A)"),
        ("a.json", '{\n  "z": 0\n}\n', '{\n  "a": 1,\n  "z": 0\n}\n', '{\n  "b": 2,\n  "z": 0\n}\n',
         '{\n  "a": 1,\n  "b": 2,\n  "z": 0\n}\n', "entries added by both (A)"),
        ("a.yml", "x:\n  - a\n", "x:\n  - a\n  - b\n", "x:\n  - a\n  - c\n", "x:\n  - a\n  - b\n  - c\n",
         "entries added by both (A)"),
        ("a.go", 'import (\n\t"fmt"\n)\n', 'import (\n\t"fmt"\n\t"io"\n)\n', 'import (\n\t"fmt"\n\t"os"\n)\n',
         'import (\n\t"fmt"\n\t"io"\n\t"os"\n)\n', "imports changed by both (I)"),
        ("f", "\r\n", "- a\r\n\r\n", "- b\r\n\r\n", "- a\r\n- b\r\n\r\n", "entries added by both (A)"),
    ],
)  # fmt: skip
def test_trivial(sandbox: Sandbox, path: str, base: str, ours: str, theirs: str, result: str, rule: str) -> None:
    found = classify(sandbox, {path: base}, {path: ours}, {path: theirs})
    assert (found.cls, found.reason) == (Class.TRIVIAL, f"trivial: {path}: {rule}")
    assert text_of(found, path) == result


def test_two_trivial_files(sandbox: Sandbox) -> None:
    found = classify(
        sandbox, {"a": "x = 1\n", "b.md": ""}, {"a": "x  = 1\n", "b.md": "- one\n"}, {"a": "x = 2\n", "b.md": "- two\n"}
    )
    assert found.reason == "trivial: a: no line really changed by both (W); b.md: entries added by both (A)"


@pytest.mark.parametrize("path", HOSTILE)
def test_any_path(sandbox: Sandbox, path: str) -> None:
    found = classify(sandbox, {path: "\udcfe\n"}, {path: "\udcfe\n- a\n"}, {path: "\udcfe\n- b\n"})
    assert (found.cls, found.resolved) == (Class.TRIVIAL, {path: b"\xfe\n- a\n- b\n"})
    assert classify(sandbox, {path: "x\n"}, {path: "y\n"}, {path: "z\n"}).cls is Class.MEDIUM


def test_a_renamed_file_is_resolved_where_it_is_now(sandbox: Sandbox) -> None:
    found = classify(sandbox, {"old": LINES}, {"old": None, "new": LINES + "- one\n"}, {"old": LINES + "- two\n"})
    assert (found.cls, found.files) == (Class.TRIVIAL, ("new",))
    assert text_of(found, "new") == LINES + "- one\n- two\n"


def test_the_mode_stays(sandbox: Sandbox) -> None:
    sandbox.write({"run": "#!/bin/sh\n"})
    (sandbox.root / "run").chmod(0o755)
    found = classify(sandbox, {}, {"run": "#!/bin/sh\n- a\n"}, {"run": "#!/bin/sh\n- b\n"})
    repo = git.Repo(sandbox.root)
    merged = merges.merge(repo, "ours", "theirs", sandbox.root)
    tree = edits.edit(repo, merged.tree, {"run": text_of(found, "run")})
    assert sandbox.git("ls-tree", tree, "run").startswith("100755")


# Medium


@pytest.mark.parametrize(
    ("path", "base", "ours", "theirs", "why"),
    [
        ("app.py", "a\nb\nc\nd\n", "a\n1\n2\n3\n", "a\n4\n5\n6\n", "line 2: both sides change the same 3 lines"),
        ("f", "a\nb\n", "a\nB\n", "a\n", "line 2: one side deletes the line that the other changes"),
        ("f", "a\n", "a\nx\n", "a\ny\n", "line 2: both sides add lines at the same place"),
        ("f", "a", "a\nb\n", "a\nc\n", "line 1: both sides change the same line"),
        ("a.json", '{\n"z": 0\n}\n', '{\n"a": 1,\n"z": 0\n}\n', '{\n"b": 1,\n"a": 2,\n"z": 0\n}\n',
         "line 2: both sides add lines at the same place"),
    ],
)  # fmt: skip
def test_medium(sandbox: Sandbox, path: str, base: str, ours: str, theirs: str, why: str) -> None:
    found = classify(sandbox, {path: base}, {path: ours}, {path: theirs})
    assert (found.cls, found.reason) == (Class.MEDIUM, f"medium: {path}: {why}")


@pytest.mark.parametrize(
    ("path", "base", "ours", "theirs"),
    [
        # Each side alone parses, and every hunk has a rule.
        ("a.py", "f(0,\n  a=1)\n", "f(x=0,\n  a=1)\n", "f(0,\n  1)\n"),
        ("a.json", '{"a":\n1\n}\n', '{"a":\n1,\n"x": 2\n}\n', '{"x":\n1\n}\n'),
        ("a.toml", "a = 1\nb = 2\n", "c = 1\nb = 2\n", "a = 1\nc = 2\n"),
        ("a.yaml", "a:\n x\n", "a: &y\n x\n", "a:\n &z x\n"),
    ],
)
def test_a_result_that_does_not_parse_is_medium(sandbox: Sandbox, path: str, base: str, ours: str, theirs: str) -> None:
    found = classify(sandbox, {path: base}, {path: ours}, {path: theirs})
    assert (found.cls, found.reason) == (Class.MEDIUM, f"medium: {path}: the result of the rules does not parse")


@pytest.mark.parametrize("path", ["a.py", "a.json", "a.toml", "a.yaml"])
@pytest.mark.parametrize(
    "text", ["(" * 5000 + "\n", "-" * 100_000 + "1\n", "[" * 100_000 + "\n", "a." * 99_999 + "a = 1\n",
             '"\\d"\n', "\udcff\n", "&a [*a, *a]\n", "1" * 9999 + "\n"]
)  # fmt: skip
def test_hostile_files_are_classified(sandbox: Sandbox, path: str, text: str) -> None:
    found = classify(sandbox, {path: text + "a\nb\n"}, {path: text + "A\nb\n"}, {path: text + "a\nB\n"})
    assert found.cls in (Class.TRIVIAL, Class.MEDIUM)


def test_a_large_file_is_not_parsed(sandbox: Sandbox) -> None:
    text = "# " + "x" * parsers.MAX_PARSED + "\n"
    found = classify(sandbox, {"a.py": text + "a\nb\n"}, {"a.py": text + "A\nb\n"}, {"a.py": text + "a\nB\n"})
    assert found.reason == "medium: a.py: too large to check the result"


def test_both_add_the_file(sandbox: Sandbox) -> None:
    found = classify(sandbox, {}, {"f": "- a\n"}, {"f": "- b\n"})
    assert (found.cls, found.reason) == (Class.MEDIUM, "medium: f: both sides add the file")


def test_a_mode_that_changes_too(sandbox: Sandbox) -> None:
    classify(sandbox, {"f": "x\n"}, {"f": "x\n- a\n"}, {"f": "x\n- b\n"})
    sandbox.git("checkout", "-q", "theirs")
    (sandbox.root / "f").chmod(0o755)
    sandbox.commit("chore: mode", {})
    found = verdict(sandbox)
    assert (found.cls, found.reason) == (Class.MEDIUM, "medium: f: its mode changes too")


@pytest.mark.parametrize(
    ("attributes", "cls", "why"),
    [
        ("f merge=ours\n", Class.MEDIUM, "f: git merges it in a way of its own (merge=ours)"),
        ("f -merge\n", Class.HEAVY, "f is binary"),
        ("f filter=lfs\n", Class.HEAVY, "f is kept in LFS"),
        ("f merge=text diff=x\n", Class.TRIVIAL, "f: entries added by both (A)"),
    ],
)
def test_attributes_make_it_harder(sandbox: Sandbox, attributes: str, cls: Class, why: str) -> None:
    classify(sandbox, {"f": "x\n"}, {"f": "x\n- a\n"}, {"f": "x\n- b\n"})
    sandbox.commit("chore: attributes", {".gitattributes": attributes})
    found = verdict(sandbox)
    assert (found.cls, found.reason) == (cls, f"{cls}: {why}")


# Heavy


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "why"),
    [
        (dict.fromkeys("abc", "x\n"), dict.fromkeys("abc", "y\n"), dict.fromkeys("abc", "z\n"),
         "3 files conflict: a, b, c"),
        ({"logo.png": "\0a"}, {"logo.png": "\0b"}, {"logo.png": "\0c"}, "logo.png is binary"),
        ({"f": "a\n"}, {"f": "\0b"}, {"f": "c\n"}, "f is binary"),
        ({"f": LINES}, {"f": None}, {"f": "x" + LINES}, "f: modify/delete"),
        ({"old": LINES}, {"old": None, "new": LINES}, {"old": None}, "new: rename/delete"),
        ({"old": LINES}, {"old": None, "one": LINES}, {"old": None, "two": LINES}, "old: rename/rename"),
        ({"f": "version https://git-lfs.github.com/spec/v1\noid 1\n"},
         {"f": "version https://git-lfs.github.com/spec/v1\noid 2\n"},
         {"f": "version https://git-lfs.github.com/spec/v1\noid 3\n"}, "f is an LFS pointer"),
        ({"f": LINES}, {"f": "x\n"}, {"f": "y\n"}, "f was rebuilt by both sides"),
    ],
)  # fmt: skip
def test_heavy(sandbox: Sandbox, base: Files, ours: Files, theirs: Files, why: str) -> None:
    found = classify(sandbox, base, ours, theirs)
    assert (found.cls, found.reason) == (Class.HEAVY, f"heavy: {why}")


def test_a_file_against_a_folder(sandbox: Sandbox) -> None:
    found = classify(sandbox, {}, {"x": "file\n"}, {"x/y": "in a folder\n"})
    assert found.cls is Class.HEAVY
    assert "file/directory" in found.reason


def test_many_files_are_named_in_part(sandbox: Sandbox) -> None:
    names = [f"f{number:02}" for number in range(12)]
    found = classify(sandbox, dict.fromkeys(names, "b\n"), dict.fromkeys(names, "o\n"), dict.fromkeys(names, "t\n"))
    assert found.reason == "heavy: 12 files conflict: f00, f01, f02, f03, f04, f05, f06, f07, …"


def test_a_large_file_is_not_read(sandbox: Sandbox) -> None:
    large = "x" * classes.MAX_BYTES
    found = classify(sandbox, {"f": large + "a\n"}, {"f": large + "b\n"}, {"f": "c\n"})
    assert (found.cls, found.reason) == (Class.HEAVY, "heavy: f has 5 MB")


def test_symbolic_links(sandbox: Sandbox) -> None:
    common = sandbox.base
    for branch in ("ours", "theirs"):
        sandbox.git("checkout", "-q", "-B", branch, common)
        (sandbox.root / "link").symlink_to(branch)
        sandbox.commit("feat: link", {})
    found = verdict(sandbox)
    assert (found.cls, found.reason) == (Class.HEAVY, "heavy: link is a symbolic link")


def test_a_link_against_a_file(sandbox: Sandbox) -> None:
    common = sandbox.commit("feat: base", {"f": LINES})
    sandbox.branch_commit("ours", common, "feat: ours", {"f": LINES + "x\n"})
    sandbox.git("checkout", "-q", "-B", "theirs", common)
    (sandbox.root / "f").unlink()
    (sandbox.root / "f").symlink_to("elsewhere")
    sandbox.commit("feat: link", {})
    assert verdict(sandbox).cls is Class.HEAVY


def test_submodules(sandbox: Sandbox) -> None:
    for at, branch in enumerate(("main", "ours", "theirs"), 1):
        sandbox.git("checkout", "-q", *(["-B", branch, "main"] if at > 1 else ["main"]))
        sandbox.git("update-index", "--add", "--cacheinfo", f"160000,{str(at) * 40},module")
        sandbox.git("commit", "-q", "-m", "feat: module")
    found = verdict(sandbox)
    assert found.cls is Class.HEAVY
    assert "submodule" in found.reason


def test_markers_of_a_base_in_two_ways(sandbox: Sandbox) -> None:
    """A merge of branches that were merged crosswise: its base is a merge too, with markers in it."""
    classify(sandbox, {"f": "a\n"}, {"f": "b\n"}, {"f": "c\n"})
    heads = {branch: sandbox.git("rev-parse", branch) for branch in ("ours", "theirs")}
    for branch, other, text in (("ours", "theirs", "b\nc\n"), ("theirs", "ours", "c\nb\n")):
        sandbox.git("checkout", "-q", branch)
        sandbox.git("merge", "-q", "-s", "ours", heads[other])
        sandbox.commit("feat: on", {"f": text})
    assert len(sandbox.git("merge-base", "--all", "ours", "theirs").split()) == 2
    repo = git.Repo(sandbox.root)
    found = conflicts.classify(repo, merges.merge(repo, "ours", "theirs", sandbox.root))
    assert (found.cls, found.resolved) == (Class.MEDIUM, {})


# git merge-file, by any texts

ALPHABET = st.sampled_from(
    [b"a\n", b"b\n", b"c\n", b"\n", b"}\n", b"a\r\n", b"b\r\n", b"<<<<<<< a\n", b"=======\n", b"\xff\n"]
)
TEXTS = st.one_of(
    st.builds(lambda got, cut: b"".join(got)[: -1 if cut else None], st.lists(ALPHABET, max_size=8), st.booleans()),
    st.binary(max_size=12).map(lambda text: text.replace(b"\0", b"")),
)


@pytest.fixture(scope="module")
def any_repo(tmp_path_factory: pytest.TempPathFactory) -> git.Repo:
    root = tmp_path_factory.mktemp("any")
    repo = git.Repo(root)
    repo.call("init", "-q")
    return repo


@settings(max_examples=150)
@given(TEXTS, TEXTS, TEXTS)
@example(b"a", b"a\nb", b"a\nc")
@example(b"a\r\nb", b"a\r\nx", b"a\r\ny\r\n")
@example(b"a\n", b"", b"b")
def test_parsed_merges_say_what_git_says(any_repo: git.Repo, base: bytes, ours: bytes, theirs: bytes) -> None:
    chunks = sides.merge_file(any_repo, base, ours, theirs)
    assert chunks == tuple(chunk for chunk in chunks if chunk), "no empty chunk"
    joined = {side: join(chunks, side) for side in ("base", "ours", "theirs")}
    folder = any_repo.root
    for name, text in (("b", base), ("o", ours), ("t", theirs)):
        (folder / name).write_bytes(text)
    if not any(isinstance(chunk, hunks.Hunk) for chunk in chunks):
        assert any_repo.call("merge-file", "-p", "o", "b", "t").stdout == joined["ours"]
    else:
        favored = {
            side: any_repo.call("merge-file", "-p", f"--{side}", "o", "b", "t").stdout for side in ("ours", "theirs")
        }
        assert favored == {side: joined[side] for side in ("ours", "theirs")}
    # Merged with what the conflicts hold of one side, that side has nothing more to say.
    for side, text in (("ours", ours), ("theirs", theirs)):
        assert added(base, text) <= Counter(hunks.lines(joined[side]))
    if base == theirs:
        assert chunks == ((hunks.lines(ours),) if ours else ())
    if base == ours:
        assert joined["theirs"] == theirs
    found = rules.resolve(chunks)
    if found.content is not None:
        have = folded(found.content)
        for text in (ours, theirs):
            assert folded(text) - folded(base) <= have
    for result in joined.values():
        assert not content.find_undone(base, chunks, result)


def join(chunks: tuple[hunks.Chunk, ...], side: str) -> bytes:
    return b"".join(
        b"".join(getattr(chunk, side)) if isinstance(chunk, hunks.Hunk) else b"".join(chunk) for chunk in chunks
    )


def added(base: bytes, text: bytes) -> Counter[bytes]:
    return Counter(hunks.lines(text)) - Counter(hunks.lines(base))


def folded(text: bytes) -> Counter[bytes]:
    return Counter(b" ".join(line.split()) for line in hunks.lines(text) if line.strip())


def test_texts_that_git_cannot_merge_raise(any_repo: git.Repo) -> None:
    with pytest.raises(GitError):
        sides.merge_file(any_repo, b"\0", b"a\n", b"b\n")


def test_nothing_stays_behind(any_repo: git.Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sides.merge_file(any_repo, b"a\n", b"b\n", b"c\n")
    assert not list(tmp_path.iterdir())
