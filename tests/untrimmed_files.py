"""Made-up untrimmed recordings in the forms in which data sets have them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy import ndarray
from tiny_clips import SBU15

from skelab.data.clips.clip import SampleInfo
from skelab.data.clips.sequence import Segment, UntrimmedSequence, labels_of_segments

PRECOG_HEAD = ";".join(
    [
        *("HipCenter", " Spine", " ShoulderCenter", " Head", " ShoulderLeft", " ElbowLeft"),
        *(" WristLeft", " HandLeft", " ShoulderRight", " ElbowRight", " WristRight", " HandRight"),
        *(" HipLeft", " KneeLeft", " AnkleLeft", " FootLeft", " HipRight", " KneeRight"),
        *(" AnkleRight", " FootRight"),
    ]
)


def poses(frames: int, joints: int = 20, seed: int = 0) -> Float64[ndarray, "T V 3"]:
    """Poses of one body, no coordinate of which is zero."""
    return np.random.default_rng(seed).normal(0.0, 0.4, size=(frames, joints, 3)) + 2


def precog_text(labels: Sequence[int], *, seed: int = 0, scale: float = 1.0) -> str:
    """A csv file of PRECOG with these labels; no newline at the end, as there."""
    lines = [PRECOG_HEAD]
    for pose, label in zip(poses(len(labels), seed=seed) * scale, labels, strict=True):
        joints = [" ".join(f"{value:.6g}" for value in joint) for joint in pose]
        lines.append(";".join([*joints, str(label)]))
    return "\n".join(lines)


def precog_folder(folder: Path, **labels: Sequence[int]) -> Path:
    """A folder of such files by name."""
    (folder / "csv").mkdir(parents=True)
    for seed, (name, values) in enumerate(labels.items()):
        (folder / "csv" / f"{name}.csv").write_text(precog_text(values, seed=seed))
    return folder


def utkinect_text(ids: Sequence[int], seed: int = 0) -> str:
    """A file of joints of UTKinect with these frame ids."""
    rows = zip(ids, poses(len(ids), seed=seed), strict=True)
    return "".join(f"{i}   {'  '.join(f'{v:.6f}' for v in pose.ravel())} \n" for i, pose in rows)


def pku_skeleton(frames: int, bodies: int = 1, seed: int = 0) -> str:
    """A recording of PKU-MMD: two bodies, the second of zeros if there is only one."""
    joints = np.zeros((frames, 2, 25, 3))
    for body in range(bodies):
        joints[:, body] = poses(frames, 25, seed + body)
    return "".join(" ".join(f"{v:.6f}" for v in row) + "\n" for row in joints.reshape(frames, -1))


def tiny_sequence(
    row: int,
    segments: Sequence[Segment] = (Segment(0, 1, 4), Segment(2, 4, 9, 2.0)),
    *,
    frames: int = 12,
    labelled: bool = False,
    **known: Any,
) -> UntrimmedSequence:
    """A sequence of one body that fits a store of tiny clips."""
    rng = np.random.default_rng(100 + row)
    joints: Float32[ndarray, "M T V C"] = rng.normal(size=(1, frames, SBU15.num_joints, 3)).astype(
        np.float32
    )
    return UntrimmedSequence(
        SampleInfo(f"seq{row:03d}", untrimmed=True, **known),
        joints,
        np.arange(frames, dtype=np.int32),
        tuple(segments),
        labels_of_segments(segments, frames) if labelled else None,
    )
