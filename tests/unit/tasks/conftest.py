"""What the tests of tasks share: a network of a few weights, clips, and a task of their own."""

from second_task import height_task
from tiny_run import store, tiny_family

__all__ = ["height_task", "store", "tiny_family"]
