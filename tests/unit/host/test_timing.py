"""Turns, and what is said of the times that they gave."""

import statistics
from collections.abc import Callable

import pytest

from skelab.host.timing import Quartiles, clocked, in_turn, quartiles


def test_every_way_has_one_turn_a_round_and_none_always_follows_the_same() -> None:
    called: list[str] = []

    def way(name: str) -> Callable[[], int]:
        def call() -> int:
            called.append(name)
            return len(called)

        return call

    rounds = list(in_turn({name: way(name) for name in "abc"}, 4))

    assert called == [*"abc", *"bca", *"cab", *"abc"]
    assert [sorted(found) for found in rounds] == [["a", "b", "c"]] * 4
    assert rounds[1] == {"b": 4, "c": 5, "a": 6}


def test_rounds_are_made_as_they_are_asked_for() -> None:
    calls: list[int] = []

    next(in_turn({"only": lambda: calls.append(1)}, 100))

    assert calls == [1]


def test_nothing_to_do_takes_rounds_of_nothing() -> None:
    assert list(in_turn({}, 2)) == [{}, {}]


@pytest.mark.parametrize("count", [2, 3, 4, 9, 10])
def test_quartiles_part_the_values_by_interpolation(count: int) -> None:
    values = [float((7 * n) % 11) for n in range(count)]

    found = quartiles(values)

    ordered = sorted(values)
    for share, value in ((0.25, found.low), (0.5, found.median), (0.75, found.high)):
        place = share * (count - 1)
        before = int(place)
        after = min(before + 1, count - 1)
        expected = ordered[before] + (place - before) * (ordered[after] - ordered[before])
        assert value == pytest.approx(expected)
    assert found.median == statistics.median(values)


def test_a_single_value_is_its_own_quartiles() -> None:
    assert quartiles([3.5]) == Quartiles(3.5, 3.5, 3.5)


def test_a_clocked_way_gives_its_time_in_place_of_its_result() -> None:
    done: list[int] = []

    seconds = clocked(lambda: done.append(1))()

    assert done == [1]
    assert seconds.wall >= 0
    assert seconds.cpu >= 0
