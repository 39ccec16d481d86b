"""Simulation of PyTorch's caching allocator for CUDA: the memory it reserves for a computation."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

MIB: Final = 2**20
GRANULE: Final = 512
"""Granularity of an allocation, bytes."""

TOLERANCE: Final = 8 * MIB
"""Tolerance of `needed_bytes` above the smallest sufficient limit, bytes."""

_SMALL: Final = 1 * MIB  # largest request that is served from small segments
_SMALL_SEGMENT: Final = 2 * MIB
_MIDDLE: Final = 10 * MIB  # largest request that is served from shared 20 MiB segments
_MIDDLE_SEGMENT: Final = 20 * MIB
_ROUNDING: Final = 2 * MIB  # granularity of segments of their own beyond that


@dataclass(slots=True, eq=False)
class _Block:
    """A block of a segment, linked to its neighbours."""

    address: int
    size: int
    is_small: bool
    is_used: bool = False
    before: "_Block | None" = None
    after: "_Block | None" = None


class CachingAllocator:
    """Simulates the allocator with its default settings on one stream.

    Requests are rounded up to 512 bytes. Requests up to 1 MiB and larger ones have separate pools.
    A request takes the smallest free block that is large enough, at the lowest address among equal
    ones; the block is split and the rest stays free, in the large pool only if it exceeds 1 MiB.
    Adjacent free blocks are merged. If no block fits, a segment is reserved from the driver, at an
    address above all earlier ones. Wholly free segments are released only when the limit would be
    exceeded.

    Args:
        limit: Memory of the device, bytes; None for no limit.

    Attributes:
        reserved: Bytes reserved from the driver.
        used: Bytes allocated to tensors.

    Source: pytorch/pytorch, ``c10/cuda/CUDACachingAllocator.cpp``, its documentation and
    constants; none of its code.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.reserved = 0
        self.used = 0
        self._blocks: dict[int, _Block] = {}  # by address
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._next = 0

    def take(self, size: int) -> int:
        """Allocate a block; returns its address.

        Raises:
            MemoryError: The limit would be exceeded.
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
        """Reserve a new segment from the driver."""
        wanted = _segment(size)
        if self.limit is not None and self.reserved + wanted > self.limit:
            self._give_back_segments()
            if self.reserved + wanted > self.limit:
                raise MemoryError(f"{self.reserved} bytes are reserved, {wanted} more are needed")
        self.reserved += wanted
        block = self._blocks[self._next] = _Block(self._next, wanted, is_small)
        self._next += wanted
        return block

    def _give_back_segments(self) -> None:
        """Release every segment that is wholly free."""
        for block in list(self._blocks.values()):
            if not block.is_used and block.before is None and block.after is None:
                self._not_free(block)
                del self._blocks[block.address]
                self.reserved -= block.size

    def _cut(self, block: _Block, size: int) -> None:
        """Split a block: what a request does not need becomes a free block."""
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
        """Merge two adjacent blocks."""
        block.size += after.size
        block.after = after.after
        if block.after is not None:
            block.after.before = block
        del self._blocks[after.address]

    def _not_free(self, block: _Block) -> None:
        free = self._free[block.is_small]
        del free[bisect_left(free, (block.size, block.address))]


def reserved_bytes(changes: Iterable[tuple[int, int]], limit: int | None = None) -> int:
    """Bytes that the allocator has reserved from the driver after a computation.

    Args:
        changes: Allocations (id, bytes) and frees (id, 0), in order.
        limit: Memory of the device, bytes; None for no limit.

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
    """Whether the allocator can serve a computation within a limit, bytes."""
    try:
        reserved_bytes(changes, limit)
    except MemoryError:
        return False
    return True


def needed_bytes(changes: Sequence[tuple[int, int]], at_least: int = 0) -> int:
    """The smallest limit, within ``TOLERANCE``, in which a computation fits.

    Args:
        changes: As :func:`reserved_bytes` takes them.
        at_least: Peak of live bytes: a lower bound of the limit.
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
    """The smallest multiple of ``granule`` that is at least ``size``."""
    return -(-size // granule) * granule


def _segment(size: int) -> int:
    """Size of the segment that is reserved for a request, bytes."""
    if size <= _SMALL:
        return _SMALL_SEGMENT
    return _MIDDLE_SEGMENT if size < _MIDDLE else round_up(size, _ROUNDING)
