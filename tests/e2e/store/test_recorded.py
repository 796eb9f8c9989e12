"""A run that an earlier version has begun is taken up: its folder was recorded when that was killed."""

from __future__ import annotations

import json
import os
import signal
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from work_milestone.store import LANDING, Receipts, RunFolder, records
from work_milestone.supervision import attempts, record

from tests.e2e.harness import Sandbox, await_line, await_text, watchdog
from tests.e2e.sessions.talks import require_one_conversation, turns
from tests.recorded.record import WIDE, copy, places, steady, write

RECORDED = Path(__file__).parents[2] / "recorded"
LIVE, FINISHED, CUT, SKIPPED = 13, 12, 14, 8
STARTED = dict.fromkeys((10, 11, LIVE, 15, 16, 17), 1)  # by agents that log it; the live one when it is made so again
MENDED = {"7-resolve": 1, "9-fix": 1}
MERGED = (1, 2, 4, 5, 6, 7, *range(9, 18))  # 3 is by its follow-up, 5 in part


# -- what depends on how this package is built inside


def revive(box: Sandbox, issue: int) -> attempts.Supervised:
    """Let a recorded session be at work again, in the folder of its attempt."""
    item, session = box.root / f".milestone/3/items/{issue}", box.receipt(f"items/{issue}/attempts/1/session.json")
    for name in ("lock", "supervisor.json"):  # of the supervisor that it had where it was recorded
        (item / "attempts/1" / name).unlink()
    own = {"MILESTONE_NUMBER": "3", "MILESTONE_ITEM": str(issue), "MILESTONE_KIND": "work", "MILESTONE_ATTEMPT": "1",
           "MILESTONE_TITLE": f"Item {issue}", "MILESTONE_PROMPT": str(item / "prompt.md"), "GIT_CONFIG_COUNT": "1",
           "GIT_CONFIG_KEY_0": "core.excludesFile",
           "GIT_CONFIG_VALUE_0": str(box.root / ".milestone/3/excludes")}  # fmt: skip
    return attempts.start(
        item / "attempts/1", session["argv"], cwd=Path(session["path"]), env=box.env | own, stdin=item / "prompt.md",
        timeout=session["timeout"], mark=session["mark"],
    )  # fmt: skip


def find_unread(box: Sandbox) -> list[str]:
    """Name what of a run folder counts as absent."""
    receipts = Receipts(RunFolder(box.root, 3))
    kinds: dict[tuple[str, str], type[records.Record]] = {
        (kind.home, kind.file): kind for kind in vars(records).values() if hasattr(kind, "file")
    }
    unread = []
    for path in receipts.folder.path.rglob("*.json"):
        name, *above = reversed(path.relative_to(receipts.folder.path).parts)
        place = tuple(int(part) for part in reversed(above) if part.isdecimal())
        if "landing" in above:
            place = (LANDING, *place)
        home = "wave" if "waves" in above else ("run", "item", "attempt")[len(place)]
        if name == "exit.json":
            found: object = record.read(path.parent)
        elif name != "supervisor.json":
            found = receipts.load(kinds[home, name], *place)
        if found is None:
            unread.append(str(path))
    return unread


# -- putting it back


def restore(box: Sandbox, name: str) -> Sandbox:
    """Make a repository, its run folder and its agents again as they were recorded."""
    source = RECORDED / name
    rows = json.loads((source / "worktrees.json").read_text(encoding="utf-8"))
    # By its mark a session's processes are found on the whole computer: no two copies may have the same.
    words = places(box) | {row["mark"]: str(uuid.uuid4()) for row in rows}
    copy([*source.rglob("milestone/**/*")], source / "milestone", box.root / ".milestone/3", words)
    copy([*source.rglob("outside/**/*")], source / "outside", box.outside, words)
    for program in box.outside.glob("bin/*"):
        program.chmod(0o755)
    box.env["PATH"] = f"{box.outside / 'bin'}{os.pathsep}{box.env['PATH']}"
    box.git("fetch", "-q", "--update-head-ok", str(source / "history.bundle"), "+refs/*:refs/*")
    box.git("reset", "-q", "--hard")
    for row in rows:
        place = box.root / row["path"]
        box.git("worktree", "add", "-q", str(place), row["branch"])
        assert box.rev(row["branch"]) == row["head"]
        own = Path(box.git("rev-parse", "--absolute-git-dir", cwd=place))
        write(own / "work-milestone-session", row["mark"], words)
        for path, text in row["files"].items():
            write(place / path, text, words)
    return box


@pytest.fixture
def recorded(box: Sandbox) -> Iterator[Sandbox]:
    """The run that was killed in its second wave, a session of which is still at work."""
    restore(box, "run")
    for word in ("begun", "go"):
        os.mkfifo(box.outside / f"{word}-{LIVE}")
    session = revive(box, LIVE)
    try:
        assert await_line(box.outside / f"begun-{LIVE}") == "here"
        yield box
    finally:
        session.signal(signal.SIGTERM)
        with watchdog("its supervisor does not end"):
            session.wait()


def require_told(box: Sandbox, name: str) -> None:
    """Status and list say what they said when it was recorded."""
    status, listed = ((RECORDED / name / f"{what}.txt").read_text(encoding="utf-8") for what in ("status", "list"))
    for place, text in places(box).items():
        status = status.replace(place, text)
    assert steady(box.doit("status", "n=3", rc=0, env=WIDE).text) == status
    assert box.doit("list", "n=3", rc=0).text == listed
    assert find_unread(box) == []


def journal(box: Sandbox, step: str, outcome: str) -> Counter[int]:
    """How often something happened to each item."""
    rows = map(json.loads, (box.root / ".milestone/3/journal.jsonl").read_text().splitlines())
    return Counter(row["issue"] for row in rows if (row["step"], row["outcome"]) == (step, outcome))


def require_taken_up(box: Sandbox, base: str, before: dict[int, list[str]]) -> None:
    """All has landed; nothing that was there was paid for or merged twice."""
    assert box.starts() == STARTED
    assert box.mends() == MENDED
    assert [box.receipt(f"items/{issue}/result.json")["attempt"] for issue in (FINISHED, 10)] == [1, 2]
    assert [box.receipt(f"items/{issue}/mend.json")["attempt"] for issue in (7, 9)] == [4, 4]
    require_one_conversation(box, CUT, 3)
    assert [len(turns(box, issue)) for issue in (1, CUT)] == [1, 3]
    merged = box.squashes()
    assert {issue: merged[issue] for issue in before} == before
    assert journal(box, "merge", "merged") == dict.fromkeys(MERGED, 1)
    assert [box.trailers(merged[issue][0])["Milestone-Settles"] for issue in (16, 17)] == ["3", "5"]
    assert [row["issue"] for row in box.receipt("overlay.json")["items"]] == [16, 17]
    assert {f"item-{issue}.txt" for issue in MERGED} | {"half.txt"} <= box.files()
    assert {"raw.txt", "broken", f"item-{SKIPPED}.txt", "one.txt"}.isdisjoint(box.files())
    assert {"one.txt", "two.txt"} <= box.files("refs/milestone/3/attempt/10/1")
    box.require_landed(*MERGED, base=base)
    box.await_idle()
    box.require_clean()
    assert box.lines("overlaps") == []
    assert find_unread(box) == []
    assert "nothing to do" in box.milestone().out
    assert box.starts() == STARTED
    assert len(turns(box)) == 4


# -- killed in its second wave


def test_a_recorded_run_is_told_as_it_was(recorded: Sandbox) -> None:
    require_told(recorded, "run")


def test_a_recorded_run_is_taken_up(recorded: Sandbox) -> None:
    base, before = recorded.rev(), recorded.squashes("milestone/3-test")
    with recorded.start() as run:
        await_text(recorded.root / ".milestone/3/journal.jsonl", '"adopted"')
        (recorded.outside / f"go-{LIVE}").write_text("go\n")
        assert run.wait() == 0
    output = "\n".join(recorded.lines("output"))
    assert "counts as absent" not in output
    assert "16 merged, 1 skipped" in output.splitlines()[-1]
    assert journal(recorded, "spawn", "adopted") == {LIVE: 1}
    assert recorded.receipt(f"items/{LIVE}/result.json")["attempt"] == 1
    require_taken_up(recorded, base, before)


def test_a_recorded_run_is_taken_up_after_the_computer_was_started_anew(box: Sandbox) -> None:
    """The session that was at work is not any more, and is tried again."""
    restore(box, "run").mend(LIVE)
    base, before = box.rev(), box.squashes("milestone/3-test")
    assert "counts as absent" not in box.milestone().text
    assert journal(box, "spawn", "crashed") == {LIVE: 1}
    assert box.receipt(f"items/{LIVE}/result.json")["attempt"] == 2
    require_taken_up(box, base, before)


# -- with a record of it damaged


def damage(box: Sandbox, name: str, **fields: object) -> None:
    path = box.root / ".milestone/3/items" / name
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({key: value for key, value in {**known, **fields}.items() if value is not Ellipsis}))


@pytest.mark.parametrize("place", ["", ".", "{root}", "{root}/.milestone/3/worktrees/..", "{outside}"])
def test_a_record_that_names_a_folder_of_a_persons_moves_nothing_there(box: Sandbox, place: str) -> None:
    restore(box, "run").mend(LIVE)
    damage(box, f"{FINISHED}/attempts/1/session.json", path=place.format(root=box.root, outside=box.outside))
    box.write("mine.txt", "a person's\n")
    base = box.rev()
    box.milestone()
    assert (box.root / "mine.txt").read_text() == "a person's\n"
    (box.root / "mine.txt").unlink()
    box.require_landed(*MERGED, base=base)
    assert box.starts() == STARTED


def test_damaged_fields_of_records_undo_nothing_and_cost_nothing(box: Sandbox) -> None:
    """A skip stays one, and what was resolved or fixed is not paid for again."""
    restore(box, "run").mend(LIVE)
    base, before = box.rev(), box.squashes("milestone/3-test")
    damage(box, f"{SKIPPED}/merge.json", attempt="x", reason=5)
    damage(box, "9/result.json", path=[None], cost=float("inf"))
    damage(box, "7/result.json", refused={"agent": 1})
    text = box.milestone().text
    assert "absent" not in text
    assert "attempt damaged; the rest of it counts" in text.replace("reason, ", "")
    require_taken_up(box, base, before)


def test_a_session_whose_end_lacks_its_code_is_judged_and_tried_again(box: Sandbox) -> None:
    restore(box, "run").mend(LIVE)
    base = box.rev()
    damage(box, f"{FINISHED}/attempts/1/exit.json", code=...)
    assert f"#{FINISHED}" in box.milestone(rc=1).text
    box.mend(FINISHED)
    box.milestone()
    box.require_landed(*MERGED, base=base)


@pytest.mark.parametrize("lacks", ["branch", "base"])
def test_a_conversation_whose_worktree_nobody_knows_goes_not_on(box: Sandbox, lacks: str) -> None:
    """A new one begins, on a branch and at a base that there are."""
    restore(box, "run").mend(LIVE)
    damage(box, f"{CUT}/result.json", **{lacks: ...})
    text = box.milestone(rc=1).text
    assert box.receipt(f"items/{CUT}/worktree.json")["branch"] == f"work/3/{CUT}-item-{CUT}"
    assert box.receipt(f"items/{CUT}/worktree.json")["conversation"] == ""
    assert f"#{CUT}" in text


# -- killed in its landing


def test_a_recorded_landing_is_taken_up(box: Sandbox) -> None:
    base = restore(box, "landing").rev()
    require_told(box, "landing")
    assert (box.root / ".milestone/3/advance.json").exists()
    assert "counts as absent" not in box.milestone().text
    assert not (box.root / ".milestone/3/advance.json").exists()
    assert box.receipt("land.json")["commit"] == box.rev()
    assert box.receipt("gates.json")["commit"] == box.rev(), "it was gated before"
    assert box.starts() == {}
    box.require_landed(1, base=base)
    box.require_clean()
    assert "nothing to do" in box.milestone().out
