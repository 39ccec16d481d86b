"""Compiled kernels of the feeder, if built: count frames; crop, resize and rotate a batch.

The Python equivalents of the latter are ``CropResize.apply`` and ``RandomRotation.apply`` of
``skelab.data.feeding.transforms``.
"""

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

try:
    from skelab.native import _resample
except ImportError:  # not built, or built for another machine
    _compiled = None
    _count = None
else:
    _compiled = _resample.resample
    _count = _resample.count_filled


def can_resample() -> bool:
    """Whether the kernel was built; torch computes the same without it."""
    return _compiled is not None


def count_filled(
    values: Float32[ndarray, "poses V C"], clips: Int64[ndarray, "N 3"]
) -> Int64[ndarray, " N"]:
    """Number of frames of each clip whose values do not sum to zero over bodies and joints.

    Summed in numpy's order, like the authors' code of CTR-GCN, with or without compiled code.

    Args:
        values: The poses of all clips; for each clip all frames of one body, then of the next.
        clips: First pose, frames and bodies of each clip.

    Raises:
        ValueError: A clip lies outside ``values``.
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
    """``count_filled`` without compiled code.

    Most clips have one body; their frames are summed together, in a fraction of the time.
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
    """Crop each clip, resize it to W frames, and rotate it.

    Linear interpolation with half-pixel centres; bit-identical to the torch code.

    Args:
        values: The poses of all clips; for each clip all frames of one body, then of the next.
        clips: First pose, frames, bodies, and start and length of the crop, for each clip.
        matrices: Rotation of each clip; None for no rotation.
        out: The output; absent bodies become zero.

    Raises:
        ValueError: A crop or a clip lies outside ``values``.
        RuntimeError: The kernel was not built.

    Source: section "feeder" of CTR-GCN (Uason-Chen/CTR-GCN@e13d758, feeders/tools.py).
    """
    if _compiled is None:
        raise RuntimeError("the kernel was not built; ask can_resample() first")
    _, axes, window, joints, bodies = out.shape
    turns = np.empty(0, np.float32) if matrices is None else matrices
    _compiled(values, clips, turns, out, window, bodies, joints, axes)
