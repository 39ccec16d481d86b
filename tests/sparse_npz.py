"""An npz of the size of NTU RGB+D 60, written in no time: its padding is a hole in the file."""

import io
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

CLIPS, FRAMES, COLUMNS = 40_091, 300, 150
_ROW = FRAMES * COLUMNS * 4
_HUGE = 0xFFFFFFFF

Entry = tuple[str, int, int, int]
"""A member: name, offset, size, checksum."""


def write_ntu_sized_npz(path: Path, filled: dict[int, Float32[ndarray, "T 150"]]) -> None:
    """Write ``x_train``, ``y_train`` of 40,091 clips, 7.2 GB, of which only ``filled`` are there.

    Labels go round, 0 to 59. The members have zip64 sizes, and y stands behind 4 GiB, as where
    ``numpy.savez`` writes such a set. The checksum of x is left at 0: no one reads all of it.
    """
    labels = np.zeros((CLIPS, 60))
    labels[np.arange(CLIPS), np.arange(CLIPS) % 60] = 1
    with path.open("wb") as file:
        entries = [_write_header(file, "x_train.npy", (CLIPS, FRAMES, COLUMNS), "<f4")]
        start = file.tell()
        for row, poses in filled.items():
            file.seek(start + row * _ROW)
            file.write(poses.astype("<f4").tobytes())
        file.seek(start + CLIPS * _ROW)
        entries.append(_write_header(file, "y_train.npy", labels.shape, "<f8", labels.tobytes()))
        file.write(labels.tobytes())
        _write_directory(file, entries)


def first_rows(clips: int, seed: int = 0) -> dict[int, Float32[ndarray, "T 150"]]:
    """A few made-up clips of 60 frames and one body, the spine at the origin at first."""
    rng = np.random.default_rng(seed)
    poses: Float64[ndarray, "N T V 3"] = rng.normal(0.0, 0.3, size=(clips, 60, 25, 3))
    poses -= poses[:, :1, 1:2]
    empty = np.zeros((60, 75))
    return {
        row: np.concatenate([pose.reshape(60, 75), empty], axis=1).astype(np.float32)
        for row, pose in enumerate(poses)
    }


def _write_header(
    file: IO[bytes], name: str, shape: tuple[int, ...], kind: str, summed: bytes | None = None
) -> Entry:
    """A member's own header and that of its array, before the numbers that are summed up."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": kind, "fortran_order": False, "shape": shape}
    )
    offset = file.tell()
    size = len(header.getvalue()) + int(np.prod(shape)) * int(kind[-1])
    extra = struct.pack("<HHQQ", 1, 16, size, size)
    file.write(
        struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, 0, _HUGE, _HUGE, len(name), len(extra))
    )
    file.write(name.encode() + extra + header.getvalue())
    checksum = 0 if summed is None else zlib.crc32(summed, zlib.crc32(header.getvalue()))
    return name, offset, size, checksum


def _write_directory(file: IO[bytes], entries: list[Entry]) -> None:
    """The list of members, all numbers in their zip64 form."""
    start = file.tell()
    for name, offset, size, checksum in entries:
        extra = struct.pack("<HHQQQ", 1, 24, size, size, offset)
        fields = (
            45,
            45,
            0,
            0,
            0,
            0,
            checksum,
            _HUGE,
            _HUGE,
            len(name),
            len(extra),
            0,
            0,
            0,
            0,
            _HUGE,
        )
        file.write(struct.pack("<4s6H3L5H2L", b"PK\1\2", *fields) + name.encode() + extra)
    end = file.tell()
    count = len(entries)
    file.write(
        struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, end - start, start)
    )
    file.write(struct.pack("<4sLQL", b"PK\6\7", 0, end, 1))
    file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, _HUGE, _HUGE, 0))
