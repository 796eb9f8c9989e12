"""What the tool is measured against: the protocol by hand as a shell loop, and an empty doit graph."""

from __future__ import annotations

from pathlib import Path

from tests.bench.scratch import BRANCH, NUMBER, Ground

# The whole protocol by hand, as quick as a person would write it: every session at once, nothing recorded.
LOOP = """
set -e
trees=$(dirname "$PWD")/$(basename "$PWD")-trees
git branch -q BRANCH main
git worktree add -q "$trees/integration" BRANCH
for i in $(seq "$N"); do git worktree add -q -b "work/NUMBER/$i" "$trees/$i" BRANCH; done
for i in $(seq "$N"); do
  (cd "$trees/$i" && MILESTONE_ITEM=$i exec /bin/sh -c "$AGENT") </dev/null >"$trees/$i.log" 2>&1 &
done
wait
for i in $(seq "$N"); do
  git -C "$trees/integration" merge -q --squash "work/NUMBER/$i" >/dev/null
  git -C "$trees/integration" commit -qm "fix: item $i (#$i)"
done
for i in $(seq "$N"); do
  git worktree remove "$trees/$i"
  git branch -q -D "work/NUMBER/$i"
done
git worktree remove "$trees/integration"
git merge -q --no-ff -m "Merge milestone NUMBER" BRANCH
git branch -q -d BRANCH
""".replace("BRANCH", BRANCH).replace("NUMBER", str(NUMBER))

GRAPH = '''"""As many tasks in the same shape, with nothing in them."""

DOIT_CONFIG = {"default_tasks": ["status"], "dep_file": ":memory:", "backend": "sqlite3", "subtasks": True,
               "status": True, "sort": "definition"}
STEPS = ("worktree", "lock", "prompt", "spawn", "merge", "item")
ITEMS, WIDTH = %d, %d


def step(name, after=()):
    """Make one task."""
    return {"basename": name, "actions": None, "task_dep": list(after), "uptodate": [True], "doc": f"step {name}"}


def task_plan():
    """Yield all of them."""
    yield step("preflight")
    yield step("branch", ["preflight"])
    yield step("baseline", ["branch"])
    wave = 0
    for begin in range(1, ITEMS + 1, WIDTH):
        wave += 1
        issues = range(begin, min(begin + WIDTH, ITEMS + 1))
        barrier = [f"relay:{wave - 1}"] if wave > 1 else []
        for issue in issues:
            after = ["baseline", *barrier]
            for name in STEPS:
                yield step(f"{name}:{issue}", after)
                after = [f"{name}:{issue}"]
        yield step(f"wave:{wave}", [f"merge:{issue}" for issue in issues])
        yield step(f"relay:{wave}", [f"wave:{wave}"])
    yield step("gates", [*(f"item:{issue}" for issue in range(1, ITEMS + 1)), f"relay:{wave}"])
    yield step("land", ["gates"])
    yield step("milestone", ["land"])
    for verb in ("status", "demo", "skip", "retry", "log"):
        yield step(verb)
'''


def check_loop(ground: Ground, root: Path, items: int) -> None:
    """Make sure that the loop did what the tool does. Raise SystemExit when it did not."""
    subjects = ground.git("log", "--format=%s", "main", cwd=root).splitlines()
    found = len(ground.git("ls-files", "item-*.txt", cwd=root).splitlines())
    if len(subjects) != items + 2 or found != items or len(ground.git("worktree", "list", cwd=root).splitlines()) != 1:
        raise SystemExit(f"{root}: {len(subjects)} commits, {found} of {items} items on main")


def write_graph(folder: Path, items: int, width: int) -> Path:
    """Write the empty graph into a folder of its own."""
    folder.mkdir()
    (folder / "dodo.py").write_text(GRAPH % (items, width))
    return folder
