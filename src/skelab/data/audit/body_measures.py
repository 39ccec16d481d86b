"""Measurements of the bodies of a clip: compactness, bone lengths, symmetry, direction.

All measures are invariant under rotation and translation, and all but bone length under
scaling, so that units and camera do not matter.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray

from skelab.skeleton import Layout

POSES: Final = 16
"""Maximum number of measured poses of a body."""

_COORDINATES: Final = ("x", "y", "z")
_TINY: Final = 1e-12
_TOUCHING: Final = 1e-7  # of the mean distance


@dataclass(frozen=True)
class BodyMeasures:
    """The measures of one clip.

    Attributes:
        compactness: Length of the minimum spanning tree of the joints over the length of all bones.
        variation: Variation of bone length over time, as a share of the mean bone.
        asymmetry: Difference of left and right bones, as a share of the longer.
        vanished: Share of bones of length 0.
        feet_to_head: Mean direction from the feet to the head; 0 where it is unknown.
        facing: Cosine between the direction in which the toes point and the one that left and
            right shoulder give: about 1 for a body, about -1 for its mirror image; nan where it is
            unknown.
        bone: Length of the median bone, in the units of the clip.
        rooted: The joint at the origin of the layout lies at zero in every pose.
        distances: Median distance of every two joints, over the mean of all of them.
    """

    compactness: float
    variation: float
    asymmetry: float
    vanished: float
    feet_to_head: Float64[ndarray, " D"]
    facing: float
    bone: float
    rooted: bool
    distances: Float64[ndarray, "V V"]


def measure_body(
    clip: Float[ndarray, "M T V C"], layout: Layout, poses: int = POSES
) -> BodyMeasures | None:
    """The figures of a clip; None if it has no pose.

    Args:
        clip: Its joints; zeros where a body is absent.
        layout: Their claimed layout.
        poses: Maximum number of measured poses of a body.
    """
    coordinates = coordinate_axes(layout)
    if len(coordinates) < 2:
        return None
    bodies = [_some_poses(body[..., coordinates], poses) for body in clip]
    bodies = [body for body in bodies if len(body)]
    if not bodies:
        return None
    ends, starts = np.array(layout.bones).T
    lengths = [np.linalg.norm(body[:, ends] - body[:, starts], axis=-1) for body in bodies]  # P B
    joined = np.concatenate(bodies)
    together = np.concatenate(lengths)
    distances = np.linalg.norm(joined[:, :, None] - joined[:, None], axis=-1)  # P V V
    trees = shortest_trees(distances)
    usual = np.median(distances, axis=0)
    return BodyMeasures(
        compactness=float(np.median(trees / together.sum(axis=1).clip(_TINY))),
        variation=float(np.median([_variation(each) for each in lengths])),
        asymmetry=float(np.median([_asymmetry(each, layout) for each in lengths])),
        vanished=float((together <= _TINY).mean()),
        feet_to_head=_feet_to_head(joined, layout),
        facing=_facing(joined, layout),
        bone=float(np.median(together)),
        rooted=bool((joined[:, layout.origin] == 0).all()) and len(joined) > 1,
        distances=usual / max(float(usual.mean()), _TINY),
    )


def coordinate_axes(layout: Layout) -> list[int]:
    """The axes of a joint that are coordinates (not scores)."""
    return [place for place, axis in enumerate(layout.axes) if axis in _COORDINATES]


def _some_poses(body: Float[ndarray, "T V D"], most: int) -> Float64[ndarray, "P V D"]:
    """At most ``most`` poses, evenly spaced; degenerate and non-finite ones are skipped."""
    finite = np.isfinite(body).all(axis=(1, 2))
    extent = np.ptp(np.where(finite[:, None, None], body, 0), axis=1).max(axis=1)
    present = np.flatnonzero(extent > _TINY)
    missing: Bool[ndarray, "P V"] = (body[present] == 0).all(axis=2)  # joints that were not found
    complete = present[~missing.any(axis=1)]
    if len(complete) * 4 >= len(present):
        present = complete
    chosen = np.linspace(0, len(present) - 1, min(most, len(present))).round().astype(int)
    return np.asarray(body[present[chosen]], dtype=np.float64)


def shortest_trees(distances: Float64[ndarray, "P V V"]) -> Float64[ndarray, " P"]:
    """Length of the minimum spanning tree of the joints of each pose."""
    from scipy.sparse import csr_array  # loaded late: quick refusals
    from scipy.sparse.csgraph import minimum_spanning_tree

    poses, num_joints, _ = distances.shape
    scale = distances.mean(axis=(1, 2)).clip(_TINY)
    # SciPy drops edges shorter than 1e-8, which would disconnect coincident joints.
    edges = (distances / scale[:, None, None]).clip(_TOUCHING)
    ends = np.arange(poses * num_joints).reshape(poses, 1, num_joints).repeat(num_joints, axis=1)
    starts = np.arange(poses * num_joints + 1) * num_joints
    forest = minimum_spanning_tree(csr_array((edges.ravel(), ends.ravel(), starts)))
    length = np.asarray(forest.sum(axis=1), dtype=np.float64).reshape(poses, -1).sum(axis=1)
    return np.asarray(length * scale)


def _variation(lengths: Float64[ndarray, "P B"]) -> float:
    """Median absolute deviation of a bone over time, of the median bone, over the mean bone."""
    usual = np.median(lengths, axis=0)
    stray = np.median(np.abs(lengths - usual), axis=0)
    return float(np.median(stray) / max(float(usual.mean()), _TINY))


def _asymmetry(lengths: Float64[ndarray, "P B"], layout: Layout) -> float:
    """Difference of a left and a right bone over the longer one, of the median pair."""
    place = {frozenset(bone): number for number, bone in enumerate(layout.bones)}
    mirror = layout.mirror
    twins = [place.get(frozenset((mirror[a], mirror[b]))) for a, b in layout.bones]
    pairs = [(one, other) for one, other in enumerate(twins) if other is not None and other > one]
    if not pairs:
        return 0.0
    usual = np.median(lengths, axis=0)
    left, right = usual[np.array(pairs).T]
    return float(np.median(np.abs(left - right) / np.maximum(left, right).clip(_TINY)))


def _feet_to_head(poses: Float64[ndarray, "P V D"], layout: Layout) -> Float64[ndarray, " D"]:
    """Mean unit vector from the feet to the head; 0 if unknown."""
    names = list(layout.joints)
    head = [names.index(name) for name in ("head", "nose") if name in names][:1]
    feet = [i for i, name in enumerate(names) if name.endswith((" foot", " ankle"))]
    if not head or not feet:
        return np.zeros(poses.shape[-1])
    upwards = poses[:, head[0]] - poses[:, feet].mean(axis=1)
    units = upwards / np.linalg.norm(upwards, axis=1, keepdims=True).clip(_TINY)
    return np.asarray(units.mean(axis=0))


def _facing(poses: Float64[ndarray, "P V D"], layout: Layout) -> float:
    """See :class:`BodyMeasures`; for layouts with shoulders, ankles and feet, in three dimensions.

    Right shoulder, head and toes tell a body from its mirror image, as thumbs tell hands.
    """
    place = {name: number for number, name in enumerate(layout.joints)}
    sides = [
        f"{side} {part}" for side in ("left", "right") for part in ("shoulder", "ankle", "foot")
    ]
    if poses.shape[-1] != 3 or "head" not in place or not place.keys() >= set(sides):
        return float("nan")
    shoulders, ankles, feet = (
        (poses[:, place[f"left {part}"]], poses[:, place[f"right {part}"]])
        for part in ("shoulder", "ankle", "foot")
    )
    upwards = poses[:, place["head"]] - (feet[0] + feet[1]) / 2
    toes = (feet[0] - ankles[0] + feet[1] - ankles[1]) / 2
    height = (upwards**2).sum(axis=1, keepdims=True).clip(_TINY)
    toes = toes - (toes * upwards).sum(axis=1, keepdims=True) / height * upwards
    ahead = np.cross(upwards, shoulders[1] - shoulders[0])
    norms = np.linalg.norm(ahead, axis=1) * np.linalg.norm(toes, axis=1)
    return float(np.median((ahead * toes).sum(axis=1) / norms.clip(_TINY)))
