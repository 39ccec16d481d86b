"""The header of a safetensors file, looked at before a parser spends memory on it."""

import json
import struct
from pathlib import Path
from typing import Any, Final

from skelab.errors import SkelabError
from skelab.files.reading import read_start, special_kind

LARGEST_HEADER: Final = 1 << 24
"""Bytes of a header, at most; a network of 10,000 tensors has one of about 1 MB."""

_LENGTH: Final = struct.Struct("<Q")


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as a safetensors file does; a path that is no file does not."""
    return read_start(path, _LENGTH.size + 1)[_LENGTH.size :] == b"{"


def check_header(path: Path, error: type[SkelabError]) -> None:
    """Refuse a safetensors file whose header is larger than any network needs, and what is no file.

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
    """The texts that a safetensors file carries beside its tensors; empty where it is none."""
    start = read_start(path, _LENGTH.size)
    if len(start) < _LENGTH.size or (size := _LENGTH.unpack(start)[0]) > LARGEST_HEADER:
        return {}
    try:
        header = json.loads(read_start(path, _LENGTH.size + size)[_LENGTH.size :])
        return dict(header.get("__metadata__", {}))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
