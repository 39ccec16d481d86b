"""The header of numpy's array format, read without creating objects."""

import io
import math
from dataclasses import dataclass
from typing import IO, Any, Final, Literal

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from skelab.errors import SourceError

MAGIC: Final = b"\x93NUMPY"
_LONGEST_HEADER: Final = 10_000
_KINDS: Final = "fiub"


@dataclass(frozen=True)
class NpyHeader:
    """The header of an array file.

    Attributes:
        shape: Its shape.
        dtype: Its type: floats, integers or booleans, of either byte order.
        start: Offset of the first number.
        by_column: Whether the first axis is contiguous (Fortran order).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    by_column: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of all numbers."""
        return self.dtype.itemsize * math.prod(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row (first axis)."""
        return self.dtype.itemsize * math.prod(self.shape[1:])


def read_npy_header(file: IO[bytes] | io.BufferedIOBase, where: str) -> NpyHeader:
    """Read the header of an array of numbers; leaves the file at the first number.

    Args:
        file: A file, or a member of an archive, at its first byte.
        where: Its name in messages.

    Raises:
        SourceError: It is damaged, not an array, or holds objects, which are pickled and
            could run code.
    """
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, by_column, dtype = read(file, max_header_size=_LONGEST_HEADER)
    except Exception as error:  # a damaged header makes numpy's parser raise almost anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise SourceError(f"{where}: expected an array of numpy, found a fault: {reason}") from None
    if dtype.hasobject:
        raise SourceError(
            f"{where}: expected an array of numbers, found one of Python objects, which could run"
            " code; it was not loaded"
        )
    if dtype.kind not in _KINDS or dtype.itemsize > 8 or min(shape, default=0) < 0:
        raise SourceError(f"{where}: expected an array of numbers, found one of {dtype}")
    return NpyHeader(tuple(shape), dtype, file.tell(), by_column and len(shape) > 1)


def parse_npy(data: bytes, where: str) -> Shaped[ndarray, " ..."]:
    """The array in the bytes of a ``.npy`` file.

    Raises:
        SourceError: It is damaged, truncated, not an array, or holds anything but numbers.
    """
    header = read_npy_header(io.BytesIO(data), where)
    if len(data) != header.start + header.nbytes:
        raise SourceError(
            f"{where}: expected {header.start + header.nbytes:,} bytes for an array of"
            f" {' x '.join(map(str, header.shape))}, found {len(data):,}: the file was cut off or"
            " is damaged"
        )
    order: Literal["F", "C"] = "F" if header.by_column else "C"
    return np.frombuffer(data, header.dtype, offset=header.start).reshape(header.shape, order=order)
