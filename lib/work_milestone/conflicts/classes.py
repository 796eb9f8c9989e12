"""How hard a conflicted merge is: clean, trivial, medium or heavy, and what the rules make of a trivial one.

Rules:
- Trivial: at most 2 files, plain text that both sides changed and neither added, of one mode and no way of merging of
  its own, every hunk under one of `rules`, and where a parser is at hand and both sides parse, so does the result.
  Heavy: 3 files or more, a conflict that is not about lines, or a file that both sides have rebuilt. Medium: the rest,
  and whoever is in doubt.
- Files are what their bytes say: binary, LFS pointer, text; git's attributes may only make it harder.
- Hostile files end in a class, soon: what is large is not parsed, and not read at all from 5 MB on.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from work_milestone import git
from work_milestone.conflicts import parsers, rules
from work_milestone.conflicts.hunks import Hunk
from work_milestone.conflicts.rules import Rule
from work_milestone.conflicts.sides import REGULAR, Sides, merge_file, read_sides
from work_milestone.git import edits, merges, trees
from work_milestone.text import count, shown

MAX_FILES = 2
MAX_BYTES = 5_000_000  # of a file that is looked into
_SPECIAL = {"120000": "a symbolic link", "160000": "a submodule"}
_LFS = b"version https://git-lfs"
_WORDS = {
    Rule.W: "no line really changed by both (W)",
    Rule.I: "imports changed by both (I)",
    Rule.A: "entries added by both (A)",
}


class Class(StrEnum):
    """Who can resolve a merge: nobody needs to, the rules, a quick look, a session of its own."""

    CLEAN = "clean"
    TRIVIAL = "trivial"
    MEDIUM = "medium"
    HEAVY = "heavy"


class Verdict(NamedTuple):
    """A merge's class, why in one line, the files that conflict, and the resolved ones of a trivial merge.

    `tree` is what the merge makes, empty where it takes more than rules.
    """

    cls: Class
    reason: str
    files: tuple[str, ...]
    resolved: Mapping[str, bytes]
    tree: str = ""


def classify(repo: git.Repo, merged: merges.Merged) -> Verdict:
    """Tell the class of a merge, and resolve it where it is trivial."""
    if not merged.conflicts:
        return Verdict(Class.CLEAN, "clean: nothing conflicts", (), {}, merged.tree)
    heavy = _find_kind(merged) or _find_mode(merged) or _find_size(repo, merged)
    if heavy:
        return _verdict(merged, Class.HEAVY, heavy)
    files = read_sides(repo, merged)
    heavy = next((f"{shown(path, 200)} {what}" for path, texts in files.items() if (what := _find_weight(texts))), None)
    if heavy:
        return _verdict(merged, Class.HEAVY, heavy)
    doubt = _find_attribute(repo, merged)
    if doubt:
        return _verdict(merged, *doubt)
    resolved, words = {}, []
    for path, texts in files.items():
        content, why = _resolve(repo, merged, path, texts)
        if content is None:
            return _verdict(merged, Class.MEDIUM, f"{shown(path, 200)}: {why}")
        resolved[path] = content
        words.append(f"{shown(path, 200)}: {why}")
    tree = edits.edit(repo, merged.tree, {path: git.decode(text) for path, text in resolved.items()})
    return Verdict(Class.TRIVIAL, f"{Class.TRIVIAL}: {'; '.join(words)}", merged.conflicts, resolved, tree)


def _verdict(merged: merges.Merged, cls: Class, why: str) -> Verdict:
    return Verdict(cls, f"{cls}: {why}", merged.conflicts, {})


def _find_kind(merged: merges.Merged) -> str | None:
    """Say what is not about lines, or that too many files conflict."""
    # Binary files are said to conflict in their contents as well: the types in the order of their weight.
    for path, kinds in merged.kinds.items():
        if "CONFLICT (binary)" in kinds:
            return f"{shown(path, 200)} is binary"
    for path, kinds in merged.kinds.items():
        other = next((kind for kind in kinds if kind != "CONFLICT (contents)"), None)
        if other:
            return f"{shown(path, 200)}: {other.removeprefix('CONFLICT').strip(' ()')}"
    if len(merged.conflicts) > MAX_FILES:
        names = ", ".join([*map(shown, merged.conflicts[:8]), *(["…"] if len(merged.conflicts) > 8 else [])])
        return f"{count(len(merged.conflicts), 'file')} conflict: {names}"
    return next((f"{shown(path, 200)} conflicts in a way that git does not tell" for path in merged.conflicts
                 if path not in merged.kinds), None)  # fmt: skip


def _find_mode(merged: merges.Merged) -> str | None:
    """Say which path is no plain file, or is not there on both sides."""
    for stage in merged.stages:
        if stage.mode not in REGULAR:
            return f"{shown(stage.path, 200)} is {_SPECIAL.get(stage.mode, 'no plain file')}"
    both = {(stage.path, stage.number) for stage in merged.stages}
    return next((f"{shown(path, 200)} is not there on both sides" for path in merged.conflicts
                 if not {(path, 2), (path, 3)} <= both), None)  # fmt: skip


def _find_size(repo: git.Repo, merged: merges.Merged) -> str | None:
    sizes = trees.blob_sizes(repo, {stage.blob for stage in merged.stages})
    return next((f"{shown(stage.path, 200)} has {sizes[stage.blob] // 1_000_000} MB" for stage in merged.stages
                 if sizes[stage.blob] > MAX_BYTES), None)  # fmt: skip


def _find_weight(file: Sides) -> str | None:
    """Say why a file's texts are not to be merged by lines."""
    texts = [text for text in (file.base, file.ours, file.theirs) if text is not None]
    if any(b"\0" in text[:8000] for text in texts):
        return "is binary"
    if any(text.startswith(_LFS) for text in texts):
        return "is an LFS pointer"
    if file.base is not None and rules.is_restructured(file.base, file.ours, file.theirs):
        return "was rebuilt by both sides"
    return None


def _find_attribute(repo: git.Repo, merged: merges.Merged) -> tuple[Class, str] | None:
    """Say what git's attributes hold against the rules: LFS, and a way of merging of the file's own."""
    fed = git.encode("".join(f"{path}\0" for path in merged.conflicts))
    done = repo.call("check-attr", "-z", "--stdin", "merge", "filter", cwd=merged.place, stdin=fed)
    fields = git.decode(done.stdout).split("\0")
    for path, name, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        if name == "filter" and value == "lfs":
            return Class.HEAVY, f"{shown(path, 200)} is kept in LFS"
        if name == "merge" and value not in ("unspecified", "set", "text"):
            return Class.MEDIUM, f"{shown(path, 200)}: git merges it in a way of its own (merge={shown(value)})"
    return None


def _resolve(repo: git.Repo, merged: merges.Merged, path: str, file: Sides) -> tuple[bytes | None, str]:
    """Resolve a file by the rules: its content and which they were, or None and why not."""
    if file.base is None:
        return None, "both sides add the file"
    if len({stage.mode for stage in merged.stages if stage.path == path}) > 1:
        return None, "its mode changes too"
    try:
        chunks = merge_file(repo, file.base, file.ours, file.theirs)
    except ValueError as fault:
        return None, str(fault)
    if not any(isinstance(chunk, Hunk) for chunk in chunks):
        return None, "merges alone, but not with the others"
    found = rules.resolve(chunks)
    if found.content is None:
        return None, found.reason
    fault_found = parsers.check(path, file.ours, file.theirs, found.content)
    if fault_found:
        return None, fault_found
    return found.content, ", ".join(_WORDS[rule] for rule in sorted(set(found.rules)))
