"""Two items that change the same line of a file, and sessions that make of it what they are told to."""

from __future__ import annotations

from typing import Any

from tests.e2e.harness import Command, Sandbox, item, plan

APP = "".join(f"line {number}\n" for number in range(1, 8))
TAKE_BOTH = "sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt"
RESOLVED = f"{TAKE_BOTH}; git add -A; git commit -q --no-edit"
GOOD = f"{RESOLVED}; report COMPLETE"
OLD = "git reset -q --hard main;"  # as if the session had begun with the run
LIES = {
    "markers left": "git add -A; git commit -q --no-edit",
    "ours": "git checkout -q --ours .; git add -A; git commit -q --no-edit",
    "ours and more": "git checkout -q --ours .; echo x > x; git add -A; git commit -q --no-edit",
    "aborted": "git merge --abort",
    "aborted, something else": "git merge --abort; echo x > x; commit x",
    "another branch": f"{RESOLVED}; git checkout -q -b elsewhere-$$",
    "detached": f"{RESOLVED}; git checkout -q --detach",
    "reset to main": "git reset -q --hard main",
    "reset to main, something else": "git reset -q --hard main; echo x > x; commit x",
    "reset to the item": "git reset -q --hard MERGE_HEAD",
    "nothing": "true",
    "files deleted": f"{TAKE_BOTH}; git rm -q -f README.md; git add -A; git commit -q --no-edit",
    "flattened": "git merge --abort; git merge -q --squash work/3/1-item-1 >&2; echo x > x; commit x",
    "repository gone": "rm -rf .git",
    "worktree gone": 'rm -rf "$PWD"',
}


def edit(path: str, old: str, new: str) -> str:
    """A shell line of an agent that changes a line, and is done."""
    return f"sed -i 's/^{old}$/{new}/' {path}; commit 'feat: {new}'; report COMPLETE"


def two_sides(box: Sandbox, resolution: str = GOOD, **settings: Any) -> Sandbox:
    """Items 1 and 2 change the same line, from a base without it; `resolution` is what is done about that."""
    box.make(plan([[item(1), item(2)]]), files={"app.txt": APP}, **settings)
    box.behave(1, edit("app.txt", "line 4", "one"))
    box.behave(2, edit("app.txt", "line 4", "two"))
    resolve(box, resolution)
    return box


def resolve(box: Sandbox, script: str) -> None:
    """Say what resolves them: the session of whichever is merged after the other."""
    for name in ("1-resolve", "2-resolve"):
        box.behave(name, script)


def sides(box: Sandbox, rev: str = "main") -> set[str]:
    """Whose changes a commit has."""
    return set(box.show("app.txt", rev).splitlines()) - set(APP.splitlines())


def hold(box: Sandbox, script: str, *names: str) -> Command:
    """Start the run, and wait until a session of one of these names is at work; it goes on when it is released."""
    box.fifo("began")
    for name in names:
        held = 'mkfifo "$OUT/go-$name" 2> /dev/null; echo began > "$OUT/began"; read line < "$OUT/go-$name"'
        box.behave(name, f"{held}; {script}")
    return box.begin("began")


def release(box: Sandbox, name: str) -> None:
    (box.outside / f"go-{name}").write_text("go\n")


def remove_branches(box: Sandbox) -> None:
    """Remove the branches that sessions have made for themselves, which nobody takes away."""
    for branch in box.git("for-each-ref", "--format=%(refname:short)", "refs/heads/elsewhere-*").split():
        box.git("branch", "-D", branch)
