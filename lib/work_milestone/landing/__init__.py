"""Landing: a gated integration branch onto main.

Takes an integration branch of which every item is settled; gives main, moved to just what the gates were green on, and
nothing of the run left in git but what it keeps. Rules: main never stands on an ungated tree; it is never forced and
nothing is stashed; the remote's comes first; what keeps it from moving is told, and the same line goes on; a move that
was cut short is brought back.
"""

__all__ = ["advance", "closing", "landing"]
