"""A take before any camera: who stands where, and how everybody's joints move."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.errors import DataError
from skelab.synthetic.actions import SyntheticAction, get_action
from skelab.synthetic.body import joints_of
from skelab.synthetic.duo import Duo
from skelab.synthetic.exact import TURN, Draws, sine_cosine_of
from skelab.synthetic.names import partner_of
from skelab.synthetic.performer import Performance, Performer, performer

FRAMES_PER_SECOND = 30
SHORTEST, LONGEST, VERY_LONGEST = 30, 120, 180
_LONG_TAKES = 0.03
_DEGREE = TURN / 360.0
_FACING = 20 * _DEGREE  # how far a repetition is turned from the middle camera


@dataclass(frozen=True)
class Take:
    """What truly happened, once, for all cameras.

    Attributes:
        joints: Layout ``ntu25``, metres; x, y up, z toward the middle camera.
    """

    joints: Float64[ndarray, "B 3 25 T"]

    @property
    def num_frames(self) -> int:
        """Frames, T; 30 a second."""
        return int(self.joints.shape[3])


@lru_cache(maxsize=8)
def make_take(action: int, number: int, replication: int, setup: int, seed: int) -> Take:
    """Let a performer (and a partner, where the action takes two) do the action.

    One person faces the middle camera, turned a little to one side in the first repetition and to
    the other in the second. Two persons stand beside each other, as the middle camera sees it,
    and change places from one repetition to the next.

    Raises:
        DataError: The action cannot be made; the message lists those that can.
    """
    what = get_action(action)
    draws = Draws(seed, "take", action, number, replication, setup)
    who = performer(number, seed=seed)
    frames = _length(what.seconds / who.tempo, draws)
    side = 1.0 if replication % 2 else -1.0
    heading = side * _FACING + draws.around(0.0, 7 * _DEGREE)
    place = np.array([draws.uniform(-0.25, 0.25), draws.uniform(-0.25, 0.25)])
    if what.solo is not None:
        pose = what.solo(Performance(who, frames, draws))
        bodies = [placed(joints_of(pose, who.physique), heading, place)]
    else:
        other = performer(partner_of(number), seed=seed)
        both = _play(what, who, other, frames, draws)
        heading += side * 70 * _DEGREE
        ahead = _direction(heading)
        gap = 0.5 * both.gap * ahead
        bodies = [
            placed(joints_of(both.first, who.physique), heading, place - gap),
            placed(joints_of(both.second, other.physique), heading + TURN / 2, place + gap),
        ]
    joints = np.stack(bodies)
    joints.flags.writeable = False
    return Take(joints)


def _play(
    what: SyntheticAction, first: Performer, second: Performer, frames: int, draws: Draws
) -> Duo:
    if what.duo is None:
        raise DataError(f"{what.code} is for one person or for two, found neither motion")
    return what.duo(Performance(first, frames, draws), Performance(second, frames, draws))


def _length(seconds: float, draws: Draws) -> int:
    """Frames of a take: around what the action takes, a few much longer."""
    frames = round(FRAMES_PER_SECOND * seconds * draws.uniform(0.85, 1.2))
    if draws.happens(_LONG_TAKES):
        return draws.integer(LONGEST + 1, VERY_LONGEST)
    return min(max(frames, SHORTEST), LONGEST)


def _direction(heading: float) -> Float64[ndarray, " 2"]:
    """A step of one metre, x and z; heading 0 goes to the middle camera, along z."""
    return np.array(sine_cosine_of(heading))


def placed(
    joints: Float64[ndarray, "3 25 T"], heading: float, place: Float64[ndarray, " 2"]
) -> Float64[ndarray, "3 25 T"]:
    """From left, up, forward of a body to the room."""
    x, z = _direction(heading)
    return np.stack(
        [
            joints[0] * z + joints[2] * x + place[0],
            joints[1],
            joints[2] * z - joints[0] * x + place[1],
        ]
    )
