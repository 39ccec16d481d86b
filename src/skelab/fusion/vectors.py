"""Vectors that the user has: ``.npy``, ``.npz`` and ``.csv`` files become side-cars."""

import csv
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.errors import SideCarError
from skelab.fusion.store import SideCar, make_side_car

SUFFIXES: Final = (".npy", ".npz", ".csv")
_FRAME: Final = "frame"
_LARGEST: Final = 1 << 30


def read_vectors(path: Path, name: str) -> SideCar:
    """The side-car of a file of vectors, one a line.

    ``.npy`` holds an array T' D, frames 0, 1, 2...; ``.npz`` holds ``features`` and, if they are
    not consecutive, ``frames``, also ``valid`` and ``length``; a ``.csv`` has a line of names, and
    its column ``frame``, where there is one, gives the frame numbers. An empty cell is no value.

    Raises:
        SideCarError: It cannot be read, or does not hold vectors.
    """
    if path.stat().st_size > _LARGEST:
        raise SideCarError(f"{path.name}: expected a file below {_LARGEST >> 30} GiB")
    try:
        if path.suffix == ".csv":
            frames, features = _read_csv(path)
            return make_side_car(name, features, frames)
        if path.suffix == ".npy":
            return make_side_car(name, _table(path, np.load(path, allow_pickle=False)))
        with np.load(path, allow_pickle=False) as archive:
            return _of_archive(path, name, archive)
    except SideCarError:
        raise
    except (OSError, ValueError, KeyError, EOFError, TypeError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())[:120]
        raise SideCarError(f"{path.name}: cannot be read as vectors: {said}") from None


def _of_archive(path: Path, name: str, archive: Any) -> SideCar:
    if "features" not in archive:
        raise SideCarError(
            f"{path.name}: expected an array 'features', found {', '.join(archive) or 'nothing'}"
        )
    features = _table(path, archive["features"])
    frames = archive.get("frames")
    if frames is not None and frames.shape != (len(features),):
        raise SideCarError(
            f"{path.name}: expected a frame number for each of {len(features)} vectors, found"
            f" {frames.size}"
        )
    valid = archive["valid"].astype(bool) if "valid" in archive else None
    length = int(archive["length"]) if "length" in archive else None
    return make_side_car(name, features, frames, valid=valid, length=length)


def _table(path: Path, array: ndarray) -> ndarray:
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise SideCarError(
            f"{path.name}: expected numbers, frames x features, found {array.dtype} of shape"
            f" {array.shape}"
        )
    return array


def _read_csv(path: Path) -> tuple[list[int], Float64[ndarray, "T D"]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    names = [name.strip().lower() for name in header]
    values = [name for name in names if name != _FRAME]
    if not lines or not values:
        raise SideCarError(f"{path.name}: expected a line of names and lines of numbers below")
    frames, rows = [], []
    for number, line in enumerate(lines):
        if len(line) != len(names):
            raise SideCarError(
                f"{path.name}, line {number + 2}: expected {len(names)} values, found {len(line)}"
            )
        cells = dict(zip(names, line, strict=True))
        frames.append(int(cells[_FRAME]) if _FRAME in cells else number)
        rows.append([float(cells[name]) if cells[name].strip() else np.nan for name in values])
    return frames, np.array(rows, dtype=np.float64)
