"""The largest number that fits, in few tries."""

import pytest

from skelab.fit.search import largest_that_fits


@pytest.mark.parametrize("start", [1, 5, 64, 1000])
@pytest.mark.parametrize("truth", [0, 1, 2, 3, 7, 8, 53, 63, 64, 100])
def test_the_largest_number_is_found_from_wherever_the_search_begins(
    truth: int, start: int
) -> None:
    found = largest_that_fits(lambda clips: clips <= truth, 64, start=start)

    assert found == min(truth, 64)


@pytest.mark.parametrize("truth", [0, 1, 53, 128])
def test_no_number_is_tried_twice_and_none_beyond_the_most(truth: int) -> None:
    asked: list[int] = []

    def fits(clips: int) -> bool:
        asked.append(clips)
        return clips <= truth

    largest_that_fits(fits, 128)

    assert len(asked) == len(set(asked)) <= 14
    assert all(1 <= clips <= 128 for clips in asked)


def test_it_doubles_and_then_bisects() -> None:
    asked: list[int] = []

    def fits(clips: int) -> bool:
        asked.append(clips)
        return clips <= 5

    largest_that_fits(fits, 64)

    assert asked == [1, 2, 4, 8, 6, 5]


def test_a_good_guess_costs_two_tries() -> None:
    asked: list[int] = []

    def fits(clips: int) -> bool:
        asked.append(clips)
        return clips <= 64

    assert largest_that_fits(fits, 64, start=64) == 64
    assert asked == [64]
