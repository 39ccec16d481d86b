"""Performers: a body and habits per performer, small variations per repetition."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.synthetic.body import Physique, Pose
from skelab.synthetic.exact import TURN, Draws, ease, sine_cosine

NUM_PERFORMERS = 40
LEFT, RIGHT = 0, 1
_LEFT_HANDED = 0.1


@dataclass(frozen=True)
class Performer:
    """A person: bone lengths, and habits in all of the person's clips.

    Attributes:
        physique: Bone lengths.
        main_side: 0 for the rare left-handed, else 1.
        size: Amplitude of movements relative to the average.
        tempo: Speed of movements relative to the average.
        stoop: Forward bend of the trunk when standing, radians.
        elbows_out: Lateral offset of the resting hands, metres of the reference body.
        stance: Additional width of the stance, likewise.
        unrest: Sway of the body relative to the average.
    """

    physique: Physique
    main_side: int
    size: float
    tempo: float
    stoop: float
    elbows_out: float
    stance: float
    unrest: float


def performer(number: int, *, seed: int) -> Performer:
    """The performer of this number (from 1) in the set of this seed."""
    draws = Draws(seed, "performer", number)
    physique = Physique(
        height=draws.uniform(1.55, 1.90),
        arm=draws.uniform(0.95, 1.05),
        leg=draws.uniform(0.95, 1.05),
        breadth=draws.uniform(0.90, 1.12),
    )
    return Performer(
        physique=physique,
        main_side=LEFT if draws.happens(_LEFT_HANDED) else RIGHT,
        size=draws.uniform(0.82, 1.15),
        tempo=draws.uniform(0.80, 1.25),
        stoop=draws.uniform(-0.03, 0.12),
        elbows_out=draws.uniform(-0.03, 0.06),
        stance=draws.uniform(-0.02, 0.07),
        unrest=draws.uniform(0.6, 1.6),
    )


class Performance:
    """One repetition of an action by a performer: a clock, a side, and random variation.

    Attributes:
        who: The performer.
        frames: Number of frames, T.
        clock: From 0 at the first frame to 1 at the last; the action keeps to 0.08 to 0.92.
        draws: Random variation between repetitions.
        main: The acting side of a one-sided action: 0 left, 1 right.
        size: Amplitude of movements: the performer's, with random variation.
    """

    def __init__(self, who: Performer, frames: int, draws: Draws) -> None:
        self.who = who
        self.frames = frames
        self.draws = draws
        self.main = who.main_side
        self.size = who.size * draws.uniform(0.93, 1.07)
        late, stretch = draws.uniform(-0.07, 0.07), draws.uniform(0.93, 1.07)
        steps = np.arange(frames, dtype=np.float64) * (1.0 / max(frames - 1, 1))
        self.clock: Float64[ndarray, " T"] = 0.5 + late + (steps - 0.5) * stretch

    @property
    def other(self) -> int:
        """The side that does not act where one does."""
        return 1 - self.main

    def rise(self, start: float, end: float) -> Float64[ndarray, " T"]:
        """Ease from 0 to 1 between two times of the clock, each with random jitter."""
        wobble = 0.12 * (end - start)
        return ease(
            self.clock,
            start + self.draws.uniform(-wobble, wobble),
            end + self.draws.uniform(-wobble, wobble),
        )

    def hold(self, start: float, up: float, down: float, end: float) -> Float64[ndarray, " T"]:
        """From 0 to 1 between ``start`` and ``up``, back to 0 between ``down`` and ``end``."""
        held: Float64[ndarray, " T"] = self.rise(start, up) - self.rise(down, end)
        return held

    def swing(self, times: int, start: float, end: float) -> Float64[ndarray, " T"]:
        """A sine that swings ``times`` times from ``start`` to ``end`` of the clock."""
        phase = np.clip((self.clock - start) * (1.0 / (end - start)), 0.0, 1.0)
        return sine_cosine(phase * (TURN * times))[0]

    def bumps(self, times: int, start: float, end: float) -> Float64[ndarray, " T"]:
        """From 0 to 1 and back, ``times`` times from ``start`` to ``end`` of the clock."""
        phase = np.clip((self.clock - start) * (1.0 / (end - start)), 0.0, 1.0)
        return 0.5 - 0.5 * sine_cosine(phase * (TURN * times))[1]

    def near(
        self, target: tuple[float, float, float], deviation: float = 0.02
    ) -> tuple[float, float, float]:
        """A target that is missed a little, metres."""
        x, y, z = (value + deviation * self.draws.around(0.0, 1.0) for value in target)
        return x, y, z

    def standing(self) -> Pose:
        """The performer's own way to stand: posture, sway and idle hands."""
        pose, draws, who = Pose(self.frames), self.draws, self.who
        pose.pelvis[1] -= 0.012
        pose.bend += who.stoop + draws.around(0.0, 0.02)
        pose.nod += draws.around(0.05, 0.06)
        pose.look += draws.around(0.0, 0.08)
        pose.wrists[0] += who.elbows_out
        pose.wrists[1] += draws.uniform(0.0, 0.05)
        pose.ankles[0] += who.stance
        seconds = np.arange(self.frames, dtype=np.float64) * (1.0 / 30.0)
        rates = np.array([draws.uniform(0.15, 0.45) for _ in range(6)])
        starts = np.array([draws.uniform() for _ in range(6)])
        waves = who.unrest * sine_cosine(TURN * (rates[:, None] * seconds + starts[:, None]))[0]
        pose.pelvis[0] += 0.012 * waves[0]
        pose.bend += 0.015 * waves[1]
        pose.tilt += 0.015 * waves[2]
        pose.twist += 0.03 * waves[3]
        pose.wrists[2, LEFT] += 0.015 * waves[4]
        pose.wrists[2, RIGHT] += 0.015 * waves[5]
        return pose
