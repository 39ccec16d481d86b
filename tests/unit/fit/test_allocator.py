"""The caching allocator: what is rounded, cut, joined and given back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skelab.fit.allocator import CachingAllocator, needed_bytes, reserved_bytes, round_up

KIB, MIB = 2**10, 2**20


@pytest.mark.parametrize(
    ("size", "used", "reserved"),
    [
        (1, 512, 2 * MIB),
        (513, 1024, 2 * MIB),
        (MIB, MIB, 2 * MIB),
        (MIB + 1, MIB + 512, 20 * MIB),
        (10 * MIB - 512, 10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB, 10 * MIB),
        (11 * MIB - 1, 11 * MIB, 12 * MIB),
    ],
)
def test_a_request_is_rounded_and_takes_a_segment_of_its_class(
    size: int, used: int, reserved: int
) -> None:
    allocator = CachingAllocator()

    allocator.take(size)

    # what is left of a large segment stays with the block if it is too small to be of use
    assert allocator.used in (used, reserved)
    assert allocator.reserved == reserved


def test_small_requests_share_a_segment() -> None:
    allocator = CachingAllocator()

    for _ in range(4):
        allocator.take(512 * KIB)

    assert allocator.reserved == 2 * MIB
    allocator.take(1)
    assert allocator.reserved == 4 * MIB


def test_neighbours_that_are_free_become_one_again() -> None:
    allocator = CachingAllocator()
    keys = [allocator.take(5 * MIB) for _ in range(4)]
    assert allocator.reserved == 20 * MIB

    for key in (keys[1], keys[3], keys[2], keys[0]):
        allocator.give_back(key)

    assert allocator.used == 0
    allocator.take(20 * MIB)
    assert allocator.reserved == 20 * MIB


def test_a_hole_between_used_blocks_serves_only_what_fits() -> None:
    allocator = CachingAllocator()
    first, hole, last = (allocator.take(6 * MIB) for _ in range(3))
    allocator.give_back(hole)

    allocator.take(7 * MIB)

    assert allocator.reserved == 40 * MIB
    allocator.take(6 * MIB)
    assert allocator.reserved == 40 * MIB
    assert first != last


def test_of_equal_holes_the_one_with_the_lowest_address_is_taken() -> None:
    allocator = CachingAllocator()
    addresses = [allocator.take(12 * MIB) for _ in range(4)]

    for address in (addresses[2], addresses[0]):
        allocator.give_back(address)

    assert [allocator.take(12 * MIB) for _ in range(2)] == [0, 24 * MIB]


def test_the_limit_makes_it_return_what_is_wholly_free() -> None:
    allocator = CachingAllocator(limit=50 * MIB)
    allocator.give_back(allocator.take(30 * MIB))

    allocator.take(40 * MIB)

    assert allocator.reserved == 40 * MIB
    with pytest.raises(MemoryError, match="are reserved, 20971520 more are needed"):
        allocator.take(20 * MIB)


def test_a_computation_needs_less_than_an_unlimited_allocator_takes() -> None:
    changes = [(0, 30 * MIB), (0, 0), (1, 40 * MIB), (1, 0), (2, 50 * MIB), (2, 0)]

    assert reserved_bytes(changes) == 120 * MIB
    assert 50 * MIB <= needed_bytes(changes) <= 60 * MIB


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30 * MIB)), max_size=60))
def test_no_byte_is_lost_whatever_is_taken_and_given_back(steps: list[tuple[int, int]]) -> None:
    allocator = CachingAllocator()
    held: dict[int, tuple[int, int]] = {}

    for slot, size in steps:
        if slot in held:
            allocator.give_back(held.pop(slot)[0])
        else:
            held[slot] = (allocator.take(size), round_up(size, 512))
        least = sum(rounded for _, rounded in held.values())
        assert least <= allocator.used <= allocator.reserved
    for key, _ in held.values():
        allocator.give_back(key)

    assert allocator.used == 0
    whole = allocator.reserved
    allocator.limit = 0
    with pytest.raises(MemoryError):
        allocator.take(whole + MIB)
    assert allocator.reserved == 0  # every block had become a whole segment again
