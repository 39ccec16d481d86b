"""The feeder: whole batches of padded clips, on the device, become what a network takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor

from skelab.data.feeding.chance import ClipChance, EpochChance
from skelab.data.feeding.dataset import PaddedClips
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import (
    Crop,
    CropResize,
    Fill,
    PickFrames,
    RandomLimbs,
    RandomRotation,
    rotation_matrices,
)
from skelab.errors import DataError
from skelab.native import can_resample, resample_clips
from skelab.skeleton import Layout

Angles = tuple[float, float, float]
"""Of a rotation about x, y and z, in radians."""

FrameChoice = Any
"""What a transform of the window has chosen for a clip: a stretch, or the number of each frame."""


@dataclass(frozen=True)
class Batch:
    """What a network takes.

    Attributes:
        joints: The stream.
        labels: Class indices; -1 unknown.
        rows: Row of each clip in its source.
    """

    joints: Float32[Tensor, "N C T V M"]
    labels: Int64[Tensor, " N"]
    rows: tuple[int, ...]


class FeederConfig(BaseModel):
    """How clips become the input of a network.

    Attributes:
        stream: What the network is shown.
        window: Frames of an input.
        fill: How a clip becomes that many frames: ``resize`` interpolates; the others take frames
            as they are: ``loop`` repeats the clip, ``zeros`` pads it (both cut a longer one), and
            ``sample`` takes frames from the whole of it, in training at random.
        train_crop: Lowest and highest share of a clip that a training crop keeps.
        eval_crop: Share of a clip, cut from its middle, that is kept everywhere else.
        rotation: Limit of the random rotation in training, radians; 0 for none.
        yaw: Limit of its angle about the vertical axis, where that is another: cameras of other
            views stand around people rather than above them. None for ``rotation``.
        limbs: Limit of the random change of bone lengths in training, a share; 0 for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stream: Stream = Stream.JOINT
    window: int = Field(default=64, ge=4, le=4096, strict=True)
    fill: Fill = Fill.RESIZE
    train_crop: tuple[float, float] = (0.5, 1.0)
    eval_crop: float = Field(default=0.95, gt=0, le=1)
    rotation: float = Field(default=0.3, ge=0, le=3.15)
    yaw: float | None = Field(default=None, ge=0, le=3.15)
    limbs: float = Field(default=0.0, ge=0, le=0.9)

    @field_validator("train_crop")
    @classmethod
    def _crop_is_a_range(cls, crop: tuple[float, float]) -> tuple[float, float]:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError(
                "expected a lowest and a highest share, 0 < lowest <= highest <= 1, found"
                f" {list(crop)}"
            )
        return crop


class Feeder:
    """Shapes padded clips into batches: crop, fill the window, rotation in training, stream.

    Streams are derived last, so that a looped clip moves at its seam.

    Every clip has draws of its own, by seed of the run, epoch and row: the same clip gets the same
    augmentation whatever batch, process or restart it finds itself in. On a CPU compiled code
    does the work where it was built, and gives the same bits as torch.

    Args:
        config: How clips are shaped.
        layout: Their joints.
        keeps_gaps: Every frame of a clip counts, also one of zeros in its middle. Otherwise only
            frames with values are counted where clips are resized, and a clip with gaps loses its
            end, as with the authors of CTR-GCN.
    """

    def __init__(self, config: FeederConfig, layout: Layout, *, keeps_gaps: bool = False) -> None:
        for name in ("rotation", "yaw", "limbs"):
            if getattr(config, name) and layout.axes != ("x", "y", "z"):
                raise DataError(
                    f"{name} needs coordinates x, y, z; layout {layout.name} has"
                    f" {', '.join(layout.axes)}; --set data.{name}=0 turns it off"
                )
        self.config = config
        self.layout = layout
        self.keeps_gaps = keeps_gaps
        self._train_crop: CropResize | PickFrames = CropResize(config.window, config.train_crop)
        self._eval_crop: CropResize | PickFrames = CropResize(config.window, (config.eval_crop,))
        if config.fill is not Fill.RESIZE:
            self._train_crop = PickFrames(config.window, config.train_crop, config.fill)
            self._eval_crop = PickFrames(config.window, (config.eval_crop,), config.fill)
        self._rotation = RandomRotation(config.rotation, config.yaw)
        self._limbs = RandomLimbs(config.limbs, layout)
        self._chance = EpochChance()

    def training_batch(self, clips: PaddedClips, *, seed: int, epoch: int) -> Batch:
        """Augmented clips."""
        draws = self._chance.of_clips(seed=seed, epoch=epoch, rows=clips.rows)
        crops = [
            self._train_crop.sample(valid, rng)
            for valid, rng in zip(self._lengths(clips), draws, strict=True)
        ]
        turns = self.config.rotation or self.config.yaw
        angles = [self._rotation.sample(rng) for rng in draws] if turns else None
        factors = [self._limbs.sample(rng) for rng in draws] if self.config.limbs else None
        return self._shape(clips, crops, angles, factors)

    def evaluation_batch(self, clips: PaddedClips) -> Batch:
        """Clips as they are tested: nothing is drawn."""
        nothing = ClipChance(())
        crops = [self._eval_crop.sample(valid, nothing) for valid in self._lengths(clips)]
        return self._shape(clips, crops, None, None)

    def _lengths(self, clips: PaddedClips) -> tuple[int, ...]:
        whole = self.keeps_gaps or self.config.fill is not Fill.RESIZE
        return clips.frames if whole else clips.valid

    def _shape(
        self,
        clips: PaddedClips,
        crops: Sequence[FrameChoice],
        angles: Sequence[Angles] | None,
        factors: Sequence[Float[ndarray, " V"]] | None,
    ) -> Batch:
        on_cpu, resized = clips.poses.device.type == "cpu", self.config.fill is Fill.RESIZE
        compiled = can_resample() and on_cpu and resized
        resample = self._resample_compiled if compiled else self._resample_by_torch
        inputs = resample(clips, crops, angles)
        if factors is not None:
            inputs = self._limbs.apply(inputs, factors)
        return Batch(
            derive_stream(inputs, self.config.stream, self.layout), clips.labels, clips.rows
        )

    def _resample_by_torch(
        self, clips: PaddedClips, crops: Sequence[FrameChoice], angles: Sequence[Angles] | None
    ) -> Float32[Tensor, "N C W V M"]:
        joints = self._train_crop.apply(clips.joints, crops)
        if angles is not None:
            joints = self._rotation.apply(joints, angles)
        return joints.permute(0, 4, 1, 3, 2).contiguous()

    def _resample_compiled(
        self, clips: PaddedClips, crops: Sequence[Crop], angles: Sequence[Angles] | None
    ) -> Float32[Tensor, "N C W V M"]:
        joints, axes = clips.poses.shape[1:]
        inputs = torch.empty(len(crops), axes, self.config.window, joints, clips.max_bodies)
        stretches = np.array(crops, dtype=np.int64).T
        table = np.stack([clips.starts, clips.frames, clips.bodies, *stretches], axis=1)
        turns = None if angles is None else rotation_matrices(angles).astype(np.float32)
        resample_clips(clips.poses.numpy(), table, turns, inputs.numpy())
        return inputs
