"""Runs whose sessions have finished, for whatever is merged then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from work_milestone.merging import integration, queue
from work_milestone.run import Run
from work_milestone.store import records

if TYPE_CHECKING:
    from tests.conftest import Sandbox

REF = "refs/heads/milestone/7-test"
ENDED = 1_700_000_000.5  # seconds since 1970
Files = Mapping[str, str | bytes | None]


def begin(sandbox: Sandbox, *gates: str, items: Sequence[Mapping[str, Any]] = (), begun: Files | None = None) -> Run:
    """A run of items 41 and 42 (or others) whose integration branch stands."""
    sandbox.write({".gitignore": "/.milestone/\n", "f": "one\ntwo\nthree\n", **(begun or {})})
    sandbox.plan([[{"issue": 41, "title": "First"}, {"issue": 42, "title": "Second", "priority": "P0"}], items]
                 if items else [[{"issue": 41, "title": "First"}, {"issue": 42, "title": "Second"}]],
                 gates={"pre_merge": gates})  # fmt: skip
    run = sandbox.run()
    run.pool.write_excludes()
    integration.begin(run)
    return run


def finish(sandbox: Sandbox, run: Run, issue: int, files: Files, *, status: str = "complete", base: str = "main",
           subject: str = "feat: work", attempt: int = 1, rooted: bool = False) -> str:  # fmt: skip
    """Leave what a finished session leaves: a branch with a commit, and the receipt."""
    head = sandbox.branch_commit(f"work/7/{issue}", base, subject, files)
    work = records.Work(
        status=status, attempt=attempt, head=head, branch=f"work/7/{issue}", files=tuple(sorted(files)), ended=ENDED,
        commits=(records.Commit(id=head, subject=subject),), base=sandbox.git("rev-parse", base), rooted=rooted,
    )  # fmt: skip
    run.receipts.write(work, issue)
    run.reread()
    return head


def merge(run: Run, issue: int) -> str | None:
    """Merge an item; return its record's status."""
    queue.merge(run, run.dispatch.items[issue])
    found = Run(run.milestone.root, {"n": "7"}).standing(issue).merge
    return found.status if found else None


def read(run: Run, issue: int) -> records.Merge:
    """Return what the record of an item's merge says."""
    found = run.standing(issue).merge
    assert found
    return found


def reason(run: Run, issue: int) -> str:
    return read(run, issue).reason


def trailers(sandbox: Sandbox, commit: str = REF) -> list[str]:
    return sandbox.git("log", "-1", "--format=%(trailers:only)", commit).splitlines()
