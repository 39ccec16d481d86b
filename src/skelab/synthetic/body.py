"""A kinematic body: bone lengths, poses over time, and the resulting joint positions.

Body axes: left, up, forward; metres. Limbs are posed by inverse kinematics from wrist and ankle
targets, so that bone lengths are constant.
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.synthetic.exact import sine_cosine

# Proportions of a body 1.70 m tall, metres, between the joints that a Kinect v2 reports.
REFERENCE_HEIGHT = 1.70
_HIP_CENTRE = 0.90  # height of the base of the spine over the floor
_LOWER_SPINE, _UPPER_SPINE, _NECK, _HEAD = 0.29, 0.21, 0.07, 0.13
_SHOULDER = (0.17, -0.04)  # out, up, from the spine at the shoulders
_UPPER_ARM, _FOREARM, _WRIST_TO_HAND = 0.27, 0.24, 0.07
_HIP = (0.08, -0.05)  # out, up, from the base of the spine
_THIGH, _SHIN = 0.40, 0.38
_ANKLE = _HIP_CENTRE + _HIP[1] - _THIGH - _SHIN  # height of a standing ankle
_FOOT_DOWN, _FOOT_AHEAD = 0.05, 0.11

# Largest extension of a limb: a straight one would have no bending direction.
_REACH = 0.995

# Wrist at rest, from the spine at the shoulders: out, up, forward (reference body).
REST = (0.22, -0.52, 0.07)
_ELBOW_AT_REST = (0.55, -0.25, -0.8)
# Forward bow of a wrist's path per metre of height difference (times four).
_BOW = 1.0
_KNEE_AT_REST = (0.12, 0.0, 1.0)


@dataclass(frozen=True)
class Physique:
    """The bone lengths of a body.

    Attributes:
        height: Metres.
        arm: Arm length relative to the average body of this height.
        leg: The same for the legs.
        breadth: The same for shoulders and hips.
    """

    height: float
    arm: float = 1.0
    leg: float = 1.0
    breadth: float = 1.0

    @property
    def scale(self) -> float:
        """Height relative to the reference body."""
        return self.height / REFERENCE_HEIGHT

    @property
    def hip_height(self) -> float:
        """Height of the base of the spine when standing, metres."""
        return self.scale * (_ANKLE - _HIP[1] + self.leg * (_THIGH + _SHIN))


@dataclass
class Pose:
    """The pose of a body over T frames, to be set by a motion; lengths for a body of 1.70 m.

    A new pose stands at rest. Sides are 0 left and 1 right; "out" is away from the middle.

    Attributes:
        frames: Number of frames, T.
        pelvis: Displacement of the base of the spine from standing: left, up, forward.
        bend: Forward bend of the trunk, radians.
        tilt: Sideways bend of the trunk to the left, radians.
        twist: Rotation of the shoulders to the left relative to the hips, radians.
        nod: Forward bend of the head relative to the trunk, radians.
        look: Rotation of the head to the left relative to the trunk, radians.
        wrists: From the spine at the shoulders, in the axes of the chest: out, up, forward.
        elbows: Pointing direction of an elbow, same axes.
        ankles: From the standing ankle, in the axes of the ground: out, up, forward.
        travel: Distance walked forward from the start.
        turn: Heading, radians to the left of the start.
    """

    frames: int
    pelvis: Float64[ndarray, "3 T"] = field(init=False)
    bend: Float64[ndarray, " T"] = field(init=False)
    tilt: Float64[ndarray, " T"] = field(init=False)
    twist: Float64[ndarray, " T"] = field(init=False)
    nod: Float64[ndarray, " T"] = field(init=False)
    look: Float64[ndarray, " T"] = field(init=False)
    wrists: Float64[ndarray, "3 2 T"] = field(init=False)
    elbows: Float64[ndarray, "3 2 T"] = field(init=False)
    ankles: Float64[ndarray, "3 2 T"] = field(init=False)
    travel: Float64[ndarray, " T"] = field(init=False)
    turn: Float64[ndarray, " T"] = field(init=False)

    def __post_init__(self) -> None:
        """Stand at rest."""
        angles = np.zeros((5, self.frames))
        self.bend, self.tilt, self.twist, self.nod, self.look = angles
        self.pelvis = np.zeros((3, self.frames))
        self.travel, self.turn = np.zeros((2, self.frames))
        self.ankles = np.zeros((3, 2, self.frames))
        self.wrists = np.empty((3, 2, self.frames))
        self.wrists[:] = np.reshape(REST, (3, 1, 1))
        self.elbows = np.empty((3, 2, self.frames))
        self.elbows[:] = np.reshape(_ELBOW_AT_REST, (3, 1, 1))

    def reach(
        self,
        side: int,
        target: tuple[float, float, float],
        share: Float64[ndarray, " T"],
        *,
        elbow: tuple[float, float, float] | None = None,
    ) -> None:
        """Move a wrist towards ``target`` by ``share`` (0 to 1).

        On its way up or down it passes in front of the shoulder.
        """
        climb = np.abs(target[1] - self.wrists[1, side])
        self.wrists[2, side] += _BOW * climb * share * (1.0 - share)
        for axis in range(3):
            self.wrists[axis, side] += share * (target[axis] - self.wrists[axis, side])
            if elbow is not None:
                self.elbows[axis, side] += share * (elbow[axis] - self.elbows[axis, side])

    def step(
        self, side: int, offset: tuple[float, float, float], share: Float64[ndarray, " T"]
    ) -> None:
        """Move an ankle by ``offset`` times ``share``."""
        for axis in range(3):
            self.ankles[axis, side] += share * offset[axis]


def joints_of(pose: Pose, physique: Physique) -> Float64[ndarray, "3 25 T"]:
    """The 25 joints of layout ``ntu25``: x left, y up, z forward of the start, metres.

    The origin lies on the floor below the body's start. Bone lengths are the same in all frames.
    """
    size, frames = physique.scale, pose.frames
    joints = np.empty((3, 25, frames))
    hips, chest, head = _trunk_axes(pose)
    base = pose.pelvis * size
    base[1] += physique.hip_height
    middle = base + hips[1] * (_LOWER_SPINE * size)
    shoulders = middle + chest[1] * (_UPPER_SPINE * size)
    neck = shoulders + chest[1] * (_NECK * size)
    joints[:, 0], joints[:, 1], joints[:, 20], joints[:, 2] = base, middle, shoulders, neck
    joints[:, 3] = neck + head[1] * (_HEAD * size)
    joints[:, [4, 5, 6, 7, 21, 22, 8, 9, 10, 11, 23, 24]] = _arms(pose, physique, shoulders, chest)
    joints[:, 12:20] = _legs(pose, physique, base, hips)
    return _on_the_ground(joints, pose.travel * size, pose.turn)


_Axes = Float64[ndarray, "3 3 T"]  # left, up, forward of a part of the body; each x, y, z


def _trunk_axes(pose: Pose) -> tuple[_Axes, _Axes, _Axes]:
    """Axes of hips, chest and head, in the frame of the ground."""
    yaw = np.stack([0.0 * pose.twist, pose.twist, pose.twist + pose.look])
    pitch = np.stack([0.6 * pose.bend, pose.bend, pose.bend + pose.nod])
    roll = np.stack([0.5 * pose.tilt, pose.tilt, pose.tilt])
    angles = np.stack([yaw, pitch, roll])
    sine, cosine = sine_cosine(angles)  # 3 angles, 3 parts, T
    nothing = np.zeros_like(yaw)
    left = np.stack([cosine[0], nothing, -sine[0]])
    ahead = np.stack([sine[0], nothing, cosine[0]])
    up = ahead * sine[1]
    up[1] += cosine[1]
    forward = ahead * cosine[1]
    forward[1] -= sine[1]
    rolled = np.stack([left * cosine[2] - up * sine[2], up * cosine[2] + left * sine[2], forward])
    return rolled[:, :, 0], rolled[:, :, 1], rolled[:, :, 2]


def _arms(
    pose: Pose, physique: Physique, origin: Float64[ndarray, "3 T"], chest: _Axes
) -> Float64[ndarray, "3 12 T"]:
    """Shoulder, elbow, wrist, hand, tip and thumb of the left arm, then of the right one."""
    size, length = physique.scale, physique.scale * physique.arm
    axes = _sided(chest)
    root = origin[:, None] + axes[0] * (_SHOULDER[0] * size * physique.breadth)
    root += axes[1] * (_SHOULDER[1] * size)
    target = origin[:, None] + _along(axes, pose.wrists * size)
    limb = _two_bones(
        root, target, _along(axes, pose.elbows), _UPPER_ARM * length, _FOREARM * length
    )
    elbow, wrist, across = limb
    ahead = (wrist - elbow) * (1.0 / (_FOREARM * length))
    hand = wrist + ahead * (_WRIST_TO_HAND * length)
    tip = hand + ahead * (0.06 * length) + across * (0.01 * length)
    thumb = hand + ahead * (0.025 * length) - across * (0.035 * length)
    both = np.stack([root, elbow, wrist, hand, tip, thumb], axis=2)  # 3, side, 6, T
    return both.reshape(3, 12, pose.frames)


def _legs(
    pose: Pose, physique: Physique, base: Float64[ndarray, "3 T"], hips: _Axes
) -> Float64[ndarray, "3 8 T"]:
    """Hip, knee, ankle and foot of the left leg, then of the right one."""
    size, length = physique.scale, physique.scale * physique.leg
    axes = _sided(hips)
    root = (
        base[:, None] + axes[0] * (_HIP[0] * size * physique.breadth) + axes[1] * (_HIP[1] * size)
    )
    target = pose.ankles * size
    target[0] += _HIP[0] * 1.15 * size * physique.breadth
    target[1] += _ANKLE * size
    target[0, 1] *= -1.0  # from "out" to "left"
    knee_to = np.empty_like(target)
    knee_to[:] = np.reshape(_KNEE_AT_REST, (3, 1, 1))
    knee, ankle, across = _two_bones(
        root, target, _along(axes, knee_to), _THIGH * length, _SHIN * length
    )
    down = (ankle - knee) * (1.0 / (_SHIN * length))
    foot = ankle + down * (_FOOT_DOWN * size) + across * (_FOOT_AHEAD * size)
    return np.stack([root, knee, ankle, foot], axis=2).reshape(3, 8, pose.frames)


def _sided(axes: _Axes) -> Float64[ndarray, "3 3 2 T"]:
    """The axes of a body part for both sides: out, up, forward."""
    both = np.repeat(axes[:, :, None], 2, axis=2)
    both[0, :, 1] *= -1.0
    return both


def _along(
    axes: Float64[ndarray, "3 3 2 T"], amounts: Float64[ndarray, "3 2 T"]
) -> Float64[ndarray, "3 2 T"]:
    total: Float64[ndarray, "3 2 T"] = (
        axes[0] * amounts[0] + axes[1] * amounts[1] + axes[2] * amounts[2]
    )
    return total


def _two_bones(
    root: Float64[ndarray, "3 2 T"],
    target: Float64[ndarray, "3 2 T"],
    bend_to: Float64[ndarray, "3 2 T"],
    upper: float,
    lower: float,
) -> tuple[Float64[ndarray, "3 2 T"], Float64[ndarray, "3 2 T"], Float64[ndarray, "3 2 T"]]:
    """Inverse kinematics of two bones: middle joint, end joint, and bending side of the lower bone.

    The end is at the target, or as near to it as the bones reach.
    """
    line = target - root
    wanted = _length(line)
    line = line / np.maximum(wanted, 1e-6)
    far = np.clip(wanted, 1.05 * abs(upper - lower) + 0.02, _REACH * (upper + lower))
    side = bend_to - line * _dot(bend_to, line)
    side = side / np.maximum(_length(side), 1e-6)
    ahead = (upper * upper - lower * lower + far * far) / (2.0 * far)
    aside = np.sqrt(upper * upper - ahead * ahead)
    middle = root + line * ahead + side * aside
    end = root + line * far
    across = (line * aside + side * (far - ahead)) * (1.0 / lower)
    return middle, end, across


def _dot(a: Float64[ndarray, "3 2 T"], b: Float64[ndarray, "3 2 T"]) -> Float64[ndarray, "2 T"]:
    parts = a * b
    total: Float64[ndarray, "2 T"] = parts[0] + parts[1] + parts[2]
    return total


def _length(a: Float64[ndarray, "3 2 T"]) -> Float64[ndarray, "2 T"]:
    length: Float64[ndarray, "2 T"] = np.sqrt(_dot(a, a))
    return length


def _on_the_ground(
    joints: Float64[ndarray, "3 25 T"],
    travel: Float64[ndarray, " T"],
    turn: Float64[ndarray, " T"],
) -> Float64[ndarray, "3 25 T"]:
    """Rotate about the start, then move forward."""
    sine, cosine = sine_cosine(turn)
    turned = joints.copy()
    turned[0] = joints[0] * cosine + joints[2] * sine
    turned[2] = joints[2] * cosine - joints[0] * sine + travel
    return turned
