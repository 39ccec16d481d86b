"""What the tests of runs share: a network of a few weights."""

from tiny_run import tiny_family

__all__ = ["tiny_family"]
