"""Plans: what loads, what is refused and with which words, and names that git takes."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from work_milestone import plan as plans
from work_milestone.plan import branches, fields, loading, model
from work_milestone.system import PlanError
from work_milestone.text import yaml_files, yaml_nodes

SAMPLES = Path(__file__).parents[2] / "plans"
REUSED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
HEAD = "milestone: {number: 7, title: Seven}\n"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write plan 7; gives the root."""

    def write(content: str | bytes) -> Path:
        path = loading.plan_path(tmp_path, 7)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return write


def item(issue: int, **more: Any) -> dict[str, Any]:
    return {"title": f"Item {issue}", "issue": issue, **more}


def dump(waves: list[Any], **more: Any) -> str:
    return yaml.safe_dump({"milestone": {"number": 7, "title": "Seven"}, "waves": waves, **more})


def faults(root: Path, number: int = 7) -> list[str]:
    with pytest.raises(PlanError) as caught:
        plans.load_plan(root, number)
    assert str(caught.value) == "\n".join(caught.value.faults)
    return caught.value.faults


def faults_or_none(root: Path) -> list[str]:
    try:
        plans.load_plan(root, 7)
    except PlanError as error:
        return error.faults
    return []


def wave_of(text: str) -> str:
    """A plan with one item, written on lines 5 and on."""
    return f"{HEAD}waves:\n  - wave: 1\n    items:\n      - {text}\n"


class TestSamples:
    def test_underscores(self, tmp_path: Path) -> None:
        shutil.copytree(SAMPLES, tmp_path / "plan")
        plan = plans.load_plan(tmp_path, 3)
        assert (plan.number, plan.title) == (3, "v1.1 — Ordering service")
        assert plan.integration_branch == "milestone/3-v1.1-ordering-service"
        assert list(plan.items) == [42, 45, 38, 39, 50, 51]
        assert [(w.wave, w.parallel, len(w.items)) for w in plan.waves] == [
            (1, True, 3),
            (2, True, 2),
            (3, False, 1),
        ]
        assert plan.items[39].depends_on == (38,)
        assert plan.items[39].conflict_group == 1
        assert plan.items[51].wave == 3
        assert plan.conflict_groups[0].items == ("Retry failed payments", "Validate order payloads")
        assert plan.gates.pre_merge == ("git diff --check HEAD",)
        assert plan.path == tmp_path / "plan/milestone-3-dispatch.yaml"
        assert plan.notes == ()
        assert plan.ungroomed == []

    def test_hyphens(self, tmp_path: Path) -> None:
        shutil.copytree(SAMPLES, tmp_path / "plan")
        plan = plans.load_plan(tmp_path, 8)
        assert plan.integration_branch == "milestone/8-hyphenated"
        assert plan.items[102].depends_on == (101,)
        assert plan.gates == model.Gates()
        assert plan.waves[0].parallel is True
        assert plan.notes == ()

    def test_derived_branch_is_the_written_one(self, tmp_path: Path) -> None:
        folder = tmp_path / "plan"
        folder.mkdir()
        lines = (SAMPLES / "milestone-3-dispatch.yaml").read_text().splitlines(keepends=True)
        kept = "".join(line for line in lines if "integration_branch" not in line)
        (folder / "milestone-3-dispatch.yaml").write_text(kept)
        assert plans.load_plan(tmp_path, 3).integration_branch == "milestone/3-v1.1-ordering-service"

    def test_frozen(self, tmp_path: Path) -> None:
        shutil.copytree(SAMPLES, tmp_path / "plan")
        plan = plans.load_plan(tmp_path, 3)
        with pytest.raises(ValueError, match="frozen"):
            plan.title = "other"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{issue: 1}", "5:9: title is missing; add it"),
        ("{title: ' ', issue: 1}", "5:17: title is empty; write it"),
        ("{title: 12:30, issue: 1}", "5:17: title must be text, not 12:30; put it in quotes"),
        ("{title: no, issue: 1}", "5:17: title must be text, not no; put it in quotes"),
        (
            "{title: 2024-13-45, issue: 1}",
            "5:17: 2024-13-45 is no timestamp that can be used; put it in quotes",
        ),
        ("{title: [a], issue: 1}", "5:17: title must be text; put it in quotes"),
        ('{title: "a\\0b", issue: 1}', "5:17: a NUL character cannot reach any program; remove it"),
        ("{title: a, issue: '1'}", "5:27: issue must be a whole number, not 1; write it without quotes"),
        ("{title: a, issue: yes}", "5:27: issue must be a whole number, not yes; write it without quotes"),
        ("{title: a, issue: 0}", "5:27: issue must be at least 1, not 0; change it"),
        ("{title: a, issue: 1.5}", "5:27: issue must be a whole number, not 1.5; write it without quotes"),
        (
            "{title: a, issue: 1, priority: P4}",
            "5:40: priority must be P0, P1, P2 or P3, not P4; write one of them",
        ),
        ("{title: a, issue: 1, groomed: 'no'}", "5:39: groomed must be true or false, not no"),
        ("{title: a, issue: 1, depends_on: 2}", "5:42: depends_on must be a list, not 2; write it as [a, b]"),
        (
            "{title: a, issue: 1, depends_on: [x]}",
            "5:43: an entry of depends_on must be a whole number, not x",
        ),
        ("{title: a, issue: 1, depends-on: [9]}", "5:43: #1 depends on #9, which is in no wave"),
        ("{title: a, issue: 1, depends_on: [1]}", "5:43: #1 depends on #1, itself; remove it here"),
        ("{title: a, issue: 1, conflict-group: 4}", "5:46: conflict group 4 is not among conflict_groups"),
        ("{title: a, issue: 1, timeout: soon}", "5:39: timeout must be a duration, not soon; write 90m"),
        ("{title: a, issue: 1, timeout: 0}", "5:39: timeout must be more than 0 seconds"),
        ("{title: a, issue: 1, budget_usd: -1}", "5:42: budget_usd must be greater than 0"),
        (
            "{title: a, issue: 1, status: done}",
            "5:38: status must be pending, in-progress, complete, failed or",
        ),
        (
            "{title: a, issue: 1, issue: 2}",
            "5:30: issue stands twice in one mapping, first on line 5; keep one",
        ),
        (
            "{title: a, issue: 1, budget_usd: 1, budget-usd: 1}",
            "5:45: budget_usd and budget-usd are one key in",
        ),
        ("just text", "5:9: an entry of items must be a mapping, not just text"),
        (
            "{title: a, issue: " + "1" * 200 + "}",
            "5:27: " + "1" * 60 + "… is no int that can be used; put it in",
        ),
        ("{title: a, [b]: 1}", "5:20: a key must be plain text; write it out"),
        ("{title: !!set {a}, issue: 1}", "5:17: the tag tag:yaml.org,2002:set is not used here; remove it"),
        ("{title: !!int a, issue: 1}", "5:17: a is no int that can be used; put it in quotes"),
        ("{title: *a, issue: 1}", "5:17: alias *a names nothing that ends before it; write the value out"),
    ],
)
def test_item_is_refused(write: Write, text: str, expected: str) -> None:
    (fault,) = faults(write(wave_of(text)))
    assert fault.startswith(f"plan/milestone-7-dispatch.yaml:{expected}")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "1:1: the file is empty; write its keys, or remove it"),
        ("# nothing\n", "1:1: the file is empty; write its keys, or remove it"),
        ("- a\n", "1:1: not a mapping at the top level; write `key: value` lines"),
        ("text", "1:1: not a mapping at the top level"),
        (b"milestone:\n  title: \xff\n", "2:10: not UTF-8; save the file as UTF-8"),
        (b"a: b\nc: \x00d\n", "2:4: control character U+0000; remove it"),
        ("a: b: c\n", "1:5: not valid YAML: mapping values are not allowed in this context; mend it here"),
        ("a: [b\n", "2:1: not valid YAML: did not find expected ',' or ']'; mend it here"),
        (HEAD + "---\n" + HEAD, "2:1: a second document starts here; keep one"),
        ("a: " + "[" * 200_000, "1:103: nested more than 100 deep; make it flatter"),
        ("- " * 200_000, "1:201: nested more than 100 deep; make it flatter"),
        ("{a: " * 200_000, "1:401: nested more than 100 deep; make it flatter"),
        ("a: &a [*a]\n", "1:8: alias *a names nothing that ends before it; write the value out"),
        ("<<: 3\n", "1:5: `<<` takes a mapping; write the keys out"),
    ],
)
def test_file_is_refused(write: Write, content: str | bytes, expected: str) -> None:
    (fault,) = faults(write(content))
    assert fault.startswith(f"plan/milestone-7-dispatch.yaml:{expected}")


DEEP = {  # each with what is told first, and where
    "brackets": ("[" * 2000, 106, "nested more than 100 deep; make it flatter"),
    "closed": ("[" * 2000 + "]" * 2000, 106, "nested more than 100 deep; make it flatter"),
    "with words between": ("[x, " * 2000, 403, "nested more than 100 deep; make it flatter"),
    "mappings": ("[{a: " * 2000, 253, "nested more than 100 deep; make it flatter"),
    "behind quoted brackets": ('["[[[[", ' + "[" * 2000, 114, "nested more than 100 deep; make it flatter"),
    "behind some that are closed": ("[" + "[[]], " * 150 + "[" * 2000, 1006, "nested more than 100 deep; make it"),
    "just one too many": ("[" * 100 + "]" * 100, 106, "nested more than 100 deep; make it flatter"),
    "a mapping as a key": ("{" * 2000, 8, "a key must be plain text; write it out"),
    "a list as a key": ("{[" * 2000, 8, "a key must be plain text; write it out"),
    "an alias before": (
        "[*none, " + "[" * 2000,
        8,
        "alias *none names nothing that ends before it; write the value out",
    ),
}


@pytest.mark.parametrize("loader", [yaml_nodes.LOADER, yaml.SafeLoader])
@pytest.mark.parametrize(("value", "column", "told"), DEEP.values(), ids=list(DEEP))
@pytest.mark.parametrize("before", ["", "é: [1]\n", "k:\n  - l: {m: n}\n"])
def test_what_nests_too_deep_is_told_alike_by_every_parser(
    write: Write, monkeypatch: pytest.MonkeyPatch, loader: type, value: str, column: int, told: str, before: str
) -> None:
    monkeypatch.setattr(yaml_nodes, "LOADER", loader)
    (fault,) = faults(write(f"{before}deep: {value}\n"))
    assert fault.startswith(f"plan/milestone-7-dispatch.yaml:{before.count(chr(10)) + 1}:{column}: {told}")


def test_as_deep_as_may_be(write: Write) -> None:
    told = faults(write("deep: " + "[" * 99 + "]" * 99 + "\n"))
    assert not any("nested" in fault for fault in told)


@pytest.mark.parametrize("link", ["[{}]", "{{<<: [{}]}}"])
def test_alias_bomb(write: Write, link: str) -> None:
    levels = [f"a{n}: &a{n} " + link.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 40)]
    (fault,) = faults(write("\n".join(["a0: &a0 {x: 1, y: 2}", *levels])))
    assert "aliases repeat too much here; write the values out" in fault


def test_what_is_no_file(tmp_path: Path) -> None:
    path = loading.plan_path(tmp_path, 7)
    path.mkdir(parents=True)
    (fault,) = faults(tmp_path)
    assert ":1:1: this is a folder; move it away and write a YAML file in its place" in fault
    path.rmdir()
    path.symlink_to(path)
    (fault,) = faults(tmp_path)
    assert ":1:1: cannot be read (" in fault


def test_missing_plan_names_those_there(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path)
    assert fault.startswith("plan/milestone-7-dispatch.yaml: there is no such plan (plans here: none); grooming")
    shutil.copytree(SAMPLES, tmp_path / "plan")
    (fault,) = faults(tmp_path)
    assert "(plans here: n=3, n=8)" in fault
    assert 'README shows under "A plan"' in fault


@pytest.mark.parametrize(
    ("waves", "expected"),
    [
        ([{"wave": 2, "items": []}], "wave 2 stands where wave 1 belongs"),
        ([{"wave": 1, "items": []}, {"wave": 1, "items": []}], "wave 1 stands where wave 2 belongs"),
        ([{"wave": 1, "items": [item(1), item(1)]}], "issue 1 stands twice, first at "),
        (
            [{"wave": 1, "items": [item(1)]}, {"wave": 2, "items": [item(1)]}],
            "issue 1 stands twice, first at ",
        ),
        ([{"wave": 1, "items": [item(1), item(2, depends_on=[1])]}], "#2 depends on #1, in the same wave"),
        (
            [{"wave": 1, "parallel": False, "items": [item(1), item(2, depends_on=[1])]}],
            "#2 depends on #1, in the same wave",
        ),
        (
            [{"wave": 1, "items": [item(2, depends_on=[1])]}, {"wave": 2, "items": [item(1)]}],
            "#2 depends on #1, in the later wave 2",
        ),
        (
            [{"wave": 1, "items": [item(1, conflict_group=1), item(2, conflict_group=1)]}],
            "#2 and #1 share conflict group 1 in parallel wave 1",
        ),
    ],
)
def test_order_is_refused(write: Write, waves: list[Any], expected: str) -> None:
    found = faults(write(dump(waves, conflict_groups=[{"group_id": 1}])))
    assert len(found) == 1
    assert expected in found[0]


def test_group_may_share_a_sequential_wave(write: Write) -> None:
    items = [item(1, conflict_group=1), item(2, conflict_group=1)]
    text = dump([{"wave": 1, "parallel": False, "items": items}], conflict_groups=[{"group_id": 1}])
    assert list(plans.load_plan(write(text), 7).items) == [1, 2]


def test_every_fault_at_once_in_the_order_of_the_file(write: Write) -> None:
    root = write(
        "milestone: {number: 8, title: Eight, integration_branch: 'a..b', integration-branch: c}\n"
        "conflict_groups:\n  - {group_id: 1}\n  - {group_id: 1}\n"
        "waves:\n"
        "  - wave: 1\n    items:\n"
        "      - {title: One, title: Uno, issue: 1, priority: high}\n"
        "      - {issue: 1, depends_on: [5]}\n"
    )
    assert [fault.split(":", 3)[1:] for fault in faults(root)] == [
        ["1", "21", " milestone.number is 8, but the file's name says 7; correct one of them"],
        ["1", "58", " a..b has '..', which git refuses in a branch; write milestone/7-name, or leave it out"],
        ["1", "66", " integration_branch and integration-branch are one key in two spellings; keep one"],
        ["4", "16", " conflict group 1 stands twice; put its items in one"],
        ["8", "22", " title stands twice in one mapping, first on line 8; keep one"],
        ["8", "54", " priority must be P0, P1, P2 or P3, not high; write one of them"],
        ["9", "9", " title is missing; add it"],
        ["9", "17", " issue 1 stands twice, first at 8:41; remove one"],
        ["9", "33", " #1 depends on #5, which is in no wave; add it to an earlier wave, or remove it here"],
    ]


def test_sections_of_the_wrong_kind(write: Write) -> None:
    found = faults(write("milestone: x\nconflict_groups: {a: b}\nwaves: 3\nquality_gates: {pre_merge: make}\n"))
    assert [fault.split(": ", 1)[1].split(" must ")[0] for fault in found] == [
        "milestone",
        "conflict_groups",
        "waves",
        "pre_merge",
    ]
    assert [fault.split(": ", 1)[1] for fault in faults(write("x: y\n"))] == [
        "milestone is missing; add it",
        "waves is missing; add it",
    ]


def test_notes_for_what_is_ignored(write: Write) -> None:
    root = write(
        HEAD + "owner: me\nconflict-groups:\n  - {group-id: 1, items: [One, Two]}\n"
        "waves:\n  - wave: 1\n    items:\n      - {title: One, issue: 1, dependson: [], wave: 9, no: x}\n"
    )
    plan = plans.load_plan(root, 7)
    name = "plan/milestone-7-dispatch.yaml"
    assert plan.notes == (
        f"{name}:2:1: unknown key owner is ignored",
        f"{name}:8:32: unknown key dependson is ignored; did you mean depends_on?",
        f"{name}:8:47: unknown key wave is ignored",
        f"{name}:8:56: unknown key no is ignored",
        f"{name}:4:32: conflict group 1 names Two, which no item has",
    )
    assert plan.items[1].wave == 1


def test_null_is_not_given(write: Write) -> None:
    text = HEAD + "conflict_groups:\nquality_gates: {pre_merge: }\nwaves:\n  - wave: 1\n    items:\n"
    text += "      - {title: One, issue: 1, depends_on: , priority: , agent: null, status: in_progress}\n"
    found = plans.load_plan(write(text), 7).items[1]
    assert found == plans.Item(title="One", issue=1, status="in-progress", wave=1)


def test_own_keys_of_an_item(write: Write) -> None:
    text = wave_of("{title: a, issue: 1, agent: command, command: make, model: m, effort: high, timeout: 90m, ")
    root = write(text.rstrip() + "budget-usd: 2, groomed: false, status: skipped}\n")
    plan = plans.load_plan(root, 7)
    found = plan.items[1]
    assert (found.agent, found.command, found.model, found.effort) == ("command", "make", "m", "high")
    assert (found.timeout, found.budget_usd, found.status) == (5400.0, 2.0, "skipped")
    assert plan.ungroomed == []


def test_ungroomed(write: Write) -> None:
    items = [item(1, groomed=False), item(2), item(3, groomed=False, status="complete")]
    plan = plans.load_plan(write(dump([{"wave": 1, "items": items}])), 7)
    assert [found.issue for found in plan.ungroomed] == [1]


def test_aliases_and_merges_are_read(write: Write) -> None:
    text = HEAD + "waves:\n  - wave: 1\n    items:\n"
    text += "      - &one {title: One, issue: 1, priority: P0}\n      - {<<: *one, issue: 2}\n"
    plan = plans.load_plan(write(text), 7)
    assert [(i.issue, i.title, i.priority) for i in plan.items.values()] == [
        (1, "One", "P0"),
        (2, "One", "P0"),
    ]


def test_list_plans(tmp_path: Path) -> None:
    assert plans.list_plans(tmp_path) == []
    folder = tmp_path / "plan"
    shutil.copytree(SAMPLES, folder)
    (folder / "milestone-11-dispatch.yaml").write_text("a: [")
    (folder / "milestone-12-dispatch.yaml").mkdir()
    (folder / "milestone-13-dispatch.yaml").symlink_to("nowhere")
    (folder / "milestone-014-dispatch.yaml").write_text(HEAD)
    (folder / "milestone-15-dispatch.yaml").write_text(
        "x: {milestone: {title: a}}\nl: [milestone, {title: b}]\nmilestone: {a: &a [1], b: *a, title: c}\nbroken: ["
    )
    found = [(plan.number, plan.title) for plan in plans.list_plans(tmp_path)]
    assert found == [
        (3, "v1.1 — Ordering service"),
        (8, "Hyphenated"),
        (11, "(unreadable)"),
        (12, "(unreadable)"),
        (13, "(unreadable)"),
        (15, "c"),
    ]


@REUSED
@given(content=st.binary(max_size=200))
def test_any_bytes_load_or_are_refused(write: Write, content: bytes) -> None:
    found = faults_or_none(write(content))
    assert all(fault.startswith("plan/milestone-7-dispatch.yaml:") for fault in found)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=5)
KEYS = st.sampled_from(["milestone", "waves", "wave", "items", "issue", "title", "depends_on", "depends-on", "<<"])
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)


@REUSED
@given(tree=TREES, where=st.sampled_from(["", "milestone", "waves", "conflict_groups", "items", "item"]))
def test_any_tree_loads_or_is_refused(write: Write, tree: Any, where: str) -> None:
    items = tree if where == "items" else [item(1), tree if where == "item" else item(2)]
    whole: Any = {"milestone": {"number": 7, "title": "a"}, "waves": [{"wave": 1, "items": items}]}
    whole = tree if where == "" else {**whole, where: tree} if where in ("milestone", "waves") else whole
    whole = {**whole, where: tree} if where == "conflict_groups" else whole
    found = faults_or_none(write(yaml.safe_dump(whole, allow_unicode=True)))
    assert all(fault.isprintable() for fault in found)


NASTY = st.sampled_from(["--force", "../../x", "a\nb", '"', "'", "🚀", "%s{}", "x" * 500, "#1: y", "${HOME}", "12:30"])
TITLES = NASTY | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@REUSED
@given(title=TITLES.filter(lambda title: bool(title.strip())))
def test_any_title_survives(write: Write, title: str) -> None:
    waves = [{"wave": 1, "items": [{"title": title, "issue": 1}]}]
    text = yaml.safe_dump({"milestone": {"number": 7, "title": title}, "waves": waves})
    plan = plans.load_plan(write(text), 7)
    assert plan.items[1].title == plan.title == title
    assert [summary.title for summary in plans.list_plans(plan.path.parent.parent)] == [title]


def git_takes(name: str) -> bool:
    command = ["git", "check-ref-format", "--branch", name]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("v1.1 — Ordering service", "v1.1-ordering-service"),
        ("Hyphenated", "hyphenated"),
        ("  Größe & Maß:  done ", "groe-ma-done"),
        ("a..b...lock", "a.b"),
        (".lock.lock", "lock"),
        ("x.LOCK.lock.", "x"),
        ("🚀", ""),
        ("", ""),
        ("../../etc", "etc"),
        ("--force", "force"),
        ("@{-1}", "1"),
        ("x" * 500, "x" * 50),
        ("y" * 45 + ".locks", "y" * 45),
    ],
)
def test_slugs(title: str, slug: str) -> None:
    assert branches.slugify(title) == slug


@settings(max_examples=150)
@given(title=st.text() | st.text("a.-lock@{ /~\\é…K\n", max_size=60))
def test_git_takes_every_slug(title: str) -> None:
    slug = branches.slugify(title)
    assert len(slug) <= branches.MAX_SLUG
    assert slug == branches.slugify(slug)
    if slug:
        assert git_takes(slug)
        assert git_takes(f"milestone/7-{slug}")


@settings(max_examples=300)
@given(name=st.text("a.-lock@{/~ \\é\x7fHEAD") | st.text(st.characters(exclude_characters="\0", codec="utf-8")))
def test_git_takes_every_branch_that_we_take(name: str) -> None:
    if branches.branch_fault(name) is None:
        assert git_takes(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "HEAD",
        "a..b",
        "a b",
        "a~",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "a@{b",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.",
        "a.lock",
        "a.lock/b",
        "a\x7fb",
        "a\tb",
    ],
)
def test_what_git_refuses_is_refused(name: str) -> None:
    assert not git_takes(name)
    assert branches.branch_fault(name)


@pytest.mark.parametrize("name", ["a", "milestone/3-v1.1-x", "a/-b", "a@", "@a", "größe/🚀", "a./b", "x.lockx"])
def test_what_git_takes_is_taken(name: str) -> None:
    assert git_takes(name)
    assert branches.branch_fault(name) is None


def test_branch_of_a_title_without_letters(write: Write) -> None:
    root = write("milestone: {number: 7, title: 🚀}\nwaves: []\n")
    assert plans.load_plan(root, 7).integration_branch == "milestone/7"


PLAIN = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text() | st.dates()


@REUSED
@given(
    data=st.dictionaries(
        st.text(),
        st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8),
        max_size=6,
    )
)
@pytest.mark.parametrize("loader", [yaml_nodes.LOADER, yaml.SafeLoader])
def test_data_is_what_yaml_says(tmp_path: Path, loader: Any, data: dict[str, Any]) -> None:
    path = tmp_path / "data.yaml"
    text = yaml.safe_dump(data)
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_nodes, "LOADER", loader)
        loaded, _ = yaml_files.load_yaml(path, empty=True)
    assert loaded == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (90, 90.0),
        (1.5, 1.5),
        ("45s", 45.0),
        ("90m", 5400.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        (" 2 H ", 7200.0),
        ("1d", 86400.0),
        ("30", 30.0),
        ("0.5h", 1800.0),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert fields.parse_duration(value) == seconds


@pytest.mark.parametrize("value", [0, -1, "0", "-5", "", "h", "2x", "1e5", True, None, [], float("nan"), "9" * 400])
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="must be"):
        fields.parse_duration(value)


def test_infinite_duration() -> None:
    with pytest.raises(ValueError, match="at most 366 days"):
        fields.parse_duration(float("inf"))
