"""Names of branches: what a title makes of one, and what git takes for one."""

from __future__ import annotations

import re
import unicodedata

from work_milestone.text import shown

MAX_SLUG = 50
MAX_BYTES = 200  # a branch is a file of that name with `.lock` behind it, deep in a folder


def slugify(title: str) -> str:
    """Make a name for branches: lower case, hyphens, dots; at most 50 characters, perhaps none.

    Source: protocol, `milestone.integration_branch`; what git refuses in a ref's component is dropped too.
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9._-]", "", re.sub(r"\s+", "-", plain))
    slug = re.sub(r"\.\.+", ".", re.sub(r"--+", "-", words)).strip(".-")[:MAX_SLUG]
    while (shorter := slug.removesuffix(".lock").strip(".-")) != slug:
        slug = shorter
    return slug


def branch_fault(name: str) -> str | None:
    """Say why git would refuse a name for a branch, else None. Source: git-check-ref-format(1)."""
    if not name or name in ("@", "HEAD") or name.startswith("-"):
        return "is no name for a branch"
    if bad := re.search(r"[\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]|\.\.|@\{|//|^/|/$|\.$", name):
        return f"has {shown(repr(bad[0]))}, which git refuses in a branch"
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        return "has a part that starts with `.` or ends in `.lock`, which git refuses"
    if len(name.encode()) > MAX_BYTES:
        return f"is longer than {MAX_BYTES} bytes"
    return None
