"""The kinds of files that skelab writes, recognised by content as well as by name."""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from skelab.files.reading import read_start
from skelab.files.safetensors_head import is_safetensors, read_metadata

_START: Final = 1 << 20  # maximum number of bytes that are read
_LARGEST_SCHEMA: Final = 1 << 28
_ARROW: Final = struct.Struct("<12xI")  # behind the magic and a marker: bytes of the schema
_ZIP: Final = b"PK\x03\x04"
_PICKLE: Final = re.compile(rb"\x80[\x02-\x05]")
_RECIPE: Final = re.compile(rb"^model:", re.MULTILINE)


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Attributes:
        title: Its name in messages, such as ``a clip store``.
        suffixes: Possible suffixes of the name.
        recognises: Whether the content is of this kind; may be True for a damaged file.
    """

    title: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path], bool]


def _starts_with(*magics: bytes) -> Callable[[Path], bool]:
    def recognises(path: Path) -> bool:
        return read_start(path, max(map(len, magics))).startswith(magics)

    return recognises


def _archive_of(*members: str) -> Callable[[Path], bool]:
    """A zip archive with one of these members near its start."""

    def recognises(path: Path) -> bool:
        start = read_start(path, _START)
        return start.startswith(_ZIP) and any(member.encode() in start for member in members)

    return recognises


def _is_store(path: Path) -> bool:
    """An Arrow file with skelab's keys in its schema, which can hold megabytes of segments."""
    schema = _arrow_schema(path)
    return b"skelab" in schema and b"skelab-side-cars" not in schema


def _is_side_cars(path: Path) -> bool:
    return b"skelab-side-cars" in _arrow_schema(path)


def _arrow_schema(path: Path) -> bytes:
    """The start of an Arrow file with its schema; empty for another file."""
    start = read_start(path, _ARROW.size)
    if len(start) < _ARROW.size or not start.startswith(b"ARROW1"):
        return b""
    (size,) = _ARROW.unpack(start)
    return read_start(path, min(max(size, _START), _LARGEST_SCHEMA))


def _is_checkpoint(path: Path) -> bool:
    return "skelab" in read_metadata(path)


def _is_weights(path: Path) -> bool:
    if is_safetensors(path):
        return not _is_checkpoint(path)
    return _archive_of("data.pkl")(path) or _PICKLE.match(read_start(path, 2)) is not None


def _is_pickle(path: Path) -> bool:
    return _PICKLE.match(read_start(path, 2)) is not None and not is_safetensors(path)


def _is_openvino(path: Path) -> bool:
    start = read_start(path, 4096)
    return start.lstrip().startswith(b"<?xml") and b"<net" in start


def _is_page(path: Path) -> bool:
    return read_start(path, 256).lstrip().lower().startswith(b"<!doctype html")


def _is_mp4(path: Path) -> bool:
    return read_start(path, 8)[4:] == b"ftyp"


def _is_recipe(path: Path) -> bool:
    return _RECIPE.search(read_start(path, _START)) is not None


STORE: Final = FileKind("a clip store", (".arrow",), _is_store)
SIDE_CARS: Final = FileKind("a side-car store", (".arrow",), _is_side_cars)
CTRGCN_NPZ: Final = FileKind("CTR-GCN's npz", (".npz",), _archive_of("x_train.npy", "x_test.npy"))
PICKLE: Final = FileKind("a pickle", (".pkl", ".pickle"), _is_pickle)
NPY: Final = FileKind("an array of numpy", (".npy",), _starts_with(b"\x93NUMPY"))
MARKER: Final = FileKind("a marker of synthetic clips", (".json",), _starts_with(b"{"))
CHECKPOINT: Final = FileKind("a checkpoint", (".safetensors",), _is_checkpoint)
WEIGHTS: Final = FileKind("weights", (".safetensors", ".pt", ".pth"), _is_weights)
ONNX: Final = FileKind("an ONNX model", (".onnx",), _starts_with(b"\x08"))
OPENVINO: Final = FileKind("an OpenVINO model", (".xml",), _is_openvino)
TORCH_EXPORT: Final = FileKind("a file of torch.export", (".pt2",), _starts_with(_ZIP))
SCORES: Final = FileKind("scores", (".npz",), _archive_of("logits.npy", "task.npy"))
GIF: Final = FileKind("a gif", (".gif",), _starts_with(b"GIF8"))
PNG: Final = FileKind("a PNG picture", (".png",), _starts_with(b"\x89PNG"))
MP4: Final = FileKind("an mp4 film", (".mp4",), _is_mp4)
PAGE: Final = FileKind("an HTML page", (".html", ".htm"), _is_page)
RECIPE: Final = FileKind("a recipe", (".yaml", ".yml"), _is_recipe)
