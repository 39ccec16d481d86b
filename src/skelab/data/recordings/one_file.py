"""One recording in a file of its own: ``.skeleton``, ``.npy``, or a ``.csv`` line a frame."""

from pathlib import Path
from typing import Final

from jaxtyping import Shaped
from numpy import ndarray

from skelab.data.clips.clip import RawClip
from skelab.data.recordings.custom_files import finite_bodies, parse_array, parse_csv
from skelab.data.recordings.skeleton_file import read_skeleton_file
from skelab.data.recordings.untrimmed import seen_bodies
from skelab.skeleton import Layout

SUFFIXES: Final = (".skeleton", ".npy", ".csv")
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
    """The numbers of a ``.npy`` or ``.csv`` file; nothing in it is run.

    Raises:
        DataError: It cannot be read, is damaged, or holds something else.
    """
    return parse_csv(path) if path.suffix == ".csv" else parse_array(path)


def recording_of_array(joints: Shaped[ndarray, " ..."], layout: Layout, where: str) -> RawClip:
    """An array T V C or M T V C, coordinates as recorded, as a recording with M bodies.

    A body is absent in frames in which all its numbers are zero.

    Raises:
        DataError: It has other joints or axes than the layout, or numbers that are not finite.
    """
    bodies = finite_bodies(joints, layout, where)
    return RawClip(bodies.shape[1], seen_bodies(bodies), actors_chosen=True)
