"""What proves where the code under work is imported from (`prove`): no session starts where it lies elsewhere."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, await_text, item, plan

OUTSIDE, NOTHING = "is outside of", "names nothing"
PROOFS = {  # what it says, and why that proves nothing
    "inside": ("pwd", ""),
    "a file of its own": ("echo README.md", ""),
    "the main checkout": ('dirname "$(git rev-parse --path-format=absolute --git-common-dir)"', OUTSIDE),
    "beside": ("echo ..", OUTSIDE),
    "through a link": ("echo .venv/module.py", OUTSIDE),
    "nothing": ("true", "it printed nothing"),
    "an error": ("echo no such module >&2; exit 1", "no such module"),
    "a word": ("echo hello", NOTHING),
    "none": ("echo None", NOTHING),
    "an object": ("echo \"<module 'x' from '$PWD/README.md'>\"", NOTHING),
    "a name that is too long": ("printf %05000d 0", NOTHING),
    "a byte that no path has": ("printf 'a\\\\0b\\n'", NOTHING),
}


@pytest.mark.parametrize("case", PROOFS)
def test_a_session_starts_where_the_proof_lies_inside_its_worktree(box: Sandbox, case: str) -> None:
    line, words = PROOFS[case]
    box.write(".gitignore", ".venv\n")
    box.write(".venv/module.py", "")
    box.make(plan([[item(1)], [item(2, 1)]]), prove=line)
    done = box.milestone(rc=1 if words else 0)
    if words:
        assert words in done.err
        assert "prove: " in done.err
        assert "prove: " in done.out
        assert not box.starts()
        box.milestone("prove=echo README.md")
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)


def test_a_proof_that_hangs_leaves_nothing_and_a_stop_ends_it(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), prove='sleep 987 & echo started > "$OUT/proving"; wait')
    with box.start() as run:
        await_text(box.outside / "proving", "started")
        box.doit("stop", "n=3", rc=0)
        assert run.wait() == 143
    assert not box.starts()
    box.await_idle()


def test_a_proof_leaves_no_process(box: Sandbox) -> None:
    box.make(plan([[item(1)]]), prove="sleep 987 & echo a warning >&2; pwd")
    box.milestone()
    box.require_done(1)
