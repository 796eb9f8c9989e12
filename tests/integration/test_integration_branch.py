"""The integration branch while nothing rests on it: it follows main; and whether the baseline is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from work_milestone.gates import baseline
from work_milestone.run import integration
from work_milestone.run.run import Run
from work_milestone.system.errors import MilestoneError

if TYPE_CHECKING:
    from tests.conftest import Sandbox

REF = "refs/heads/milestone/7-test"
ITEMS = [[{"issue": 42, "title": "One"}, {"issue": 43, "title": "Two"}]]


def begin(sandbox: Sandbox, *gates: str, **variables: str) -> Run:
    """A run of a new process whose branch stands."""
    run = sandbox.run(**variables)
    if run.plan is None:
        sandbox.write({".gitignore": "/.milestone/\n"})
        sandbox.plan(ITEMS, gates={"pre_merge": gates})
        run = sandbox.run(**variables)
    run.pool.write_excludes()
    if not integration.is_ready(run):
        integration.begin(run)
    return run


def base(run: Run) -> str:
    return str(json.loads((run.folder.path / "branch.json").read_text())["base"])


def test_it_follows_main_as_long_as_nothing_rests_on_it(sandbox: Sandbox) -> None:
    begin(sandbox)
    for number in range(2):
        main = sandbox.commit(f"fix: {number}", {"f": str(number)})
        assert not integration.is_ready(sandbox.run())
        run = begin(sandbox)
        assert sandbox.git("rev-parse", REF) == main == base(run) == integration.head(run)
        assert integration.is_ready(run)
        assert integration.is_ready(sandbox.run())


def test_it_follows_a_main_that_was_amended(sandbox: Sandbox) -> None:
    begin(sandbox)
    sandbox.git("commit", "-q", "--amend", "--allow-empty", "-m", "docs: another plan")
    run = begin(sandbox)
    assert sandbox.git("rev-parse", REF) == sandbox.git("rev-parse", "main") == base(run)


def _attempt(sandbox: Sandbox, run: Run) -> None:
    run.folder.attempt(42, 1).mkdir(parents=True)


def _merged(sandbox: Sandbox, run: Run) -> None:
    text = f"feat: One (#42)\n\nMilestone: 7\nMilestone-Item: 42\nMilestone-Head: {'a' * 40}\n"
    sandbox.git("update-ref", REF, sandbox.git("commit-tree", "-p", REF, "-m", text, f"{REF}^{{tree}}"))


def _theirs(sandbox: Sandbox, run: Run) -> None:
    sandbox.git("update-ref", REF, sandbox.git("commit-tree", "-p", REF, "-m", "theirs", f"{REF}^{{tree}}"))


def _settled(sandbox: Sandbox, run: Run) -> None:
    for issue in (42, 43):
        run.folder.write(run.folder.receipt(issue, "merge"), "merge", "skipped")


@pytest.mark.parametrize("rests", [_attempt, _merged, _theirs, _settled])
def test_it_stays_when_something_rests_on_it(sandbox: Sandbox, rests: Callable[[Sandbox, Run], None]) -> None:
    run = begin(sandbox)
    rests(sandbox, run)
    old, begun = sandbox.git("rev-parse", REF), base(run)
    sandbox.commit("fix: main", {"f": "x"})
    assert integration.is_ready(sandbox.run())
    integration.begin(sandbox.run())
    assert (sandbox.git("rev-parse", REF), base(run)) == (old, begun)


def test_what_was_prepared_and_not_begun_is_nothing(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    run.folder.item(42).mkdir(parents=True)
    main = sandbox.commit("fix: main", {"f": "x"})
    assert integration.head(begin(sandbox)) == main


def test_killed_between_ref_and_receipt_it_follows_all_the_same(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    begun, between = base(run), sandbox.commit("fix: main", {"f": "x"})
    sandbox.git("update-ref", REF, between)
    assert integration.is_ready(sandbox.run())
    assert base(run) == begun
    main = sandbox.commit("fix: main again", {"f": "y"})
    assert integration.head(begin(sandbox)) == main == base(run)


def test_a_resumed_branch_that_main_has_taken_in_follows(sandbox: Sandbox) -> None:
    sandbox.plan(ITEMS)
    sandbox.git("update-ref", REF, sandbox.git("commit-tree", "-p", "main", "-m", "theirs", "main^{tree}"))
    begin(sandbox, branch="resume")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge: theirs", REF)
    main = sandbox.commit("fix: main", {"f": "x"})
    assert integration.head(begin(sandbox)) == main


def test_the_backlog_is_read_where_the_branch_will_stand(sandbox: Sandbox) -> None:
    task = "---\nid: TASK-42\ntitle: {}\nstatus: To Do\nlabels: []\nmilestone: m-7\ndependencies: []\n---\n"
    sandbox.commit("docs: backlog", {"backlog/tasks/task-42 - One.md": task.format("One")})
    begin(sandbox)
    sandbox.commit("docs: groomed", {"backlog/tasks/task-42 - One.md": task.format("Groomed")})
    found = sandbox.run().backlog
    assert found is not None
    assert found.content.tasks[42].title == "Groomed"


# whether the baseline is known


def test_known_without_gates_and_when_all_is_settled(sandbox: Sandbox) -> None:
    run = begin(sandbox)
    assert baseline.is_known(run)
    sandbox.plan(ITEMS, gates={"pre_merge": ["true"], "post_merge": ["false"]})
    assert not baseline.is_known(sandbox.run())
    _settled(sandbox, run)
    assert baseline.is_known(sandbox.run())


def test_known_of_one_head_and_of_the_gates_that_were_run(sandbox: Sandbox) -> None:
    run = begin(sandbox, "true")
    assert not baseline.is_known(run)
    baseline.check(run)
    assert baseline.is_known(sandbox.run())
    sandbox.plan(ITEMS, gates={"pre_merge": ["true", "test -d ."]})
    run = begin(sandbox)
    assert not baseline.is_known(run), "another head, another gate"
    baseline.check(run)
    assert baseline.is_known(sandbox.run())
    _merged(sandbox, run)
    assert baseline.is_known(sandbox.run())


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("chosen", ["", "all", "baseline"])
@pytest.mark.parametrize("status", ["", "passed", "failed", "accepted"])
def test_every_combination(sandbox: Sandbox, status: str, chosen: str, merged: bool) -> None:
    run = begin(sandbox, "test ! -e ../red")
    if status in ("failed", "accepted"):
        (run.folder.path / "red").touch()
    if status == "failed":
        with pytest.raises(MilestoneError, match="gates=baseline"):
            baseline.check(run)
    elif status:
        baseline.check(sandbox.run(gates="baseline"))
    if merged:
        _merged(sandbox, run)
    known = baseline.is_known(sandbox.run(**({"gates": chosen} if chosen else {})))
    expected = {
        "passed": True,
        "accepted": merged or chosen != "all",
        "failed": merged and chosen != "baseline",
        "": merged and chosen != "baseline",
    }
    assert known is expected[status]
    assert bool(list(baseline.notes(sandbox.run(**({"gates": chosen} if chosen else {}))))) is (
        status == "accepted" and chosen != "all"
    )
