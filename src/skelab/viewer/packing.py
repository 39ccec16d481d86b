"""Compact poses: differences between frames as bytes, in base64."""

import base64
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

LEVELS: Final = 4095
"""Quantisation steps along the longest side; 0.7 mm for a range of 3 m."""


def pack_poses(poses: Float32[ndarray, "M T V 3"]) -> dict[str, Any]:
    """Pack poses into plain containers: their bounds, and spans and encoded text of each body.

    A coordinate is a whole number of steps from the lowest corner, plus one; 0 stands for a joint
    that is absent. Frames without the body are omitted. Each number is stored as its
    difference to the previous frame, zigzag-encoded so that small differences are small, seven bits
    a byte, the lowest first, the eighth bit set if more follow.
    """
    low = np.nanmin(poses, axis=(0, 1, 2)).astype(np.float64)
    extent = float((np.nanmax(poses, axis=(0, 1, 2)) - low).max())
    step = max(extent, 1e-6) / LEVELS
    bodies = []
    for body in poses:
        seen = np.isfinite(body).all(axis=-1)  # T V
        places = np.rint((np.nan_to_num(body) - low) / step).astype(np.int64) + 1
        places[~seen] = 0
        stretches = list(_stretches(seen.any(axis=1)))
        data = b"".join(
            _pack(places[start:end].reshape(end - start, -1)) for start, end in stretches
        )
        bodies.append({"runs": stretches, "data": base64.b64encode(data).decode()})
    return {"low": [round(value, 5) for value in low.tolist()], "step": step, "bodies": bodies}


def unpack_poses(
    packed: dict[str, Any], shape: tuple[int, int, int, int]
) -> Float32[ndarray, "M T V 3"]:
    """Unpack the output of :func:`pack_poses`."""
    poses = np.full(shape, np.nan, np.float32)
    for body, entry in zip(poses, packed["bodies"], strict=True):
        numbers = _unpack(base64.b64decode(entry["data"]))
        width = shape[2] * 3
        for start, end in entry["runs"]:
            size = (end - start) * width
            steps, numbers = numbers[:size].reshape(-1, width), numbers[size:]
            places = np.cumsum(steps, axis=0).reshape(-1, shape[2], 3)
            points = (places - 1) * packed["step"] + np.array(packed["low"])
            points[places == 0] = np.nan
            body[start:end] = points
    return poses


def pack_signed(values: Float32[ndarray, " ..."], peak: float) -> str:
    """Values from -peak to peak as one byte each, 128 for zero, in base64."""
    scaled = np.clip(values / peak if peak else values * 0, -1, 1)
    return base64.b64encode((np.rint(scaled * 127) + 128).astype(np.uint8).tobytes()).decode()


def _stretches(there: Bool[ndarray, " T"]) -> Iterator[tuple[int, int]]:
    """First frame of each span, and the frame after its last."""
    edges = np.flatnonzero(np.diff(there.astype(np.int8), prepend=0, append=0)).tolist()
    yield from list(pairwise(edges))[::2]


def _pack(places: Int64[ndarray, "T N"]) -> bytes:
    steps = np.diff(places, axis=0, prepend=np.zeros((1, places.shape[1]), np.int64)).ravel()
    folded = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    low, high = folded & 127, folded >> 7  # at most 8192: two bytes
    pairs = np.stack([low | np.where(high > 0, 128, 0), high], axis=1).astype(np.uint8)
    wanted = np.stack([np.ones(len(high), bool), high > 0], axis=1)
    packed: bytes = pairs[wanted].tobytes()
    return packed


def _unpack(data: bytes) -> Int64[ndarray, " N"]:
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(-(value + 1) // 2 if value & 1 else value // 2)
            value, shift = 0, 0
    return np.array(numbers, dtype=np.int64)
