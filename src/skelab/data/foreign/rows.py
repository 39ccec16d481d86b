"""Rows of one stored array, read one at a time and never all at once.

Where the array lies uncompressed in a file, or in a member of an archive, a row is read from where
it lies. Where the member is compressed, it is inflated from the last place that is
known: rows in order cost one pass in constant memory, rows in any order a short way each.
"""

import math
import os
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from skelab.errors import SourceError
from skelab.files.npy import NpyHeader
from skelab.files.steady import ShorterFileError, SteadyFile

_CHUNK: Final = 1 << 15  # compressed bytes read at a time
_PLACES: Final = 512  # places from which inflating can go on, about 50 KB each
_LARGEST_ROW: Final = 1 << 28
_INFLATING: Final = ("_cursor", "_first")


class Rows(ABC):
    """The rows of an array in a file. Cheap to pickle: another process opens the file again.

    Args:
        path: The file.
        start: Where the array's header begins in the file.
        header: Shape and type; the first axis is that of the rows.
        title: What to call the array in messages.
        crc: Checksum of header and numbers, where the archive gives one.

    Raises:
        SourceError: The rows do not stand one after the other, or are larger than any clip.
    """

    def __init__(
        self, path: Path, start: int, header: NpyHeader, title: str, crc: int | None = None
    ) -> None:
        self.path = path
        self.start = start
        self.header = header
        self.title = title
        self.crc = crc
        self._summed = 0  # rows in a row, from the first, that went into the checksum
        self._sum = 0
        if header.by_column:
            raise SourceError(
                f"{title}: expected rows one after the other, found columns (Fortran order);"
                " numpy.ascontiguousarray turns it round"
            )
        if header.row_bytes > _LARGEST_ROW:
            raise SourceError(
                f"{title}: expected rows of at most {_LARGEST_ROW >> 20} MiB, found rows of"
                f" {header.row_bytes >> 20} MiB"
            )

    def __len__(self) -> int:
        return self.header.shape[0]

    def row(self, number: int) -> Shaped[ndarray, " ..."]:
        """A copy of one row, as it is stored; else as :meth:`block`."""
        block: Shaped[ndarray, " ..."] = self.block(number, number + 1)[0]
        return block

    def block(self, first: int, stop: int) -> Shaped[ndarray, "N ..."]:
        """A copy of some rows, as they are stored.

        Reading all rows in order also checks the archive's checksum, behind the last one.

        Raises:
            IndexError: There are no such rows.
            SourceError: The file is damaged.
        """
        if not 0 <= first <= stop <= len(self):
            raise IndexError(f"rows {first} to {stop} of {len(self)}")
        data = self._bytes(first, stop - first)
        if self.crc is not None:
            self._add_to_checksum(first, stop, data)
        shape = (stop - first, *self.header.shape[1:])
        return np.frombuffer(data, self.header.dtype).reshape(shape)

    @abstractmethod
    def _bytes(self, first: int, count: int) -> bytes:
        """The bytes of some rows."""

    @abstractmethod
    def _header_bytes(self) -> bytes:
        """The bytes in front of the first row."""

    def _add_to_checksum(self, first: int, stop: int, data: bytes) -> None:
        if first == 0:
            self._summed, self._sum = 0, zlib.crc32(self._header_bytes())
        if first != self._summed:
            return
        self._sum = zlib.crc32(data, self._sum)
        self._summed = stop
        if self._summed == len(self) and self._sum != self.crc:
            raise SourceError(
                f"{self.title}: expected the checksum {self.crc:08x} that the archive gives, found"
                f" {self._sum:08x}: the file is damaged; copy or download it again"
            )


class StoredRows(Rows):
    """Rows that lie uncompressed in the file and are read where they lie, each by itself."""

    _file: SteadyFile | None = None
    _stamp: tuple[int, int] | None = None

    def _bytes(self, first: int, count: int) -> bytes:
        at = self.start + self.header.start + first * self.header.row_bytes
        return self._read_at(at, count * self.header.row_bytes)

    def _header_bytes(self) -> bytes:
        return self._read_at(self.start, self.header.start)

    def _read_at(self, start: int, count: int) -> bytes:
        try:
            file = self._opened()
            if file.stamp() != self._stamp:
                raise SourceError(
                    f"{self.path}: was written to while it was read; give the command again when"
                    " the file is whole"
                )
            return file.read_at(start, count)
        except ShorterFileError as error:
            raise SourceError(f"{error}; give the command again when the file is whole") from None
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {error.strerror}") from None

    def _opened(self) -> SteadyFile:
        """The file; in another process it must be the same one."""
        if self._file is None:
            file = SteadyFile(self.path)
            if file.size < self.start + self.header.start + self.header.nbytes:
                raise SourceError(f"{self.title}: the file has become shorter since it was opened")
            self._stamp = self._stamp or file.stamp()
            self._file = file
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": None}


class DeflatedRows(Rows):
    """Rows of a compressed member of a zip archive.

    Args:
        path: The file.
        start: Where the member's compressed bytes begin.
        size: How many there are.
        header: Shape and type.
        title: What to call the array in messages.
        crc: Checksum of the inflated bytes.
    """

    def __init__(
        self, path: Path, start: int, size: int, header: NpyHeader, title: str, crc: int
    ) -> None:
        super().__init__(path, start, header, title, crc)
        self.size = size
        self._step = max(1, math.ceil(len(self) / _PLACES))
        self._places: dict[int, _Inflater] = {}
        self._row = 0

    def _bytes(self, first: int, count: int) -> bytes:
        try:
            cursor = self._cursor_before(first)
            while self._row < first:
                cursor.read(self.header.row_bytes)
                self._row += 1
                if self._row % self._step == 0 and self._row not in self._places:
                    self._places[self._row] = cursor.copy()
            data = cursor.read(count * self.header.row_bytes)
        except SourceError:
            self._places = {}  # nobody knows any more where the cursor stands
            raise
        self._row += count
        return data

    def _cursor_before(self, row: int) -> "_Inflater":
        """An inflater that stands at ``_row``, as near in front of ``row`` as is known."""
        if not self._places:
            self._cursor = _Inflater(self.path, self.start, self.size, self.title)
            self._first = self._cursor.read(self.header.start)
            self._places[0], self._row = self._cursor.copy(), 0
        nearest = max(place for place in self._places if place <= row)
        if not nearest <= self._row <= row:
            self._cursor, self._row = self._places[nearest].copy(), nearest
        elif self._row % self._step == 0 and self._row not in self._places:
            self._places[self._row] = self._cursor.copy()
        return self._cursor

    def _header_bytes(self) -> bytes:
        return self._first

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name not in _INFLATING}
        return {**kept, "_places": {}, "_row": 0}


class _Inflater:
    """Inflates a member from front to back; a copy goes on from where it was made."""

    def __init__(self, path: Path, start: int, size: int, title: str) -> None:
        self._path, self._at, self._end, self._title = path, start, start + size, title
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)

    def copy(self) -> "_Inflater":
        twin = _Inflater(self._path, self._at, self._end - self._at, self._title)
        twin._engine = self._engine.copy()
        return twin

    def read(self, size: int) -> bytes:
        """The next bytes, exactly as many."""
        pieces: list[bytes] = []
        missing = size
        while missing:
            waiting = self._engine.unconsumed_tail or self._compressed()
            try:
                piece = self._engine.decompress(waiting, missing)
            except zlib.error as error:
                raise SourceError(
                    f"{self._title}: the compressed data are damaged ({error}); copy or download"
                    " the file again"
                ) from None
            if not piece and not waiting:
                raise SourceError(
                    f"{self._title}: expected {missing} more bytes, found the end of the compressed"
                    " data: the file is damaged"
                )
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _compressed(self) -> bytes:
        if self._engine.eof:
            return b""
        try:
            with self._path.open("rb") as file:
                data = os.pread(file.fileno(), min(_CHUNK, self._end - self._at), self._at)
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from None
        self._at += len(data)
        return data
