"""Interleaved timing of alternatives.

The speed of a shared machine varies. The alternatives therefore take turns in every round, so that
a disturbance affects all of them: their ratio is reliable where a single time is not.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

Name = TypeVar("Name")
Sample = TypeVar("Sample")


class Seconds(NamedTuple):
    """Duration in wall-clock and in CPU time, seconds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Quartiles:
    """Median and quartiles of a measurement.

    Attributes:
        median: Second quartile.
        low: First quartile.
        high: Third quartile.
    """

    median: float
    low: float
    high: float


def quartiles(values: Sequence[float]) -> Quartiles:
    """Median and quartiles of at least one value, interpolated between neighbours."""
    if len(values) == 1:
        return Quartiles(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Quartiles(median, low, high)


def in_turn(ways: Mapping[Name, Callable[[], Sample]], rounds: int) -> Iterator[dict[Name, Sample]]:
    """Call every alternative once per round; yields the results of each round by name.

    The order changes from round to round, so that none always follows the same one.
    """
    names = list(ways)
    for number in range(rounds):
        shift = number % max(len(names), 1)
        yield {name: ways[name]() for name in names[shift:] + names[:shift]}


def clocked(way: Callable[[], object]) -> Callable[[], Seconds]:
    """The same alternative, returning its duration instead of its result."""

    def timed() -> Seconds:
        wall, cpu = time.perf_counter(), time.process_time()
        way()
        return Seconds(time.perf_counter() - wall, time.process_time() - cpu)

    return timed
