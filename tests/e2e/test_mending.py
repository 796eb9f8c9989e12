"""What becomes of merges that are not clean: resolved by rule or by a session, fixed, followed up, or stopped."""

from __future__ import annotations

from typing import Any

from tests.e2e.harness import Sandbox, item, plan

APP = "".join(f"line {number}\n" for number in range(1, 8))


def edit(path: str, old: str, new: str) -> str:
    """A shell line of an agent that changes a line, and is done."""
    return f"sed -i 's/^{old}$/{new}/' {path}; commit 'feat: {new}'; report COMPLETE"


def rewrite(path: str, word: str) -> str:
    return f"for n in 1 2 3 4 5 6 7; do echo {word} $n; done > {path}; commit 'feat: {word}'; report COMPLETE"


def two_sides(box: Sandbox, **settings: Any) -> Sandbox:
    """Items 1 and 2 change the same line of a file, 2 after 1 is merged, from a base without it."""
    box.make(plan([[item(1), item(2)]]), files={"app.txt": APP}, **settings)
    box.behave(1, edit("app.txt", "line 4", "one"))
    box.behave(2, edit("app.txt", "line 4", "two"))
    return box


def test_a_medium_conflict_is_resolved_by_a_session(box: Sandbox) -> None:
    two_sides(box).behave("2-resolve", RESOLVE)
    box.behave("1-resolve", RESOLVE)
    box.milestone()
    assert box.show("app.txt").splitlines()[3:5] in (["one", "two"], ["two", "one"])
    assert sum(box.mends().values()) == 1
    box.require_landed(1, 2)
    box.require_clean()


# Takes both sides of each conflict, and notes what the prompt said.
RESOLVE = """cp "$MILESTONE_PROMPT" "$OUT/prompt-$name"; grep -q '^<<<<<<< ' app.txt || exit 1
sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt
git add -A; git commit -q --no-edit; report COMPLETE"""
