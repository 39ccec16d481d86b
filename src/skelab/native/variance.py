"""The variance of coordinates, in compiled code if it was built, with identical bits."""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

try:
    from skelab.native import _variance
except ImportError:  # not built, or built for another machine
    _compiled = None
else:
    _compiled = _variance.column_variances


def column_variances(points: Float32[ndarray, "P 3"]) -> Float32[ndarray, " 3"]:
    """Population variance of x, y and z, summed sequentially in float32.

    It decides whether a body is kept, so that the summation order must be that of the authors'
    code.
    """
    if _compiled is None:
        return column_variances_by_numpy(points)
    return np.array(_compiled(np.ascontiguousarray(points)), dtype=np.float32)


def column_variances_by_numpy(points: Float32[ndarray, "P 3"]) -> Float32[ndarray, " 3"]:
    """``column_variances`` without compiled code."""
    return np.asarray(np.var(points, axis=0))
