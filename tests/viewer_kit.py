"""Clips that are easy to tell apart, for the tests of what is shown."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, Clip, RawClip, SampleInfo
from skelab.skeleton import get_layout
from skelab.synthetic import write_synthetic
from skelab.viewer import Answer, Evidence, Links, Pane, Scene

NTU25 = get_layout("ntu25")
NUM_JOINTS = NTU25.num_joints


def standing(frames: int = 20, bodies: int = 1, seed: int = 0) -> Float32[ndarray, "M T 25 3"]:
    """Bodies that stand beside each other and sway a little; M T V C, metres."""
    rng = np.random.default_rng(seed)
    pose = np.zeros((NUM_JOINTS, 3))
    for joint, parent in sorted(NTU25.bones, key=lambda bone: _depth(bone[0])):
        pose[joint] = pose[parent] + _direction(NTU25.joints[joint])
    places = np.arange(bodies)[:, None, None, None] * np.array([0.9, 0.0, 0.1])
    sway = np.sin(np.arange(frames) / 5)[None, :, None, None] * np.array([0.05, 0.0, 0.02])
    noise = rng.normal(0, 0.003, (bodies, frames, NUM_JOINTS, 3))
    joints: Float32[ndarray, "M T 25 3"] = (pose + places + sway + noise + [0, 0, 3]).astype(
        np.float32
    )
    return joints


def a_clip(frames: int = 20, bodies: int = 1, name: str = "clip") -> Clip:
    """A prepared clip."""
    joints = standing(frames, bodies)
    return Clip(SampleInfo(name), joints, np.arange(frames, dtype=np.int32))


def a_recording(frames: int = 20, bodies: int = 1) -> RawClip:
    """The same as it might have been tracked."""
    numbers = np.arange(frames, dtype=np.int32)
    tracks = {
        str(body): BodyTrack(numbers, joints.astype(np.float64))
        for body, joints in enumerate(standing(frames, bodies))
    }
    return RawClip(frames, tracks)


def a_scene(frames: int = 20, bodies: int = 1, **changes: Any) -> Scene:
    """A scene of a prepared clip."""
    usual: dict[str, Any] = {
        "name": "clip",
        "layout": NTU25,
        "panes": (Pane("Clip", standing(frames, bodies)),),
        "frame_numbers": np.arange(frames, dtype=np.int32),
    }
    return Scene(**{**usual, **changes})


def an_answer(frames: int = 20, bodies: int = 1) -> Answer:
    """An answer for which the right hand speaks, and against which the left one does."""
    joints = np.zeros((bodies, frames, NUM_JOINTS), np.float32)
    joints[0, :, NTU25.joint("right hand")] = 2.0
    joints[0, :, NTU25.joint("left hand")] = -1.0
    weights = np.zeros((NUM_JOINTS, NUM_JOINTS), np.float32)
    weights[NTU25.joint("head"), NTU25.joint("right hand")] = 1.0
    weights[NTU25.joint("left knee"), NTU25.joint("left hip")] = 1.0
    return Answer(
        network="CTR-GCN",
        trained_on="made-up",
        top=(("wave", 0.75), ("sit", 0.25)),
        target="wave",
        evidence=(
            Evidence("Gradient times input", joints, joints.sum(axis=(0, 2))),
            Evidence("Occlusion", joints / 2, joints.sum(axis=(0, 2)) / 2),
        ),
        agreement=(0.5, float("nan")),
        layers=(Links("backbone.0", weights),),
    )


def synthetic_folder(folder: Path, clips: int = 3) -> Path:
    """A folder of synthetic recordings."""
    write_synthetic(folder, clips=clips, actions=3, seed=0)
    return folder


def _depth(joint: int) -> int:
    depth = 0
    while joint != NTU25.centre:
        joint, depth = NTU25.parents[joint], depth + 1
    return depth


def _direction(name: str) -> Float32[ndarray, " 3"]:
    """Where a joint lies from the one before it, for a body that faces the camera."""
    side = -1.0 if "left" in name else 1.0 if "right" in name else 0.0
    steps = {
        "shoulder": (0.18, -0.03, 0),
        "elbow": (0.05, -0.27, 0),
        "wrist": (0.02, -0.24, -0.03),
        "hand": (0.0, -0.07, -0.02),
        "thumb": (0.02, -0.04, -0.04),
        "tip": (0.0, -0.08, -0.01),
        "hip": (0.09, -0.06, 0),
        "knee": (0.02, -0.4, -0.02),
        "ankle": (0.0, -0.4, 0.03),
        "foot": (0.02, -0.05, -0.12),
        "neck": (0, 0.08, 0),
        "head": (0, 0.15, 0),
        "spine": (0, -0.24, 0),
    }
    x, y, z = next(step for part, step in steps.items() if part in name)
    return np.array([side * x, y, z], np.float32)
