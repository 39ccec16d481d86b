"""The compiled reader of ``.skeleton`` text, if it was built.

Its twin, which takes over whatever it does not read, is ``skelab.data.recordings.skeleton_file``.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int8, Int32
from numpy import ndarray

try:
    from skelab.native import _skeleton_text
except ImportError:  # built without a compiler, or for another machine
    _compiled = None
else:
    _compiled = _skeleton_text.parse

NUM_JOINTS = 25


class TrackedPoses(NamedTuple):
    """All poses of a recording, sorted by body; the poses of one body in the order of the file.

    Attributes:
        num_frames: Frames of the recording, those without a body included.
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
    """Whether the compiled reader was built; without it the reader in Python does all."""
    return _compiled is not None


def read_plain_poses(data: bytes) -> TrackedPoses | None:
    """The poses of a plain ``.skeleton`` file, read by compiled code.

    Plain means: decimal numbers with a digit at both ends, single spaces, lines that end in LF or
    CRLF, and the structure of the format throughout, with at least one body.

    Args:
        data: The whole content.

    Returns:
        The poses; None where the file is anything but plain, be it unusual or wrong, or where
        nothing was compiled. Then the reader in Python decides what it is.

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
