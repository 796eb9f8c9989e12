"""ARCHITECTURE.md names rooms, modules, functions and tests that there are, and every room."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import work_milestone

PACKAGE = Path(work_milestone.__file__).parent
TOP = PACKAGE.parents[1]
TEXT = (TOP / "ARCHITECTURE.md").read_text(encoding="utf-8")
# `room/module.py`, then the names in it, such as `Class.method`, that stand beside it.
NAMED = re.findall(r"`((?:\w+/)+\w+\.py)`((?:(?:,|, or)? `[A-Za-z_.]+`(?![/\w]))*)", TEXT)
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))


def names(tree: ast.Module) -> set[str]:
    """The functions and classes of a module, methods as `Class.method`."""
    kinds = ast.FunctionDef | ast.ClassDef
    found = {node.name for node in tree.body if isinstance(node, kinds)}
    for owner in tree.body:
        if isinstance(owner, ast.ClassDef):
            found |= {f"{owner.name}.{node.name}" for node in owner.body if isinstance(node, kinds)}
    return found


@pytest.mark.parametrize(("path", "inside"), NAMED)
def test_what_is_named_is_there(path: str, inside: str) -> None:
    file = (TOP if path.startswith("tests/") else PACKAGE) / path
    assert file.exists()
    known = names(ast.parse(file.read_text(encoding="utf-8")))
    assert set(re.findall(r"`([^`]+)`", inside)) <= known


def test_much_is_named() -> None:
    assert len(NAMED) > 60
    assert sum(bool(inside) for _, inside in NAMED) > 30


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_in_the_picture(room: str) -> None:
    picture = TEXT.split("```")[1]
    assert f"<b>{room}</b>" in picture


def test_arrows_are_imports() -> None:
    """Each arrow is an import that there is; that it leads down is import-linter's to say."""
    picture = TEXT.split("```")[1].replace("graph_room", "graph")  # which Mermaid has a use of its own for
    arrows = re.findall(r"^ +(\w+) --> ([\w &]+)$", picture, re.MULTILINE)
    assert {upper for upper, _ in arrows} == {"dodo", *ROOMS} - {"system"}
    for upper, lowers in arrows:
        sources = [PACKAGE / "dodo.py"] if upper == "dodo" else (PACKAGE / upper).glob("*.py")
        text = "".join(path.read_text(encoding="utf-8") for path in sources)
        for lower in lowers.split(" & "):
            pattern = rf"^ *from work_milestone(\.{lower}\b.*| import ([\w ,]+, )?{lower}\b.*)$"
            assert re.search(pattern, text, re.MULTILINE), f"{upper} does not import {lower}"


def test_it_is_read_in_one_go() -> None:
    assert len(TEXT.splitlines()) <= 150
