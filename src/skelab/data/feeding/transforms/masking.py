"""Transforms that mask joints or frames, or reverse time. Scores are masked with their joints."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.chance import Chance, draw_seed
from skelab.data.feeding.transforms.protocol import ClipFacts, Need
from skelab.data.feeding.transforms.window import Crop


class DroppedJoints(NamedTuple):
    """Dropped joints of a clip, and when they are missing.

    Attributes:
        joints: Their indices.
        start: First frame of the window in which they are missing.
        length: Number of these frames.
    """

    joints: list[int]
    start: int
    length: int


@dataclass(frozen=True)
class DropJoints:
    """Joint drop-out: zero some joints of all bodies over the window or a stretch of it.

    Attributes:
        limit: Largest share of dropped joints; their number is uniform from one up to it.
        frames: Smallest and largest share of the window in which they are missing.
        probability: Share of the clips that lose joints.

    Source: the joint mask of AS-CAL (arXiv:2008.00188); the stretch is ours.
    """

    name: ClassVar[str] = "drop-joints"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 2

    limit: float = 0.2
    frames: tuple[float, float] = (1.0, 1.0)
    probability: float = 0.5

    def sample(self, facts: ClipFacts, rng: Chance) -> DroppedJoints | None:
        """Choose the joints, and the stretch."""
        if rng.random() >= self.probability:
            return None
        own = np.random.default_rng(draw_seed(rng))
        most = max(1, int(self.limit * facts.layout.num_joints))
        count = int(own.integers(1, most + 1))
        joints = own.choice(facts.layout.num_joints, count, replace=False)
        return DroppedJoints(sorted(joints.tolist()), *_stretch(self.frames, facts.window, own))

    def apply(self, batch: Batch, drawn: Sequence[Sequence[Any] | None]) -> Batch:
        """Drop the chosen joints."""
        clips, _, frames, joints, _ = batch.joints.shape
        missing = np.zeros((clips, frames, joints), dtype=bool)
        for clip, chosen in zip(missing, drawn, strict=True):
            if chosen is not None:
                dropped = DroppedJoints(*chosen)
                clip[dropped.start : dropped.start + dropped.length, dropped.joints] = True
        mask = torch.as_tensor(missing, device=batch.joints.device)[:, None, :, :, None]
        return replace(batch, joints=batch.joints.masked_fill(mask, 0))


@dataclass(frozen=True)
class MaskTime:
    """Time masking: the frames of a stretch become zero, or freeze.

    Attributes:
        frames: Smallest and largest share of the window that is masked.
        freeze: Repeat the first frame of the stretch instead of zeros.
        probability: Share of the clips that are masked.

    Source: time masking of SpecAugment (arXiv:1904.08779), on frames of poses; skeletons with
    hidden frames are those of PSTL (arXiv:2302.09018), which chooses single frames by their motion.
    """

    name: ClassVar[str] = "mask-time"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 3

    frames: tuple[float, float] = (0.1, 0.3)
    freeze: bool = False
    probability: float = 0.5

    def sample(self, facts: ClipFacts, rng: Chance) -> Crop | None:
        """Choose the stretch, in frames of the window."""
        if rng.random() >= self.probability:
            return None
        return _stretch(self.frames, facts.window, rng)

    def apply(self, batch: Batch, drawn: Sequence[Sequence[int] | None]) -> Batch:
        """Mask the stretches."""
        clips, frames = len(batch.joints), batch.joints.shape[2]
        shown = np.tile(np.arange(frames), (clips, 1))  # source of each frame
        hidden = np.zeros((clips, frames), dtype=bool)
        for clip, stretch in enumerate(drawn):
            if stretch is not None:
                start, length = stretch
                shown[clip, start : start + length] = start
                hidden[clip, start : start + length] = True
        if self.freeze:
            return _show(batch, torch.as_tensor(shown, device=batch.joints.device))
        mask = torch.as_tensor(hidden, device=batch.joints.device)[:, None, :, None, None]
        return replace(batch, joints=batch.joints.masked_fill(mask, 0))


@dataclass(frozen=True)
class ReverseTime:
    """Reverse time. Zero padding stays at the end.

    Attributes:
        probability: Share of the clips that are reversed.

    Source: AS-CAL (arXiv:2008.00188).
    """

    name: ClassVar[str] = "reverse-time"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 1

    probability: float = 0.5

    def sample(self, facts: ClipFacts, rng: Chance) -> bool:
        """Whether the clip is reversed."""
        return rng.random() < self.probability

    def apply(self, batch: Batch, drawn: Sequence[bool]) -> Batch:
        """Reverse the selected clips."""
        joints = batch.joints
        frame = torch.arange(joints.shape[2], device=joints.device)
        filled = (joints != 0).any(dim=4).any(dim=3).any(dim=1)  # N T
        end = ((frame + 1) * filled).amax(dim=1, keepdim=True)  # N 1, after the last non-zero frame
        chosen = torch.as_tensor(list(drawn), device=joints.device)[:, None]
        shown = torch.where(chosen & (frame < end), end - 1 - frame, frame)
        return _show(batch, shown)


def _stretch(share: tuple[float, float], window: int, rng: Chance) -> Crop:
    """A random stretch of the window, at least one frame long."""
    low, high = share
    length = min(max(round((low + (high - low) * rng.random()) * window), 1), window)
    return Crop(int(rng.integers(0, window - length + 1)), length)


def _show(batch: Batch, frames: Int64[Tensor, "N T"]) -> Batch:
    """The batch with each frame replaced by its source frame."""
    index = frames[:, None, :, None, None].expand_as(batch.joints)
    return replace(batch, joints=batch.joints.gather(2, index))
