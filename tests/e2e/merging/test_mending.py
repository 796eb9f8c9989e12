"""What becomes of merges that are not clean: resolved by rule, mended step by step, or left to a person."""

from __future__ import annotations

import pytest

from tests.e2e.harness import Sandbox, item, plan
from tests.e2e.merging.sides import APP, OLD, edit, sides, two_sides

NAMES = ("abc", "bisect", "copy", "enum", "fractions", "glob", "json", "queue")
CODE = "import os\n\n\n" + "\n\n".join(f"def use_{name}():\n    return os\n" for name in NAMES)
# All begin before any is merged: each waits at a FIFO of its own, and the last to come opens them all.
EIGHT = """
here=$(flock "$OUT/mutex" sh -c 'echo x >> "$OUT/here"; wc -l < "$OUT/here"')
if [ "$here" -lt 8 ]; then read line < "$OUT/meet-$MILESTONE_ITEM"
else for n in 1 2 3 4 5 6 7 8; do [ $n = "$MILESTONE_ITEM" ] || echo go > "$OUT/meet-$n"; done; fi
sed -i 's/^import os$/import {name}\\nimport os/; /^def use_{name}():$/,/return/s/return os/return {name}/' app.py
echo '- Use {name}.' >> CHANGELOG.md
commit 'feat: {name}'; report COMPLETE
"""


def test_eight_items_edit_one_changelog_one_import_block_and_a_function_each(box: Sandbox) -> None:
    gates = ["python3 -c 'import app; [getattr(app, n)() for n in dir(app) if n.startswith(\"use_\")]'"]
    files = {"app.py": CODE, "CHANGELOG.md": "# Changelog\n\n- Begin.\n", ".gitignore": "__pycache__/\n"}
    box.make(plan([[item(number) for number in range(1, 9)]], pre=gates), files=files, max_sessions=8)
    for number, name in enumerate(NAMES, 1):
        box.behave(number, EIGHT.format(name=name))
        box.fifo(f"meet-{number}")
    box.milestone()
    assert box.mends() == {}, "nobody had to look"
    code = box.show("app.py").splitlines()
    assert sorted(code[:9]) == sorted(f"import {name}" for name in (*NAMES, "os"))
    for name in NAMES:
        assert code[code.index(f"def use_{name}():") + 1] == f"    return {name}"
    log = box.show("CHANGELOG.md").splitlines()
    assert log[:3] == ["# Changelog", "", "- Begin."]
    assert sorted(log[3:]) == [f"- Use {name}." for name in NAMES]
    assert len(code) == len(CODE.splitlines()) + 8
    box.require_landed(*range(1, 9))
    box.require_clean()


def test_attributes_of_a_rejected_candidate_rule_no_merge(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2), item(3)]], pre=["! test -f .gitattributes"]), files={"list.txt": "begin\n"})
    box.fifo("meet")
    box.behave(1, "echo '*.txt merge=union' > .gitattributes; commit 'chore: union'; report COMPLETE")
    # Both begin before either is merged, from the same base.
    for issue, meet in ((2, 'echo x > "$OUT/meet"'), (3, 'read line < "$OUT/meet"')):
        box.behave(issue, f"{meet}; echo {issue} >> list.txt; commit 'feat: list'; report COMPLETE")
    box.milestone("mends=0", rc=1)
    (winner,) = box.squashes("milestone/3-test")
    for _ in range(2):
        assert "#1 gate: " in box.doit("item:1", "n=3", "mends=0", rc=1).text
        told = box.doit(f"item:{5 - winner}", "n=3", "mends=0", rc=1).text
        assert f"#{5 - winner} conflict: medium: list.txt: " in told
    assert box.show("list.txt", "milestone/3-test") == f"begin\n{winner}"
    assert box.starts() == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("step", ["merge", "mend", "item"])
def test_single_steps(box: Sandbox, step: str) -> None:
    two_sides(box)
    box.doit("item:1", "n=3", rc=0)
    box.doit("branch", "n=3", rc=0)
    box.behave(2, f"{OLD} {edit('app.txt', 'line 4', 'two')}")
    done = box.doit(f"{step}:2", "n=3")
    assert box.mends() == ({} if step == "merge" else {"2-resolve": 1})
    assert done.rc == 0
    box.milestone()
    assert sides(box) == {"one", "two"}
    assert box.mends() == {"2-resolve": 1}
    box.require_clean()


@pytest.mark.parametrize("verb", ["retry", "skip", "again"])
@pytest.mark.parametrize("outcome", ["conflict", "gate", "dropped"])
def test_what_a_person_may_do_after(box: Sandbox, outcome: str, verb: str) -> None:
    attributes = {"app.txt": APP, ".gitattributes": "app.txt merge=mine\n" if outcome == "dropped" else ""}
    box.make(plan([[item(1)], [item(2)]], pre=["! test -e broken"]), files=attributes)
    box.git("config", "merge.mine.driver", "true")
    box.behave(1, edit("app.txt", "line 4", "one"))
    box.behave(2, f"{OLD} {edit('app.txt', 'line 2' if outcome == 'dropped' else 'line 4', 'two')}")
    if outcome == "gate":
        box.behave(2, "touch broken; work; report COMPLETE")
    for name in ("2-resolve", "2-fix"):
        box.behave(name, "echo STATUS: BLOCKED; echo BLOCKER: they exclude each other")
    done = box.milestone(rc=1)
    assert f"#2 {outcome}" in done.out
    assert "retry:2" in done.out
    if outcome != "dropped":
        assert "they exclude each other" in done.out
    if verb == "again":
        assert f"#2 {outcome}" in box.milestone(rc=1).out
        verb = "retry"
    box.doit(f"{verb}:2", "n=3", rc=0)
    box.behave(2, "work; report COMPLETE")
    box.milestone()
    assert ("item-2.txt" in box.files()) is (verb == "retry")
    assert "broken" not in box.files()
    assert "one" in box.show("app.txt")
    box.require_clean()
