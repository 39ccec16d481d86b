"""Tracking quality: drop-outs, variation of bone length, jumping joints."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.feeding.transforms.protocol import num_coordinates
from skelab.skeleton import Layout

JUMP: Final = 1.0
"""Movement between frames that counts as a jump, in mean bone lengths."""


@dataclass(frozen=True)
class ClipQuality:
    """Tracking quality of one clip.

    Attributes:
        name: The clip.
        empty_frames: Share of the frames in which a body is absent; 0..1.
        missing_joints: Share of zero joints in frames where their body is present.
        bone_variation: Standard deviation of a bone's length over its mean, mean over the bones;
            nan where there are too few poses.
        jumps: Share of the steps from frame to frame in which a joint jumps.
    """

    name: str
    empty_frames: float
    missing_joints: float
    bone_variation: float
    jumps: float


FIGURES: Final = ("empty_frames", "missing_joints", "bone_variation", "jumps")
"""The figures of a clip."""


@dataclass(frozen=True)
class QualityReport:
    """Tracking quality of a set.

    Attributes:
        clips: One entry for each clip, in the order of the set.
    """

    clips: tuple[ClipQuality, ...]

    def summary(self) -> dict[str, dict[str, float | None]]:
        """Mean, median, 95th percentile and highest of each figure; None where none is known."""
        found = {}
        for name in FIGURES:
            values = np.array([getattr(clip, name) for clip in self.clips], dtype=np.float64)
            known = values[np.isfinite(values)]
            found[name] = {
                "mean": _known(np.mean, known),
                "median": _known(np.median, known),
                "95th percentile": _known(lambda each: np.percentile(each, 95), known),
                "highest": _known(np.max, known),
            }
        return found

    def worst(self, name: str, count: int = 5) -> list[ClipQuality]:
        """The clips with the highest values of a figure above zero."""
        known = [clip for clip in self.clips if getattr(clip, name) > 0]
        return sorted(known, key=lambda clip: -getattr(clip, name))[:count]

    def to_dict(self) -> dict[str, Any]:
        """The set and each clip as a JSON object."""
        clips = [
            {
                name: None if isinstance(value, float) and math.isnan(value) else value
                for name, value in asdict(clip).items()
            }
            for clip in self.clips
        ]
        return {"set": self.summary(), "clips": clips}


def check_quality(
    clips: OpenedClips, on_progress: Callable[[int, int], None] | None = None
) -> QualityReport:
    """Measure the tracking quality of all clips; every clip is read.

    Args:
        clips: The clips.
        on_progress: Called with the clips that are done, and all clips.

    Raises:
        DataError: A clip cannot be read.
    """
    found = []
    for row in range(len(clips)):
        clip = clips.clip(row)
        found.append(clip_quality(clip.info.name, clip.joints, clips.info.layout))
        if on_progress:
            on_progress(row + 1, len(clips))
    return QualityReport(tuple(found))


def clip_quality(name: str, joints: Float[ndarray, "M T V C"], layout: Layout) -> ClipQuality:
    """Measure the tracking quality of one clip."""
    poses = joints[..., : num_coordinates(layout)].astype(np.float64)
    seen = (poses != 0).any(axis=3)  # M T V
    there = seen.any(axis=2)  # M T
    lengths, both = _bones(poses, seen, layout)
    usual = float(lengths[both].mean()) if both.any() else 0.0
    return ClipQuality(
        name=name,
        empty_frames=float(1 - there.mean()),
        missing_joints=float(1 - seen[there].mean()) if there.any() else 0.0,
        bone_variation=_variation(lengths, both),
        jumps=_jumps(poses, seen, JUMP * usual),
    )


def _bones(
    poses: Float[ndarray, "M T V D"], seen: Bool[ndarray, "M T V"], layout: Layout
) -> tuple[Float[ndarray, "M T B"], Bool[ndarray, "M T B"]]:
    """The length of each bone, and whether both of its ends were found."""
    ends, starts = np.array(layout.bones).T
    lengths = np.linalg.norm(poses[:, :, ends] - poses[:, :, starts], axis=3)
    return lengths, seen[:, :, ends] & seen[:, :, starts]


def _variation(lengths: Float[ndarray, "M T B"], both: Bool[ndarray, "M T B"]) -> float:
    shares = []
    for body, known in zip(lengths, both, strict=True):
        for bone in range(body.shape[1]):
            values = body[known[:, bone], bone]
            if len(values) > 1 and values.mean() > 0:
                shares.append(float(values.std() / values.mean()))
    return float(np.mean(shares)) if shares else math.nan


def _jumps(poses: Float[ndarray, "M T V D"], seen: Bool[ndarray, "M T V"], limit: float) -> float:
    moved = np.linalg.norm(np.diff(poses, axis=1), axis=3)  # M T-1 V
    known = seen[:, 1:] & seen[:, :-1]
    steps = known.any(axis=2)
    if not steps.any() or limit <= 0:
        return 0.0
    jumped = ((moved > limit) & known).any(axis=2)
    return float(jumped[steps].mean())


def _known(figure: Callable[[Any], Any], values: Float[ndarray, " N"]) -> float | None:
    return float(figure(values)) if len(values) else None
