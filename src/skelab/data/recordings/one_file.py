"""One recording in a file of its own: ``.skeleton``, or coordinates in a ``.npy`` array."""

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Shaped
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.recordings.base import read_bytes
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.errors import DataError
from skelab.files.npy import parse_npy
from skelab.skeleton import Layout

SUFFIXES: Final = (".skeleton", ".npy")
"""How the names of such files end."""


def read_recording(path: Path, layout: Layout) -> RawClip:
    """The recording of a file; the joints of a ``.skeleton`` file are always those of NTU RGB+D.

    Args:
        path: A file whose name ends with one of ``SUFFIXES``.
        layout: The joints of an array.

    Raises:
        DataError: The file cannot be read, is malformed, or holds other joints.
    """
    if path.suffix == ".skeleton":
        return read_skeleton_file(path)
    return recording_of_array(read_array(path), layout, str(path))


def read_array(path: Path) -> Shaped[ndarray, " ..."]:
    """The array of a ``.npy`` file; nothing in it is run.

    Raises:
        SourceError: It cannot be read, or is no array of numbers.
    """
    array: Shaped[ndarray, " ..."] = parse_npy(read_bytes(path), str(path))
    return array


def recording_of_array(joints: Shaped[ndarray, " ..."], layout: Layout, where: str) -> RawClip:
    """An array T V C or M T V C, coordinates as recorded, as a recording with M bodies.

    A body is absent in frames in which all its numbers are zero.

    Raises:
        DataError: It has other joints or axes than the layout, or numbers that are not finite.
    """
    shape = (layout.num_joints, len(layout.axes))
    bodies = joints[None] if joints.ndim == 3 else joints
    if bodies.ndim != 4 or bodies.shape[2:] != shape or 0 in bodies.shape:
        raise DataError(
            f"{where}: expected frames x {shape[0]} joints x {shape[1]} ({', '.join(layout.axes)};"
            f" layout {layout.name}), or several bodies of that, found the shape"
            f" {' x '.join(map(str, joints.shape)) or 'of a single number'}"
        )
    if bodies.dtype.kind not in "fiu" or not np.isfinite(bodies).all():
        raise DataError(
            f"{where}: expected finite numbers, found others; write 0 where a joint was not seen"
        )
    tracks = {}
    for number, body in enumerate(bodies.astype(np.float64)):
        frames = np.flatnonzero(body.any(axis=(1, 2)))
        if len(frames):
            tracks[str(number)] = BodyTrack(frames.astype(np.int32), body[frames])
    return RawClip(bodies.shape[1], tracks, actors_chosen=True)
