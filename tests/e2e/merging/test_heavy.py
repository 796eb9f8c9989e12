"""Conflicts that nobody can be asked to resolve in passing: nothing of the merge stays, and an item takes it over."""

from __future__ import annotations

import pytest

from tests.e2e.harness import KEEP, Sandbox, item, plan
from tests.e2e.merging.followups import FILES, await_merge, heavy, overlay, rewrite


def test_a_heavy_conflict_becomes_an_item(box: Sandbox) -> None:
    heavy(box, [item(5, 2)])
    box.behave(6, f"{KEEP}; for f in {' '.join(FILES)}; do echo both > $f; done; commit 'fix: both'; report COMPLETE")
    box.behave(5, "grep -q both a.txt && work && report COMPLETE")
    box.milestone()
    assert box.starts() == dict.fromkeys((1, 2, 5, 6), 1)
    assert box.mends() == {}
    row = overlay(box)[6]
    assert row["title"] == "Resolve merge conflict: Item 2 vs Item 1"
    assert (row["origin"], row["kind"], row["against"], row["files"]) == (2, "conflict", [1], list(FILES))
    box.require_landed(1, 5, 6)
    commit = box.squashes()[6][0]
    assert box.trailers(commit)["Milestone-Settles"] == "2"
    assert [box.show(path) for path in FILES] == ["both"] * 3
    assert box.show("a.txt", f"{commit}^") == "first", "nothing of the merge stays"
    told = box.prompt("6")
    for words in ("the way of first", "the way of second", row["branch"], "milestone/3-test", *FILES,
                  "+first", "+second", "Resolve merge conflict: Item 2 vs Item 1"):  # fmt: skip
        assert words in told, words
    assert "item-1.txt" not in told
    box.require_clean()


def test_nothing_of_a_heavy_merge_stays(box: Sandbox) -> None:
    heavy(box, generations=0)
    done = box.milestone(rc=1)
    assert box.starts() == {1: 1, 2: 1}
    assert "generation 1" in done.out
    branch = "milestone/3-test"
    assert [box.show(path, branch) for path in FILES] == ["first"] * 3
    assert box.squashes(branch).keys() == {1}
    assert box.git("rev-list", "--count", f"main..{branch}") == "1"


def test_partial_work_that_conflicts_is_told_as_such(box: Sandbox) -> None:
    heavy(box)
    box.behave(2, f"{await_merge(box, 1)} {rewrite('second').replace('COMPLETE', 'PARTIAL')}")
    box.milestone()
    told = box.prompt("3")
    assert "is finished" not in told
    assert "in part" in told
    box.require_landed(1, 3)


def test_two_that_conflict_and_so_do_their_followups(box: Sandbox) -> None:
    """Items 2 and 3 conflict with 1; of their follow-ups, 4 and 5, one conflicts with the other, and gets one too."""
    box.make(plan([[item(1), item(2), item(3)]]), files=dict.fromkeys(FILES, "begin\n"))
    box.behave(1, rewrite("first"))
    for issue in (2, 3):
        box.behave(issue, f"{await_merge(box, 1)} {rewrite(f'side{issue}')}")
    for issue in (4, 5):
        other = 9 - issue
        meet = f'until grep -q "^{other} " "$OUT/starts"; do :; done;'
        box.behave(issue, f"{meet} {rewrite(f'side{issue}')}")
    box.milestone()
    assert box.starts() == dict.fromkeys((1, 2, 3, 4, 5, 6), 1)
    found = overlay(box)
    assert found[6]["generation"] == 2
    assert found[6]["origin"] in (4, 5)
    assert found[6]["against"] == [9 - found[6]["origin"]]
    box.require_clean()
    assert box.squashes().keys() == {1, 6, 9 - found[6]["origin"]}


@pytest.mark.parametrize("path", [b"caf\xe9.txt", b"--force", b"a b\"'\n.txt"])
def test_a_conflict_in_files_of_any_name(box: Sandbox, path: bytes) -> None:
    box.make(plan([[item(1), item(2)]], pre=["true"]))
    target = path.replace(b"'", b"'\\''")
    for other in (*FILES[:2],):
        box.write(other, "begin\n")
    with open(box.root.as_posix().encode() + b"/" + path, "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"begin\n")
    box.git("add", "-A")
    box.git("commit", "-qm", "chore: files")
    base = box.rev()
    for issue, word in ((1, "first"), (2, "second")):
        script = (f"{await_merge(box, 1)} " if issue == 2 else "").encode()
        script += b"for f in a.txt b.txt './" + target + b"'; do echo " + word.encode() + b' > "$f"; done; '
        script += b"commit 'feat: x'; report COMPLETE\n"
        (box.outside / f"do-{issue}").write_bytes(script)
    box.milestone()
    box.require_landed(1, 3, base=base)
    box.require_clean()
