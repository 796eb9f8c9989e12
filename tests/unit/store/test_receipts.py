"""Receipts: typed, whole or absent, told when they cannot be read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work_milestone.plan import FollowUp, Reason
from work_milestone.store import Kind, Receipts, Record, RunFolder, records, shapes
from work_milestone.store.receipts import VERSION
from work_milestone.system import ReceiptError

MERGED = records.Merge(status="merged")


@pytest.fixture
def receipts(tmp_path: Path) -> Receipts:
    return Receipts(RunFolder(tmp_path, 7))


def again(receipts: Receipts) -> Receipts:
    """The same folder as the next process sees it."""
    return Receipts(receipts.folder)


# reading and writing


def test_what_is_written_is_read(receipts: Receipts) -> None:
    merge = records.Merge(status="merged", commit="c" * 40, files=("a\nb", "é🦀", "x\udcff"))
    written = receipts.write(merge, 42, durable=True)
    path = receipts.path(records.Merge, 42)
    assert again(receipts).load(records.Merge, 42) == receipts.load(records.Merge, 42) == written
    content = json.loads(path.read_text())
    assert (content["version"], content["step"], content["status"]) == (VERSION, "merge", "merged")
    assert [entry.name for entry in path.parent.iterdir()] == ["merge.json"], "no temporary file stays"


def test_places(receipts: Receipts) -> None:
    run = receipts.folder.root / ".milestone" / "7"
    assert receipts.folder.path == run
    assert receipts.path(records.Work, 42) == run / "items/42/result.json"
    assert receipts.path(records.Work, records.LANDING) == run / "landing/result.json"
    assert receipts.path(records.Started, 42, 3) == run / "items/42/attempts/3/session.json"
    assert receipts.path(records.Relay, 2) == run / "waves/2/relay.json"
    assert receipts.path(records.Branch) == run / "branch.json"
    assert receipts.folder.wave(2) == run / "waves/2"
    assert receipts.folder.attempt(42, 3) == run / "items/42/attempts/3"


def test_attempts_and_issues_are_counted_by_their_folders(receipts: Receipts) -> None:
    folder = receipts.folder
    assert (folder.attempts(42), folder.issues()) == (0, set())
    for number in (1, 2, 10):
        folder.attempt(42, number).mkdir(parents=True)
    (folder.item(42) / "attempts" / "notes.txt").touch()
    (folder.path / "items" / ".42.tmp").touch()
    assert (folder.attempts(42), folder.issues()) == (10, {42})


def test_a_receipt_is_read_once_until_it_is_forgotten(receipts: Receipts) -> None:
    assert receipts.load(records.Merge, 1) is None
    again(receipts).write(MERGED, 1)
    assert receipts.load(records.Merge, 1) is None, "one process sees one state"
    receipts.forget()
    assert receipts.load(records.Merge, 1)
    receipts.remove(records.Merge, 1)
    assert receipts.load(records.Merge, 1) is None
    assert not receipts.path(records.Merge, 1).exists()
    receipts.remove(records.Merge, 1)


GOOD: dict[str, Any] = {"version": 1, "step": "merge", "status": "merged", "ended": 1.5}
ABSENT = {
    "empty": b"",
    "white space": b" \n",
    "half": json.dumps(GOOD).encode()[:-9],
    "no JSON": b"<html>",
    "nul": b"\0" * 4096,
    "not UTF-8": b"\xff\xfe{\0}\0",
    "a list": b"[]",
    "null": b"null",
    "foreign": b'{"name": "package", "dependencies": {}}',
    "unknown step": json.dumps(GOOD | {"step": "deploy"}).encode(),
    "another step": json.dumps(GOOD | {"step": "wave"}).encode(),
    "step of another kind": json.dumps(GOOD | {"step": ["merge"]}).encode(),
    **{f"no {name}": json.dumps({key: GOOD[key] for key in GOOD if key != name}).encode() for name in GOOD},
    "deep": b"[" * 100_000,
    "ended at a text": json.dumps(GOOD | {"ended": "x"}).encode(),
    "version of a text": json.dumps(GOOD | {"version": "1"}).encode(),
    "version of a fraction": json.dumps(GOOD | {"version": 1.0}).encode(),
    "a number too long to read": b'{"version": 1, "step": "merge", "status": "merged", "ended": %s}' % (b"1" * 5000),
}


def leave(receipts: Receipts, raw: bytes | str, kind: type[Record] = records.Merge, *place: int) -> Path:
    path = receipts.path(kind, *(place or (42,)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return path


@pytest.mark.parametrize("raw", ABSENT.values(), ids=list(ABSENT))
def test_what_is_no_receipt_counts_as_absent_and_is_told(receipts: Receipts, raw: bytes) -> None:
    path = leave(receipts, raw)
    assert receipts.load(records.Merge, 42) is None
    assert receipts.notes[path].startswith(".milestone/7/items/42/merge.json: ")
    assert ("empty" in receipts.notes[path]) == (not raw.strip())
    receipts.write(MERGED, 42)
    assert not receipts.notes, "what was done again is not told any more"


def test_absence_is_not_told(receipts: Receipts) -> None:
    receipts.folder.path.parent.mkdir()
    receipts.folder.path.write_text("a file where a folder is looked for")
    assert receipts.load(records.Merge, 42) is None
    assert receipts.load(records.Branch) is None
    assert not receipts.notes


def test_a_folder_in_a_receipts_place_is_told(receipts: Receipts) -> None:
    path = receipts.path(records.Merge, 42)
    path.mkdir(parents=True)
    assert receipts.load(records.Merge, 42) is None
    assert "cannot be read" in receipts.notes[path]


@pytest.mark.parametrize("also", [{}, {"step": "of the future"}, {"step": None}, {"status": None}])
@pytest.mark.parametrize("version", [2, 0, 99])
def test_another_version_is_refused_whatever_it_says(receipts: Receipts, version: int, also: dict[str, Any]) -> None:
    leave(receipts, json.dumps(GOOD | {"step": "spawn", "version": version} | also), records.Work, 42)
    with pytest.raises(ReceiptError) as caught:
        receipts.load(records.Work, 42)
    assert ".milestone/7/items/42/result.json" in str(caught.value)
    assert repr(version) in str(caught.value)
    with pytest.raises(ReceiptError):
        receipts.load(records.Work, 42)


# what each kind holds


FOLLOWUP = FollowUp(issue=9, title="Finish: x", origin=1, kind=Reason.REST, generation=1, head="a" * 40, base="b" * 40,
                    onto="c" * 40, branch="work/7/1")  # fmt: skip
SAMPLES: Mapping[str, Any] = {  # by a field's type as it is written
    "str": "x", "int": 1, "float": 1.5, "bool": True, "tuple[str, ...]": ("x", "y"), "Mapping[str, int]": {"x": 1},
    "Kind": Kind.FIX, "tuple[Commit, ...]": (records.Commit(id="c", subject="s"),),
    "Refused": records.Refused(agent="a", until=1.0),
    "Mended": records.Mended(head="a", merged="b", onto="c", kind=Kind.RESOLVE), "FollowUp": FOLLOWUP,
    "tuple[FollowUp, ...]": (FOLLOWUP,),
}  # fmt: skip
KINDS: list[type[Record]] = [
    records.Work,
    *(kind for kind in Record.__subclasses__() if kind is not records.Work),
    records.Mend,
]
PLACES = {"run": (), "item": (42,), "wave": (2,), "attempt": (42, 3)}


def sample(kind: type[Record]) -> Record:
    """A record of which every field has a value that is not its default."""
    return kind(**{name: SAMPLES[of.removesuffix(" | None")] for name, of in kind.fields.items()})


def test_every_kind_has_a_file_and_a_step_of_its_own() -> None:
    assert len(KINDS) == 15
    assert len({(kind.home, kind.file) for kind in KINDS}) == len({kind.step for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_comes_back(receipts: Receipts, kind: type[Record]) -> None:
    place = PLACES[kind.home]
    written = receipts.write(sample(kind), *place)
    assert again(receipts).load(kind, *place) == written
    content = json.loads(receipts.path(kind, *place).read_text())
    assert content.keys() - {"version", "step"} == {"class" if name == "cls" else name for name in kind.fields}


@pytest.mark.parametrize("kind", KINDS)
def test_a_receipt_has_what_its_kind_needs(receipts: Receipts, kind: type[Record]) -> None:
    place = PLACES[kind.home]
    receipts.write(sample(kind), *place)
    whole = json.loads(receipts.path(kind, *place).read_text())
    required = kind.fields.keys() - kind.defaults.keys() | {"ended", "step"}
    for name in whole.keys() - {"version"}:
        for rest in ({key: whole[key] for key in whole if key != name}, whole | {name: None}):
            leave(receipts, json.dumps(rest), kind, *place)
            found = again(receipts).load(kind, *place)
            assert (found is None) == (name in required), (name, rest)
        if name in required and isinstance(whole[name], str):
            leave(receipts, json.dumps(whole | {name: ""}), kind, *place)
            assert again(receipts).load(kind, *place) is None, f"{name} is empty"


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_field_is_told_and_the_rest_counts(receipts: Receipts, kind: type[Record]) -> None:
    """Unless nothing can be said without it: what was paid for, or skipped, is known from the others."""
    place = PLACES[kind.home]
    receipts.write(sample(kind), *place)
    path = receipts.path(kind, *place)
    whole = json.loads(path.read_text())
    for name, of in kind.fields.items():
        key = "class" if name == "cls" else name
        # What is damaged within a follow-up, or in one of several, has rules of its own.
        wrong: Any = ["x", [None]] if isinstance(whole[key], dict) else {"wrong": [None]}
        if of.removesuffix(" | None") == "Mapping[str, int]":
            wrong = {"x": "y"}
        path.write_text(json.dumps(whole | {key: wrong}))
        reader = again(receipts)
        found = reader.load(kind, *place)
        if name in kind.defaults and name != "ended":
            assert found == sample(kind).replace(writer=whole["writer"]).replace(**{name: kind.defaults[name]})
            assert reader.notes[path].endswith(f": {key} damaged; the rest of it counts")
        else:
            assert found is None, name
            assert reader.notes[path].endswith("counts as absent, the step is done again")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-1e999", "1" + "0" * 400])
def test_a_number_that_no_float_holds_is_damaged(receipts: Receipts, number: str) -> None:
    path = leave(receipts, f'{{"version": 1, "step": "spawn", "status": "complete", "ended": 3, "attempt": 2, "cost": '
                           f'{number}}}', records.Work, 42)  # fmt: skip
    assert receipts.load(records.Work, 42) == records.Work(status="complete", ended=3.0, attempt=2)
    assert "cost damaged" in receipts.notes[path]


def test_old_receipts_lack_what_was_added_since_and_have_null_for_none(receipts: Receipts) -> None:
    old = {"version": 1, "step": "spawn", "status": "complete", "ended": 3, "attempt": 2, "cost": None, "head": None,
           "refused": {"agent": None, "model": None, "until": None, "started": None, "elapsed": None, "detail": None},
           "path": None, "mark": None, "agent": None, "files": None, "of a later version": {"x": 1}}  # fmt: skip
    leave(receipts, json.dumps(old), records.Work, 42)
    found = receipts.load(records.Work, 42)
    assert found == records.Work(status="complete", ended=3.0, attempt=2, refused=records.Refused())
    mend = {**old, "step": "mend", "of": "a", "kind": None, "onto": None, "before": {}, "refused": None}
    leave(receipts, json.dumps(mend), records.Mend, 42)
    assert receipts.load(records.Mend, 42) == records.Mend(status="complete", ended=3.0, attempt=2, of="a")


@given(st.binary())
def test_no_bytes_at_all_raise(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    receipts = Receipts(RunFolder(tmp_path_factory.mktemp("any"), 7))
    path = leave(receipts, raw)
    assert receipts.load(records.Merge, 42) is None
    assert list(receipts.notes) == [path]


NAMES = list(records.Mend.fields)
SOUND = {"version": 1, "step": "mend", "status": "complete", "ended": 3.0, "attempt": 2, "of": "a"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["agent", "until", "kind"]), inner),
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_no_values_at_all_raise(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    receipts = Receipts(RunFolder(tmp_path_factory.mktemp("any"), 7))
    leave(receipts, json.dumps({**SOUND, **values}), records.Mend, 42)
    found = receipts.load(records.Mend, 42)
    assert found is None or json.loads(json.dumps(shapes.write(found), allow_nan=False)) == shapes.write(found)


# atomic


WRITER = """
import sys
from pathlib import Path
from work_milestone.store import Receipts, RunFolder, records
receipts = Receipts(RunFolder(Path(sys.argv[1]), 7))
for number in range(10**9):
    merge = records.Merge(status="merged", reason="x" * 200_000, attempt=number)
    receipts.write(merge, 42, durable=number % 2 == 0)
    if number == 3:
        print("going", flush=True)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(receipts: Receipts) -> None:
    path = receipts.path(records.Merge, 42)
    for _ in range(8):
        argv = [sys.executable, "-c", WRITER, str(receipts.folder.root)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"going\n"
            for _ in range(50):  # readers beside the writer see it whole as well
                assert len(json.loads(path.read_bytes())["reason"]) == 200_000
            writer.kill()
        reader = again(receipts)
        merge = reader.load(records.Merge, 42)
        assert merge
        assert len(merge.reason) == 200_000
        assert not reader.notes


@pytest.mark.parametrize("text", ["\ud83e", "caf\udce9"])
def test_any_text_comes_back(receipts: Receipts, text: str) -> None:
    receipts.write(records.Merge(status="conflict", reason=text), 42)
    merge = again(receipts).load(records.Merge, 42)
    assert merge
    assert merge.reason == text
