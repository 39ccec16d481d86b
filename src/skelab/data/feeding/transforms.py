"""Transforms of the feeder. Each draws its parameters apart from applying them.

``sample`` looks at one clip and draws from the generator it is given; ``apply`` acts on a whole
batch, on whichever device it is. So an augmentation can be logged, replayed and tested.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import floor
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from skelab.data.feeding.chance import ClipChance
from skelab.skeleton import Layout

MIN_CROP: Final = 64
"""A random crop is never shorter than this, unless the clip is (CTR-GCN's feeder)."""


class Crop(NamedTuple):
    """A stretch of frames of one clip."""

    start: int
    length: int


class Fill(StrEnum):
    """How a stretch of a clip becomes the frames of a window."""

    RESIZE = "resize"
    LOOP = "loop"
    ZEROS = "zeros"
    SAMPLE = "sample"


@dataclass(frozen=True)
class CropResize:
    """Cut a stretch out of each clip and bring it to ``window`` frames.

    Attributes:
        window: Frames that come out, W.
        keep: One share of the clip, cut from its middle (test), or the lowest and highest share,
            drawn uniformly and cut anywhere (training).

    Source: section "feeder" of CTR-GCN (Uason-Chen/CTR-GCN@e13d758, feeders/tools.py): linear
    interpolation with half-pixel centres, lengthening and shortening alike.
    """

    window: int
    keep: tuple[float] | tuple[float, float]

    def sample(self, num_frames: int, rng: np.random.Generator | ClipChance) -> Crop:
        """Choose the stretch of a clip of ``num_frames`` frames; draws only if there is a range."""
        if len(self.keep) == 1:
            margin = int((1 - self.keep[0]) * num_frames / 2)
            return Crop(margin, num_frames - 2 * margin)
        low, high = self.keep
        share = rng.random() * (high - low) + low
        length = min(max(floor(num_frames * share), MIN_CROP), num_frames)
        return Crop(int(rng.integers(0, num_frames - length + 1)), length)

    def apply(
        self, joints: Float[Tensor, "N T M V C"], crops: Sequence[Crop]
    ) -> Float[Tensor, "N W M V C"]:
        """Cut and resize a padded batch, one stretch a clip."""
        start, length = np.array(crops, dtype=np.int64).T[:, :, None]  # each N 1
        output = np.arange(self.window)
        position = np.maximum((output + 0.5) * length / self.window - 0.5, 0)  # N W
        before = np.floor(position).astype(np.int64)
        after = np.minimum(before + 1, length - 1)
        share = torch.as_tensor(position - before, dtype=joints.dtype, device=joints.device)
        share = share[..., None, None, None]
        rows = torch.arange(len(joints), device=joints.device)[:, None]
        first = joints[rows, torch.as_tensor(start + before, device=joints.device)]
        second = joints[rows, torch.as_tensor(start + after, device=joints.device)]
        return first * (1 - share) + second * share  # each step rounded, as the kernel rounds


@dataclass(frozen=True)
class PickFrames:
    """Cut a stretch out of each clip and fill ``window`` frames with frames of it, unchanged.

    - ``loop`` repeats the stretch from its first frame on until the window is full. What is longer
      is cut at the window.
    - ``zeros`` leaves the frames behind the stretch zeros, and cuts what is longer.
    - ``sample`` takes frames from the whole of a stretch, in their order. Training draws them: a
      stretch shorter than the window goes round from any of its frames; one of up to twice the
      window lacks frames anywhere; of a longer one each of W equal parts gives one. Elsewhere the
      short one goes round from its first frame, and each part gives its middle.

    Attributes:
        window: Frames that come out, W.
        keep: As :class:`CropResize` has it.
        fill: ``loop``, ``zeros`` or ``sample``.

    Source: ``loop``: kenziyuliu/MS-G3D@2f927f4, ``data_gen/preprocess.py``, and arXiv:1801.07455,
    section 4.1. ``sample``: kennymckormick/pyskl@3f6795f; departure: outside of training it draws
    there, too, and takes the mean of ten tries.
    """

    window: int
    keep: tuple[float] | tuple[float, float]
    fill: Fill

    def sample(
        self, num_frames: int, rng: np.random.Generator | ClipChance
    ) -> Int64[np.ndarray, " W"]:
        """Choose the frames of a clip of ``num_frames`` frames; -1 stands for one of zeros.

        Draws only if ``keep`` is a range.
        """
        crop = CropResize(self.window, self.keep)
        if self.fill is Fill.SAMPLE and len(self.keep) == 2:
            own = np.random.default_rng(int(rng.random() * 2**53))  # a clip has few draws
            start, length = crop.sample(num_frames, own)
            return start + self._drawn(length, own)
        start, length = crop.sample(num_frames, rng)
        if self.fill is Fill.SAMPLE:
            return start + self._even(length)
        frames = np.arange(self.window)
        if self.fill is Fill.LOOP:
            return start + frames % length
        return np.where(frames < length, start + frames, -1)

    def apply(
        self, joints: Float[Tensor, "N T M V C"], frames: Sequence[Int64[np.ndarray, " W"]]
    ) -> Float[Tensor, "N W M V C"]:
        """Take the chosen frames out of a padded batch."""
        chosen = torch.as_tensor(np.stack(frames), device=joints.device)
        rows = torch.arange(len(joints), device=joints.device)[:, None]
        taken = joints[rows, chosen.clamp(min=0)]
        return taken.masked_fill(chosen[..., None, None, None] < 0, 0)

    def _even(self, length: int) -> Int64[np.ndarray, " W"]:
        frames = np.arange(self.window)
        if length < self.window:
            return frames % length
        return (2 * frames + 1) * length // (2 * self.window)

    def _drawn(self, length: int, rng: np.random.Generator) -> Int64[np.ndarray, " W"]:
        frames = np.arange(self.window)
        if length < self.window:
            return (rng.integers(length) + frames) % length
        if length < 2 * self.window:
            skips = np.zeros(self.window + 1, dtype=np.int64)  # a frame left out before each, or 0
            skips[rng.choice(self.window + 1, length - self.window, replace=False)] = 1
            return frames + np.cumsum(skips)[:-1]
        bounds = np.arange(self.window + 1) * length // self.window
        return rng.integers(bounds[:-1], bounds[1:])


@dataclass(frozen=True)
class RandomRotation:
    """Turn each clip about the origin, the same for all frames and bodies.

    Attributes:
        limit: Each of the three angles is uniform between minus and plus this, in radians.
        yaw: The same for the angle about y, the vertical axis; None for ``limit``.

    Source: as :class:`CropResize`; 0.3 radians there about each axis. ``yaw`` is ours: cameras
    stand around people rather than above them.
    """

    limit: float
    yaw: float | None = None

    def sample(self, rng: np.random.Generator | ClipChance) -> tuple[float, float, float]:
        """Draw the angles about x, y and z."""
        limits = (self.limit, self.limit if self.yaw is None else self.yaw, self.limit)
        x, y, z = (float(rng.uniform(-limit, limit, size=1)[0]) for limit in limits)
        return x, y, z

    def apply(
        self,
        joints: Float[Tensor, "N T M V 3"],
        angles: Sequence[tuple[float, float, float]],
    ) -> Float[Tensor, "N T M V 3"]:
        """Turn a batch, one triple of angles a clip."""
        turn = torch.as_tensor(rotation_matrices(angles), dtype=joints.dtype, device=joints.device)
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = turn.permute(1, 2, 0)[..., None, None, None]
        x, y, z = joints.unbind(-1)  # each N T M V; each step is rounded, as the kernel rounds
        turned = (ax * x + ay * y + az * z, bx * x + by * y + bz * z, cx * x + cy * y + cz * z)
        return torch.stack(turned, dim=-1)


@dataclass(frozen=True)
class RandomLimbs:
    """Give each clip a performer of other proportions: bones longer or shorter, motion the same.

    A bone and its mirror image get one factor. The centre stays where it is and every joint is
    put together again along its bones, so that directions, and with them the motion, remain.

    Attributes:
        limit: Each factor is uniform between 1 - ``limit`` and 1 + ``limit``.
        layout: The bones.

    Source: ours; small data sets have few performers, and a network learns their build by heart.
    """

    limit: float
    layout: Layout

    def sample(self, rng: np.random.Generator | ClipChance) -> Float[np.ndarray, " V"]:
        """The factor of the bone that ends at each joint."""
        own = np.random.default_rng(int(rng.random() * 2**53))
        factors = own.uniform(1 - self.limit, 1 + self.limit, size=self.layout.num_joints)
        first_of_pair = np.minimum(np.arange(self.layout.num_joints), self.layout.mirror)
        return factors[first_of_pair]

    def apply(
        self, joints: Float[Tensor, "N C T V M"], factors: Sequence[Float[np.ndarray, " V"]]
    ) -> Float[Tensor, "N C T V M"]:
        """Rebuild a batch, one set of factors a clip. Absent bodies stay zeros."""
        factor = torch.as_tensor(np.stack(factors), dtype=joints.dtype, device=joints.device)
        bones = joints - joints[:, :, :, list(self.layout.parents)]
        path = torch.as_tensor(_bones_to(self.layout), dtype=joints.dtype, device=joints.device)
        reach = torch.einsum("vu,nu,nctum->nctvm", path, factor, bones)
        return joints[:, :, :, [self.layout.centre]] + reach


def _bones_to(layout: Layout) -> Float[np.ndarray, "V V"]:
    """Entry [v, u] is 1 where the bone that ends at joint u lies between the centre and joint v."""
    path = np.zeros((layout.num_joints, layout.num_joints))
    for joint in range(layout.num_joints):
        step = joint
        while step != layout.centre:
            path[joint, step] = 1.0
            step = layout.parents[step]
    return path


def rotation_matrices(
    angles: Sequence[tuple[float, float, float]],
) -> Float[np.ndarray, "N 3 3"]:
    """Rz Ry Rx of each triple of angles, with the signs of CTR-GCN's feeder."""
    cos, sin = np.cos(angles), np.sin(angles)  # each N 3
    zero, one = np.zeros(len(cos)), np.ones(len(cos))

    def stack(*entries: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N 3 3"]:
        return np.stack(entries, axis=-1).reshape(-1, 3, 3)

    (cx, cy, cz), (sx, sy, sz) = cos.T, sin.T
    about_x = stack(one, zero, zero, zero, cx, sx, zero, -sx, cx)
    about_y = stack(cy, zero, -sy, zero, one, zero, sy, zero, cy)
    about_z = stack(cz, sz, zero, -sz, cz, zero, zero, zero, one)
    turned: Float[np.ndarray, "N 3 3"] = about_z @ about_y @ about_x
    return turned
