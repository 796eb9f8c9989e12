"""What a session costs through the tool, beside the bare command line: the real Claude Code, its model a script.

The bare side is the same command line with the same prompt and environment in a worktree of the same repository, from
its start to its end. Ours is the spawn step of an opened run, from its beginning to the judged result: supervisor,
agent, what git says of its work, receipts, the worktree given back. Worktree, lock file and prompt are made off the
clock, for who works by hand needs them too. The model holds each reply back, so that a session takes about 2 s. Beside
it stands a whole `doit milestone` of one item, from an empty repository to main; that has no bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from work_milestone.agents import Call
from work_milestone.agents.claude import Claude
from work_milestone.merging import integration
from work_milestone.plan import Item
from work_milestone.preflight import checks
from work_milestone.run import Run
from work_milestone.sessions import preparation, work
from work_milestone.supervision import record

from tests.bench import scratch
from tests.bench.scratch import DOIT, NUMBER, Ground
from tests.bench.tables import Figure
from tests.e2e.agents import claude_code
from tests.e2e.agents.messages_stub import MessagesStub
from tests.e2e.agents.stubs import Reply

SHARE, LEAST = 0.1, 100.0  # of the bare session's time; ms: the more of the two may be added
DELAY = 0.5  # seconds before each of the three replies
WHOLE = 1000  # the issue of the milestone that is timed as a whole


def measure(where: Path | None, rounds: int) -> list[Figure]:
    """Start sessions bare and through the tool in turn; nothing where there is no binary, which is said."""
    found = claude_code.find()
    if found is None:
        print(f"\n(g) is left out: {claude_code.INSTALL}")
        return []
    with scratch.folder(where) as path, MessagesStub() as stub:
        ground = Ground(path)
        (path / "bin").mkdir()
        (path / "bin/claude").symlink_to(Path(found).resolve())
        ground.env |= claude_code.variables(stub.url)
        ground.env["PATH"] = f"{path / 'bin'}{os.pathsep}{ground.env['PATH']}"
        stub.watch = lambda _: time.sleep(DELAY)
        issues = range(1, rounds + 2)
        for issue in issues:
            stub.play(f"# #{issue} ", *[_script(issue)] * 2)
        stub.play(f"# #{WHOLE} ", *[_script(WHOLE)] * len(issues))
        with scratch.inside(ground.env), _opened(ground, issues) as run:
            place = path / "bare"
            ground.git("worktree", "add", "-q", "-b", "bare", str(place), cwd=run.milestone.root)
            template = ground.repository("template", _files(range(WHOLE, WHOLE + 1)))
            taken = [_turn(ground, run, item, place, template) for item in run.dispatch.items.values()][
                1:
            ]  # the first warms up
        if stub.faults:
            raise SystemExit(f"the model was asked what no script foresees: {stub.faults}")
    return _figures(*zip(*taken, strict=True))


def _script(issue: int) -> list[Reply]:
    return claude_code.script(issue, claude_code.bash("printf 1"))


def _files(issues: range) -> dict[str, str]:
    chosen = {"agent": "claude", "permission_mode": "acceptEdits", "allowed_tools": claude_code.ALLOWED, "retries": 0}
    return scratch.files([issues], "") | {"milestone.yaml": json.dumps(chosen)}


@contextlib.contextmanager
def _opened(ground: Ground, issues: range) -> Iterator[Run]:
    """Open a run and go as far as its first session has."""
    run = Run(ground.repository("repository", _files(issues)), {"n": str(NUMBER)})
    checks.check(run)
    integration.begin(run)
    yield run
    run.lock.release()


def _turn(ground: Ground, run: Run, item: Item, place: Path, template: Path) -> tuple[float, ...]:
    """Work an item each way, the order another each time: bare, through the tool, a milestone as a whole; ms."""
    for step in (preparation.prepare, preparation.write_lock, preparation.write_prompt):
        step(run, item)
    prompt = run.milestone.folder.item(item.issue) / "prompt.md"
    if item.issue % 2:
        bare = _bare(run, item, place, prompt)
        return bare, *_ours(run, item), _whole(ground, template)
    ours = _ours(run, item)
    return _bare(run, item, place, prompt), *ours, _whole(ground, template)


def _bare(run: Run, item: Item, place: Path, prompt: Path) -> float:
    argv = Claude().argv(Call(run.session_settings(item.issue), str(uuid.uuid4())))
    began = time.perf_counter()
    with prompt.open("rb") as words:
        done = subprocess.run(argv, cwd=place, env=dict(os.environ), stdin=words, capture_output=True, check=False)
    taken = time.perf_counter() - began
    if done.returncode or not (place / f"item-{item.issue}.txt").exists():
        raise SystemExit(f"{place}: the bare session ended with exit {done.returncode}: {done.stdout.decode()[-2000:]}")
    return 1000 * taken


def _ours(run: Run, item: Item) -> tuple[float, float]:
    """Return what the spawn step takes, and what of it lies outside of the agent's life; ms."""
    began = time.perf_counter()
    work.work(run, item)
    taken = time.perf_counter() - began
    found, end = run.standing(item.issue).work, record.read(run.milestone.folder.attempt(item.issue, 1))
    if found is None or found.status != "complete" or end is None:
        raise SystemExit(f"{run.milestone.root}: #{item.issue}: {found}, {end}")
    return 1000 * taken, 1000 * (taken - end.elapsed)


def _whole(ground: Ground, template: Path) -> float:
    root = ground.copy(template, "whole")
    taken = ground.time(str(DOIT), "milestone", f"n={NUMBER}", cwd=root).wall
    ground.git("cat-file", "-e", f"main:item-{WHOLE}.txt", cwd=root)
    return 1000 * taken


def _figures(
    bare: tuple[float, ...], ours: tuple[float, ...], around: tuple[float, ...], whole: tuple[float, ...]
) -> list[Figure]:
    more = [one - other for one, other in zip(ours, bare, strict=True)]
    shares = [100 * one / other for one, other in zip(more, bare, strict=True)]
    return [
        Figure("bare: from its start to its end", "ms", bare),
        Figure("through the tool: from the spawn step to the result", "ms", ours),
        Figure("  more than bare (10 % or 100 ms)", "ms", more, max(LEAST, SHARE * statistics.median(bare))),
        Figure("  of the bare session's time", "%", shares),
        Figure("  before and after the agent's own life", "ms", around),
        Figure("a whole milestone of one item", "ms", whole),
        Figure("  more than bare", "ms", [one - other for one, other in zip(whole, bare, strict=True)]),
    ]
