"""Arrays of scores in npz files: written whole or not at all, read without running anything."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from skelab.errors import ScoresError
from skelab.files.atomic import atomic_write
from skelab.files.reading import special_kind

Arrays = dict[str, Shaped[ndarray, "..."]]
"""Arrays by name."""


def write_arrays(path: Path, arrays: Mapping[str, Shaped[ndarray, "..."]]) -> None:
    """Write an npz without pickles, whole or not at all.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path, names: Sequence[str]) -> Arrays:
    """The named arrays of an npz; nothing in it can run code.

    Raises:
        ScoresError: It is no file, but a pipe or a device.
        OSError: It cannot be read; and what NumPy raises on a damaged file, see ``name_faults``.
    """
    if kind := special_kind(path):
        raise ScoresError(f"expected a score file, found {kind}")
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


@contextlib.contextmanager
def name_faults(path: Path, command: str) -> Iterator[None]:
    """Turn what reading a damaged file raises into one line that names it.

    Args:
        path: The file.
        command: The command that writes such files.

    Raises:
        ScoresError: Reading failed.
    """
    try:
        yield
    except ScoresError as error:
        raise ScoresError(f"{path}: {error}") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ScoresError(
            f"{path}: expected scores of `skelab {command}`, found a damaged file or another kind"
            f" ({error or type(error).__name__})"
        ) from error
