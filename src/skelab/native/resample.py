"""The compiled feeder's kernel, if it was built: crop, resize, turn and lay out a batch.

Its twin is ``CropResize.apply`` and ``RandomRotation.apply`` of ``skelab.data.transforms``.
"""

import numpy as np
from jaxtyping import Float32, Int64
from numpy import ndarray

try:
    from skelab.native import _resample
except ImportError:  # built without a compiler, or for another machine
    _compiled = None
else:
    _compiled = _resample.resample


def can_resample() -> bool:
    """Whether the kernel was built; without it torch does the same."""
    return _compiled is not None


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
