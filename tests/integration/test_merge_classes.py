"""The classes of merges as the queue treats them: the outcome, the tree, and whether the integration branch moved.

Item 41 is merged; 42 began where 41 did. Each row says what both changed, and what becomes of 42.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import pytest
from work_milestone.merging import remedies

from tests.integration.test_merge_queue import REF, begin, finish, merge, reason

if TYPE_CHECKING:
    from tests.conftest import Sandbox

Files = Mapping[str, str | bytes | None]
LOG = "# Log\n\n- old\n"
APP = "import os\n\n\ndef old():\n    return 1\n"
TEXT = "".join(f"line {number}\n" for number in range(1, 30))


class Row(NamedTuple):
    """What there is, what 41 and 42 change, the outcome and class of 42, and the files that tell the tree."""

    base: Files
    first: Files
    second: Files
    status: str
    cls: str
    tree: Files | None = None
    gates: tuple[str, ...] = ()
    followup: bool = False


def changed(line: int, to: str) -> str:
    return TEXT.replace(f"line {line}\n", f"{to}\n")


def renamed(word: str) -> str:
    return TEXT.replace("line", word)


TABLE: Mapping[str, Row] = {
    "other files": Row({}, {"a": "a\n"}, {"b": "b\n"}, "merged", "clean", {"a": "a\n", "b": "b\n"}),
    "other lines": Row({"t": TEXT}, {"t": changed(2, "two")}, {"t": changed(20, "twenty")}, "merged", "clean",
                       {"t": changed(2, "two").replace("line 20\n", "twenty\n")}),
    "the same change": Row({"t": TEXT}, {"t": changed(2, "two")}, {"t": changed(2, "two")}, "merged", "clean",
                           {"t": changed(2, "two")}),
    "a file that one renames": Row({"t": TEXT}, {"t": None, "u": TEXT}, {"t": changed(2, "two")}, "merged", "clean",
                                   {"u": changed(2, "two")}),
    "white space": Row({"p": "x = 1\n"}, {"p": "x  =  1\n"}, {"p": "x = 2\n"}, "merged", "trivial", {"p": "x = 2\n"}),
    "entries of a changelog": Row({"log.md": LOG}, {"log.md": LOG + "- one\n"}, {"log.md": LOG + "- two\n"}, "merged",
                                  "trivial", {"log.md": LOG + "- one\n- two\n"}),
    "imports": Row({"app.py": APP}, {"app.py": APP.replace("import os\n", "import os\nimport re\n")},
                   {"app.py": APP.replace("import os\n", "import os\nimport sys\n")}, "merged", "trivial",
                   {"app.py": APP.replace("import os\n", "import os\nimport re\nimport sys\n")}),
    "functions": Row({"app.py": APP}, {"app.py": APP + "\n\ndef one():\n    return 1\n"},
                     {"app.py": APP + "\n\ndef two():\n    return 2\n"}, "merged", "trivial",
                     {"app.py": APP + "\n\ndef one():\n    return 1\n\n\ndef two():\n    return 2\n"}),
    "two trivial files": Row({"a.md": LOG, "b.md": LOG}, {"a.md": LOG + "- 1\n", "b.md": LOG + "- 1\n"},
                             {"a.md": LOG + "- 2\n", "b.md": LOG + "- 2\n"}, "merged", "trivial",
                             {"a.md": LOG + "- 1\n- 2\n", "b.md": LOG + "- 1\n- 2\n"}),
    "trivial, but a gate says no": Row({"log.md": LOG}, {"log.md": LOG + "- one\n"}, {"log.md": LOG + "- two\n"},
                                       "conflict", "medium", gates=("! grep -q two log.md",)),
    "trivial, but it would not parse": Row(
        {"d.json": '{\n "a": 1\n}\n'}, {"d.json": '{\n "b": 1,\n "a": 1\n}\n'}, {"d.json": '{\n "b": 2,\n "a": 1\n}\n'},
        "conflict", "medium"),
    "one line in two ways": Row({"t": TEXT}, {"t": changed(4, "one")}, {"t": changed(4, "two")}, "conflict", "medium"),
    "a trivial and a medium file": Row({"t": TEXT, "a.md": LOG}, {"t": changed(4, "one"), "a.md": LOG + "- 1\n"},
                                       {"t": changed(4, "two"), "a.md": LOG + "- 2\n"}, "conflict", "medium"),
    "a file that both add": Row({}, {"n": "one\n"}, {"n": "two\n"}, "conflict", "medium"),
    "three files": Row({"a.md": LOG, "b.md": LOG, "c.md": LOG},
                       {"a.md": LOG + "- 1\n", "b.md": LOG + "- 1\n", "c.md": LOG + "- 1\n"},
                       {"a.md": LOG + "- 2\n", "b.md": LOG + "- 2\n", "c.md": LOG + "- 2\n"}, "conflict", "heavy",
                       followup=True),
    "rebuilt by both": Row({"t": TEXT}, {"t": renamed("one")}, {"t": renamed("two")}, "conflict", "heavy",
                           followup=True),
    "deleted against changed": Row({"t": TEXT}, {"t": None}, {"t": changed(4, "two")}, "conflict", "heavy",
                                   followup=True),
    "renamed in two ways": Row({"t": TEXT}, {"t": None, "u": TEXT}, {"t": None, "v": TEXT}, "conflict", "heavy",
                               followup=True),
    "binary": Row({"b": b"\0" * 9}, {"b": b"\0" * 9 + b"1"}, {"b": b"\0" * 9 + b"2"}, "conflict", "heavy",
                  followup=True),
    "a pointer of LFS": Row({"l": "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"},
                            {"l": "version https://git-lfs.github.com/spec/v1\noid sha256:1\n"},
                            {"l": "version https://git-lfs.github.com/spec/v1\noid sha256:2\n"}, "conflict", "heavy",
                            followup=True),
    "a file against a folder": Row({}, {"p": "file\n"}, {"p/q": "folder\n"}, "conflict", "heavy", followup=True),
    "clean, but a driver of the repository's drops lines": Row(
        {".gitattributes": "t merge=mine\n", "t": TEXT}, {"t": changed(4, "one")}, {"t": changed(9, "two")}, "dropped",
        ""),
    "refused by a gate": Row({}, {"a": "a\n"}, {"b": "b\n"}, "gate", "", gates=("! test -e b",)),
}  # fmt: skip


@pytest.mark.parametrize("rooted", [False, True])
@pytest.mark.parametrize("row", TABLE.values(), ids=list(TABLE))
def test_each_class(sandbox: Sandbox, row: Row, rooted: bool) -> None:
    sandbox.git("config", "merge.mine.driver", "true")
    run = begin(sandbox, *row.gates, begun=row.base)
    base = sandbox.git("rev-parse", "main")
    finish(sandbox, run, 41, row.first, base=base)
    finish(sandbox, run, 42, row.second, base=base, rooted=rooted)
    assert merge(run, 41) == "merged"
    before, tree, checkout = sandbox.git("rev-parse", REF), sandbox.tree(REF), sandbox.status()
    assert merge(run, 42) == row.status, reason(run, 42)
    after = sandbox.git("rev-parse", REF)
    receipt = sandbox.run().merge(42) or {}
    assert receipt.get("class", "") == row.cls
    assert row.cls in ("", "clean") or row.cls in receipt["reason"]
    assert sandbox.status() == checkout == ""
    if row.status == "merged":
        assert sandbox.git("rev-parse", f"{after}^") == before
        for path, text in (row.tree or {}).items():
            assert sandbox.tree(REF)[path] == (text.encode() if isinstance(text, str) else text)
        assert not run.followups
        return
    assert (after, sandbox.tree(REF)) == (before, tree), "nothing of it stays"
    titles = [one.title for one in sandbox.run().followups.values()]
    assert titles == (["Resolve merge conflict: Second vs First"] if row.followup else [])
    asks = not remedies.is_mended(run, run.items[42])
    assert asks == (row.cls == "medium" or row.status == "gate"), "whether a session is asked"


def test_a_conflict_that_is_gone_when_its_turn_comes_costs_no_session(sandbox: Sandbox) -> None:
    run = begin(sandbox, begun={"t": TEXT})
    base = sandbox.git("rev-parse", "main")
    finish(sandbox, run, 41, {"t": changed(4, "one")}, base=base)
    finish(sandbox, run, 42, {"t": changed(4, "two")}, base=base)
    assert (merge(run, 41), merge(run, 42)) == ("merged", "conflict")
    reverted = sandbox.git("commit-tree", f"{base}^{{tree}}", "-p", REF, "-m", "revert: it")
    run.repo.move(REF, reverted, run.head)
    run.head = reverted
    remedies.mend(run, run.items[42])
    assert sandbox.tree(REF)["t"] == changed(4, "two").encode()
    assert run.facts(42).merged
    assert run.folder.attempts(42) == 0
