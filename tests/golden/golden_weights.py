"""Deterministic weights for the golden reference kits: every tensor from a seed and its position.

For the entry at position ``index`` of a ``state_dict.json``, with
``z = numpy.random.RandomState(seed + index).standard_normal(shape)`` in float64:

    kind                                             value, cast to the entry's dtype at the end
    -----------------------------------------------  -------------------------------------------
    conv_weight, linear_weight                       z * sqrt(weight_gain / prod(shape[1:]))
    matmul_weight                                    z * sqrt(weight_gain / shape[-2])
    conv_bias, linear_bias, bn_bias, bn_running_mean  0.1 * z
    bn_weight                                        1 + 0.1 * z
    bn_running_var                                   1 + 0.2 * abs(z)
    bn_num_batches_tracked                           0
    ctrgcn_PA, ctrgcn_alpha, msg3d_A_res             0.05 * z, 0.05 + 0.01 * z, 0.02 * z
    affine:a:b                                       a + b * z
    fixed:name                                       the array ``name`` of ``fixed.npz``
    same_as:key                                      the value of the earlier entry ``key``

``weight_gain`` stands in the header of ``state_dict.json``. numpy guarantees that the stream of
``RandomState`` never changes.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

_AFFINE = {
    "conv_bias": (0.0, 0.1),
    "linear_bias": (0.0, 0.1),
    "bn_bias": (0.0, 0.1),
    "bn_running_mean": (0.0, 0.1),
    "bn_weight": (1.0, 0.1),
    "ctrgcn_PA": (0.0, 0.05),
    "ctrgcn_alpha": (0.05, 0.01),
    "msg3d_A_res": (0.0, 0.02),
}


def fill(
    spec: Mapping[str, Any], seed: int, fixed: Mapping[str, ndarray] | None = None
) -> dict[str, ndarray]:
    """Every entry of a ``state_dict.json``, in order."""
    filled: dict[str, ndarray] = {}
    for position, entry in enumerate(spec["entries"]):
        kind, shape = entry["kind"], tuple(entry["shape"])
        if kind.startswith("same_as:"):
            value = filled[kind.removeprefix("same_as:")]
        elif kind.startswith("fixed:"):
            value = (fixed or {})[kind.removeprefix("fixed:")]
        elif kind == "bn_num_batches_tracked":
            value = np.zeros(shape, dtype=np.int64)
        else:
            value = _drawn(kind, shape, seed + position, spec["weight_gain"])
        filled[entry["name"]] = value
    return filled


def digest(array: ndarray) -> str:
    """First 16 hex digits of sha256 over the little-endian C-order bytes."""
    array = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(array.tobytes()).hexdigest()[:16]


def _drawn(kind: str, shape: Sequence[int], seed: int, weight_gain: float) -> ndarray:
    z = np.asarray(np.random.RandomState(seed).standard_normal(tuple(shape) or None))
    if kind in ("conv_weight", "linear_weight"):
        value = z * math.sqrt(weight_gain / float(np.prod(shape[1:])))
    elif kind == "matmul_weight":
        value = z * math.sqrt(weight_gain / float(shape[-2]))
    elif kind == "bn_running_var":
        value = 1.0 + 0.2 * np.abs(z)
    else:
        offset, scale = (
            map(float, kind.split(":")[1:]) if kind.startswith("affine:") else _AFFINE[kind]
        )
        value = offset + scale * z
    return np.ascontiguousarray(value.astype(np.float32))
