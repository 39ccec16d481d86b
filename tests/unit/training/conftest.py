"""What the tests of training share: a network of a few weights, and a store of a few clips."""

from tiny_run import store, tiny_family

__all__ = ["store", "tiny_family"]
