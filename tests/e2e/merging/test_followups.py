"""Follow-up items: what a session leaves is worked on in further generations, whatever people do meanwhile."""

from __future__ import annotations

import pytest

from tests.e2e.harness import KEEP, Sandbox, item, plan, rows
from tests.e2e.merging.followups import PARTIAL, fail, heavy, overlay, partial

# -- the rest of partial work


def test_the_rest_is_worked_in_the_same_line(box: Sandbox) -> None:
    partial(box, [item(1), item(2)], [item(4, 1)], [item(5, 4)])
    box.behave(6, f"{KEEP}; test -f item-1.txt && test ! -f item-4.txt && work && report COMPLETE")
    box.behave(4, "test -f item-6.txt && work && report COMPLETE")
    box.behave(5, "test -f item-4.txt && work && report COMPLETE")
    done = box.milestone()
    assert box.starts() == dict.fromkeys((1, 2, 4, 5, 6), 1)
    box.require_landed(1, 2, 4, 5, 6)
    box.require_clean()
    part, rest = box.squashes()[1][0], box.squashes()[6][0]
    assert box.trailers(part)["Milestone-Part"] == "partial"
    assert box.trailers(rest)["Milestone-Settles"] == "1"
    assert box.git("merge-base", "--is-ancestor", part, rest, rc=0) == ""
    assert box.git("log", "-1", "--format=%s", rest) == "feat: Finish: Item 1 (#6)".replace("feat", "fix")
    told = box.prompt("6")
    assert "the ears of 1 are missing" in told
    assert "Finish: Item 1" in told
    table = rows(done.out)
    assert {issue: line[2] for issue, line in table.items()} == dict.fromkeys((1, 2, 4, 5, 6), "merged")
    assert [int(table[issue][0]) for issue in (1, 2, 6, 4, 5)] == [1, 1, 4, 5, 6]
    assert "by #6" in done.out


def test_list_and_status_show_followups(box: Sandbox) -> None:
    done = fail(partial(box), 3)
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    states = box.states()
    assert (states["spawn:3"], states["item:3"], states["item:1"]) == ("R", "R", "R")
    assert (states["spawn:1"], states["merge:1"], states["item:2"]) == ("U", "U", "U")
    status = box.doit("status", "n=3", rc=0).out
    assert {issue: line[2] for issue, line in rows(status).items()} == {1: "partial", 2: "merged", 3: "failed"}
    assert "Finish: Item 1" in status
    # what is to be done for #1 is done by its follow-up
    told = done.out.split("\n#1 partial")[1].split("\n#3 failed")[0]
    assert "#3" in told
    assert "retry:1" not in told
    assert "skip:1" not in told


def test_a_followup_of_a_followup_up_to_the_bound(box: Sandbox) -> None:
    partial(box, [item(1)], generations=2)
    for issue in (2, 3):
        box.behave(issue, PARTIAL)
    done = box.milestone(rc=1)
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    assert {issue: (row["origin"], row["generation"]) for issue, row in overlay(box).items()} == {2: (1, 1), 3: (2, 2)}
    assert overlay(box)[3]["title"] == "Finish: Item 1"
    assert "#3 partial" in done.out
    assert "generation 3" in done.out, "it says why there is no further follow-up"
    box.behave(3, "work; echo more > more.txt; report COMPLETE")
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 2}
    assert box.show("more.txt") == "more"
    assert {issue: len(commits) for issue, commits in box.squashes().items()} == {1: 1, 2: 1, 3: 2}
    assert box.trailers(box.squashes()[3][1])["Milestone-Settles"] == "2 1"
    box.require_clean()


def test_a_session_that_is_always_partial_never_loops(box: Sandbox) -> None:
    partial(box, [item(1)])
    for issue in range(2, 9):
        box.behave(issue, PARTIAL)
    box.milestone(rc=1)
    assert box.starts() == {1: 1, 2: 1, 3: 1, 4: 1}, "one, and three generations"
    box.milestone(rc=1)
    assert box.starts() == {1: 1, 2: 1, 3: 1, 4: 2}, "the next line tries the last one again"


def test_no_generations(box: Sandbox) -> None:
    partial(box, [item(1)], generations=0)
    done = box.milestone(rc=1)
    assert box.starts() == {1: 1}
    assert not (box.root / ".milestone/3/overlay.json").exists()
    assert "generation 1" in done.out
    box.mend(1)
    box.behave(1, "echo more > more.txt; commit 'feat: more'; report COMPLETE")
    box.milestone()
    assert box.starts() == {1: 2}
    assert {"item-1.txt", "more.txt"} <= box.files()


def test_what_failed_is_for_the_next_line(box: Sandbox) -> None:
    fail(partial(box), 2)
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.mend(2)
    box.milestone()
    assert box.starts() == {1: 1, 2: 2, 3: 1}
    box.require_landed(1, 2, 3)


def test_a_single_item_that_becomes_partial(box: Sandbox) -> None:
    partial(box)
    done = box.doit("item:1", "n=3")
    assert done.rc == 1, done.text
    assert "#3" in done.out
    box.doit("item:1", "n=3", rc=0)
    assert box.starts() == {1: 1, 3: 1}
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)


# -- what people do


def test_skipping_a_followup_leaves_its_origin_out(box: Sandbox) -> None:
    fail(partial(box, [item(1), item(2)], [item(4, 1)]), 5)
    done = box.doit("skip:5", "n=3", rc=0)
    assert "#4" in done.text, "it waits"
    done = box.milestone(rc=1)
    assert {issue: line[2] for issue, line in rows(done.out).items()} == {
        1: "skipped", 2: "merged", 4: "waiting", 5: "skipped",
    }  # fmt: skip
    assert 4 not in box.starts()
    box.doit("skip:4", "n=3", rc=0)
    box.milestone()
    box.require_landed(1, 2)
    box.require_clean()


def test_skipping_what_would_have_come_late(box: Sandbox) -> None:
    """Item 5 is skipped while what it needs waits for a follow-up: the waves go in no circle."""
    fail(partial(box, [item(1)], [item(4, 1)], [item(5, 4)]), 6)
    box.doit("skip:5", "n=3", rc=0)
    box.mend(6)
    box.milestone()
    assert box.starts() == {1: 1, 4: 1, 6: 2}
    box.require_landed(1, 4, 6)


@pytest.mark.parametrize("kind", ["rest", "conflict"])
@pytest.mark.parametrize("verb", ["skip", "retry"])
def test_an_origin_that_is_followed_is_left_to_its_followup(box: Sandbox, verb: str, kind: str) -> None:
    issue = 1 if kind == "rest" else 2
    fail((partial if kind == "rest" else heavy)(box), 3)
    done = box.doit(f"{verb}:{issue}", "n=3", rc=1)
    assert f"doit {verb}:3 n=3" in done.err
    assert box.doit("status", "n=3").out.count("skipped") == 0
    box.doit("skip:3", "n=3", rc=0)
    done = box.doit(f"retry:{issue}", "n=3", rc=1)
    assert "doit retry:3 n=3" in done.err
    box.doit("retry:3", "n=3", rc=0)
    box.mend(3)
    if kind == "conflict":
        box.behave(3, "git merge -q -s ours work/3/2-item-2 -m x; work; report COMPLETE")
    box.milestone()
    assert box.starts()[issue] == 1
    assert box.starts()[3] == 2


def test_the_origin_is_gone_from_a_plan_without_a_backlog(box: Sandbox) -> None:
    fail(partial(box), 3)
    box.replan(plan([[item(2)]]))
    base = box.rev()
    done = box.milestone()
    assert "#3 is not in the plan any more" in done.out
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, base=base)


def test_the_plan_has_given_the_number_away(box: Sandbox) -> None:
    """Another item has the follow-up's number now: it settles nothing but itself, and the rest is not lost."""
    fail(partial(box), 3)
    box.replan(plan([[item(1), item(2)], [item(3, title="Something else")]]))
    box.mend(3)
    box.behave(1, "echo rest > rest.txt; commit 'feat: rest'; report COMPLETE")
    box.milestone()
    assert {"item-1.txt", "rest.txt", "item-3.txt"} <= box.files()
    assert "Milestone-Settles" not in box.trailers(box.squashes()[3][0])


def test_a_followup_that_was_groomed_into_the_plan(box: Sandbox) -> None:
    fail(partial(box), 3)
    groomed = item(3, 1, title="Finish: Item 1")
    box.replan(plan([[item(1), item(2)], [groomed], [item(4, 1)]]))
    box.mend(3)
    base = box.rev()
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 2, 4: 1}
    box.require_landed(1, 2, 3, 4, base=base)
    assert box.trailers(box.squashes()[3][0])["Milestone-Settles"] == "1"


def test_the_highest_number_is_taken(box: Sandbox) -> None:
    top = 999_999_999
    box.make(plan([[item(top)]]))
    box.behave(top, PARTIAL)
    box.milestone()
    assert box.starts()[top] == 1
    (followup,) = overlay(box)
    assert followup < top
    box.require_landed(top, followup)
