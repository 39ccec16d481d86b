"""The compiled reader of ``.skeleton`` text, if it was built.

The reader in Python, ``skelab.data.recordings.skeleton_file``, handles all files that it does not.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8, Int32
from numpy import ndarray

try:
    from skelab.native import _skeleton_text
except ImportError:  # not built, or built for another machine
    _compiled = None
else:
    _compiled = _skeleton_text.parse

NUM_JOINTS = 25


class TrackedPoses(NamedTuple):
    """All poses of a recording, sorted by body; the poses of one body in the order of the file.

    Attributes:
        num_frames: Frames of the recording, including those without a body.
        bodies: Body ids, in order of first appearance.
        sizes: Poses of each body.
        frames: Number of the frame of each pose, from 0.
        slots: Position of each pose in the list of its frame, from 0.
        joints: Coordinates in metres, as Python's ``float()`` reads them.
        tracking: 2 tracked, 1 inferred, 0 not tracked.
    """

    num_frames: int
    bodies: tuple[str, ...]
    sizes: tuple[int, ...]
    frames: Int32[ndarray, " P"]
    slots: Int8[ndarray, " P"]
    joints: Float64[ndarray, "P 25 3"]
    tracking: Int8[ndarray, "P 25"]


def available() -> bool:
    """Whether the compiled reader was built; otherwise the reader in Python is used."""
    return _compiled is not None


def read_plain_poses(data: bytes) -> TrackedPoses | None:
    """Read the poses of a plain ``.skeleton`` file in compiled code.

    A plain file has decimal numbers with a digit at both ends, single spaces, lines that end in LF
    or CRLF, and the structure of the format throughout, with at least one body.

    Args:
        data: Content of the file.

    Returns:
        The poses; None if the file is not plain, be it unusual or damaged, or if nothing was
        compiled. The reader in Python handles it then.

    Source: field order of ``Matlab/read_skeleton_file.m``, shahroudy/NTURGB-D@ac2ebc8.
    """
    read = _compiled(data) if _compiled else None
    if read is None:
        return None
    num_frames, bodies, sizes, frames, slots, joints, tracking = read
    return TrackedPoses(
        num_frames,
        bodies,
        sizes,
        np.frombuffer(frames, np.int32),
        np.frombuffer(slots, np.int8),
        np.frombuffer(joints, np.float64).reshape(-1, NUM_JOINTS, 3),
        np.frombuffer(tracking, np.int8).reshape(-1, NUM_JOINTS),
    )
