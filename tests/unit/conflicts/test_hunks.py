"""The rules on hunks: which conflicts need nobody's judgement, and that no side ever loses a line."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from work_milestone.conflicts import hunks, rules
from work_milestone.conflicts.hunks import Hunk, Lines
from work_milestone.conflicts.rules import Rule

Case = tuple[str, str, str]


def hunk(base: str, ours: str, theirs: str) -> Hunk:
    return Hunk(*(hunks.lines(text.encode()) for text in (base, ours, theirs)))


def swapped(one: Hunk) -> Hunk:
    return Hunk(one.base, one.theirs, one.ours)


def settled(one: Hunk, before: str = "", after: str = "") -> tuple[Rule | None, str]:
    found = rules.settle(one, hunks.lines(before.encode()), hunks.lines(after.encode()))
    return (None, "") if found is None else (found[0], b"".join(found[1]).decode())


def folded(lines: Lines) -> Counter[bytes]:
    return Counter(b" ".join(line.split()) for line in lines if line.strip())


# W: one side changed nothing but white space, or both changed the same.

WHITE: list[tuple[Case, str]] = [
    (("x = 1\n", "x  =  1\n", "x = 2\n"), "x = 2\n"),
    (("x = 1\n", "x = 2\n", "x = 1  \n"), "x = 2\n"),
    (("x = 1\n", "x = 2 \n", "x =  2\n"), "x = 2 \n"),
    (("", "\n\n", "f()\n"), "f()\n"),
    (("a\nb\n", "a\n\nb\n", ""), ""),
    (("a\nb\n", "", "a\n\nb\n"), ""),
    (("x\n", "x", "x\ny\n"), "x\ny\n"),
    (("a\r\n", "a \r\n", "b\r\n"), "b\r\n"),
    (("", "    \n", "\n\n"), "\n\n"),
]
NOT_WHITE: list[Case] = [
    ("if x:\n    y\n", "if x:\n  y\n", "if x:\n    z\n"),  # indentation says something
    ("x = 1\n", "x = 2\n", "x = 3\n"),
    ("xy\n", "x y\n", "xyz\n"),
    ("a\n", "a \r\n", "b\n"),  # line ends of two kinds
    ("a\nb\n", "b\na\n", "b\n"),
]


@pytest.mark.parametrize(("case", "expected"), WHITE)
def test_white_space_gives_way_to_the_real_change(case: Case, expected: str) -> None:
    assert settled(hunk(*case)) == (Rule.W, expected)


@pytest.mark.parametrize("case", NOT_WHITE)
def test_not_white_space_alone(case: Case) -> None:
    assert rules.settle(hunk(*case)) is None
    assert rules.settle(swapped(hunk(*case))) is None


# I: imports

IMPORTS: list[tuple[Case, str]] = [
    (("", "import re\n", "import json\n"), "import json\nimport re\n"),
    (("import os\n", "import os\nimport re\n", "import json\nimport os\n"), "import json\nimport os\nimport re\n"),
    (("import b\n", "import b\nimport a\n", "import b\nimport c\n"), "import b\nimport a\nimport c\n"),
    (("import a\nimport b\n", "import b\nimport d\n", "import a\nimport b\nimport c\n"),
     "import b\nimport c\nimport d\n"),
    (("", "import a.b\n", "import a.c\n"), "import a.b\nimport a.c\n"),
    (("", "    import re  # noqa\n", "    import io\n"), "    import io\n    import re  # noqa\n"),
    (("", "from a import b\n", "from a import c as d, e\n"), "from a import b\nfrom a import c as d, e\n"),
    (("", "from . import b\n", "from .c import (d, e)\n"), "from . import b\nfrom .c import (d, e)\n"),
    (("from a import b\n", "from a import b, c\n", "from a import b\nimport z\n"), "from a import b, c\nimport z\n"),
    (("", "import a from 'a';\n", "import { b, c as d } from \"./b\";\n"),
     "import a from 'a';\nimport { b, c as d } from \"./b\";\n"),
    (("", "import * as a from 'a'\n", "import b, { type C } from 'b'\n"),
     "import * as a from 'a'\nimport b, { type C } from 'b'\n"),
    (("", "const a = require('a');\n", "const { b, c: d } = require('./b');\n"),
     "const a = require('a');\nconst { b, c: d } = require('./b');\n"),
    (("", "use a::b;\n", "pub use a::{c, d as e};\n"), "pub use a::{c, d as e};\nuse a::b;\n"),
    (("", "import a.b.C;\n", "import static a.b.D.e;\n"), "import a.b.C;\nimport static a.b.D.e;\n"),
    (("", "#include <stdio.h>\n", "#include \"own.h\"\n"), "#include \"own.h\"\n#include <stdio.h>\n"),
    (("", "import \"fmt\"\n", "import x \"a/b\"\n"), "import \"fmt\"\nimport x \"a/b\"\n"),
    (("", "import a\r\n", "import b\r\n"), "import a\r\nimport b\r\n"),
]  # fmt: skip
NOT_IMPORTS: list[Case] = [
    ("", "import a\n", "x = 1\n"),
    ("", "import a\n", "    import b\n"),  # elsewhere in the code
    ("", "import a\n", "import a  # noqa\n"),  # one name, two lines
    ("", "from a import x\n", "from b import x\n"),
    ("", "import x as y\n", "import z as y\n"),
    ("from a import x\n", "from a import x, y\n", "from a import x, z\n"),
    ("from a import x\n", "from b import x\n", "from a import x, y\n"),  # the module is gone, and extended
    ("from a import x\n", "", "from a import x, y\n"),
    ("import a.b\n", "import c\n", "import a.b\nimport a.d\n"),
    ("", "from a import *\n", "import b\n"),
    ("", "from __future__ import annotations\n", "import b\n"),
    ("", "import a; b()\n", "import c\n"),
    ("", "from a import (\n", "import c\n"),
    ("", "import a\nimport a\n", "import c\n"),
    ("", "import a\n", "import b;\n"),  # Python and Java
    ("", "import { a } from 'a';\n", "import { a } from 'b';\n"),
    ("", "import { a } from 'a';\n", "import './side-effect';\n"),
    ("", "export { a } from 'a';\n", "import { b } from 'b';\n"),
    ("", "use a::*;\n", "use b::c;\n"),
    ("", "use a::{b, c::d};\n", "use b::e;\n"),
    ("", "use a::b;\n", "use c::b;\n"),
    ("", "import a.B;\n", "import c.B;\n"),
    ("", "import a.B\n", "import c.B\n"),  # Kotlin binds the last name
    ("", "import a.*;\n", "import c.B;\n"),
    ("", "\t\"fmt\"\n", "\t\"os\"\n"),  # not known to be in an import of Go
    ("", "import a\n", "import b"),  # a last line without an end
    ("", "import a\n\nimport b\n", "import c\n"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "expected"), IMPORTS)
def test_imports(case: Case, expected: str) -> None:
    assert settled(hunk(*case)) == (Rule.I, expected)
    rule, other = settled(swapped(hunk(*case)))
    assert (rule, sorted(other.splitlines())) == (Rule.I, sorted(expected.splitlines()))


@pytest.mark.parametrize("case", NOT_IMPORTS)
def test_imports_in_doubt(case: Case) -> None:
    assert rules.settle(hunk(*case)) is None
    assert rules.settle(swapped(hunk(*case))) is None


def test_imports_of_go_are_known_by_what_is_before() -> None:
    one = hunk("", '\t"os"\n', '\t"io"\n\tx "a/b/v2"\n')
    assert settled(one, 'package a\n\nimport (\n\t"fmt"\n') == (Rule.I, '\t"io"\n\t"os"\n\tx "a/b/v2"\n')
    assert settled(one, 'var a = []string{\n\t"fmt"\n')[0] is None
    assert settled(one, 'import (\n\t"fmt"\n)\n')[0] is None
    assert settled(hunk("", '\t"a/x"\n', '\t"b/x/v2"\n'), "import (\n")[0] is None


# A: additions at one place

ADDED: list[tuple[Case, str, str]] = [
    # base, ours, theirs, what is before and after
    (("", "- one\n", "- two\n"), "# Changes\n\n", "- zero\n"),
    (("", "- one\n  goes on\n", "- two\n\n"), "", ""),
    (("\n", "* one\n\n", "* two\n"), "", "\n## Older\n"),
    (("", "1. one\n", "1. two\n1. three\n"), "", ""),
    (("", "  - name: a\n    run: x\n", "  - name: b\n    uses: y\n"), "steps:\n", "  - name: c\n"),
    (("", "    'a',\n", "    'b',\n    'c',\n"), "x = [\n", "]\n"),
    (("", '  "a": 1,\n', '  "b": {"c": [1, 2]},\n'), "{\n", '  "z": 1\n'),
    (("", "    A,\n", "    B,\n"), "enum X {\n", "}\n"),
    (("", "  a: foo(1, 2),\n", "  b: 'x, y',\n"), "const x = {\n  z: 1,\n", "};\n"),
    (("", "    Foo(1, b=2),\n", "    Bar(),\n"), "x = [\n", "]\n"),
    (("", "    AA = 1\n", "    BB = 2\n"), "class X:\n", "\n"),
    (("", "def a():\n    pass1\n", "def b(\n    x,\n):\n    return 2\n"), "", ""),
    (("", "@x\nasync def a():\n    pass1\n\n\n", "class B:\n    x: int\n\n\n"), "x = 1\n\n\n", "def c():\n"),
    (("", "    # why\n    def a(self):\n        '''Say (a).'''\n", "    def b(self): return 1\n"), "class X:\n", ""),
    (("", "function a() {\n  b();\n}\n", "export const c = (d) => {\n  e();\n};\n"), "", ""),
    (("", "/** Say. */\nexport class A {\n}\n", "interface B {\n  x: y;\n}\n"), "", ""),
    (("", "#[test]\nfn a() {\n    b();\n}\n", "pub(crate) struct C {\n    d: E,\n}\n"), "", ""),
    (("", "func A() {\n\tb()\n}\n", "func (c *C) A() {\n\td()\n}\n"), "", ""),
    (("", "  it('does a', () => {\n    a();\n  });\n", "  it('does b', () => {\n    b();\n  });\n"),
     "describe('x', () => {\n", "});\n"),
]  # fmt: skip
NOT_ADDED: list[tuple[Case, str, str]] = [
    (("- zero\n", "- zero\n- one\n", "- zero\n- two\n"), "", ""),  # a base to be changed
    (("", "- one\n", "* two\n"), "", ""),
    (("", "- one\n", "  - two\n"), "", ""),
    (("", "- one\n- same\n", "- two\n- same\n"), "", ""),
    (("", "3. one\n", "4. two\n"), "", ""),  # numbers that go on
    (("", "- one\n", "- two\n"), "", "  goes on\n"),  # whose line is that?
    (("", "  goes on\n- one\n", "  on\n- two\n"), "", ""),
    (("", "## 1.2\n\n- one\n", "## 1.3\n\n- two\n"), "", ""),
    (("", "One sentence.\n", "Another one.\n"), "", ""),
    (("", "x = a()\n", "y = b()\n"), "", ""),
    (("", '  "a": 1,\n', '  "a": 2,\n'), "{\n", ""),  # one key
    (("", '  "a": 1\n', '  "b": 2\n'), "{\n", "}\n"),
    (("", '  "a": {\n', '  "b": 2,\n'), "{\n", "}\n"),
    (("", "  foo(a,\n", "  b,\n"), "", ""),
    (("", "after all of it, he said,\n", "however that may be,\n"), "", ""),
    (("", "  'a',\n", "  'b',\n"), "x = 1\n", ""),  # not within anything
    (("", "def a():\n    x\n", "def a():\n    y\n"), "", ""),  # one name
    (("", "def a():\n    return 1\n", "def b():\n    return 1\n"), "", ""),  # a line in common
    (("", "def a():\n    x\n", "    def b():\n        y\n"), "", ""),
    (("", "def a():\n    x\n\n@z\n", "def b():\n    y\n\n@w\n"), "", "def c():\n"),  # decorates what is not ours
    (("", "def a():\n    x\n", "def b():\n    y\n"), "@z\n", "def c():\n"),
    (("", "def a():\n", "def b():\n"), "", "    x\n"),
    (("", "def a():\n    x\n", "def b():\n    y\n"), "", "    return z\n"),  # whose body is that?
    (("", "    x\n\ndef a():\n", "    y\n\ndef b():\n"), "def c():\n", "    z\n"),
    (("", "def a():\n    x\na()\n", "def b():\n    y\n"), "", ""),
    (("", "function a() {\n  b();\n", "function c() {\n  d();\n"), "", "}\n"),
    (("", "export default function a() {\n}\n", "export default function b() {\n}\n"), "", ""),
    (("", "}\n\nfunction a() {\n  b();\n", "}\n\nfunction c() {\n  d();\n"), "", "}\n"),
    (("", "- one\r\n", "- two\n"), "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("case", "before", "after"), ADDED)
def test_additions_stand_one_after_the_other(case: Case, before: str, after: str) -> None:
    for one in (hunk(*case), swapped(hunk(*case))):
        rule, result = settled(one, before, after)
        assert rule is Rule.A
        assert [line for line in result.splitlines() if line] == [
            line.decode().rstrip("\n") for line in (*one.ours, *one.theirs) if line.strip()
        ]


@pytest.mark.parametrize(("case", "before", "after"), NOT_ADDED)
def test_additions_in_doubt(case: Case, before: str, after: str) -> None:
    assert settled(hunk(*case), before, after)[0] is None
    assert settled(swapped(hunk(*case)), before, after)[0] is None


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("- a", "- b", "- a\n- b"),
        ("- a", "- b\n", "- a\n- b\n"),
        ("- a\n", "- b", "- a\n- b"),
        ("def a():\n    x\n\n\n", "def b():\n    y\n\n\n", "def a():\n    x\n\n\ndef b():\n    y\n\n\n"),
        ("\n\ndef a():\n    x\n", "\n\ndef b():\n    y", "\n\ndef a():\n    x\n\n\ndef b():\n    y"),
        ("\n\ndef a():\n    x", "def b():\n    y\n", "\n\ndef a():\n    x\n\n\ndef b():\n    y\n"),
        ("def a(): x\r\n", "\r\ndef b(): y\r\n", "def a(): x\r\n\r\ndef b(): y\r\n"),
        ("AA = 1\n", "BB = 2\n", "AA = 1\nBB = 2\n"),
    ],
)
def test_what_stands_between_two_additions(ours: str, theirs: str, expected: str) -> None:
    assert settled(hunk("", ours, theirs)) == (Rule.A, expected)


# Splitting

SPLIT: list[tuple[Case, list[str | Case]]] = [
    (("a\nb\n", "A\nb\n", "a\nB\n"), ["A\nB\n"]),
    (("a\nb\nc\n", "A\nb\nC\n", "a\nB\nc\n"), ["A\nB\nC\n"]),
    (("a\nb\n", "b\n", "a\nB\n"), ["B\n"]),
    (("a\nb\n", "A\nb\n", "A\nB\n"), [("a\nb\n", "A\nb\n", "A\nB\n")]),
    (("a\nx\nb\n", "A\nx\nB\n", "A\nx\nC\n"), ["A\nx\n", ("b\n", "B\n", "C\n")]),
    (("a\nb\n", "A\nb\n", "a\nc\nb\n"), [("a\n", "A\n", "a\nc\n"), "b\n"]),  # which comes first?
    (("a\n", "x\na\n", "y\na\n"), [("", "x\n", "y\n"), "a\n"]),
    (("a\n}\nb\n", "A\n}\nb\n", "x\n}\nB\n"), [("a\n}\nb\n", "A\n}\nb\n", "x\n}\nB\n")]),  # brackets are alike
    (("a\n", "x\n", "x\n"), ["x\n"]),
    (("a\n", "", ""), []),
]


@pytest.mark.parametrize(("case", "expected"), SPLIT)
def test_split(case: Case, expected: list[str | Case]) -> None:
    wanted = tuple(hunks.lines(part.encode()) if isinstance(part, str) else hunk(*part) for part in expected)
    assert hunks.split(hunk(*case)) == wanted


# A whole file


def resolve(*chunks: str | Case) -> rules.Resolution:
    return rules.resolve([hunks.lines(one.encode()) if isinstance(one, str) else hunk(*one) for one in chunks])


def test_a_file_is_resolved_when_each_hunk_is() -> None:
    found = resolve("import a\n", ("", "import b\n", "import c\n"), "\n- x\n", ("", "- y\n", "- z\n"), "\n",
                    ("p\nq\n", "P\nq\n", "p\nQ\n"))  # fmt: skip
    assert found.content == b"import a\nimport b\nimport c\n\n- x\n- y\n- z\n\nP\nQ\n"
    assert Counter(found.rules) == Counter("IAW")


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        (("a\nb\n", ("c\n", "d\n", "e\n")), "line 3: both sides change the same line"),
        (("a\n", ("c\nd\n", "e\nf\n", "g\nh\n"), "x\n"), "line 2: both sides change the same 2 lines"),
        (((" c\nd\n", "", "g\nh\n"),), "line 1: one side deletes the 2 lines that the other changes"),
        (("a\n", ("", "x\n", "y\n")), "line 2: both sides add lines at the same place"),
        (("a\n", ("", "- x\n", "- y\n"), "b\n", ("c\n", "d\n", "e\n")), "line 5: both sides change the same line"),
        ((("x\n", "y\n" * 2001, "z\n"),), "line 1: 2001 lines are too many to judge"),
    ],
)
def test_the_first_hunk_without_a_rule_is_told(chunks: tuple[str | Case, ...], reason: str) -> None:
    found = resolve(*chunks)
    assert (found.content, found.rules, found.reason) == (None, (), reason)


@pytest.mark.parametrize(
    "one",
    [
        Hunk((b"a\n",) * 2000, (b"a\n",) * 1999, (b"a\n",) * 1990 + (b"b\n",)),
        Hunk((), (b"x = '" + b"\\'" * 500_000 + b"\n",), (b"y = " + b"(" * 500_000 + b"\n",)),
        Hunk((), (b"import " + b"a," * 450 + b"\n",) * 2000, (b"from a import " + b" " * 900 + b"b\n",) * 2000),
        Hunk((), tuple(b"x%d(%s,\n" % (at, b"[" * 400) for at in range(2000)), (b"y,\n",)),
    ],
)
def test_hostile_hunks_take_little_time(one: Hunk) -> None:
    begun = time.process_time()
    assert rules.resolve([one]).content is None
    assert time.process_time() - begun < 5


# Properties

LINES = st.sampled_from([
    b"\n", b"  \n", b"a\n", b" a\n", b"a  b\n", b"a b\n", b"}\n", b"a\r\n", b"\xff\0\n", b"import a\n", b"import b\n",
    b"import c as a\n", b"from a import x\n", b"from a import x, y\n", b"- x\n", b"- y\n", b"  z\n", b"'x',\n",
    b"k: 1,\n", b"def f():\n", b"def g():\n", b"    x\n", b"    y\n", b"@d\n", b"function f() {\n", b"#include <a>\n",
    b"<<<<<<< a\n",
])  # fmt: skip
IMPORT_LINES = st.sampled_from([b"import %s\n" % name for name in (b"a", b"b", b"c.d", b"e as a")]
                               + [b"from %s import %s\n" % pair for pair in
                                  ((b"a", b"x"), (b"a", b"y"), (b"b", b"z"), (b"b", b"z, w"))])  # fmt: skip


def texts(of: st.SearchStrategy[bytes], size: int) -> st.SearchStrategy[Lines]:
    """Lines, the last of which may have no end."""
    whole = st.lists(of, max_size=size)
    return st.builds(lambda got, cut: hunks.lines(b"".join(got)[: -1 if cut else None]), whole, st.booleans())


HUNKS = st.one_of(
    st.builds(Hunk, texts(LINES, 4), texts(LINES, 5), texts(LINES, 5)),
    st.builds(Hunk, st.just(()), texts(LINES, 4), texts(LINES, 4)),
    st.builds(Hunk, texts(IMPORT_LINES, 3), texts(IMPORT_LINES, 4), texts(IMPORT_LINES, 4)),
    st.builds(Hunk, *[st.binary(max_size=30).map(hunks.lines)] * 3),
)


@given(HUNKS)
@example(hunk("import a\n", "import a\nimport b\n", "import a\nimport c\n"))
@example(hunk("", "def f():\n    x\n", "def g():\n    y"))
def test_no_rule_loses_what_a_side_added(one: Hunk) -> None:
    found = rules.settle(one)
    if found:
        have = folded(found[1])
        for side in (one.ours, one.theirs):
            assert folded(side) - folded(one.base) <= have
        assert have <= folded(one.ours) + folded(one.theirs)
        assert rules.settle(one) == found
        assert hunks.lines(b"".join(found[1])) == found[1], "each line but the last has its end"


@given(HUNKS)
def test_rules_are_the_same_whichever_side_is_ours(one: Hunk) -> None:
    found, other = rules.settle(one), rules.settle(swapped(one))
    assert (found is None) == (other is None)
    if found and other:
        assert found[0] == other[0]
        assert folded(found[1]) == folded(other[1])


@given(HUNKS)
def test_splitting_loses_nothing(one: Hunk) -> None:
    parts = hunks.split(one)
    for side, name in ((one.ours, "ours"), (one.theirs, "theirs")):
        have: Lines = ()
        for part in parts:
            have += getattr(part, name) if isinstance(part, Hunk) else part
        assert Counter(side) - Counter(one.base) <= Counter(have)
    assert hunks.split(swapped(one)) == tuple(swapped(part) if isinstance(part, Hunk) else part for part in parts)


@given(HUNKS)
def test_what_one_side_changed_is_taken_from_it(one: Hunk) -> None:
    def joined(parts: tuple[hunks.Chunk, ...]) -> list[bytes]:
        assert not any(isinstance(part, Hunk) for part in parts)
        return [line for part in parts if not isinstance(part, Hunk) for line in part]

    assert joined(hunks.split(Hunk(one.base, one.ours, one.base))) == list(one.ours)
    assert joined(hunks.split(Hunk(one.base, one.base, one.theirs))) == list(one.theirs)
    assert joined(hunks.split(Hunk(one.base, one.ours, one.ours))) == list(one.ours)


@given(st.binary())
def test_lines_are_those_of_git(text: bytes) -> None:
    found = hunks.lines(text)
    assert b"".join(found) == text
    assert all(line.count(b"\n") == line.endswith(b"\n") for line in found)
    assert all(line.endswith(b"\n") for line in found[:-1])


@given(st.lists(st.sampled_from([b"<", b">", b"=", b"|", b"a", b"\n"]), max_size=60).map(b"".join))
def test_no_line_begins_with_a_marker(text: bytes) -> None:
    size = hunks.marker_size(b"a\n", text)
    assert size >= 7
    assert not any(line.startswith(char * size) for line in hunks.lines(text) for char in (b"<", b"|", b"=", b">"))
    assert hunks.parse(text, size, b"", b"", b"") == ((hunks.lines(text),) if text else ())


@given(st.lists(st.sampled_from([b"<" * 7, b"|" * 7, b"=" * 7, b">" * 7, b" x", b"\n", b"\r\n"])).map(b"".join))
def test_markers_of_anyone_are_read_or_refused(text: bytes) -> None:
    try:
        chunks = hunks.parse(text, 7, b"", b"", b"")
    except ValueError:
        return
    marks = [line for line in hunks.lines(text) if line[:1] in (b"<", b"|", b"=", b">") and line[1:7] == line[:1] * 6]
    assert len(marks) == 4 * sum(isinstance(chunk, Hunk) for chunk in chunks)


TEN = "".join(f"line {number}\n" for number in range(20)).encode()


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "expected"),
    [
        (TEN, b"new\n", b"other\n", True),
        (TEN, TEN, b"other\n", False),
        (TEN, b"".join(hunks.lines(TEN)[10:]), b"".join(hunks.lines(TEN)[:10]), True),
        (TEN, b"".join(hunks.lines(TEN)[9:]), b"", False),  # 9 lines
        (TEN * 2, b"".join(hunks.lines(TEN)[6:]), b"", True),
        (b"a\nb\n", b"c\n", b"d\n", False),
        (b"", b"", b"", False),
        (TEN, b"x\n" + TEN, b"y\n" + TEN, False),
    ],
)
def test_restructured(base: bytes, ours: bytes, theirs: bytes, expected: bool) -> None:
    assert rules.is_restructured(base, ours, theirs) is expected
    assert rules.is_restructured(base, theirs, ours) is expected
