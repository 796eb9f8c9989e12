"""Merging: finished branches onto the integration branch, one at a time.

Takes an item whose session has finished; gives the record of its merge, and the branch, which it has made from main,
one commit further or as it was. Has sessions mend what is refused, for the landing too.
Rules: a candidate is gated as it is before the branch moves, by compare and swap; by class a conflict is resolved by
rule, by a session, or by a follow-up item; a resolution is not believed.
"""

from work_milestone.merging.needs import Need

__all__ = ["Need", "integration", "mending", "queue", "remedies"]
