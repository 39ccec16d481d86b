"""The offsets of the buffers of an Arrow file, read from its footer.

A buffer with a known offset can be read on its own, at any time, and checked to be
complete. A mapped file has no such check: if it is truncated, the kernel kills the process.

Source: Arrow columnar format 1.4, ``format/File.fbs`` and ``format/Message.fbs``; the tables are
FlatBuffers, of which only numbers, and vectors of fixed size, are read here.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MAGIC: Final = b"ARROW1"
_TAIL: Final = struct.Struct("<i6s")
_BLOCK: Final = struct.Struct("<qi4xq")  # offset, bytes of metadata, bytes of body
_BUFFER: Final = struct.Struct("<qq")  # offset in the body, bytes
_PREFIX: Final = 8  # a continuation mark and the length of the metadata
_LARGEST: Final = 1 << 28

ReadAt = Callable[[int, int], bytes]
"""Called with an offset and a number of bytes; returns exactly that many."""


@dataclass(frozen=True)
class BufferPlace:
    """A buffer in a file.

    Attributes:
        start: Its first byte.
        size: Bytes.
    """

    start: int
    size: int


def find_buffers(read_at: ReadAt, size: int) -> list[list[BufferPlace]]:
    """The buffers of every record batch of an Arrow file, in the order of its columns.

    Args:
        read_at: Reads bytes of the file.
        size: Bytes of the file.

    Raises:
        ValueError: The footer or a batch is damaged, or the batches are compressed.
    """
    try:
        length, magic = _TAIL.unpack(read_at(size - _TAIL.size, _TAIL.size))
        if magic != _MAGIC or not 0 < length < min(size, _LARGEST):
            raise ValueError("its footer is damaged")
        footer = _Table.root(read_at(size - _TAIL.size - length, length))
        blocks = footer.vector(3, _BLOCK)
        return [_buffers_of(read_at, block, size) for block in blocks]
    except (struct.error, IndexError, OverflowError):
        raise ValueError("its footer is damaged") from None


def _buffers_of(read_at: ReadAt, block: tuple[int, ...], size: int) -> list[BufferPlace]:
    start, metadata, body = block
    if min(block) < 0 or metadata > _LARGEST or start + metadata + body > size:
        raise ValueError("a batch reaches behind its end")
    message = _Table.root(read_at(start, metadata)[_PREFIX:])
    batch = message.table(2)
    if batch.has(3):
        raise ValueError("its batches are compressed")
    places = [BufferPlace(start + metadata + at, count) for at, count in batch.vector(2, _BUFFER)]
    if any(place.start < start or place.size < 0 for place in places) or any(
        place.start + place.size > start + metadata + body for place in places
    ):
        raise ValueError("a buffer reaches behind its batch")
    return places


class _Table:
    """A FlatBuffer table, whose fields are found through a table of offsets."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._start = data, start
        self._offsets = start - self._number("<i", start)
        self._fields = (self._number("<H", self._offsets) - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        """The outermost table."""
        return cls(data, struct.unpack_from("<I", data)[0])

    def has(self, field: int) -> bool:
        """Whether a field is there."""
        return self._place(field) != 0

    def table(self, field: int) -> "_Table":
        """A field that is a table."""
        at = self._required(field)
        return _Table(self._data, at + self._number("<I", at))

    def vector(self, field: int, entry: struct.Struct) -> list[tuple[int, ...]]:
        """A field that is a vector of entries of fixed size; empty where it is left out."""
        if not self.has(field):
            return []
        at = self._required(field)
        at += self._number("<I", at)
        count = self._number("<I", at)
        if count * entry.size > len(self._data):
            raise IndexError
        return [entry.unpack_from(self._data, at + 4 + i * entry.size) for i in range(count)]

    def _required(self, field: int) -> int:
        if not self.has(field):
            raise IndexError
        return self._start + self._place(field)

    def _place(self, field: int) -> int:
        return self._number("<H", self._offsets + 4 + 2 * field) if field < self._fields else 0

    def _number(self, form: str, at: int) -> int:
        if at < 0:
            raise IndexError
        number: int = struct.unpack_from(form, self._data, at)[0]
        return number
