"""What a merge that was refused asks for: a session that resolves, or fixes, or a person. Pure.

Rules:
- A conflict of medium class is resolved, and again where the resolution was not one; a gate's refusal is fixed. For
  anything else a person is waited for.
- A conflict that was met on a head which has moved since is merged again first: that costs nothing, and may be clean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from work_milestone.conflicts import Class
from work_milestone.run import Standing
from work_milestone.store import Kind, MergeStatus


class Need(NamedTuple):
    """What is to be mended: `work` (a commit) on top of `base`; `of` is the head that the trailers will name.

    `values` are what the prompt tells.
    """

    kind: Kind
    base: str
    work: str
    of: str
    values: Mapping[str, Any]


def find_kind(standing: Standing) -> Kind | None:
    """Say what kind of session an item's merge asks for, None when one would not help."""
    merge = standing.merge
    if merge is None or not standing.mergeable or standing.was_refused:
        return None
    if merge.outcome is MergeStatus.GATE and standing.candidate_exists:
        return Kind.FIX
    is_medium = merge.outcome is MergeStatus.CONFLICT and merge.cls == Class.MEDIUM
    return Kind.RESOLVE if is_medium or (merge.outcome is MergeStatus.DROPPED and merge.mended) else None


def is_outdated(standing: Standing, head: str) -> bool:
    """Tell whether the branch has moved, to `head`, since a conflict was met."""
    merge = standing.merge
    met = merge is not None and merge.outcome is MergeStatus.CONFLICT and not merge.mended
    return met and merge is not None and merge.onto != head


def brings_anything(before: Standing, after: Standing, head: str) -> bool:
    """Tell whether a session has brought anything to merge: another commit, or there is another head to merge onto.

    A gate is asked again in any case: one that fails but sometimes costs less than a further session.
    """
    if after.merging is MergeStatus.GATE:
        return True
    made, earlier = (standing.mend.head if standing.mend else None for standing in (after, before))
    return made != earlier or (after.merge.onto if after.merge else None) != head
