"""The ragged columns of a store, read clip by clip and checked on the first read.

The index has a digest of the joints of each clip, and the metadata one of all frame numbers. Forked
processes share the record of what has been checked.
"""

import hashlib
import mmap
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int32, Int64
from numpy import ndarray

from skelab.errors import StoreError
from skelab.files.arrow_places import BufferPlace, find_buffers
from skelab.files.steady import ShorterFileError, SteadyFile

_VALUE_BYTES: Final = 4  # of a coordinate, and of a frame number
_FRAMES_AT_ONCE: Final = 1 << 22


class _Column(NamedTuple):
    """A ragged column of one batch: row offsets, and the place of the values in the file."""

    starts: Int32[ndarray, " rows+1"]
    values: BufferPlace

    def place(self, row: int) -> tuple[int, int]:
        """First byte and number of values of a row."""
        first, stop = self.starts.item(row), self.starts.item(row + 1)
        return self.values.start + first * _VALUE_BYTES, stop - first


class RaggedColumns:
    """The joints and frame numbers of all clips of a store.

    Args:
        file: The store.
        schema: Its columns.
        rows: Clips of each record batch.

    Raises:
        ValueError: The file is damaged.
        ShorterFileError: The file has become shorter.
    """

    def __init__(self, file: SteadyFile, schema: pa.Schema, rows: Sequence[int]) -> None:
        self._file = file
        self._batch_starts = list(accumulate(rows, initial=0))
        batches = find_buffers(file.read_at, file.size)
        if len(batches) != len(rows):
            raise ValueError("its footer is damaged")
        self._joints = self._open("joints", schema, batches, rows)
        self._frames = self._open("frame_numbers", schema, batches, rows)
        known = np.frombuffer(mmap.mmap(-1, max(self._batch_starts[-1], 1) + 1), np.uint8)
        self._sound, self._frames_sound = known[:-1], known[-1:]

    def lengths(self) -> tuple[Int64[ndarray, " N"], Int64[ndarray, " N"]]:
        """Numbers of coordinates and of frame numbers of each clip."""
        counts = [
            np.concatenate([np.diff(column.starts) for column in columns]).astype(np.int64)
            for columns in (self._joints, self._frames)
        ]
        return counts[0], counts[1]

    def joints(self, row: int) -> Float32[ndarray, " values"]:
        """The coordinates of a clip, read-only.

        Raises:
            StoreError: The file has become shorter.
        """
        batch, offset = self._find(row)
        start, count = self._joints[batch].place(offset)
        return np.frombuffer(self._read(start, count), "<f4")

    def joints_into(self, row: int, target: Float32[ndarray, " some"]) -> None:
        """Copy the first coordinates of a clip.

        Raises:
            StoreError: The file has become shorter.
        """
        batch, offset = self._find(row)
        try:
            self._file.read_into(target, self._joints[batch].place(offset)[0])
        except (ShorterFileError, OSError) as error:
            raise self._unreadable(error) from None

    def frame_numbers(self, row: int) -> Int32[ndarray, " T"]:
        """The frame numbers of a clip, read-only.

        Raises:
            StoreError: The file has become shorter.
        """
        batch, offset = self._find(row)
        start, count = self._frames[batch].place(offset)
        return np.frombuffer(self._read(start, count), "<i4")

    def frames_digest(self) -> str:
        """Digest of all frame numbers, see :func:`digest_frames`."""
        return digest_frames(self._all_frames())

    def is_sound(self, row: int) -> bool:
        """Whether the joints of a clip were checked, and the file is unchanged since."""
        return bool(self._sound[row])

    def set_sound(self, row: int) -> None:
        """Remember that the joints of a clip were checked."""
        self._sound[row] = 1

    @property
    def frames_are_sound(self) -> bool:
        """Whether the frame numbers were checked."""
        return bool(self._frames_sound[0])

    def set_frames_sound(self) -> None:
        """Remember that the frame numbers were checked."""
        self._frames_sound[0] = 1

    def notice_changes(self) -> None:
        """Reset the record of checks if the file has been written to."""
        if self._file.has_changed():
            self._sound[:] = 0
            self._frames_sound[:] = 0

    def _open(
        self,
        name: str,
        schema: pa.Schema,
        batches: Sequence[Sequence[BufferPlace]],
        rows: Sequence[int],
    ) -> list[_Column]:
        first = sum(
            _count_buffers(field.type) for field in list(schema)[: schema.names.index(name)]
        )
        columns = []
        for buffers, count in zip(batches, rows, strict=True):
            if len(buffers) < first + 4:
                raise ValueError("a batch has too few buffers")
            offsets, values = buffers[first + 1], buffers[first + 3]
            size = (count + 1) * _VALUE_BYTES
            if offsets.size < size:
                raise ValueError("a batch has too few offsets")
            starts = np.frombuffer(self._file.read_at(offsets.start, size), "<i4")
            if (
                starts[0] < 0
                or (np.diff(starts) < 0).any()
                or starts[-1] * _VALUE_BYTES > values.size
            ):
                raise ValueError("its offsets are damaged")
            columns.append(_Column(starts, values))
        return columns

    def _find(self, row: int) -> tuple[int, int]:
        batch = bisect_right(self._batch_starts, row) - 1
        return batch, row - self._batch_starts[batch]

    def _read(self, start: int, count: int) -> bytes:
        try:
            return self._file.read_at(start, count * _VALUE_BYTES)
        except (ShorterFileError, OSError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> StoreError:
        if isinstance(error, ShorterFileError):
            return StoreError(f"{error}; give the same command again when the store is whole")
        return StoreError(f"{self._file.path}: cannot be read: {error}")

    def _all_frames(self) -> Iterator[bytes]:
        for column in self._frames:
            first, stop = column.starts.item(0), column.starts.item(-1)
            for at in range(first, stop, _FRAMES_AT_ONCE):
                count = min(stop - at, _FRAMES_AT_ONCE)
                yield self._read(column.values.start + at * _VALUE_BYTES, count)


def digest_frames(pieces: Iterator[Any]) -> str:
    """Digest of the concatenated frame numbers, little-endian int32."""
    digest = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _count_buffers(kind: pa.DataType) -> int:
    """Number of buffers of a column in a record batch."""
    if pa.types.is_list(kind):
        return 2 + _count_buffers(kind.value_type)
    return 3 if pa.types.is_string(kind) or pa.types.is_binary(kind) else 2
