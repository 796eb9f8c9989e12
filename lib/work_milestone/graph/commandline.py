"""What was typed: doit's variables, and the items that were named.

Rule: reading it never fails, for `doit list` must work whatever was typed; what is wrong is told where it
matters.
"""

from __future__ import annotations

import re
import sys

from doit import doit_cmd

_NAMED = re.compile(r"([a-z]+):(\d+)")
_BARRIERS = frozenset({"milestone", "land", "gates", "followups", "wave", "relay"})
_OF_ITEM = frozenset({"worktree", "lock", "prompt", "spawn", "merge", "mend", "item"})
RUN_STEPS = frozenset({"preflight", "branch", "baseline"}) | _OF_ITEM | _BARRIERS


def variables() -> dict[str, str]:
    """Return the `name=value` words, as doit has read them."""
    return dict(doit_cmd._CMDLINE_VARS or {})


def words() -> list[str]:
    """Return the words that are neither options nor variables."""
    return [word for word in sys.argv[1:] if not word.startswith("-") and "=" not in word]


def named(verb: str) -> list[int]:
    """Return the issues that were named with a verb, as in `skip:42`."""
    found = (_NAMED.fullmatch(word) for word in words())
    return list(dict.fromkeys(int(match[2]) for match in found if match and match[1] == verb))


def named_steps() -> list[tuple[str, str, int]]:
    """Return the words that name a step of an item or a wave, with the step and the number."""
    found = ((word, _NAMED.fullmatch(word)) for word in words())
    return [(word, match[1], int(match[2])) for word, match in found if match and match[1] in RUN_STEPS]


def is_run() -> bool:
    """Tell whether steps are to be worked, and not just looked at."""
    return not reads_only() and any(word.partition(":")[0] in RUN_STEPS for word in words())


def reads_only() -> bool:
    """Tell whether a command of doit's own was typed that starts nothing."""
    first = words()[:1]
    return bool(first) and first[0] in ("list", "info", "help", "dumpdb", "tabcompletion")


def is_partial() -> bool:
    """Tell whether single items were named, and nothing that needs whole waves."""
    steps = {word.partition(":")[0] for word in words()}
    return is_run() and not steps & _BARRIERS and any(_NAMED.fullmatch(word) for word in words())
