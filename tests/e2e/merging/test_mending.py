"""What becomes of merges that are not clean: resolved by rule or by a session, fixed, followed up, or stopped."""

from __future__ import annotations

from typing import Any

from tests.e2e.harness import Sandbox, item, plan

APP = "".join(f"line {number}\n" for number in range(1, 8))


def edit(path: str, old: str, new: str) -> str:
    """A shell line of an agent that changes a line, and is done."""
    return f"sed -i 's/^{old}$/{new}/' {path}; commit 'feat: {new}'; report COMPLETE"


def rewrite(path: str, word: str) -> str:
    return f"for n in 1 2 3 4 5 6 7; do echo {word} $n; done > {path}; commit 'feat: {word}'; report COMPLETE"


def two_sides(box: Sandbox, **settings: Any) -> Sandbox:
    """Items 1 and 2 change the same line of a file, 2 after 1 is merged, from a base without it."""
    box.make(plan([[item(1), item(2)]]), files={"app.txt": APP}, **settings)
    box.behave(1, edit("app.txt", "line 4", "one"))
    box.behave(2, edit("app.txt", "line 4", "two"))
    return box


def test_a_medium_conflict_is_resolved_by_a_session(box: Sandbox) -> None:
    two_sides(box).behave("2-resolve", RESOLVE)
    box.behave("1-resolve", RESOLVE)
    box.milestone()
    assert box.show("app.txt").splitlines()[3:5] in (["one", "two"], ["two", "one"])
    assert sum(box.mends().values()) == 1
    box.require_landed(1, 2)
    box.require_clean()


# Takes both sides of each conflict, and notes what the prompt said.
RESOLVE = """cp "$MILESTONE_PROMPT" "$OUT/prompt-$name"; grep -q '^<<<<<<< ' app.txt || exit 1
sed -i '/^<<<<<<< /d; /^||||||| /,/^=======$/d; /^>>>>>>> /d' app.txt
git add -A; git commit -q --no-edit; report COMPLETE"""


def test_a_fix_session_mends_what_a_gate_found(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], pre=["! test -e broken"]))
    box.behave(1, "touch broken; work; report COMPLETE")
    box.behave("1-fix", f"{KEEP} git rm -q broken; commit 'fix: broken'; report COMPLETE")
    box.milestone()
    assert "broken" not in box.files()
    assert "item-1.txt" in box.files()
    box.require_landed(1, 2)
    box.require_clean()
    assert box.mends() == {"1-fix": 1}
    said = box.prompt("1-fix")
    assert "! test -e broken" in said
    assert "item-1.txt" in said, "the diff"


def test_a_fix_session_before_the_landing(box: Sandbox) -> None:
    box.make(plan([[item(1), item(2)]], post=["! test -e item-1.txt || ! test -e item-2.txt"]))
    box.behave("landing-fix", f"{KEEP} git mv item-2.txt two.txt; commit 'fix: two'; report COMPLETE")
    box.milestone()
    assert {"item-1.txt", "two.txt"} <= box.files()
    assert "item-2.txt" not in box.files()
    assert "fix: what the gates found before the landing" in box.git("log", "--format=%s")
    assert box.mends() == {"landing-fix": 1}
    assert box.starts() == {1: 1, 2: 1}
    box.require_landed(1, 2)
    box.require_clean()


def test_a_fix_that_never_helps_is_bounded_and_main_untouched(box: Sandbox) -> None:
    box.make(plan([[item(1)]], post=['test -e "$OUT/allowed"']))
    box.behave("landing-fix", "echo tried >> tried; commit 'fix: try'; report COMPLETE")
    main = box.rev()
    done = box.milestone(rc=1)
    assert "main is untouched" in done.text
    assert box.rev() == main
    assert box.mends() == {"landing-fix": 2}
    (box.outside / "allowed").touch()
    box.milestone()
    assert box.mends() == {"landing-fix": 2}
    box.require_landed(1)
    assert "tried" not in box.files(), "what has not helped is not merged"


KEEP = 'cp "$MILESTONE_PROMPT" "$OUT/prompt-$name";'


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
