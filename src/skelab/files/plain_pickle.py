"""Pickles of numpy arrays and plain containers, read so that nothing in them can act.

Pickle calls what a file names. Here it finds stand-ins only: they note what the file says of an
array, and the array is made by us from bytes whose size and type were checked. numpy's own
functions are kept out as well, because a forged dtype makes them read bytes as pointers.
"""

import io
import math
import pickle
import re
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy import ndarray

from skelab.errors import SkelabError

_EXPECTED = "expected a pickle of numpy arrays and plain containers"
_DTYPE = re.compile(r"(b1|[iuf][1248]|[SU]\d{1,6})\Z")


def load_plain_pickle(path: Path, error: type[SkelabError]) -> Any:
    """Read a pickle that holds arrays of numbers or text, numbers, texts, dicts, lists, tuples.

    Args:
        path: File to read; its size bounds the memory that is taken.
        error: What to raise.

    Raises:
        SkelabError: As ``error``: the file is missing or damaged, or names anything that could
            run code; the message names the file.
    """
    path = Path(path)
    try:
        file = io.BytesIO(path.read_bytes())
        return _resolved(_PlainUnpickler(file, encoding="latin1").load(), {})
    except OSError as cause:
        reason = cause.strerror or "cannot be read"
        raise error(f"{path}: {_EXPECTED}, found: {reason}") from cause
    except _NotPlainError as cause:
        raise error(f"{path}: {_EXPECTED}, found {cause}") from cause
    except Exception as cause:
        # Damaged opcodes can raise nearly anything from within the unpickler.
        reason = str(cause) or type(cause).__name__
        raise error(f"{path}: {_EXPECTED}, found a damaged file ({reason})") from cause


class _NotPlainError(Exception):
    """The pickle holds something that is neither an array nor a plain container."""


def _read_bytearray(reader: Any) -> None:
    """As `pickle` does, but without reserving memory for what the file does not hold."""
    (length,) = struct.unpack("<Q", reader.read(8))
    reader.append(bytearray(reader.read(length)))


class _PlainUnpickler(pickle._Unpickler):
    # The C unpickler reserves as much memory as a damaged memo number says; this one does not.

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: _read_bytearray,
    }

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for one of the harmless few; anything else is not even imported."""
        try:
            make = _STAND_INS[module.replace("numpy._core.", "numpy.core."), name]
        except KeyError:
            named = " ".join(f"{module}.{name}".split())[:100]  # on one line, whatever it is
            raise _NotPlainError(f"{named}, which could run code; it was not loaded") from None
        return _StandIn(make)


class _StandIn:
    """Something that a pickle may call, and may not change."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _NotPlainError("a state for something that has none")


class _PlainDtype:
    """What a pickle says of an array's type."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not _DTYPE.match(code):
            raise _NotPlainError(f"an array of type {code!r:.40}")
        self._code, self._order = code, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "=", "|") or any(entry is not None for entry in state[2:5]):
            raise _NotPlainError("an array with fields")
        self._order = state[1].replace("|", "=")

    def dtype(self) -> np.dtype[Any]:
        made: np.dtype[Any] = np.dtype(self._order + self._code)
        return made


class _PlainArray:
    """What a pickle says of an array; `array` is made when its content comes."""

    __slots__ = ("array",)

    def __init__(self, *_: object) -> None:
        self.array: ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, columns_first, data = state
        self.array = _array(data, dtype, shape, "F" if columns_first else "C")


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> ndarray:
    """Make an array of the bytes given, once type, shape and number of bytes agree."""
    if not isinstance(dtype, _PlainDtype):
        raise _NotPlainError("an array without a type")
    if isinstance(data, str):  # written by Python 2
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise _NotPlainError(f"an array made of a {type(data).__name__}")
    if not isinstance(shape, tuple) or not all(isinstance(s, int) and s >= 0 for s in shape):
        raise _NotPlainError(f"an array of shape {shape!r:.40}")
    plain = dtype.dtype()
    if plain.itemsize * math.prod(shape) != len(data) or order not in ("C", "F"):
        raise _NotPlainError(f"an array of shape {shape!r:.40} in {len(data)} bytes")
    made: ndarray = np.frombuffer(bytes(data), plain).reshape(shape, order=order)
    native = made.astype(plain.newbyteorder("="))
    if not is_text(native):
        raise _NotPlainError("an array of text that is no Unicode")
    return native


def is_text(array: ndarray) -> bool:
    """Whether an array of text holds nothing but code points; numpy itself does not look."""
    if array.dtype.kind != "U" or not array.size or not array.dtype.itemsize:
        return True
    points = np.frombuffer(array.tobytes(), np.uint32)
    return bool((points <= sys.maxunicode).all())


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, (1,), "C")[0]


def _encode(text: str, encoding: str) -> bytes:
    """``codecs.encode`` as protocol 2 needs it for bytes, with that one encoding only."""
    if encoding != "latin1":
        raise _NotPlainError(f"bytes encoded as {encoding!r:.40}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


_STAND_INS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _PlainArray,
    ("numpy", "dtype"): _PlainDtype,
    ("numpy.core.multiarray", "_reconstruct"): _PlainArray,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _array,
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
}


def _resolved(value: Any, done: dict[int, Any]) -> Any:
    """Put arrays in the place of what was noted of them; what is shared stays shared.

    ``done`` has each container that was met, by identity; None while it is being worked on.
    """
    if isinstance(value, _PlainArray):
        if value.array is None:
            raise _NotPlainError("an array without content")
        return value.array
    if isinstance(value, _StandIn | _PlainDtype):
        raise _NotPlainError("a function in the place of a value")
    if not isinstance(value, dict | list | tuple):
        return value
    if id(value) in done:
        if done[id(value)] is None:
            raise _NotPlainError("a container that holds itself")
        return done[id(value)]
    done[id(value)] = None
    made: Any
    if isinstance(value, dict):
        made = {_resolved(key, done): _resolved(entry, done) for key, entry in value.items()}
    else:
        made = type(value)(_resolved(entry, done) for entry in value)
    done[id(value)] = made
    return made
