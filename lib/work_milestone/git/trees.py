"""Trees in the object database: read and compared there, without a checkout.

Rule: what is read here is the same whatever the user's checkout holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from work_milestone.git.repo import LITERAL, MOST_NAMED, Repo, decode, encode, split

MOST_SHOWN = 100  # files that a command line names
MOST_TEXT = 20_000  # characters of changes that a prompt carries
NOTHING = ("000000", "")  # where a tree, an index or a disk holds nothing at a path
Rows = dict[bytes, tuple[bytes, str]]  # of a folder: mode and id by name


class Change(NamedTuple):
    """A path in which two trees differ, with its mode and object in each: NOTHING where it has none."""

    path: str
    old: tuple[str, str]
    new: tuple[str, str]


def diff(repo: Repo, old: str, new: str) -> list[Change]:
    """List the paths in which two commits or trees differ."""
    out = split(repo.call("diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index", old, new).stdout)
    found = []
    for row, path in zip(out[::2], out[1::2], strict=True):
        modes = row.removeprefix(":").split(" ")
        before, after = (
            (mode, blob) if mode != NOTHING[0] else NOTHING for mode, blob in zip(modes[:2], modes[2:4], strict=True)
        )
        found.append(Change(path, before, after))
    return found


def show_changes(repo: Repo, old: str, new: str, files: Sequence[str] = ()) -> str:
    """Return the changes between two commits in some files, or in all, as much of them as a prompt should carry."""
    paths = [f":(literal,top){name}" for name in files[:MOST_SHOWN]]
    done = repo.call("diff", "--no-color", "--no-ext-diff", "--no-textconv", old, new, "--", *paths)
    text = done.stdout[: 4 * MOST_TEXT].decode(errors="replace")
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}\n[cut; the whole: git diff {old[:12]} {new[:12]}]\n"


def find_text(repo: Repo, rev: str, pattern: str, paths: Sequence[str]) -> set[str]:
    """Find which of some files of a commit have a line that matches an extended regular expression; no binaries."""
    named = paths if len(paths) <= MOST_NAMED else []
    found = repo.call("grep", "-l", "-z", "-I", "-E", pattern, rev, "--", *named, accept=(0, 1), env=LITERAL).stdout
    return {name.removeprefix(f"{rev}:") for name in split(found)}.intersection(paths)


def has_path(repo: Repo, tree: str, path: str) -> bool:
    """Tell whether a tree holds a path."""
    return bool(repo.call("ls-tree", "-z", "--name-only", tree, "--", path, env=LITERAL).stdout)


def read_file(repo: Repo, tree: str, path: str) -> bytes | None:
    """Read one file of a tree, None where it holds none of that name: a link is no file."""
    folder, _, name = path.rpartition("/")
    above, (_, text) = read_objects(repo, [f"{tree}:{folder}", f"{tree}:{path}"])
    mode, _ = read_rows(*above, len(tree) // 2).get(encode(name), (b"", ""))
    return text if mode.startswith(b"100") else None


def read_files(repo: Repo, rev: str, *paths: str) -> dict[str, bytes]:
    """Read the files at and below some paths of a commit or tree."""
    named = paths if len(paths) <= MOST_NAMED else ()
    rows = split(repo.call("ls-tree", "-r", "-z", rev, "--", *named, env=LITERAL).stdout)
    blobs = [(row.split(None, 3)[2], row.partition("\t")[2]) for row in rows if row.startswith("100")]
    if len(paths) > MOST_NAMED:
        wanted = set(paths)
        blobs = [(blob, path) for blob, path in blobs if path in wanted]
    if not blobs:
        return {}
    texts = read_blobs(repo, [blob for blob, _ in blobs])
    return {path: texts[blob] for blob, path in blobs}


def read_blobs(repo: Repo, blobs: Iterable[str]) -> dict[str, bytes]:
    """Read blobs by their ids."""
    wanted = list(dict.fromkeys(blobs))
    done = repo.call("cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in wanted).encode())
    found, at = {}, 0
    for blob in wanted:
        end = done.stdout.index(b"\n", at)
        size = int(done.stdout[at:end].split()[2])
        found[blob] = done.stdout[end + 1 : end + 1 + size]
        at = end + size + 2
    return found


def blob_sizes(repo: Repo, blobs: Iterable[str]) -> dict[str, int]:
    """Tell the sizes of blobs in bytes, without reading them."""
    wanted = "".join(f"{blob}\n" for blob in blobs)
    rows = decode(repo.call("cat-file", "--batch-check", stdin=wanted.encode()).stdout).splitlines()
    return {row.split()[0]: int(row.split()[2]) for row in rows}


def read_objects(repo: Repo, names: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Read objects, their kinds and contents, both empty for one that there is not."""
    asked = [encode(name) for name in names]
    out = repo.call("cat-file", "--batch", "-z", stdin=b"".join(name + b"\0" for name in asked)).stdout
    found, at = [], 0
    for name in asked:
        absent = name + b" missing\n"
        if out.startswith(absent, at):
            found.append((b"", b""))
            at += len(absent)
            continue
        begin = out.index(b"\n", at) + 1
        _, kind, size = out[at:begin].split()
        at = begin + int(size) + 1
        found.append((kind, out[begin : at - 1]))
    return found


def read_rows(kind: bytes, raw: bytes, width: int) -> Rows:
    """Read a tree, whose ids are `width` bytes long; what is none has no rows."""
    rows, at = {}, 0
    while kind == b"tree" and at < len(raw):
        begin, end = raw.index(b" ", at), raw.index(b"\0", at)
        rows[raw[begin + 1 : end]] = (raw[at:begin].lstrip(b"0"), raw[end + 1 : end + 1 + width].hex())
        at = end + 1 + width
    return rows


def is_attributes(path: str) -> bool:
    """Tell whether a path is one of the files that git reads attributes from."""
    return path.rpartition("/")[2] == ".gitattributes"
