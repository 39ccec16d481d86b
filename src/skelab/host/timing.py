"""Times of several ways to do one thing, taken in turn.

A shared machine is now fast, now slow. The ways take turns in every round, so that what disturbs
one disturbs the others as well: their ratio can be trusted where a time alone cannot.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

Name = TypeVar("Name")
Sample = TypeVar("Sample")


class Seconds(NamedTuple):
    """How long something took, by the clock and by the processor."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Quartiles:
    """What half of the rounds lie below, and what the middle half lies between.

    Attributes:
        median: Half of the values are below.
        low: A quarter is below.
        high: A quarter is above.
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
    """What each way gives, once a round, for so many rounds.

    The order changes from round to round, so that none always follows the same one.
    """
    names = list(ways)
    for number in range(rounds):
        shift = number % max(len(names), 1)
        yield {name: ways[name]() for name in names[shift:] + names[:shift]}


def clocked(way: Callable[[], object]) -> Callable[[], Seconds]:
    """The same way, giving how long it took in place of its result."""

    def timed() -> Seconds:
        wall, cpu = time.perf_counter(), time.process_time()
        way()
        return Seconds(time.perf_counter() - wall, time.process_time() - cpu)

    return timed
