"""Items that leave a follow-up: one whose work is done in part, and one whose merge nobody can resolve in passing."""

from __future__ import annotations

from typing import Any

from tests.e2e.harness import KEEP, Done, Sandbox, item, plan

PARTIAL = 'work; printf "STATUS: PARTIAL\\nNOTES: the ears of %s are missing\\n" "$MILESTONE_ITEM"'
FILES = ("a.txt", "b.txt", "c.txt")


def partial(box: Sandbox, *waves: Any, **settings: Any) -> Sandbox:
    """Item 1 is done in part."""
    box.make(plan(waves or [[item(1), item(2)]]), **settings)
    box.behave(1, f"{KEEP}; {PARTIAL}")
    return box


def rewrite(word: str) -> str:
    """An agent that writes each of three files anew."""
    return (f"for f in {' '.join(FILES)}; do echo {word} > $f; done; commit 'feat: {word}';"
            f' printf "STATUS: COMPLETE\\nNOTES: the way of {word}\\n"')  # fmt: skip


def heavy(box: Sandbox, *more: Any, **settings: Any) -> Sandbox:
    """Items 1 and 2 rewrite the same three files; 2 comes back when 1 is merged."""
    given = {**dict.fromkeys(FILES, "begin\n"), **settings.pop("files", {})}
    box.make(plan([[item(1), item(2)], *more]), files=given, **settings)
    box.behave(1, rewrite("first"))
    box.behave(2, f"{await_merge(box, 1)} {rewrite('second')}")
    box.behave(3, f"{KEEP}; for f in {' '.join(FILES)}; do echo both > $f; done; commit 'fix: both'; report COMPLETE")
    return box


def await_merge(box: Sandbox, issue: int) -> str:
    """A shell line that waits until an item is merged."""
    receipt = box.root / f".milestone/3/items/{issue}/merge.json"
    return f"until grep -qs merged '{receipt}'; do :; done;"


def overlay(box: Sandbox) -> dict[int, dict[str, Any]]:
    return {row["issue"]: row for row in box.receipt("overlay.json")["items"]}


def fail(box: Sandbox, issue: int) -> Done:
    """Work all but an item, mostly a follow-up, that fails."""
    box.behave(issue, "exit 1")
    return box.milestone(rc=1)
