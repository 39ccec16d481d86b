"""The three cameras: positions, views, and the pixels and orientations that they report."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.skeleton import get_layout
from skelab.synthetic.exact import TURN, Draws, sine_cosine_of

_DEGREE = TURN / 360.0
# Azimuth of cameras 1, 2 and 3: the first is in the middle.
_AZIMUTHS = (0.0, -45.0 * _DEGREE, 45.0 * _DEGREE)
# Height and distance, metres, by setup: about as wide apart as those of NTU RGB+D.
_SETUPS = (
    *((1.7, 3.5), (1.7, 2.8), (1.4, 2.8), (1.2, 3.0), (1.2, 3.2), (0.8, 3.5)),
    *((0.6, 4.2), (1.4, 3.5), (0.9, 2.8), (1.8, 3.0), (1.9, 3.1), (2.0, 3.0)),
    *((2.1, 3.0), (2.2, 3.2), (2.3, 3.5), (2.6, 3.6), (2.4, 3.3)),
)
_LOOKED_AT = 0.9  # height of the point that every camera looks at

# Pinhole models fitted to Kinect v2 files: focal length, centre x and y, pixels, and offset of the
# lens from the depth camera, metres.
DEPTH_SIZE = (512.0, 424.0)
_DEPTH = (366.5, 256.3, 208.3, 0.0)
_COLOUR = (1053.0, 959.5, 540.0 + 26.5, 0.052)

# Joints without orientation on the Kinect: head, feet, tips and thumbs.
_WITHOUT = (3, 15, 19, 21, 22, 23, 24)
_TO = tuple(joint for joint in range(25) if joint not in _WITHOUT)
_PARENTS = get_layout("ntu25").parents
# The bone that carries a joint's orientation; the two ends of the trunk take a spine's.
_FROM = tuple({20: 1, 1: 0, 0: 0}.get(joint, _PARENTS[joint]) for joint in _TO)
_BASE = _TO.index(0)


@dataclass(frozen=True)
class Camera:
    """A camera of a setup, pointed at the middle of the room.

    Attributes:
        azimuth: Angle to the left of the middle camera, radians, as seen from the performers.
        height: Metres over the floor.
        distance: Metres from the middle of the room, along the floor.
    """

    azimuth: float
    height: float
    distance: float

    def sees(self, room: Float64[ndarray, "B 3 25 T"]) -> Float64[ndarray, "B 3 25 T"]:
        """Transform points of the room to the camera frame, metres.

        x runs to the camera's left, y up, z away from it, as on the Kinect v2.
        """
        sine, cosine = sine_cosine_of(self.azimuth)
        drop = self.height - _LOOKED_AT
        far = math.sqrt(self.distance * self.distance + drop * drop)
        level, down = self.distance / far, drop / far
        across = room[:, 2] * sine - room[:, 0] * cosine
        ahead = self.distance - room[:, 0] * sine - room[:, 2] * cosine
        above = room[:, 1] - self.height
        return np.stack(
            [across, above * level + ahead * down, ahead * level - above * down], axis=1
        )


def camera_of(setup: int, camera: int, *, seed: int) -> Camera:
    """The camera (from 1) of a setup (from 1), with small variations between sets."""
    draws = Draws(seed, "camera", setup, camera)
    height, distance = _SETUPS[setup - 1]
    return Camera(
        azimuth=_AZIMUTHS[camera - 1] + draws.around(0.0, 3.0 * _DEGREE),
        height=height,
        distance=distance + draws.uniform(-0.1, 0.1),
    )


def pixels(joints: Float64[ndarray, "P 25 3"]) -> Float64[ndarray, "P 25 4"]:
    """Project joints to the images: depth x, y, then colour x, y; some are outside."""
    result = np.empty((*joints.shape[:2], 4))
    nearness = 1.0 / np.maximum(joints[..., 2], 0.3)
    for start, (focal, x, y, aside) in ((0, _DEPTH), (2, _COLOUR)):
        scale = focal * nearness
        result[..., start] = (joints[..., 0] + aside) * scale + x
        result[..., start + 1] = y - joints[..., 1] * scale
    return result


def orientations(joints: Float64[ndarray, "P 25 3"]) -> Float64[ndarray, "P 25 4"]:
    """A unit quaternion w, x, y, z per joint: y along its bone, with the body's heading.

    The head, feet, tips and thumbs get zeros, as in the files of the Kinect.
    """
    bone = joints[:, _TO] - joints[:, _FROM]
    bone[:, _BASE] = joints[:, 1] - joints[:, 0]
    along = bone * (1.0 / np.sqrt(_squares(bone)))[..., None]
    # The smallest rotation from y to the bone, or from -y after half a turn about x.
    upright = np.where(along[..., 1] < 0.0, -1.0, 1.0)
    w = 1.0 + np.abs(along[..., 1])
    shrink = 1.0 / np.sqrt(w + w)
    x, z = upright * along[..., 2] * shrink, -upright * along[..., 0] * shrink
    w = w * shrink
    heading_w, heading_y = (part[:, None] for part in _heading(joints))
    turned = (
        w * heading_w,
        x * heading_w - z * heading_y,
        w * heading_y,
        z * heading_w + x * heading_y,
    )
    flipped = (-turned[1], turned[0], turned[3], -turned[2])
    result = np.zeros((*joints.shape[:2], 4))
    for part in range(4):
        result[:, _TO, part] = np.where(upright < 0.0, flipped[part], turned[part])
    return result


def _heading(
    joints: Float64[ndarray, "P 25 3"],
) -> tuple[Float64[ndarray, " P"], Float64[ndarray, " P"]]:
    """The quaternion, w and y, of the heading of the shoulders; identity when facing away."""
    left = joints[:, 4] - joints[:, 8]
    level = np.sqrt(left[:, 0] * left[:, 0] + left[:, 2] * left[:, 2] + 1e-12)
    cosine = left[:, 0] / level
    w = np.sqrt(np.maximum(0.5 + 0.5 * cosine, 0.0))
    y = np.sqrt(np.maximum(0.5 - 0.5 * cosine, 0.0))
    return w, np.where(left[:, 2] > 0.0, -y, y)


def _squares(vectors: Float64[ndarray, "P J 3"]) -> Float64[ndarray, "P J"]:
    parts = vectors * vectors
    squares: Float64[ndarray, "P J"] = parts[..., 0] + parts[..., 1] + parts[..., 2]
    safe: Float64[ndarray, "P J"] = np.maximum(squares, 1e-12)
    return safe
