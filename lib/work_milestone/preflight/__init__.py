"""Preflight: what can be known to fail, said before anything starts, all at once.

Takes a run; gives every fault with path, cause and the next command, or the run lock, and what earlier runs left in
order: what was half done brought back, what died judged, what lives adopted. Rules: what finds faults changes nothing;
no session is paid for what could have been said before.
"""

__all__ = ["checks"]
