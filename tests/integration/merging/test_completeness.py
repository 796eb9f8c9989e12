"""What a merge must keep, in the hands of git: nothing is missed, and nobody is stopped for nothing."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from work_milestone.conflicts import completeness
from work_milestone.merging import remedies
from work_milestone.store import records

from tests.integration.merging.queues import REF, Files, begin, finish, merge, read, reason

if TYPE_CHECKING:
    from tests.conftest import Sandbox


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def block(name: str) -> list[str]:
    return [f"def {name}():", *(f"    {name} {number}" for number in range(8))]


@pytest.mark.parametrize("gone", [4, 13])
def test_a_line_that_others_took_out_of_what_is_moved_stops_nobody(sandbox: Sandbox, gone: int) -> None:
    lines = [*block("a"), *block("b")]
    run = begin(sandbox, begun={"code": text(*lines)})
    finish(sandbox, run, 41, {"code": text(*lines[:gone], *lines[gone + 1 :])})
    finish(sandbox, run, 42, {"code": text(*block("b"), *block("a"))})
    assert merge(run, 41) == "merged"
    assert merge(run, 42) in ("merged", "conflict")
    assert "would drop" not in reason(run, 42)


@pytest.mark.parametrize("seed", range(20))
def test_what_merges_clean_drops_nothing(sandbox: Sandbox, seed: int) -> None:
    dice = random.Random(seed)
    lines = [f"line {number}" for number in range(60)]
    run = begin(sandbox, begun={"code": text(*lines)})
    for issue in (41, 42):
        mine, begins = list(lines), dice.sample(range(0, 50, 10), 3)
        moved = mine[begins[0] : begins[0] + 9]
        del mine[begins[0] : begins[0] + 9]
        at = dice.randrange(len(mine))
        mine[at:at] = moved
        del mine[dice.randrange(len(mine))]
        finish(sandbox, run, issue, {"code": text(*mine)})
    assert merge(run, 41) == "merged"
    merge(run, 42)
    assert "would drop" not in reason(run, 42)


def test_many_lines_in_a_file_that_others_have_renamed(sandbox: Sandbox) -> None:
    lines = [f"line {number}" for number in range(20_000)]
    run = begin(sandbox, begun={"old": text(*lines)})
    finish(sandbox, run, 41, {"old": None, "new": text(*lines)})
    added = [line for number in range(20_000) for line in (f"line {number}", *([f"own {number}"] * (number % 4 == 0)))]
    finish(sandbox, run, 42, {"old": text(*added)})
    assert merge(run, 41) == "merged"
    began = time.monotonic()
    assert merge(run, 42) == "merged"
    assert time.monotonic() - began < 10
    assert sandbox.tree(REF)["new"] == text(*added).encode()


def test_many_files(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    finish(sandbox, run, 41, {"f": "ONE\ntwo\nthree\n"})
    finish(sandbox, run, 42, {f"many/{number}": "x" for number in range(12_000)} | {"f": "one\ntwo\nTHREE\n"})
    assert merge(run, 41) == "merged"
    began = time.monotonic()
    assert merge(run, 42) == "merged"
    assert time.monotonic() - began < 5


NAMES = ["a b", "-x", "a\nb", "🦀", "back\\slash", ":x", ":(top)x", "[a]*?", "\udcff", '"q"', "tab\t", ":!x"]


@pytest.mark.parametrize("name", NAMES)
def test_a_resolution_in_a_file_of_any_name(sandbox: Sandbox, name: str) -> None:
    lines = [f"line {number}" for number in range(9)]
    sandbox.commit("chore: file", {name: text(*lines)})
    ours = sandbox.branch_commit("ours", "main", "ours", {name: text("own", *lines[:4], "ours", *lines[5:])})
    work = sandbox.branch_commit("work", "main", "work", {name: text(*lines[:4], "work", *lines[5:], "last")})
    both = {name: text("own", *lines[:4], "ours", "work", *lines[5:], "last")}
    assert check(sandbox, ours, work, both) == ""
    assert "undoes 1 line" in check(sandbox, ours, work, {name: both[name].replace("own\n", "")})
    assert "markers" in check(sandbox, ours, work, {name: "<<<<<<< ours\n" + both[name]})


def check(sandbox: Sandbox, ours: str, work: str, files: Files) -> str:
    """Check a resolution of `ours` and `work` that has these files."""
    sandbox.git("checkout", "-q", "--detach", ours)
    sandbox.git("merge", "-q", "--no-commit", "-s", "ours", work)
    sandbox.git("checkout", "-q", "main")
    sandbox.git("checkout", "-q", "--detach", ours)
    tree = sandbox.commit("resolved", files)
    result = sandbox.git("commit-tree", f"{tree}^{{tree}}", "-p", ours, "-p", work, "-m", "resolved")
    sandbox.git("checkout", "-q", "main")
    fault = completeness.check_resolution(sandbox.run().repo, ours, work, result, Path(sandbox.root))
    return fault.reason if fault else ""


def test_a_resolution_where_a_side_has_no_file(sandbox: Sandbox) -> None:
    lines = [f"line {number}" for number in range(9)]
    sandbox.commit("chore: file", {"f": text(*lines), "g": "g"})
    ours = sandbox.branch_commit("ours", "main", "ours", {"f": None})
    work = sandbox.branch_commit("work", "main", "work", {"f": text(*lines[:4], "work", *lines[5:])})
    assert check(sandbox, ours, work, {"f": text(*lines[:4], "work")}) == ""
    assert "markers" in check(sandbox, ours, work, {"f": "<<<<<<< x\n"})
    assert "takes all of the work back" in check(sandbox, ours, work, {"h": "h"})


def test_a_resolution_that_removes_what_did_not_conflict(sandbox: Sandbox) -> None:
    sandbox.commit("chore: file", {"f": text("a", "b", "c"), "g": "1\n2\n", "dir/h": "h"})
    (sandbox.root / "link").symlink_to("g")
    sandbox.commit("chore: link", {})
    ours = sandbox.branch_commit("ours", "main", "ours", {"f": text("a", "ours", "c")})
    work = sandbox.branch_commit("work", "main", "work", {"f": text("a", "work", "c")})
    both = {"f": text("a", "ours", "work", "c")}
    for path in ("g", "dir/h", "link"):
        assert f"removes {path}" in check(sandbox, ours, work, {**both, path: None})
    assert check(sandbox, ours, work, {**both, "g": None, "moved": "1\n2\n"}) == "", "renamed"
    assert check(sandbox, ours, work, {**both, "g": "1\n2\n3\n"}) == ""


DRIVERS = {"ours": "true", "theirs": "cp %B %A"}


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=list(DRIVERS))
@pytest.mark.parametrize("also", ["nothing", "trivial", "medium"])
def test_a_merge_of_the_files_own_that_drops_lines_is_seen(sandbox: Sandbox, driver: str, also: str) -> None:
    begun = {"log": "a\nb\nc\nd\ne\n", "f": "one\ntwo\n", ".gitattributes": "log merge=mine\n"}
    run = begin(sandbox, begun=begun)
    sandbox.git("config", "merge.mine.driver", driver)
    f = {"trivial": ("one\n  two\n", "one\ntwo\nthree\n"), "medium": ("one\n2\n", "one\nTWO\n")}.get(also, ("", ""))
    ours, theirs = ({"f": text} if text else {} for text in f)
    finish(sandbox, run, 41, {"log": "41\na\nb\nc\nd\ne\n", **ours})
    finish(sandbox, run, 42, {"log": "a\nb\nc\nd\ne\n42\n", **theirs})
    assert merge(run, 41) == "merged"
    old = sandbox.git("rev-parse", REF)
    status = merge(run, 42)
    assert sandbox.git("rev-parse", REF) == old
    if also == "nothing":
        assert status == "dropped"
        assert "1 line of log" in reason(run, 42)
        return
    assert read(run, 42).cls == "medium"
    work = sandbox.git("rev-parse", "work/7/42")
    both: Files = {
        "f": "one\n2\nTWO\n",
        "log": sandbox.tree(old)["log"] if driver == "true" else sandbox.tree(work)["log"],
    }
    assert "would drop 1 line of log" in check(sandbox, old, work, both) or "undoes" in check(sandbox, old, work, both)
    assert check(sandbox, old, work, {**both, "log": "41\na\nb\nc\nd\ne\n42\n"}) == ""


HISTORIES: dict[str, tuple[str, ...]] = {
    "the integration branch merged": ("merge -q --no-edit " + REF,),
    "another item's commits": ("merge -q --no-edit work/7/41",),
    "another item's commits, picked": ("cherry-pick work/7/41",),
    "reverted": ("revert --no-edit HEAD", "revert --no-edit HEAD"),
    "empty commits": ("commit -q --allow-empty -m empty",),
    "mode": ("update-index --chmod=+x f", "commit -q -m mode", "checkout -q -f HEAD"),
    "moved": ("mv f moved", "commit -q -m moved"),
    "there and away": ("mv f moved", "commit -q -m moved", "rm -q moved", "commit -q -m away"),
}


@pytest.mark.parametrize("commands", HISTORIES.values(), ids=list(HISTORIES))
@pytest.mark.parametrize("more", [False, True])
def test_no_alarm_for_a_branch_of_any_history(sandbox: Sandbox, commands: tuple[str, ...], more: bool) -> None:
    lines = [f"line {number}" for number in range(20)]
    run = begin(sandbox, begun={"f": text(*lines)}, items=[{"issue": 43, "title": "Third"}])
    finish(sandbox, run, 41, {"f": text("41", *lines), "other": "x"})
    assert merge(run, 41) == "merged"
    sandbox.branch_commit("work/7/42", "main", "feat: work", {"f": text(*lines[:10], "42", *lines[10:]), "own": "o"})
    sandbox.git("checkout", "-q", "work/7/42")
    for command in commands:
        sandbox.git(*command.split())
    head = sandbox.git("rev-parse", "HEAD")
    commits, files = run.repo.commits(sandbox.git("rev-parse", "main"), head)
    sandbox.git("checkout", "-q", "main")
    if more:  # a third item changes what the first has brought
        finish(sandbox, run, 43, {"f": text("forty-one", *lines), "other": "y"}, base=REF)
        assert merge(run, 43) == "merged"
    work = records.Work(
        status="complete", attempt=1, head=head, branch="work/7/42", files=tuple(files), ended=9e8,
        commits=tuple(records.Commit(id=commit.id, subject=commit.subject) for commit in commits),
        base=sandbox.git("rev-parse", "main"),
    )  # fmt: skip
    run.receipts.write(work, 42)
    run.reread()
    status = merge(run, 42)
    assert "would drop" not in reason(run, 42)
    assert status in ("merged", "conflict")


def test_what_sessions_may_mend_is_told_without_a_question_an_item(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"issue": issue, "title": f"Item {issue}"} for issue in range(43, 63)]
    run = begin(sandbox, "false", items=many)
    for issue in range(41, 63):
        finish(sandbox, run, issue, {f"f{issue}": "x"})
        assert merge(run, issue) == "gate"
    trace = sandbox.root.parent / "trace"
    monkeypatch.setenv("GIT_TRACE", str(trace))
    again = sandbox.run()
    assert not any(remedies.is_mended(again, item) for item in again.dispatch.items.values())
    assert 0 < trace.read_text().count("built-in: git") < 10
