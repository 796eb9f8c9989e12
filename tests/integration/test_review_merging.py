"""What a merge must keep, in the hands of git: nothing is missed, and nobody is stopped for nothing."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from work_milestone import completeness

from tests.integration.test_merge_queue import REF, Files, begin, finish, merge, reason

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
    return completeness.check_resolution(sandbox.run().repo, ours, work, result, Path(sandbox.root))


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
