"""The description in an ONNX file, read without any runtime.

An ONNX file is one protocol-buffer message. Only the fields that lead to the description and to
tensors are visited; everything else is skipped by its length.

Source: ``onnx/onnx.proto`` (field numbers) and the protocol-buffer wire format.
"""

from collections.abc import Iterator
from typing import Final

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_METADATA_PROPS: Final = 14  # of a model
_EXTERNAL_DATA: Final = 13  # of a tensor

# By kind of message: the fields that hold messages in which tensors can be, and their kind.
_INSIDE: Final = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        10: "tensor",
        6: "graph",
        11: "graph",
        22: "sparse",
        23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
}


def read_onnx_entries(data: bytes) -> dict[str, str]:
    """The entries of ``metadata_props``, by name.

    Raises:
        ValueError: The file is cut off or no ONNX model, or it names other files that hold its
            weights: reading those could read any file of this machine.
    """
    view = memoryview(data)
    entries = {}
    for number, value in _fields(view):
        if number == _METADATA_PROPS and isinstance(value, memoryview):
            entry = {key: bytes(text).decode() for key, text in _texts(value)}
            entries[entry.get(1, "")] = entry.get(2, "")
    _refuse_other_files(view, "model")
    return entries


def _texts(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    for number, value in _fields(view):
        if isinstance(value, memoryview):
            yield number, value


def _refuse_other_files(view: memoryview, kind: str) -> None:
    inside = _INSIDE.get(kind, {})
    for number, value in _fields(view):
        if kind == "tensor" and number == _EXTERNAL_DATA:
            raise ValueError("its weights are in other files")
        if number in inside and isinstance(value, memoryview):
            _refuse_other_files(value, inside[number])


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Number and value of each field of a message."""
    place = 0
    while place < len(view):
        tag, place = _varint(view, place)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, place = _varint(view, place)
            yield number, value
            continue
        if wire == _BYTES:
            length, place = _varint(view, place)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError("no ONNX model")
        if place + length > len(view):
            raise ValueError("the file is cut off")
        yield number, view[place : place + length]
        place += length


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(view) and shift < 64:
        byte = view[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
    raise ValueError("the file is cut off" if place >= len(view) else "no ONNX model")
