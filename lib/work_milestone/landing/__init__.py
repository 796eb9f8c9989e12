"""landing."""

from work_milestone.landing.landing import NAME, TRIES, check, is_gated, is_landed, land, record

__all__ = ["NAME", "TRIES", "check", "is_gated", "is_landed", "land", "record"]
