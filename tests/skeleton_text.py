"""Text of small NTU ``.skeleton`` files, for tests that need one."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

BODY_FLAGS = "0 1 1 1 1 0 -0.08920905 -0.4797752 2"
JOINT_REST = "163.9239 187.6978 710.6672 506.5853 0.6249489 -0.1014573 0.7727244 -0.04519191 2"

Pose = tuple[str, Float64[ndarray, "25 3"]]


def skeleton_text(frames: Sequence[Sequence[Pose]], end: str = "\r\n") -> bytes:
    """A well-formed file; each frame is a list of body id and joints."""
    lines = [str(len(frames))]
    for poses in frames:
        lines.append(str(len(poses)))
        for body, joints in poses:
            lines += [f"{body} {BODY_FLAGS}", "25"]
            lines += [
                " ".join(repr(float(value)) for value in joint) + f" {JOINT_REST}"
                for joint in joints
            ]
    return "".join(line + end for line in lines).encode()


def a_pose(seed: int = 0) -> Float64[ndarray, "25 3"]:
    """Joints of a body that stands upright three metres away; its values differ by ``seed``."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0.0, 0.05, size=(25, 3))
    pose[:, 2] += 3.0
    pose[:, 1] += np.linspace(0.8, -0.8, 25)
    return pose
