"""Build a groomed milestone with many agents, the way a Makefile builds a program."""

import gc

__version__ = "0.1.0"

# A start makes nothing to collect, nor does a graph of 60,000 tasks, which is looked through again and again.
gc.set_threshold(100_000)
