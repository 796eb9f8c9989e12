"""verbs."""

from work_milestone.verbs.verbs import log, print_status, refuse, require_item, retry, say, skip

__all__ = ["log", "print_status", "refuse", "require_item", "retry", "say", "skip"]
