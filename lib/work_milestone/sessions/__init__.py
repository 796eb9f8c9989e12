"""Sessions: an item in, a judged attempt out.

Takes an item (or what is to be mended) and a worktree from the pool; gives the record of what came of it, its commits
safe in a ref. Rules: the latest attempt decides, and what an earlier run has begun is taken up, never started beside;
success is the agent's word and git's; no commit of an agent is lost; an environment is a list of what is allowed.
"""

__all__ = ["environment", "places", "preparation", "progress", "results", "starts", "work"]
