"""Follow-up items: what a session leaves and what cannot be merged is worked on in further generations."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.backlog.tasks import files, name, task
from tests.e2e.harness import Sandbox, await_line, item, plan

KEEP = 'cp "$MILESTONE_PROMPT" "$OUT/prompt-$name";'
PARTIAL = 'work; printf "STATUS: PARTIAL\\nNOTES: the ears of %s are missing\\n" "$MILESTONE_ITEM"'
FILES = ("a.txt", "b.txt", "c.txt")


def partial(box: Sandbox, *waves: Any, **settings: Any) -> Sandbox:
    """Item 1 is done in part."""
    box.make(plan(waves or [[item(1), item(2)]]), **settings)
    box.behave(1, f"{KEEP} {PARTIAL}")
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
    box.behave(3, f"{KEEP} for f in {' '.join(FILES)}; do echo both > $f; done; commit 'fix: both'; report COMPLETE")
    return box


def await_merge(box: Sandbox, issue: int) -> str:
    """A shell line that waits until an item is merged."""
    receipt = box.root / f".milestone/3/items/{issue}/merge.json"
    return f"until grep -qs merged '{receipt}'; do :; done;"


def overlay(box: Sandbox) -> dict[int, dict[str, Any]]:
    return {row["issue"]: row for row in box.receipt("overlay.json")["items"]}


def rows(text: str) -> dict[int, list[str]]:
    """The table's lines by item, in columns: wave, priority, state."""
    split = (line.split() for line in text.splitlines() if line.startswith("#") and ":" not in line.split()[1])
    return {int(words[0][1:]): words[1:] for words in split}


# -- the rest of partial work


def test_the_rest_is_worked_in_the_same_line(box: Sandbox) -> None:
    partial(box, [item(1), item(2)], [item(4, 1)], [item(5, 4)])
    box.behave(6, f"{KEEP} test -f item-1.txt && test ! -f item-4.txt && work && report COMPLETE")
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
    partial(box).behave(3, "exit 1")
    done = box.milestone(rc=1)
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
    partial(box).behave(2, "exit 1")
    box.milestone(rc=1)
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


# -- conflicts that nobody can be asked to resolve in passing


def test_a_heavy_conflict_becomes_an_item(box: Sandbox) -> None:
    heavy(box, [item(5, 2)])
    box.behave(6, f"{KEEP} for f in {' '.join(FILES)}; do echo both > $f; done; commit 'fix: both'; report COMPLETE")
    box.behave(5, "grep -q both a.txt && work && report COMPLETE")
    box.milestone()
    assert box.starts() == dict.fromkeys((1, 2, 5, 6), 1)
    assert box.mends() == {}
    row = overlay(box)[6]
    assert row["title"] == "Resolve merge conflict: Item 2 vs Item 1"
    assert (row["origin"], row["kind"], row["against"], row["files"]) == (2, "conflict", [1], list(FILES))
    box.require_landed(1, 5, 6)
    commit = box.squashes()[6][0]
    assert box.trailers(commit)["Milestone-Settles"] == "2"
    assert [box.show(path) for path in FILES] == ["both"] * 3
    assert box.show("a.txt", f"{commit}^") == "first", "nothing of the merge stays"
    told = box.prompt("6")
    for words in ("the way of first", "the way of second", row["branch"], "milestone/3-test", *FILES,
                  "+first", "+second", "Resolve merge conflict: Item 2 vs Item 1"):  # fmt: skip
        assert words in told, words
    assert "item-1.txt" not in told
    box.require_clean()


def test_nothing_of_a_heavy_merge_stays(box: Sandbox) -> None:
    heavy(box, generations=0)
    done = box.milestone(rc=1)
    assert box.starts() == {1: 1, 2: 1}
    assert "generation 1" in done.out
    branch = "milestone/3-test"
    assert [box.show(path, branch) for path in FILES] == ["first"] * 3
    assert box.squashes(branch).keys() == {1}
    assert box.git("rev-list", "--count", f"main..{branch}") == "1"


def test_partial_work_that_conflicts_is_told_as_such(box: Sandbox) -> None:
    heavy(box)
    box.behave(2, f"{await_merge(box, 1)} {rewrite('second').replace('COMPLETE', 'PARTIAL')}")
    box.milestone()
    told = box.prompt("3")
    assert "is finished" not in told
    assert "in part" in told
    box.require_landed(1, 3)


def test_two_that_conflict_and_so_do_their_followups(box: Sandbox) -> None:
    """Items 2 and 3 conflict with 1; of their follow-ups, 4 and 5, one conflicts with the other, and gets one too."""
    box.make(plan([[item(1), item(2), item(3)]]), files=dict.fromkeys(FILES, "begin\n"))
    box.behave(1, rewrite("first"))
    for issue in (2, 3):
        box.behave(issue, f"{await_merge(box, 1)} {rewrite(f'side{issue}')}")
    for issue in (4, 5):
        other = 9 - issue
        meet = f'until grep -q "^{other} " "$OUT/starts"; do :; done;'
        box.behave(issue, f"{meet} {rewrite(f'side{issue}')}")
    box.milestone()
    assert box.starts() == dict.fromkeys((1, 2, 3, 4, 5, 6), 1)
    found = overlay(box)
    assert found[6]["generation"] == 2
    assert found[6]["origin"] in (4, 5)
    assert found[6]["against"] == [9 - found[6]["origin"]]
    box.require_clean()
    assert box.squashes().keys() == {1, 6, 9 - found[6]["origin"]}


@pytest.mark.parametrize("path", [b"caf\xe9.txt", b"--force", b"a b\"'\n.txt"])
def test_a_conflict_in_files_of_any_name(box: Sandbox, path: bytes) -> None:
    box.make(plan([[item(1), item(2)]], pre=["true"]))
    target = path.replace(b"'", b"'\\''")
    for other in (*FILES[:2],):
        box.write(other, "begin\n")
    with open(box.root.as_posix().encode() + b"/" + path, "wb") as file:  # noqa: PTH123 - bytes
        file.write(b"begin\n")
    box.git("add", "-A")
    box.git("commit", "-qm", "chore: files")
    base = box.rev()
    for issue, word in ((1, "first"), (2, "second")):
        script = (f"{await_merge(box, 1)} " if issue == 2 else "").encode()
        script += b"for f in a.txt b.txt './" + target + b"'; do echo " + word.encode() + b' > "$f"; done; '
        script += b"commit 'feat: x'; report COMPLETE\n"
        (box.outside / f"do-{issue}").write_bytes(script)
    box.milestone()
    box.require_landed(1, 3, base=base)
    box.require_clean()


# -- kills and damage


def test_killed_in_a_further_generation(box: Sandbox) -> None:
    partial(box).behave(3, 'kill -9 "$(cat "$OUT/doit.pid")"; work; report COMPLETE')
    box.milestone(rc=-signal.SIGKILL)
    box.milestone()
    box.await_idle()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)
    box.require_clean()


def test_killed_between_generations(box: Sandbox) -> None:
    """The line names its folder, so that it cannot go on in its own place: as if killed just before."""
    partial(box)
    done = box.doit("-d", ".", "milestone", "n=3")
    assert done.rc == 1
    assert "#3" in done.text
    assert box.starts() == {1: 1, 2: 1}
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)


def test_killed_while_a_part_is_merged(box: Sandbox) -> None:
    """The follow-up is written down before the branch moves; the run that goes on has the same one."""
    partial(box, [item(1)])
    box.hook("reference-transaction",
             '[ -n "$MILESTONE_ITEM" ] || [ "$1" != prepared ] || [ -e "$OUT/struck" ] && exit 0\n'
             'grep -q refs/heads/milestone/3-test || exit 0\n'
             'test -e .milestone/3/overlay.json && touch "$OUT/struck" && kill -9 "$(cat "$OUT/doit.pid")"\n'
             'exit 0')  # fmt: skip
    box.milestone(rc=-signal.SIGKILL)
    assert list(overlay(box)) == [2]
    box.milestone()
    assert (box.outside / "struck").exists()
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    assert list(overlay(box)) == [2]


def test_the_run_folder_is_deleted_after_all_is_merged(box: Sandbox) -> None:
    partial(box, [item(1), item(2)], [item(4, 1)]).milestone()
    main = box.rev()
    starts = box.starts()
    box.run("rm", "-r", ".milestone")
    done = box.milestone(rc=None)
    assert box.starts() == starts, done.text
    assert box.rev() == main
    box.require_landed(1, 2, 4, 5)


DAMAGE = [  # what is no receipt at all reads as nothing, as tests/unit/test_receipts.py shows
    "",
    '{"version": 1}',
    '{"version": 1, "step": "overlay", "status": "x", "ended": 1, "items": [7]}',
]


@pytest.mark.parametrize("text", DAMAGE)
@pytest.mark.parametrize("tracked", [False, True])
def test_the_overlay_is_damaged_between_runs(box: Sandbox, text: str, tracked: bool) -> None:
    box.make(plan([[item(42), item(45)], [item(46)]]), files=files(42, 45, 46) if tracked else {})
    box.behave(42, PARTIAL)
    box.behave(47, "exit 1")
    box.milestone(rc=1)
    (box.root / ".milestone/3/overlay.json").write_text(text)
    box.mend(47)
    box.milestone()
    assert box.starts() == {42: 1, 45: 1, 46: 1, 47: 2}
    box.require_landed(42, 45, 46, 47)
    box.require_clean()


@pytest.mark.parametrize("make", [partial, heavy])
def test_what_had_made_a_followup_makes_it_again(box: Sandbox, make: Callable[[Sandbox], Sandbox]) -> None:
    """The overlay is damaged, and so is the receipt that repeats it."""
    issue = 1 if make is partial else 2
    make(box).behave(3, "exit 1")
    box.milestone(rc=1)
    for receipt in ("overlay.json", f"items/{issue}/merge.json"):
        (box.root / ".milestone/3" / receipt).write_text("{")
    box.behave(1, f"echo more > more.txt; {PARTIAL.removeprefix('work; ')}")
    box.behave(4, f"{'' if make is partial else 'for f in *.txt; do echo both > $f; done;'} work; report COMPLETE")
    box.milestone()
    # A session of item 1 goes on with what is left, and leaves a rest again; item 2 needs none.
    assert box.starts() == {1: 2 if make is partial else 1, 2: 1, 3: 1, 4: 1}
    assert {issue: len(found) for issue, found in box.squashes().items() if issue > 1} == (
        {2: 1, 4: 1} if make is partial else {4: 1}
    )
    box.require_clean()


@pytest.mark.parametrize("text", DAMAGE[:2])
def test_the_overlay_is_damaged_within_a_run(box: Sandbox, text: str) -> None:
    box.make(plan([[item(1)], [item(2)]]))
    box.behave(1, PARTIAL)
    box.behave(2, f"printf '%s' '{text}' > '{box.root}/.milestone/3/overlay.json'; work; report COMPLETE")
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)
    box.require_clean()


# -- what people do


def test_skipping_a_followup_leaves_its_origin_out(box: Sandbox) -> None:
    partial(box, [item(1), item(2)], [item(4, 1)]).behave(5, "exit 1")
    box.milestone(rc=1)
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
    partial(box, [item(1)], [item(4, 1)], [item(5, 4)]).behave(6, "exit 1")
    box.milestone(rc=1)
    box.doit("skip:5", "n=3", rc=0)
    box.mend(6)
    box.milestone()
    assert box.starts() == {1: 1, 4: 1, 6: 2}
    box.require_landed(1, 4, 6)


@pytest.mark.parametrize("kind", ["rest", "conflict"])
@pytest.mark.parametrize("verb", ["skip", "retry"])
def test_an_origin_that_is_followed_is_left_to_its_followup(box: Sandbox, verb: str, kind: str) -> None:
    issue = 1 if kind == "rest" else 2
    (partial if kind == "rest" else heavy)(box).behave(3, "exit 1")
    box.milestone(rc=1)
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


def test_the_origin_is_gone_from_the_plan(box: Sandbox) -> None:
    text = plan([[item(42), item(45)], [item(46)]])
    box.make(text, files=files(42, 45, 46))
    box.behave(42, PARTIAL)
    box.behave(46, "exit 1")
    box.behave(47, "exit 1")
    box.milestone(rc=1)
    box.write("plan/milestone-3-dispatch.yaml", plan([[item(45)], [item(46)]]))
    own = box.root / name(42)
    own.write_text(own.read_text().replace("m-3", "m-9"))
    box.git("commit", "-qam", "docs: without 42")
    box.mend(46)
    done = box.milestone(rc=None)
    if done.rc:  # the branch's backlog has the task of 42 still
        assert "stale" in done.text
        box.write("plan/milestone-3-dispatch.yaml", text)
        box.git("commit", "-qam", "docs: with 42")
        box.mend(47)
        box.milestone()
        assert box.squashes().keys() == {42, 45, 46, 47}
    assert box.starts()[42] == 1


def test_the_origin_is_gone_from_a_plan_without_a_backlog(box: Sandbox) -> None:
    partial(box).behave(3, "exit 1")
    box.milestone(rc=1)
    box.write("plan/milestone-3-dispatch.yaml", plan([[item(2)]]))
    box.git("commit", "-qam", "docs: without 1")
    base = box.rev()
    done = box.milestone()
    assert "#3 is not in the plan any more" in done.out
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, base=base)


def test_the_plan_has_given_the_number_away(box: Sandbox) -> None:
    """Another item has the follow-up's number now: it settles nothing but itself, and the rest is not lost."""
    partial(box).behave(3, "exit 1")
    box.milestone(rc=1)
    box.write("plan/milestone-3-dispatch.yaml", plan([[item(1), item(2)], [item(3, title="Something else")]]))
    box.git("commit", "-qam", "docs: with 3")
    box.mend(3)
    box.behave(1, "echo rest > rest.txt; commit 'feat: rest'; report COMPLETE")
    box.milestone()
    assert {"item-1.txt", "rest.txt", "item-3.txt"} <= box.files()
    assert "Milestone-Settles" not in box.trailers(box.squashes()[3][0])


def test_a_followup_that_was_groomed_into_the_plan(box: Sandbox) -> None:
    partial(box).behave(3, "exit 1")
    box.milestone(rc=1)
    groomed = item(3, 1, title="Finish: Item 1")
    box.write("plan/milestone-3-dispatch.yaml", plan([[item(1), item(2)], [groomed], [item(4, 1)]]))
    box.git("commit", "-qam", "docs: with 3")
    box.mend(3)
    base = box.rev()
    box.milestone()
    assert box.starts() == {1: 1, 2: 1, 3: 2, 4: 1}
    box.require_landed(1, 2, 3, 4, base=base)
    assert box.trailers(box.squashes()[3][0])["Milestone-Settles"] == "1"


HOSTILE = [
    "'; touch pwned; echo '",
    "--force",
    "../../x",
    '# 🎉 "q" \\ : {a: b}',
    "x" * 480,
    "$(touch pwned)",
    "%s\n---\nid: 9",
]


@pytest.mark.parametrize("title", HOSTILE)
def test_titles_that_would_be_something_else(box: Sandbox, title: str) -> None:
    box.make(plan([[item(42, title=title), item(45)]]), files=files(45))
    text = task(42).replace("title: Item 42", f"title: {json.dumps(title, ensure_ascii=False)}")
    box.write(name(42), text)
    box.git("add", "-A")
    box.git("commit", "-qm", "docs: task")
    base = box.rev()
    box.behave(42, PARTIAL)
    box.milestone()
    box.require_landed(42, 45, 46, base=base)
    box.require_clean()
    assert not list(box.root.parent.rglob("pwned"))
    made = [path for path in box.files() if path.startswith("backlog/tasks/task-46 - ")]
    assert len(made) == 1
    assert 'status: "Done"' in box.show(made[0])


# -- the backlog


def task_file(box: Sandbox, issue: int, rev: str | None = None) -> str | None:
    """The text of a follow-up's task in a commit, or in the checkout."""
    prefix = f"backlog/tasks/task-{issue} - "
    if rev:
        found = [path for path in box.files(rev) if path.startswith(prefix)]
        return box.show(found[0], rev) if found else None
    paths = [path for path in (box.root / "backlog/tasks").iterdir() if path.name.startswith(f"task-{issue} - ")]
    assert len(paths) < 2
    return paths[0].read_text() if paths else None


def test_a_tracked_backlog_gets_the_task_with_what_is_gated_next(box: Sandbox) -> None:
    text = plan([[item(42), item(45)], [item(46)]], pre=["true"])
    box.make(text, files=files(42, 45, 46))
    box.behave(42, PARTIAL)
    box.behave(47, "exit 1")
    box.milestone(rc=1)
    branch = "milestone/3-test"
    made = task_file(box, 47, branch)
    assert made is not None
    for words in ("title: \"Finish: Item 42\"", "status: \"To Do\"", "follow-up", "milestone: \"m-3\"",
                  "the ears of 42 are missing", "Because of 42."):  # fmt: skip
        assert words in made, words
    assert task_file(box, 47, box.squashes(branch)[42][0]) is None
    assert task_file(box, 47, box.squashes(branch)[46][0]) is not None
    assert task_file(box, 47) is None, "the checkout sees it with the landing"
    assert "status: To Do" in box.show(name(42), branch), "a part is not done"
    box.behave(47, f"{KEEP} work; report COMPLETE")
    assert "stale" not in box.milestone().text
    assert "the ears of 42 are missing" in box.prompt("47")
    box.require_landed(42, 45, 46, 47)
    commit = box.squashes()[47][0]
    assert "Done" in str(task_file(box, 47, commit))
    assert "status: Done" in box.show(name(42), commit)
    assert "Done" in str(task_file(box, 47))
    box.require_clean()
    assert box.milestone().out.endswith("nothing to do\n")


def test_a_task_that_nothing_else_brings_comes_with_the_landing(box: Sandbox) -> None:
    box.make(plan([[item(42)]]), files=files(42))
    box.behave(42, PARTIAL)
    box.behave(43, "exit 1")
    box.milestone(rc=1)
    assert task_file(box, 43, "milestone/3-test") is None
    box.doit("skip:43", "n=3", rc=0)
    box.milestone()
    made = task_file(box, 43, "main")
    assert made is not None
    assert "To Do" in made
    box.require_landed(42)
    box.require_clean()


def test_an_untracked_backlog_is_written_in_place(box: Sandbox) -> None:
    box.make(plan([[item(42), item(45)]]), files={".gitignore": "backlog/\n"})
    for path, text in files(42, 45).items():
        box.write(path, text)
    box.behave(42, PARTIAL)
    box.behave(46, "exit 1")
    box.milestone(rc=1)
    made = task_file(box, 46)
    assert made is not None
    for words in ('title: "Finish: Item 42"', 'status: "To Do"', '- "follow-up"', 'milestone: "m-3"'):
        assert words in made, words
    box.mend(46)
    assert "stale" not in box.milestone().text
    assert "Done" in str(task_file(box, 46))
    assert "status: Done" in (box.root / name(42)).read_text()
    box.require_clean()


def test_a_task_that_a_kill_kept_from_an_untracked_backlog(box: Sandbox) -> None:
    box.make(plan([[item(42), item(45)]]), files={".gitignore": "backlog/\n"})
    for path, text in files(42, 45).items():
        box.write(path, text)
    box.behave(42, PARTIAL)
    box.behave(46, "exit 1")
    box.milestone(rc=1)
    for written in (box.root / "backlog/tasks").glob("task-46*"):
        written.unlink()
    box.mend(46)
    box.milestone()
    assert "Done" in str(task_file(box, 46))


@pytest.mark.parametrize("tracked", [False, True])
def test_a_task_of_the_users_own_has_the_next_number(box: Sandbox, tracked: bool) -> None:
    """Written while the session is at work, in the checkout alone."""
    ignored = {} if tracked else {".gitignore": "backlog/\n"}
    box.make(plan([[item(42), item(45)]]), files=files(42, 45) if tracked else ignored)
    if not tracked:
        for path, text in files(42, 45).items():
            box.write(path, text)
    own = task(46, milestone="m-9")
    (box.outside / "own").write_text(own)
    box.behave(42, f"cp \"$OUT/own\" '{box.root}/backlog/tasks/task-46 - Own.md'; {PARTIAL}")
    box.milestone()
    assert (box.root / "backlog/tasks/task-46 - Own.md").read_text() == own
    assert "Done" in str(task_file(box, 47))
    box.require_landed(42, 45, 47)


def test_a_configuration_that_is_broken_stops_no_merge(box: Sandbox) -> None:
    box.make(
        plan([[item(42), item(45)], [item(46)]]), files={**files(42, 45, 46), "backlog/config.yml": "statuses: [\n"}
    )
    box.behave(42, PARTIAL)
    box.milestone()
    box.require_landed(42, 45, 46, 47)


def test_the_highest_number_is_taken(box: Sandbox) -> None:
    top = 999_999_999
    box.make(plan([[item(top)]]))
    box.behave(top, PARTIAL)
    box.milestone()
    assert box.starts()[top] == 1
    (followup,) = overlay(box)
    assert followup < top
    box.require_landed(top, followup)


def test_resumed_while_a_followup_is_at_work(box: Sandbox) -> None:
    """The session of a follow-up outlives its run, and the next line waits for it."""
    fifo = box.outside / "begun"
    box.run("mkfifo", str(fifo), str(box.outside / "go"))
    partial(box).behave(3, 'echo begun > "$OUT/begun"; read -r _ < "$OUT/go"; work; report COMPLETE')
    first = box.start()
    await_line(fifo)
    first.kill()
    first.wait()
    second = box.start()
    with (box.outside / "go").open("w") as go:
        go.write("go\n")
    assert second.wait(100) == 0
    assert box.starts() == {1: 1, 2: 1, 3: 1}
    box.require_landed(1, 2, 3)
    box.require_clean()
