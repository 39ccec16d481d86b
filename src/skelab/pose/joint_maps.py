"""From the 33 landmarks of BlazePose to the joints of Kinect and of COCO.

The figures come from one clip of NTU RGB+D of which there were both: colour video and Kinect's own
joints (n = 1). Mapped so, Kinect's tracked joints were 9.6 cm off on average; tips of hands and
thumbs 13 to 30 cm.
"""

import math
from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.errors import LayoutError
from skelab.pose.landmarks import Landmarks
from skelab.skeleton import Layout

JOINT_MAP: Final = 1
"""Version of the maps; a file of landmarks says which was at hand when it was made."""

MAPPED_LAYOUTS: Final = ("ntu25", "kinect20", "coco17")
"""Layouts that landmarks can be mapped to."""

KINECT_SCALE: Final = 0.86
"""Kinect's length of a body over BlazePose's, on the one clip that has both."""

FIELD_OF_VIEW: Final = math.radians(60)
"""Of the longer side of the picture: an assumption that turns sizes into distances."""

_VISIBLE: Final = 0.5  # least visibility of a joint that counts as tracked, and not as inferred
_SMOOTH: Final = 1.0  # s over which the distance to the camera is averaged
_LEFT: Final = {
    "eye": 2, "ear": 7, "shoulder": 11, "elbow": 13, "wrist": 15, "little": 17, "index": 19,
    "thumb": 21, "hip": 23, "knee": 25, "ankle": 27, "toe": 31,
}  # fmt: skip
_RIGHT: Final = {name: number + (3 if name == "eye" else 1) for name, number in _LEFT.items()}
_COCO: Final = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")

Points = Float64[ndarray, "E 3"]


def to_recording(landmarks: Landmarks, layout: Layout) -> RawClip:
    """The people of a video as a recording in a layout.

    In space, coordinates are metres as Kinect has them: x to the camera's left, y up, z away from
    it. Where a body stands is estimated from its size in the picture. In ``coco17`` they are pixels
    and the visibility. A mirrored picture is turned back: left is the person's left in both.

    Raises:
        LayoutError: Landmarks are not mapped to that layout.
    """
    if layout.name not in MAPPED_LAYOUTS:
        raise LayoutError(
            f"poses of videos can be mapped to {', '.join(MAPPED_LAYOUTS)}, not to {layout.name}"
        )
    tracks = {}
    for body in landmarks.body_numbers():
        own = landmarks.of_body(body)
        joints = _in_picture(own) if layout.name == "coco17" else _in_space(own, layout)
        seen = joint_visibility(own, layout)
        tracking = np.where(seen >= _VISIBLE, 2, 1).astype(np.int8)
        tracks[str(body)] = BodyTrack(own.frames, joints, tracking)
    return RawClip(landmarks.info.num_frames, tracks)


def joint_visibility(landmarks: Landmarks, layout: Layout) -> Float32[ndarray, "E V"]:
    """How likely each joint is seen: the least of the landmarks that it is made of; 0..1."""
    near = _sources(layout, mirrored=landmarks.info.mirrored)
    return np.stack([landmarks.visibility[:, each].min(axis=1) for each in near], axis=1)


def _in_picture(landmarks: Landmarks) -> Float64[ndarray, "E 17 3"]:
    """COCO's joints: x, y in pixels, and the visibility."""
    near = [each[0] for each in _coco_sources(mirrored=landmarks.info.mirrored)]
    joints = np.empty((len(landmarks.frames), len(near), 3))
    joints[..., :2] = landmarks.picture[:, near, :2]
    joints[..., 2] = landmarks.visibility[:, near]
    if landmarks.info.mirrored:
        joints[..., 0] = landmarks.info.width - 1 - joints[..., 0]
    return joints


def _in_space(landmarks: Landmarks, layout: Layout) -> Float64[ndarray, "E V 3"]:
    """Kinect's joints: metres, at the place of the body."""
    mirrored = landmarks.info.mirrored
    sides = (_RIGHT, _LEFT) if mirrored else (_LEFT, _RIGHT)
    world = landmarks.world.astype(np.float64) * np.array([1.0 if mirrored else -1.0, -1.0, 1.0])
    joints = _ntu25(world, *sides) * KINECT_SCALE
    joints += _places(landmarks)[:, None]
    if layout.name == "ntu25":
        return joints
    return _kinect20(joints)


def _ntu25(
    world: Float64[ndarray, "E 33 3"], left: Mapping[str, int], right: Mapping[str, int]
) -> Float64[ndarray, "E 25 3"]:
    """The 25 joints of Kinect v2, in the order of NTU RGB+D."""

    def at(name: str) -> tuple[Points, Points]:
        return world[:, left[name]], world[:, right[name]]

    hips, shoulders, ears = (_middle(*at(name)) for name in ("hip", "shoulder", "ear"))
    spine = hips + 0.52 * (shoulders - hips)
    neck = 0.65 * shoulders + 0.35 * ears
    head = shoulders + 1.05 * (ears - shoulders)
    arms = [_arm(world, side, shoulders) for side in (left, right)]
    legs = [_leg(world, side, hips) for side in (left, right)]
    hands = [point for arm in arms for point in arm[4:]]
    body = [hips, spine, neck, head, *arms[0][:4], *arms[1][:4], *legs[0], *legs[1], shoulders]
    return np.stack([*body, *hands], axis=1)


def _middle(one: Points, two: Points) -> Points:
    middle: Points = (one + two) / 2
    return middle


def _arm(
    world: Float64[ndarray, "E 33 3"], side: Mapping[str, int], middle: Points
) -> list[Points]:
    """Shoulder, elbow, wrist, hand; then the hand's tip and the thumb."""
    shoulder, elbow, wrist = (world[:, side[name]] for name in ("shoulder", "elbow", "wrist"))
    knuckles = (world[:, side["little"]] + world[:, side["index"]]) / 2
    along = knuckles - wrist
    inward = shoulder + 0.15 * (middle - shoulder)
    return [inward, elbow, wrist, wrist + 0.6 * along, wrist + 1.3 * along, world[:, side["thumb"]]]


def _leg(
    world: Float64[ndarray, "E 33 3"], side: Mapping[str, int], middle: Points
) -> list[Points]:
    """Hip, knee, ankle, foot."""
    hip, knee, ankle, toe = (world[:, side[name]] for name in ("hip", "knee", "ankle", "toe"))
    return [hip + 0.45 * (middle - hip), knee, ankle, ankle + 0.8 * (toe - ankle)]


def _kinect20(joints: Float64[ndarray, "E 25 3"]) -> Float64[ndarray, "E 20 3"]:
    """Kinect v1's joints, out of those of Kinect v2: the trunk, then arms and legs alike."""
    return joints[:, [0, 1, 20, 3, *range(4, 20)]]


def _places(landmarks: Landmarks) -> Points:
    """Where the middle of the hips is, metres, x to the camera's left, y up, z away from it.

    The distance follows from how large the body is in the picture, averaged over a second since
    each picture alone is off by centimetres.
    """
    info = landmarks.info
    metres = _metres_per_pixel(landmarks)
    focal = max(info.width, info.height) / 2 / math.tan(FIELD_OF_VIEW / 2)
    hips = landmarks.picture[:, [_LEFT["hip"], _RIGHT["hip"]], :2].mean(axis=1)
    away = hips - np.array([info.width - 1, info.height - 1]) / 2
    across = away[:, 0] * (1.0 if info.mirrored else -1.0)
    return np.stack([across * metres, -away[:, 1] * metres, focal * metres], axis=1)


def _metres_per_pixel(landmarks: Landmarks) -> Float64[ndarray, " E"]:
    """Size of a pixel at each body's distance, in Kinect's metres."""
    from scipy.ndimage import median_filter, uniform_filter1d  # who reads no video needs no scipy

    flat = landmarks.picture[..., :2].astype(np.float64)
    world = landmarks.world[..., :2].astype(np.float64)
    spread = [
        np.square(each - each.mean(axis=1, keepdims=True)).sum((1, 2)) for each in (flat, world)
    ]
    ratio = np.sqrt(spread[1] / np.maximum(spread[0], 1e-9)) * KINECT_SCALE
    width = max(1, round(_SMOOTH * landmarks.info.frames_per_second))
    steady = median_filter(ratio, size=width, mode="nearest")
    smooth: Float64[ndarray, " E"] = uniform_filter1d(steady, size=width, mode="nearest")
    return smooth


def _sources(layout: Layout, *, mirrored: bool) -> list[list[int]]:
    """Of each joint the landmarks that it is made of."""
    if layout.name == "coco17":
        return _coco_sources(mirrored=mirrored)
    left, right = (_RIGHT, _LEFT) if mirrored else (_LEFT, _RIGHT)

    def both(name: str) -> list[int]:
        return [left[name], right[name]]

    arms, legs, hands = [], [], []
    for side in (left, right):
        knuckles = [side["wrist"], side["little"], side["index"]]
        arms.append([[side["shoulder"]], [side["elbow"]], [side["wrist"]], knuckles])
        legs.append([[side["hip"]], [side["knee"]], [side["ankle"]], [side["ankle"], side["toe"]]])
        hands += [knuckles, [side["thumb"]]]
    trunk = [both("hip"), [*both("hip"), *both("shoulder")], both("shoulder"), both("ear")]
    ntu = [*trunk, *arms[0], *arms[1], *legs[0], *legs[1], both("shoulder"), *hands]
    if layout.name == "ntu25":
        return ntu
    return [ntu[joint] for joint in (0, 1, 20, 3, *range(4, 20))]


def _coco_sources(*, mirrored: bool) -> list[list[int]]:
    sides = (_RIGHT, _LEFT) if mirrored else (_LEFT, _RIGHT)
    return [[0], *([side[name]] for name in _COCO for side in sides)]
