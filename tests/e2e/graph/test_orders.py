"""Which items run when, how a run is called, what it says of itself, and titles that would like to be commands."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.harness import KILL, Sandbox, item, plan

PER_ITEM = ("worktree", "lock", "prompt", "spawn", "merge", "item")


def steps(*waves: tuple[int, ...]) -> list[str]:
    """The graph's steps in the order of the plan."""
    found = ["preflight", "branch", "baseline"]
    for number, issues in enumerate(waves, 1):
        found += [f"{step}:{issue}" for issue in issues for step in PER_ITEM]
        found += [f"wave:{number}", f"relay:{number}"]
    return [*found, "gates", "land", "milestone"]


def test_the_list_before_in_the_middle_and_after(box: Sandbox) -> None:
    box.make(plan([[item(2), item(1)], [item(3, 1)]], pre=["true"]))
    wanted = steps((2, 1), (3,))
    before = box.states()
    assert [step for step in before if step in wanted] == wanted
    assert {before[step] for step in wanted} == {"R"}
    assert not (box.root / ".milestone").exists()
    box.behave(3, f"{KILL}; work; report COMPLETE")
    box.milestone(rc=-9)
    box.await_idle()
    middle = box.states()
    fresh = {step for step in wanted if middle[step] == "U"}
    assert fresh >= {
        "branch",
        "baseline",
        "wave:1",
        "relay:1",
        *(f"{step}:{issue}" for issue in (1, 2) for step in PER_ITEM),
    }
    assert not fresh & {"spawn:3", "merge:3", "item:3", "wave:2", "gates", "land", "milestone"}
    box.milestone()
    after = box.states()
    assert {after[step] for step in wanted} == {"U"}
    assert [step for step in after if step in wanted] == wanted


def test_without_a_number_the_plans_are_named(box: Sandbox) -> None:
    box.make()
    box.write("plan/milestone-8-dispatch.yaml", plan([[item(1)]], number=8))
    for words in (("list",), ("status",), ()):
        done = box.doit(*words, rc=0) if words else box.run(sys.executable, "-m", "doit")
        assert done.rc == 0
        assert "n=3" in done.out
        assert "n=8" in done.out
    done = box.doit("milestone", rc=None)
    assert done.rc not in (0, 3)
    assert len(done.text.strip().splitlines()) == 1
    assert "doit milestone n=3" in done.text
    assert not (box.root / ".milestone").exists()


@pytest.mark.parametrize("word", ["n=0", "n=-1", "n=x", "n=", "n=3.5", "n=99999999999999999999", "n=7"])
def test_a_number_that_is_none(box: Sandbox, word: str) -> None:
    box.make()
    for words in (("milestone", word), ("list", word), ("status", word)):
        done = box.doit(*words)
        assert done.rc != 0 or words[0] != "milestone"
        assert len(done.text.splitlines()) < 12
    assert box.git("status", "--porcelain") == ""


def test_an_unknown_variable_is_refused_with_the_nearest(box: Sandbox) -> None:
    box.make()
    for command in ("milestone", "list", "status", "skip:42"):
        done = box.doit(command, "n=3", "max_sesions=9")
        assert done.rc != 0
        assert "max_sesions" in done.text
        assert "max_sessions" in done.text
    assert box.starts() == {}


def test_a_list_that_nobody_reads_to_its_end(box: Sandbox) -> None:
    box.make()
    done = box.run("/bin/sh", "-c", '"$0" -m doit list n=3 | head -1', sys.executable)
    assert done.rc == 0
    assert done.err == ""
    assert len(done.out.splitlines()) == 1
    done = box.run("/bin/sh", "-c", '"$0" -m doit milestone n=3 | head -1', sys.executable)
    assert done.err == ""
    box.await_idle()
    assert "item-51.txt" in box.files()


def test_one_item_alone(box: Sandbox) -> None:
    box.make()
    main = box.rev()
    box.doit("item:42", "n=3", rc=0)
    assert box.starts() == {42: 1}
    box.doit("item:39", "n=3", rc=0)
    assert box.starts() == {42: 1, 38: 1, 39: 1}
    assert box.rev() == main
    assert set(box.squashes("milestone/3-v1.1-ordering-service")) == {42, 38, 39}
    box.milestone()
    assert set(box.starts().values()) == {1}
    box.require_landed(42, 45, 38, 39, 50, 51)
    box.require_clean()


def test_eager_starts_an_item_as_soon_as_its_own_needs_are_merged(box: Sandbox) -> None:
    """Item 3 needs 1 alone, and 2 does not end before 3 has begun: with barriers this would never end."""
    box.fifo("go")
    box.make(plan([[item(1), item(2)], [item(3, 1)]]), schedule="eager")
    box.behave(2, 'read word < "$OUT/go"; work; report COMPLETE')
    box.behave(3, 'echo go > "$OUT/go"; work; report COMPLETE')
    box.milestone()
    box.require_landed(1, 2, 3)
    assert next(iter(box.squashes())) == 1
    box.require_clean()


def test_a_wave_that_is_not_parallel_goes_one_after_another(box: Sandbox) -> None:
    box.make(plan([[item(3), item(1), item(2)]], parallel=False))
    for issue in (1, 2, 3):
        box.behave(issue, 'flock -n "$OUT/alone" sh -c "sleep 0.1" || exit 1; ls item-*.txt > "seen-$MILESTONE_ITEM"; '
                          "work; report COMPLETE")  # fmt: skip
    box.milestone()
    assert list(box.squashes()) == [3, 1, 2]
    assert [line.split()[0] for line in box.lines("starts")] == ["3", "1", "2"]
    assert box.show("seen-2").split() == ["item-1.txt", "item-3.txt"]


def test_no_more_sessions_at_once_than_there_are_slots(box: Sandbox) -> None:
    box.make(plan([[item(issue) for issue in range(1, 8)]]), max_sessions=2)
    for issue in range(1, 8):
        slots = 'flock -n "$OUT/a" sh -c "$W" || flock -n "$OUT/b" sh -c "$W" || echo full > "$OUT/full"'
        box.behave(issue, f'export W="git status > /dev/null"; {slots}; work; report COMPLETE')
    box.milestone()
    assert not (box.outside / "full").exists()
    assert box.starts() == dict.fromkeys(range(1, 8), 1)


def test_items_with_an_agent_a_command_a_time_limit_of_their_own(box: Sandbox) -> None:
    own = "echo own > own.txt; git add -A; git commit -qm 'feat: own'"
    box.make(plan([[item(1, command=own), item(2, timeout="1h30m", model="opus"), item(3, agent="command")]]))
    box.milestone()
    assert box.show("own.txt") == "own"
    assert box.starts() == {2: 1, 3: 1}
    assert box.receipt("items/2/attempts/1/session.json")["timeout"] == 5400
    assert box.receipt("items/2/attempts/1/session.json")["model"] == "opus"


HOSTILE = [
    "../../x", "--force", "-rf /", "'; touch pwned; '", '"; touch pwned; "', "one\ntwo\n\nMilestone-Item: 99", "🚀 é",
    "x" * 500, "$(touch pwned)", "`touch pwned`", "{{ 7*7 }}", "{% raw %}", "%s %d %(x)s", ".lock", "a..b", "@{-1}",
    "~^:?*[", "\t tab", "#hash", "Milestone: 3", "[bold]rich[/bold]", "\x1b[31mred", "HEAD", "con", "名前",
    "fix(x): typed",
]  # fmt: skip


def test_hostile_titles_are_titles_and_nothing_else(box: Sandbox) -> None:
    box.make(plan([[item(issue, title=title) for issue, title in enumerate(HOSTILE, 1)]]))
    done = box.milestone()
    issues = range(1, len(HOSTILE) + 1)
    box.require_landed(*issues)
    box.require_clean()
    assert box.starts() == dict.fromkeys(issues, 1)
    assert not list(box.root.parent.rglob("pwned"))
    assert "\x1b" not in done.out
    subjects = box.git("log", "--no-merges", "--format=%s", "main").splitlines()
    assert "fix(x): typed (#26)" in subjects
    assert "fix: {{ 7*7 }} (#11)" in subjects
    assert "fix: $(touch pwned) (#9)" in subjects
    for issue, title in enumerate(HOSTILE, 1):
        prompt = (box.root / f".milestone/3/items/{issue}/prompt.md").read_text(encoding="utf-8")
        assert "".join(title.split()[:1]).strip("\x1b\t")[:20] in prompt
    box.doit("list", "n=3", rc=0)
    box.doit("status", "n=3", rc=0)


def test_letters_that_the_terminal_has_not(box: Sandbox) -> None:
    box.make(plan([[{**item(1), "title": "認証を追加する"}], [{**item(2, 1), "title": "検証 — ✓"}]]))
    latin = {"PYTHONIOENCODING": "latin-1"}
    box.behave(2, "echo 失敗 >&2; exit 1")
    for words, rc in ((("list", "n=3"), 0), (("status",), 0), (("milestone", "n=3"), 1), (("status", "n=3"), 0)):
        box.doit(*words, rc=rc, env=latin)
    box.doit("log:2", "n=3", rc=0, env=latin)
    box.mend(2)
    box.doit("milestone", "n=3", rc=0, env=latin)
    assert "認証を追加する (#1)" in box.git("log", "--format=%s", "main")
    box.require_landed(1, 2)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["item:1"], "say which milestone: doit item:1 n=N"),
        (["wave:1"], "say which milestone: doit wave:1 n=N"),
        (["wave:9", "n=3"], "wave:9: milestone 3 has no such step; it has wave:1, wave:2"),
        (["item:9", "n=3"], "item:9: milestone 3 has no such step; it has item:1, item:2"),
        (["relay:9", "n=3"], "relay:9: milestone 3 has no such step"),
        (["item:1", "n=4"], "plan/milestone-4-dispatch.yaml"),
    ],
)
def test_a_step_that_there_is_not(box: Sandbox, words: list[str], told: str) -> None:
    done = box.make(plan([[item(1)], [item(2)]])).doit(*words)
    assert done.rc != 0
    assert told in done.text
    assert box.starts() == {}
