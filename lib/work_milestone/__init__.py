"""Build a groomed milestone with many agents, the way a Makefile builds a program."""

__version__ = "0.1.0"
