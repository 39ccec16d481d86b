"""The header of a safetensors file, checked before it is parsed."""

import json
import struct
from pathlib import Path
from typing import Any, Final

from skelab.errors import SkelabError
from skelab.files.reading import read_start, special_kind

LARGEST_HEADER: Final = 1 << 24
"""Maximum size of a header, bytes; a network of 10,000 tensors has about 1 MB."""

_LENGTH: Final = struct.Struct("<Q")


def is_safetensors(path: Path) -> bool:
    """Whether a path is a file that begins like a safetensors file."""
    return read_start(path, _LENGTH.size + 1)[_LENGTH.size :] == b"{"


def check_header(path: Path, error: type[SkelabError]) -> None:
    """Refuse special files, and safetensors files with an oversized header.

    Raises:
        SkelabError: As ``error``.
    """
    kind = special_kind(path)
    if kind:
        raise error(f"{path}: expected a file, found {kind}")
    if not is_safetensors(path):
        return
    (found,) = _LENGTH.unpack(read_start(path, _LENGTH.size))
    if found > LARGEST_HEADER:
        raise error(
            f"{path}: expected a safetensors file with a header of at most {LARGEST_HEADER:,}"
            f" bytes, found one of {found:,}: the file is damaged or of another kind"
        )


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a safetensors file; empty for other files."""
    start = read_start(path, _LENGTH.size)
    if len(start) < _LENGTH.size or (size := _LENGTH.unpack(start)[0]) > LARGEST_HEADER:
        return {}
    try:
        header = json.loads(read_start(path, _LENGTH.size + size)[_LENGTH.size :])
        return dict(header.get("__metadata__", {}))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
