"""What PyTorch's caching allocator for CUDA takes from the driver to serve a computation."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MIB: Final = 2**20
GRANULE: Final = 512
"""Bytes in whole numbers of which a tensor's memory is handed out."""

TOLERANCE: Final = 8 * MIB
"""By how much `needed_bytes` may be above the least limit."""

_SMALL: Final = 1 * MIB  # up to here a request is served from small segments
_SMALL_SEGMENT: Final = 2 * MIB
_MIDDLE: Final = 10 * MIB  # up to here from segments of 20 MiB, which are cut up
_MIDDLE_SEGMENT: Final = 20 * MIB
_ROUNDING: Final = 2 * MIB  # beyond, segments are made to measure


@dataclass(slots=True, eq=False)
class _Block:
    """A stretch of a segment, between its neighbours in it."""

    address: int
    size: int
    is_small: bool
    is_used: bool = False
    before: "_Block | None" = None
    after: "_Block | None" = None


class CachingAllocator:
    """Replays requests as the allocator serves them with its default settings, on one stream.

    Requests are rounded to 512 bytes. Those up to 1 MiB and those above have pools of their own.
    Each takes the smallest free block that is large enough, of equal ones that of the lowest
    address; what is left of it stays free, in the large pool only if it is more than 1 MiB.
    Neighbours that are both free become one. Where no block fits, a segment is taken from the
    driver, at an address above all before. Segments that are wholly free are given back to it only
    when the limit would be passed.

    Args:
        limit: Bytes that the driver has; None for as many as are asked for.

    Attributes:
        reserved: Bytes taken from the driver.
        used: Bytes handed out.

    Source: pytorch/pytorch, ``c10/cuda/CUDACachingAllocator.cpp``, read from its documentation and
    constants; no line of it is here.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.reserved = 0
        self.used = 0
        self._blocks: dict[int, _Block] = {}  # by address
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._next = 0

    def take(self, size: int) -> int:
        """Hand out a block; gives its address.

        Raises:
            MemoryError: The limit would be passed.
        """
        size = max(GRANULE, round_up(size, GRANULE))
        is_small = size <= _SMALL
        free = self._free[is_small]
        place = bisect_left(free, (size, 0))
        found = place < len(free)
        block = self._blocks[free.pop(place)[1]] if found else self._ask(size, is_small)
        self._cut(block, size)
        block.is_used = True
        self.used += block.size
        return block.address

    def give_back(self, address: int) -> None:
        """Free the block at this address."""
        block = self._blocks[address]
        block.is_used = False
        self.used -= block.size
        before, after = block.before, block.after
        if after is not None and not after.is_used:
            self._not_free(after)
            self._join(block, after)
        if before is not None and not before.is_used:
            self._not_free(before)
            self._join(before, block)
            block = before
        insort(self._free[block.is_small], (block.size, block.address))

    def _ask(self, size: int, is_small: bool) -> _Block:
        """A new segment of the driver's."""
        wanted = _segment(size)
        if self.limit is not None and self.reserved + wanted > self.limit:
            self._give_back_segments()
            if self.reserved + wanted > self.limit:
                raise MemoryError(f"{self.reserved} bytes are taken, {wanted} more are wanted")
        self.reserved += wanted
        block = self._blocks[self._next] = _Block(self._next, wanted, is_small)
        self._next += wanted
        return block

    def _give_back_segments(self) -> None:
        """Return to the driver every segment that is wholly free."""
        for block in list(self._blocks.values()):
            if not block.is_used and block.before is None and block.after is None:
                self._not_free(block)
                del self._blocks[block.address]
                self.reserved -= block.size

    def _cut(self, block: _Block, size: int) -> None:
        """Leave what a request does not need of a block as a free one."""
        left = block.size - size
        if left < GRANULE or (not block.is_small and left <= _SMALL):
            return
        address = block.address + size
        rest = _Block(address, left, block.is_small, before=block, after=block.after)
        if block.after is not None:
            block.after.before = rest
        block.size, block.after = size, rest
        self._blocks[address] = rest
        insort(self._free[block.is_small], (left, address))

    def _join(self, block: _Block, after: _Block) -> None:
        """Make one of two neighbours."""
        block.size += after.size
        block.after = after.after
        if block.after is not None:
            block.after.before = block
        del self._blocks[after.address]

    def _not_free(self, block: _Block) -> None:
        free = self._free[block.is_small]
        del free[bisect_left(free, (block.size, block.address))]


def reserved_bytes(changes: Iterable[tuple[int, int]], limit: int | None = None) -> int:
    """Bytes that the allocator has taken from the driver after a computation.

    Args:
        changes: Each request (a number, its bytes) and each release (the number, 0) in order.
        limit: Bytes that the driver has; None for as many as are asked for.

    Raises:
        MemoryError: The computation does not fit into the limit.
    """
    allocator = CachingAllocator(limit)
    addresses: dict[int, int] = {}
    for number, size in changes:
        if size:
            addresses[number] = allocator.take(size)
        elif number in addresses:
            allocator.give_back(addresses.pop(number))
    return allocator.reserved


def fits_into(changes: Iterable[tuple[int, int]], limit: int) -> bool:
    """Whether the allocator can serve a computation with so many bytes of the driver's."""
    try:
        reserved_bytes(changes, limit)
    except MemoryError:
        return False
    return True


def needed_bytes(changes: Sequence[tuple[int, int]], at_least: int = 0) -> int:
    """The least limit, within ``TOLERANCE``, into which a computation fits.

    Args:
        changes: As :func:`reserved_bytes` takes them.
        at_least: Bytes that are held at once, so that no lower limit need be tried.
    """
    low, high = at_least, reserved_bytes(changes)
    while high - low > TOLERANCE:
        middle = (low + high) // 2
        if fits_into(changes, middle):
            high = middle
        else:
            low = middle
    return high


def round_up(size: int, granule: int) -> int:
    """The least multiple of ``granule`` that is not below ``size``."""
    return -(-size // granule) * granule


def _segment(size: int) -> int:
    """Bytes that the driver is asked for to serve a request."""
    if size <= _SMALL:
        return _SMALL_SEGMENT
    return _MIDDLE_SEGMENT if size < _MIDDLE else round_up(size, _ROUNDING)
