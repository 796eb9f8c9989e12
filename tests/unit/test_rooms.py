"""Who may import whom: a module imports only from layers below, and the house rules that code can check."""

from __future__ import annotations

import ast
import graphlib
import itertools
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import work_milestone

PACKAGE = Path(work_milestone.__file__).parent
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__init__", "errors", "texts", "files", "masking"}),
    frozenset({"machine", "process", "process_table", "attempts", "gate_process", "supervisor", "receipts",
               "journal", "states", "branches", "agent_settings", "yaml_files", "fields", "plan_rules", "plan",
               "settings", "additions", "imports", "hunks", "content", "ledger"}),
    frozenset({"overlay", "breaker", "git", "trees", "checkouts", "worktrees", "salvage", "gates", "render",
               "agent", "agents", "api_errors", "claude", "codex", "gemini", "opencode", "described", "session_env",
               "completion", "front_matter", "backlog", "backlog_files", "new_task", "edges", "conflicts",
               "completeness"}),
    frozenset({"context", "runs", "progress", "proofs", "integration", "baseline",
               "backlog_sync", "halting", "recovery", "relay",
               "preparation", "exits", "results", "sessions", "followups", "mending", "candidates", "merge_queue",
               "remedies", "rollback", "advance", "landing_candidate", "landing", "closing", "verdicts", "preflight",
               "report", "verbs"}),
    frozenset({"commandline", "generations", "schedule", "signals", "reporter", "graph", "demo", "dodo"}),
)  # fmt: skip
# The steps and the wiring are made of each other, without circles. Below them, what leans on its own layer is named.
FREE = (3, 4)
BESIDE = frozenset({("attempts", "process"), ("attempts", "process_table"), ("receipts", "process_table"),
                    ("settings", "machine"), ("masking", "files"), ("gate_process", "process"),
                    ("gate_process", "process_table"), ("fields", "yaml_files"), ("plan_rules", "branches"),
                    ("plan_rules", "yaml_files"), ("plan", "branches"), ("plan", "fields"),
                    ("plan", "plan_rules"), ("plan", "yaml_files"), ("settings", "branches"),
                    ("agent_settings", "fields"), ("agent_settings", "plan"), ("settings", "agent_settings"),
                    ("agents", "agent"), ("agents", "claude"), ("agents", "codex"), ("agents", "gemini"),
                    ("agents", "opencode"), ("agents", "described"), ("claude", "agent"), ("claude", "api_errors"),
                    ("codex", "agent"), ("codex", "api_errors"), ("gemini", "agent"),
                    ("gemini", "api_errors"), ("opencode", "agent"), ("opencode", "api_errors"), ("described", "agent"),
                    ("session_env", "agent"), ("session_env", "git"),
                    ("settings", "fields"), ("settings", "plan"), ("settings", "yaml_files"),
                    ("backlog", "front_matter"), ("backlog_files", "backlog"),
                    ("backlog_files", "front_matter"), ("trees", "git"), ("checkouts", "git"),
                    ("rollback", "git"), ("rollback", "trees"),
                    ("salvage", "checkouts"), ("salvage", "git"), ("worktrees", "checkouts"),
                    ("worktrees", "git"), ("gates", "checkouts"), ("gates", "worktrees"),
                    ("hunks", "additions"), ("hunks", "imports"), ("content", "hunks"),
                    ("conflicts", "git"), ("conflicts", "trees"),
                    ("completeness", "conflicts"), ("completeness", "git"), ("completeness", "trees"),
                    ("new_task", "backlog"), ("new_task", "front_matter")})  # fmt: skip
KNOW_DOIT = frozenset({"commandline", "schedule", "signals", "reporter", "graph", "dodo"})
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))
STARTERS = frozenset({"fork", "forkpty", "system", "popen", "posix_spawn", "posix_spawnp", "startfile"})


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module}.py").read_text(encoding="utf-8"))


@cache
def imported(module: str) -> frozenset[str]:
    """Every module that is imported anywhere in a module, inside functions too; own ones as `.name`."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            name = node.module or ""
            names = {f"{name}.{alias.name}" for alias in node.names} if name == "work_milestone" else {name}
            found |= names
    return frozenset(name.replace("work_milestone.", ".", 1) for name in found)


def own(module: str) -> set[str]:
    return {name.removeprefix(".") for name in imported(module) if name.startswith(".")}


def layer(module: str) -> int:
    found = [number for number, names in enumerate(LAYERS) if module in names]
    assert found, f"{module} stands in no layer: put it into the table of this test, as low as it can be"
    return found[0]


def test_table_names_each_module_once() -> None:
    assert sorted(itertools.chain(*LAYERS)) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_come_from_below(module: str) -> None:
    for name in own(module):
        below, beside = layer(name) < layer(module), layer(name) == layer(module)
        allowed = below or (beside and (layer(module) in FREE or (module, name) in BESIDE))
        assert allowed, f"{module} (layer {layer(module)}) imports {name} (layer {layer(name)})"


def test_exceptions_are_all_used() -> None:
    assert {(module, name) for module, name in BESIDE if name in own(module)} == BESIDE


def test_no_circles() -> None:
    graph = {module: own(module) for module in MODULES}
    assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_doit_is_known_to_few(module: str) -> None:
    knows = any(name.partition(".")[0] == "doit" for name in imported(module))
    assert not knows or module in KNOW_DOIT


@pytest.mark.parametrize("module", MODULES)
def test_processes_are_started_in_one_place(module: str) -> None:
    if module not in ("process", "supervisor"):
        starters = {"subprocess", "multiprocessing", "pty", "asyncio", "concurrent.futures"}
        assert not imported(module) & starters, "process.py starts processes, nothing else"
        calls = {name for name in attributes_of_os(module) if name in STARTERS or name.startswith(("exec", "spawn"))}
        assert not calls


def attributes_of_os(module: str) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            yield node.attr


def test_supervisor_stands_alone() -> None:
    """It outlives the run, whatever is installed over it meanwhile."""
    assert not own("supervisor")
    assert "subprocess" not in imported("supervisor")


@pytest.mark.parametrize("module", MODULES)
def test_what_is_public_has_a_docstring(module: str) -> None:
    assert ast.get_docstring(tree(module)), f"{module}: a module's docstring states its rules"
    missing = [name for name, node in public(tree(module)) if not ast.get_docstring(node)]
    assert not missing


Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(node: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """Public functions and classes, and the public methods of public classes."""
    for child in node.body:
        if isinstance(child, Documented) and not child.name.startswith("_"):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")


@pytest.mark.parametrize("module", MODULES)
def test_nothing_shells_out(module: str) -> None:
    shells = [node.lineno for node in ast.walk(tree(module)) if isinstance(node, ast.keyword) and node.arg == "shell"]
    assert not shells, "argument lists, never a shell of Python's own"
