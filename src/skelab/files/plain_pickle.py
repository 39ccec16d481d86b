"""Reads pickles of numpy arrays and plain containers without running code.

Pickle calls whatever a file names. Here it finds stand-ins only: they record the description of an
array, and the array is then created from bytes of checked size and type. numpy's own
functions are excluded as well, because a forged dtype makes them read bytes as pointers.

A few bytes can refer to the same object many times. The expanded size of a file, with all
references resolved, is therefore counted in entries and in bytes of arrays, and bounded by the
size of the file; dict keys must be plain values, since hashing a tuple visits all of it.
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
from skelab.files.reading import read_whole

_FREE = 1_000_000
"""Expanded entries, and bytes of arrays, allowed for any file."""

_TIMES = 8
"""Further expanded entries, and bytes of arrays, allowed per byte of the file."""

_LARGEST = 1 << 36
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
        data = read_whole(path, largest=_LARGEST)
        content = _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
        return _Resolver(_FREE + _TIMES * len(data)).value(content)
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
    """The pickle holds something other than arrays and plain containers."""


def _checked_keys(reader: Any) -> None:
    """As `pickle` does, after a check of the keys on the stack."""
    for key in reader.stack[::2]:
        _check_key(key)


def _read_dict(reader: Any) -> None:
    items = reader.pop_mark()
    for key in items[::2]:
        _check_key(key)
    reader.append({items[i]: items[i + 1] for i in range(0, len(items), 2)})


def _read_item(reader: Any) -> None:
    _check_key(reader.stack[-2])
    pickle._Unpickler.dispatch[pickle.SETITEM[0]](reader)


def _read_items(reader: Any) -> None:
    _checked_keys(reader)
    pickle._Unpickler.dispatch[pickle.SETITEMS[0]](reader)


def _refuse_set(_: Any) -> None:
    raise _NotPlainError("a set")


def _check_key(key: Any) -> None:
    """Refuse a key whose hash depends on nested content."""
    if not isinstance(key, str | bytes | int | float | _PlainArray | None):
        raise _NotPlainError(f"a {type(key).__name__} as the key of a dict")


def _read_bytearray(reader: Any) -> None:
    """As `pickle` does, but without allocating memory for absent content."""
    (length,) = struct.unpack("<Q", reader.read(8))
    reader.append(bytearray(reader.read(length)))


class _PlainUnpickler(pickle._Unpickler):
    # The C unpickler allocates memory by the memo number, which may be damaged; this one does not.

    dispatch: ClassVar[dict[int, Any]] = {
        **pickle._Unpickler.dispatch,
        pickle.BYTEARRAY8[0]: _read_bytearray,
        pickle.DICT[0]: _read_dict,
        pickle.SETITEM[0]: _read_item,
        pickle.SETITEMS[0]: _read_items,
        pickle.EMPTY_SET[0]: _refuse_set,
        pickle.FROZENSET[0]: _refuse_set,
    }

    def find_class(self, module: str, name: str) -> Any:
        """A stand-in for an allowed global; anything else is not imported."""
        try:
            make = _STAND_INS[module.replace("numpy._core.", "numpy.core."), name]
        except KeyError:
            named = " ".join(f"{module}.{name}".split())[:100]  # on one line, whatever it is
            raise _NotPlainError(f"{named}, which could run code; it was not loaded") from None
        return _StandIn(make)


class _StandIn:
    """An immutable callable for pickles."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: object) -> None:
        raise _NotPlainError("a state for something that has none")


class _PlainDtype:
    """The dtype described by a pickle."""

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
    """The description of an array or numpy scalar; built once the pickle is read."""

    __slots__ = ("_content", "_made", "_single")

    def __init__(self, *_: object) -> None:
        self._content: tuple[Any, Any, Any, Any] | None = None
        self._made: Any = None
        self._single = False

    @classmethod
    def of(cls, data: Any, dtype: Any, shape: Any, order: Any) -> "_PlainArray":
        """An array by its bytes, as newer releases of numpy write it."""
        noted = cls()
        noted._content = (data, dtype, shape, order)
        return noted

    @classmethod
    def scalar(cls, dtype: Any, data: Any) -> "_PlainArray":
        """One number by its bytes."""
        noted = cls.of(data, dtype, (1,), "C")
        noted._single = True
        return noted

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, columns_first, data = state
        self._content = (data, dtype, shape, "F" if columns_first else "C")

    def made(self, budget: "_Resolver") -> Any:
        """The array; built once."""
        if self._made is None:
            if self._content is None:
                raise _NotPlainError("an array without content")
            data, *described = self._content
            budget.take_bytes(len(data) if isinstance(data, bytes | bytearray | str) else 0)
            array = _array(data, *described)
            self._made = array[0] if self._single else array
            self._content = None
        return self._made


def _array(data: Any, dtype: Any, shape: Any, order: Any) -> ndarray:
    """Build an array from bytes after checking type, shape and size."""
    if not isinstance(dtype, _PlainDtype):
        raise _NotPlainError("an array without a type")
    if isinstance(data, str):  # written by Python 2
        data = data.encode("latin1")
    if not isinstance(data, bytes | bytearray):
        raise _NotPlainError(f"an array made of a {type(data).__name__}")
    if not isinstance(shape, tuple) or not all(isinstance(s, int) and s >= 0 for s in shape):
        shown = repr(shape)[:40] if _is_flat(shape) else f"a {type(shape).__name__}"
        raise _NotPlainError(f"an array of shape {shown}")
    plain = dtype.dtype()
    if plain.itemsize * math.prod(shape) != len(data) or order not in ("C", "F"):
        raise _NotPlainError(f"an array of shape {shape!r:.40} in {len(data)} bytes")
    made: ndarray = np.frombuffer(bytes(data), plain).reshape(shape, order=order)
    native = made.astype(plain.newbyteorder("="))
    if not is_text(native):
        raise _NotPlainError("an array of text that is no Unicode")
    return native


def _is_flat(shape: Any) -> bool:
    """Whether a value can be printed without expanding shared references."""
    return not isinstance(shape, list | tuple) or not any(
        isinstance(entry, list | tuple | dict) for entry in shape
    )


def is_text(array: ndarray) -> bool:
    """Whether an array of text holds only valid code points, which numpy does not check."""
    if array.dtype.kind != "U" or not array.size or not array.dtype.itemsize:
        return True
    points = np.frombuffer(array.tobytes(), np.uint32)
    return bool((points <= sys.maxunicode).all())


def _encode(text: str, encoding: str) -> bytes:
    """``codecs.encode`` restricted to the encoding that protocol 2 uses for bytes."""
    if encoding != "latin1":
        raise _NotPlainError(f"bytes encoded as {encoding!r:.40}")
    return text.encode("latin1")


def _empty_bytes() -> bytes:
    return b""


def _ordered(items: Any = ()) -> Any:
    """An ordered dict; Python 2 wrote its pairs."""
    pairs = [tuple(pair) for pair in items]
    for key, _ in pairs:
        _check_key(key)
    return OrderedDict(pairs)


_STAND_INS: Mapping[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _PlainArray,
    ("numpy", "dtype"): _PlainDtype,
    ("numpy.core.multiarray", "_reconstruct"): _PlainArray,
    ("numpy.core.multiarray", "scalar"): _PlainArray.scalar,
    ("numpy.core.numeric", "_frombuffer"): _PlainArray.of,
    ("collections", "OrderedDict"): _ordered,
    ("_codecs", "encode"): _encode,
    ("__builtin__", "bytes"): _empty_bytes,
}


class _Resolver:
    """Replaces descriptions by arrays; shared references stay shared.

    Args:
        most: Maximum expanded entries, and bytes of arrays.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._bytes = 0
        self._done: dict[int, tuple[Any, int] | None] = {}  # None: is being worked on

    def value(self, value: Any) -> Any:
        """The value with its arrays."""
        return self._counted(value)[0]

    def take_bytes(self, count: int) -> None:
        """Count the bytes of an array that is made."""
        self._bytes += count
        if self._bytes > self._most:
            raise _NotPlainError(f"arrays of more than {self._most:,} bytes in so small a file")

    def _counted(self, value: Any) -> tuple[Any, int]:
        """A value, and how many entries it stands for."""
        if isinstance(value, _PlainArray):
            return value.made(self), 1
        if isinstance(value, _StandIn | _PlainDtype):
            raise _NotPlainError("a function in the place of a value")
        if not isinstance(value, dict | list | tuple):
            return value, 1
        if id(value) in self._done:
            known = self._done[id(value)]
            if known is None:
                raise _NotPlainError("a container that holds itself")
            return known
        self._done[id(value)] = None
        made = self._container(value)
        if made[1] > self._most:
            raise _NotPlainError(f"more than {self._most:,} entries in so small a file")
        self._done[id(value)] = made
        return made

    def _container(self, value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> tuple[Any, int]:
        if isinstance(value, dict):
            keys = [self._counted(key)[0] for key in value]
            entries = [self._counted(entry) for entry in value.values()]
            pairs = zip(keys, (entry for entry, _ in entries), strict=True)
            return dict(pairs), 1 + sum(count for _, count in entries)
        entries = [self._counted(entry) for entry in value]
        return type(value)(entry for entry, _ in entries), 1 + sum(count for _, count in entries)
