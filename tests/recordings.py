"""Recordings drawn by chance in which bodies come, go, flicker, and are no bodies at all."""

import numpy as np
from jaxtyping import Bool, Float64
from numpy import ndarray
from skeleton_text import Pose, a_pose, skeleton_text


def drawn_recording(seed: int) -> bytes:
    """A well-formed ``.skeleton`` file with zero to four bodies, each there for some stretches.

    Some poses are all zeros, cancel out to about zero, or are wider than a body is.
    """
    rng = np.random.default_rng(seed)
    num_frames = int(rng.integers(1, 60))
    bodies = [str(72057594037931100 + number) for number in range(int(rng.integers(0, 5)))]
    there = [_presence(rng, num_frames) for _ in bodies]
    repeated = rng.random() < 0.05
    frames: list[list[Pose]] = []
    for frame in range(num_frames):
        poses = [
            (name, _pose(rng, frame + 100 * number))
            for number, name in enumerate(bodies)
            if there[number][frame]
        ]
        frames.append(poses + poses[:1] if repeated and rng.random() < 0.1 else poses)
    return skeleton_text(frames, "\n" if rng.random() < 0.5 else "\r\n")


def _presence(rng: np.random.Generator, num_frames: int) -> Bool[ndarray, " F"]:
    """One stretch or two, most of them long enough for a body."""
    there = np.zeros(num_frames, dtype=bool)
    for _ in range(int(rng.integers(1, 3))):
        start, end = sorted(rng.integers(0, num_frames + 1, size=2))
        there[start:end] = True
    return there


def _pose(rng: np.random.Generator, seed: int) -> Float64[ndarray, "25 3"]:
    chance = rng.random()
    pose = a_pose(seed) + rng.normal(0, 0.1, size=3)
    if chance < 0.05:
        return pose * 0
    if chance < 0.10:  # its sum is zero, or misses zero by rounding alone
        values = rng.normal(size=37)
        return rng.permutation([*values, *-values, 0.0]).reshape(25, 3)
    if chance < 0.25:
        return pose * (3.0, 0.5, 1.0)  # lies, or is a chair
    return pose.astype(np.float32).astype(np.float64) if chance < 0.5 else pose
