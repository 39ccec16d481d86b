"""Turning bodies so that a bone of the first one points somewhere, as several authors do."""

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from skelab.errors import LayoutError
from skelab.skeleton import Layout

_SMALLEST = 1e-6  # of a vector's absolute sum and of an angle that turn anything
_SPINE_BASE = ("base of spine", "hip centre")
_SPINE_MIDDLE = ("middle of spine", "spine")


def spine(layout: Layout, pipeline: str) -> tuple[int, int]:
    """Joints at the base and the middle of the spine.

    Raises:
        LayoutError: The layout has none; the message names the pipeline that needs them.
    """
    return _joint(layout, _SPINE_BASE, pipeline), _joint(layout, _SPINE_MIDDLE, pipeline)


def shoulders(layout: Layout, pipeline: str) -> tuple[int, int]:
    """The left and the right shoulder.

    Raises:
        LayoutError: The layout has none; the message names the pipeline that needs them.
    """
    return _joint(layout, ("left shoulder",), pipeline), _joint(
        layout, ("right shoulder",), pipeline
    )


def _joint(layout: Layout, names: tuple[str, ...], pipeline: str) -> int:
    for name in names:
        if name in layout.joints:
            return layout.joint(name)
    raise LayoutError(
        f"the {pipeline} pipeline turns bodies by spine and shoulders: expected a joint called"
        f" {' or '.join(map(repr, names))}, found none in layout {layout.name!r}; use the ctrgcn"
        " pipeline"
    )


def turn(
    joints: Float32[ndarray, "M T V 3"],
    start: int,
    end: int,
    *,
    towards: tuple[float, float, float],
) -> Float32[ndarray, "M T V 3"]:
    """Rotate all bodies so that a bone of the first body in frame 0 points in a direction.

    Args:
        joints: The clip.
        start: Joint at the beginning of the bone.
        end: Joint at its end.
        towards: The direction.

    Source: Rodrigues' rotation formula; kenziyuliu/MS-G3D@2f927f4, ``data_gen/preprocess.py``.
    """
    bone = joints[0, 0, end].astype(np.float64) - joints[0, 0, start]
    rotation = _rotation(bone, np.array(towards))
    return np.asarray(joints @ rotation.T).astype(np.float32)


def _rotation(
    bone: Float64[ndarray, " 3"], target: Float64[ndarray, " 3"]
) -> Float64[ndarray, "3 3"]:
    """The matrix that turns ``bone`` into the unit vector ``target`` by the shortest way."""
    axis = np.cross(bone, target)
    length = float(np.linalg.norm(axis))
    angle = float(np.arctan2(length, bone @ target))
    if min(np.abs(bone).sum(), np.abs(axis).sum(), angle) < _SMALLEST:
        return np.eye(3)
    x, y, z = axis / length
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross))
