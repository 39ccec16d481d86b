"""The variance of coordinates, compiled if it was built; the same bits either way."""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

try:
    from skelab.native import _variance
except ImportError:  # built without a compiler, or for another machine
    _compiled = None
else:
    _compiled = _variance.column_variances


def column_variances(points: Float32[ndarray, "P 3"]) -> Float32[ndarray, " 3"]:
    """Population variance of x, y and z, summed in float32 one point after the other.

    What decides whether a body is kept has to be summed in the order of the authors' code.
    """
    if _compiled is None:
        return column_variances_by_numpy(points)
    return np.array(_compiled(np.ascontiguousarray(points)), dtype=np.float32)


def column_variances_by_numpy(points: Float32[ndarray, "P 3"]) -> Float32[ndarray, " 3"]:
    """The same, without compiled code."""
    return np.asarray(np.var(points, axis=0))
