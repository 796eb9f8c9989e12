"""The house rules that code can check. Who may import whom is import-linter's: see `pyproject.toml`."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import work_milestone

PACKAGE = Path(work_milestone.__file__).parent
MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))
SUPERVISOR = "supervision/supervisor.py"
PICTURE = "../../dodo.py"
STARTERS = frozenset({"fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp", "startfile"})
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def lines(module: str) -> int:
    return len((PACKAGE / module).read_text(encoding="utf-8").splitlines())


@cache
def exported(room: str) -> tuple[str, ...]:
    """What other rooms may use of a room."""
    for node in tree(f"{room}/__init__.py").body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return tuple(ast.literal_eval(node.value))
    raise AssertionError(f"{room} says in no __all__ what others may use of it")


def imports(module: str) -> Iterator[tuple[str, str]]:
    """Each name that is imported anywhere in a module, inside functions too, and where from."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield from ((node.module or "", alias.name) for alias in node.names)


def uses(module: str) -> Iterator[tuple[str, str]]:
    """Each name of this package that a module uses, and whose it is: imported, or behind the name of a room."""
    whole = {name for source, name in imports(module) if source == "work_milestone"}
    yield from ((source, name) for source, name in imports(module) if source.startswith("work_milestone."))
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in whole:
            yield f"work_milestone.{node.value.id}", node.attr


def uses_outside(module: str) -> set[tuple[str, str]]:
    """What a module uses of rooms other than its own."""
    room = Path(module).parts[0]
    return {(source, name) for source, name in uses(module) if source.split(".")[1] != room}


def is_exported(source: str, name: str) -> bool:
    """Tell whether what is in this package may be used outside of its room."""
    _, room, *inside = source.split(".")
    return not inside and name in exported(room)


# -- rooms


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_takes_and_gives(room: str) -> None:
    told = ast.get_docstring(tree(f"{room}/__init__.py")) or ""
    assert "akes" in told
    assert "gives" in told


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_exports_what_others_use_and_nothing_more(room: str) -> None:
    used = {
        name
        for module in [*MODULES, PICTURE]
        for source, name in uses_outside(module)
        if source == f"work_milestone.{room}"
    }
    assert set(exported(room)) - used == set()


@pytest.mark.parametrize("module", [*MODULES, PICTURE])
def test_of_a_room_only_what_it_exports_is_used_outside(module: str) -> None:
    assert [use for use in uses_outside(module) if not is_exported(*use)] == []


def test_what_may_be_used_outside_is_told_from_what_may_not() -> None:
    assert is_exported("work_milestone.store", "Receipts")
    assert not is_exported("work_milestone.store", "values")
    assert not is_exported("work_milestone.store.receipts", "Receipts")
    assert ("work_milestone.agents", "find") in set(uses("report/rows.py")), "behind the name of a room"


@pytest.mark.parametrize("folder", [".", *ROOMS])
def test_a_folder_is_seen_at_a_glance(folder: str) -> None:
    assert len(list((PACKAGE / folder).glob("*.py"))) <= (6 if folder == "." else 10)


def test_a_module_is_read_in_one_go() -> None:
    assert [module for module in MODULES if module != SUPERVISOR and lines(module) > 300] == []
    assert statistics.median(lines(module) for module in MODULES if not module.endswith("__init__.py")) < 120
    assert "one file" in (ast.get_docstring(tree(SUPERVISOR)) or ""), "it says why it is longer"


def test_the_picture_is_seen_whole() -> None:
    assert lines("dodo.py") < 130


@pytest.mark.parametrize("module", MODULES)
def test_a_function_is_seen_whole(module: str) -> None:
    functions = [node for node in ast.walk(tree(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= 40] == []


# -- modules


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_has_a_docstring(module: str) -> None:
    assert ast.get_docstring(tree(module)), f"{module}: a module's docstring states its rules"
    assert [name for name, node in public(tree(module)) if not ast.get_docstring(node)] == []


def public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """Public functions and classes, and the public methods of public classes."""
    for child in node.body:
        if isinstance(child, Documented) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("module", MODULES)
def test_processes_are_started_in_one_place(module: str) -> None:
    if module not in ("system/process.py", SUPERVISOR):
        starters = {"subprocess", "multiprocessing", "pty", "asyncio", "concurrent.futures"}
        assert not {source for source, _ in imports(module)} & starters, "system/process.py starts processes"
        calls = {name for name in attributes_of_os(module) if name in STARTERS or name.startswith(("exec", "spawn"))}
        assert not calls


def attributes_of_os(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            yield node.attr


def test_the_supervisor_stands_alone() -> None:
    """It outlives the run, whatever is installed over the package meanwhile."""
    assert not [source for source, _ in imports(SUPERVISOR) if source.startswith("work_milestone")]


@pytest.mark.parametrize("module", MODULES)
def test_nothing_shells_out(module: str) -> None:
    shells = [node.lineno for node in ast.walk(tree(module)) if isinstance(node, ast.keyword) and node.arg == "shell"]
    assert not shells, "argument lists, never a shell of Python's own"


@pytest.mark.parametrize("module", MODULES)
def test_receipts_are_known_by_their_type(module: str) -> None:
    """`dict[str, Any]` is what stands in files of others, never what the run has written."""
    named = [node.id for node in ast.walk(tree(module)) if isinstance(node, ast.Name)]
    assert "Receipt" not in named
