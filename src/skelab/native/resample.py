"""The compiled feeder's kernels, if they were built: count frames; crop, resize and turn a batch.

The twins of the second are ``CropResize.apply`` and ``RandomRotation.apply`` of
``skelab.data.feeding.transforms``.
"""

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

try:
    from skelab.native import _resample
except ImportError:  # built without a compiler, or for another machine
    _compiled = None
    _count = None
else:
    _compiled = _resample.resample
    _count = _resample.count_filled


def can_resample() -> bool:
    """Whether the kernel was built; without it torch does the same."""
    return _compiled is not None


def count_filled(
    values: Float32[ndarray, "poses V C"], clips: Int64[ndarray, "N 3"]
) -> Int64[ndarray, " N"]:
    """How many frames of each clip have values that do not sum to zero over bodies and joints.

    Added up in numpy's order, as the authors of CTR-GCN do; the same counts with or without
    compiled code.

    Args:
        values: The poses of all clips; of each clip all frames of one body, then of the next.
        clips: Of each clip its first pose, frames and bodies.

    Raises:
        ValueError: A clip lies outside of ``values``.
    """
    if _count is None:
        return count_filled_by_numpy(values, clips)
    counts = np.empty(len(clips), np.int64)
    pose = values[0].size if len(values) else 0
    _count(np.ascontiguousarray(values), np.ascontiguousarray(clips), counts, pose)
    return counts


def count_filled_by_numpy(
    values: Float32[ndarray, "poses V C"], clips: Int64[ndarray, "N 3"]
) -> Int64[ndarray, " N"]:
    """The same, without compiled code.

    Most clips have one body. Their frames are added up together, at a fraction of the time.
    """
    rows = values.reshape(len(values), -1)
    filled = np.add.reduce(rows, axis=1) != 0
    counts = np.empty(len(clips), np.int64)
    for number, (first, frames, bodies) in enumerate(clips.tolist()):
        if not (first >= 0 and frames > 0 < bodies and first + frames * bodies <= len(rows)):
            raise ValueError("the clips do not lie in the values, or sizes differ")
        own = filled[first : first + frames]
        if bodies > 1:
            several = rows[first : first + frames * bodies].reshape(bodies, frames, -1)
            own = np.add.reduce(several.swapaxes(0, 1).reshape(frames, -1), axis=1) != 0
        counts[number] = np.count_nonzero(own)
    return counts


def resample_clips(
    values: Float32[ndarray, "poses V C"],
    clips: Int64[ndarray, "N 5"],
    matrices: Float32[ndarray, "N 3 3"] | None,
    out: Float32[ndarray, "N C W V M"],
) -> None:
    """Cut a stretch out of each clip, resize it to W frames, and turn it.

    Linear interpolation with half-pixel centres; the same bits as the twin in torch.

    Args:
        values: The poses of all clips; of each clip all frames of one body, then of the next.
        clips: Of each clip its first pose, frames, bodies, and start and length of the stretch.
        matrices: What turns x, y, z of each clip; None turns nothing.
        out: Is filled; bodies that a clip does not have are zeros.

    Raises:
        ValueError: A stretch or a clip lies outside of ``values``.
        RuntimeError: The kernel was not built.

    Source: section "feeder" of CTR-GCN (Uason-Chen/CTR-GCN@e13d758, feeders/tools.py).
    """
    if _compiled is None:
        raise RuntimeError("the kernel was not built; ask can_resample() first")
    _, axes, window, joints, bodies = out.shape
    turns = np.empty(0, np.float32) if matrices is None else matrices
    _compiled(values, clips, turns, out, window, bodies, joints, axes)
