"""Preflight: what can be known to fail, said before anything starts, all at once.

Takes a run; gives every fault with path, cause and the next command, or the run folder in use, what earlier runs left
adopted. Rules: a check looks and changes nothing; no session is paid for what could have been said before.
"""

__all__ = ["checks"]
