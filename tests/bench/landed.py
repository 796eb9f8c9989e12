"""A repository whose milestone is done: history, receipts and documents as the tool itself leaves them.

History is written by `git fast-import`, receipts by the tool's own run folder, relays by its own steps; `check`
makes sure that the tool agrees.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from work_milestone.report import relay
from work_milestone.run import Run
from work_milestone.store import Kind, Receipts, Record, RunFolder, records

from tests.bench import scratch
from tests.bench.scratch import BRANCH, CHANGE, DOIT, NUMBER, Ground

VERBS = ("status", "demo", "skip", "retry", "log", "stop", "recover", "prune")
WHEN = 1_700_000_000


def waves_of(items: int, width: int) -> list[range]:
    """Cut issues 1 to `items` into waves."""
    return [range(begin, min(begin + width, items + 1)) for begin in range(1, items + 1, width)]


def build(ground: Ground, name: str, items: int, width: int) -> Path:
    """Make a repository whose milestone of so many items is merged, landed and closed."""
    waves = waves_of(items, width)
    root = ground.repository(name, scratch.files(waves, CHANGE))
    base = ground.git("rev-parse", "main", cwd=root)
    heads = _import(ground, root, _sessions(items, base), items)
    squashed = _import(ground, root, _squashes(heads, base), items)
    tip = squashed[-1]
    tree = f"{tip}^{{tree}}"
    landing = ground.git("commit-tree", tree, "-p", base, "-p", tip, "-m", "Merge milestone 7: x", cwd=root)
    ground.git("merge", "-q", "--ff-only", landing, cwd=root)
    for ref in ground.git("for-each-ref", "--format=%(refname)", "refs/bench", cwd=root).splitlines():
        ground.git("update-ref", "-d", ref, cwd=root)
    (root / ".git/info/exclude").write_text("/.milestone/[0-9]*/\n")
    _receipts(root, base, heads, squashed)
    _ends(root, base, tip, landing)
    return root


def _import(ground: Ground, root: Path, stream: Iterator[str], items: int) -> list[str]:
    marks = ground.path / "marks"
    text = "".join(stream).encode()
    ground.run("git", "fast-import", "--quiet", "--done", f"--export-marks={marks}", cwd=root, stdin=text)
    found = dict(line.split() for line in marks.read_text().splitlines())
    return [found[f":{issue}"] for issue in range(1, items + 1)]


def _commit(ref: str, issue: int, parent: str, message: str) -> str:
    who = f"committer Bench <bench@localhost> {WHEN + issue} +0000"
    data = f"data {len(message.encode())}\n{message}"
    file = f"M 100644 inline items/{issue % 100}/item-{issue}.txt\ndata {len(str(issue))}\n{issue}"
    return f"commit {ref}\nmark :{issue}\n{who}\n{data}\nfrom {parent}\n{file}\n\n"


def _sessions(items: int, base: str) -> Iterator[str]:
    """The sessions' own commits, each from the base."""
    for issue in range(1, items + 1):
        yield _commit("refs/bench/session", issue, base, f"fix: item {issue}\n")
    yield "done\n"


def _squashes(heads: Sequence[str], base: str) -> Iterator[str]:
    """The squash commits, one upon the other."""
    for issue, head in enumerate(heads, 1):
        trailers = f"Milestone: {NUMBER}\nMilestone-Item: {issue}\nMilestone-Head: {head}\n"
        message = f"fix: Change number {issue} (#{issue})\n\n* fix: item {issue}\n\n{trailers}"
        yield _commit("refs/bench/integration", issue, f":{issue - 1}" if issue > 1 else base, message)
    yield "done\n"


def _receipts(root: Path, base: str, heads: Sequence[str], squashed: Sequence[str]) -> None:
    """What the items' steps left."""
    receipts, onto = Receipts(RunFolder(root, NUMBER)), base
    folder = receipts.folder
    for issue, (head, commit) in enumerate(zip(heads, squashed, strict=True), 1):
        attempt, branch = folder.attempt(issue, 1), f"work/{NUMBER}/{issue}-change-number-{issue}"
        place = str(folder.path / "worktrees" / str(1 + issue % scratch.SLOTS))
        where: dict[str, Any] = {"branch": branch, "path": place, "base": base, "attempt": 1}
        made: list[Record] = [
            records.Worktree(status="ready", kind=Kind.WORK, **where),
            records.Lock(status="ready", mark=f"mark-{issue}", path=place),
            records.Work(
                status="complete", started=WHEN + issue, elapsed=0.1, log=str(attempt), head=head, agent="command",
                files=(f"items/{issue % 100}/item-{issue}.txt",), mark=f"mark-{issue}", model="sonnet",
                commits=(records.Commit(id=head, subject=f"fix: item {issue}"),), **where,
            ),
            records.Merge(status="merged", attempt=1, commit=commit, head=head, onto=onto, cls="clean"),
        ]  # fmt: skip
        for one in made:
            receipts.write(one, issue)
        started = records.Started(
            status="started", mark=f"mark-{issue}", kind=Kind.WORK, started=WHEN + issue, agent="command",
            argv=("/bin/sh", "-c", CHANGE), model="sonnet", timeout=7200.0, **where,
        )  # fmt: skip
        receipts.write(started, issue, 1)
        record = {"version": 1, "code": 0, "signal": None, "reason": "exited", "started": WHEN, "ended": WHEN + 0.1}
        (attempt / "exit.json").write_text(json.dumps(record) + "\n")
        for name in ("lock", "stdout", "stderr"):
            (attempt / name).touch()
        (folder.item(issue) / "prompt.md").write_text(f"Change number {issue}\n")
        onto = commit


def _ends(root: Path, base: str, tip: str, landing: str) -> None:
    """What the run's own steps left; the waves' are worked by the tool's steps."""
    receipts = Receipts(RunFolder(root, NUMBER))
    for record in (
        records.Branch(status="made", branch=BRANCH, base=base, main="main"),
        records.Gates(status="passed", commit=landing, onto=base, head=tip),
        records.Land(status="landed", commit=landing, main="main", head=tip),
    ):
        receipts.write(record)
    run = Run(root, {"n": str(NUMBER)})
    for wave in run.dispatch.waves:
        relay.settle(run, wave)
        relay.write(run, wave)
    receipts.write(records.Milestone(status="closed"))


def check(ground: Ground, root: Path, items: int) -> None:
    """Make sure that the tool calls all of it done, and starts nothing. Raise SystemExit when it does not."""
    lines = ground.run(str(DOIT), "list", f"n={NUMBER}", cwd=root).decode().splitlines()
    stale = [line for line in lines if not line.startswith("U ") and line.split()[1] not in VERBS]
    steps = sum(line.startswith("U ") for line in lines)
    if stale or steps < 6 * items:
        raise SystemExit(f"{root}: {steps} steps are done, but not {len(stale)}, such as {stale[:3]}")
    journal = root / ".milestone" / str(NUMBER) / "journal.jsonl"
    before = journal.read_bytes()
    ground.run(str(DOIT), "milestone", f"n={NUMBER}", cwd=root)
    if journal.read_bytes() != before:
        raise SystemExit(f"{root}: the milestone was worked again: {journal.read_text()[-500:]}")
