"""Transforms that fill the window: they crop each clip and bring it to W frames.

Every feeder starts with one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import ClassVar, Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.chance import Chance, draw_seed
from skelab.data.feeding.transforms.protocol import ClipFacts, Need
from skelab.data.feeding.transforms.settings import Fill

MIN_CROP: Final = 64
"""Shortest random crop, unless the clip is shorter (CTR-GCN's feeder)."""


_TEST_CLIPS_SEED: Final = 255
"""PYSKL seeds numpy with it for each test sample: clips of one length get the same frames."""


def frames_of_test_clips(
    length: int, window: int, count: int, *, seed: int = _TEST_CLIPS_SEED
) -> Int64[ndarray, "K W"]:
    """The frames of each of K test clips of one clip, a window long, in order.

    A clip shorter than the window goes round, from another frame in each test clip. One of up to
    twice the window lacks frames anywhere, and of a longer one each of W equal parts gives one;
    which, is drawn from the same seed for every clip.

    Args:
        length: Frames of the clip.
        window: Frames of a test clip, W.
        count: Test clips, K.
        seed: Seed of the draws.

    Source: the sampling of test clips of kennymckormick/pyskl@3f6795f, from a description of it and
    equal to its indices, draws of numpy's older generator included.
    """
    rng = np.random.RandomState(seed)
    places = np.arange(window)
    chosen = []
    for number in range(count):
        rng.rand()  # of the length, which is the whole clip's
        if length < window:
            start = number if length < count else number * length // count
            frames = start + places
        elif length < 2 * window:
            skips = np.zeros(window + 1, dtype=np.int64)
            skips[rng.choice(window + 1, length - window, replace=False)] = 1
            frames = places + np.cumsum(skips)[:-1]
        else:
            bounds = np.arange(window + 1, dtype=np.int64) * length // window
            frames = bounds[:-1] + rng.randint(np.diff(bounds))
        chosen.append(frames % length)
    return np.stack(chosen).astype(np.int64)


class Crop(NamedTuple):
    """A stretch of frames of one clip."""

    start: int
    length: int


@dataclass(frozen=True)
class CropResize:
    """Crop each clip and resize it to ``window`` frames.

    Attributes:
        window: Frames of the output, W.
        keep: The share of the clip in a centre crop (test), or the smallest and largest share of a
            random crop at a random position (training).
        keeps_gaps: Every frame of a clip counts. Otherwise only the number of non-zero frames.

    Source: section "feeder" of CTR-GCN (Uason-Chen/CTR-GCN@e13d758, feeders/tools.py): linear
    interpolation with half-pixel centres in both directions.
    """

    name: ClassVar[str] = "crop-resize"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 2

    window: int
    keep: tuple[float] | tuple[float, float]
    keeps_gaps: bool = False

    def sample(self, facts: ClipFacts, rng: Chance) -> Crop:
        """Choose the crop of a clip; random only if ``keep`` is a range."""
        return _stretch(self.keep, facts.frames if self.keeps_gaps else facts.valid, rng)

    def apply(self, batch: Batch, drawn: Sequence[Sequence[int]]) -> Batch:
        """Crop and resize padded clips, with one crop per clip."""
        joints = batch.joints
        start, length = np.array(drawn, dtype=np.int64).T[:, :, None]  # each N 1
        output = np.arange(self.window)
        position = np.maximum((output + 0.5) * length / self.window - 0.5, 0)  # N W
        before = np.floor(position).astype(np.int64)
        after = np.minimum(before + 1, length - 1)
        share = torch.as_tensor(position - before, dtype=joints.dtype, device=joints.device)
        share = share[..., None, None, None]
        first = _frames(batch, start + before)
        second = _frames(batch, start + after)
        resized = first * (1 - share) + second * share  # rounded at each step, like the kernel
        return replace(batch, joints=resized.transpose(1, 2).contiguous())


@dataclass(frozen=True)
class PickFrames:
    """Crop each clip and fill ``window`` frames with its frames, unchanged.

    - ``loop`` repeats the stretch from its first frame on until the window is full. What is longer
      is cut at the window.
    - ``zeros`` leaves the frames behind the stretch zeros, and cuts what is longer.
    - ``sample`` takes frames from the whole of a stretch, in their order. Training draws them: a
      stretch shorter than the window goes round from any of its frames; one of up to twice the
      window lacks frames anywhere; of a longer one each of W equal parts gives one. Elsewhere the
      short one goes round from its first frame, and each part gives its middle.

    Attributes:
        window: Frames of the output, W.
        keep: As :class:`CropResize` has it.
        fill: ``loop``, ``zeros`` or ``sample``.

    Source: ``loop``: kenziyuliu/MS-G3D@2f927f4, ``data_gen/preprocess.py``, and arXiv:1801.07455,
    section 4.1. ``sample``: kennymckormick/pyskl@3f6795f; departure: outside of training it draws
    there, too, and takes the mean of ten tries; :func:`frames_of_test_clips` draws them.
    """

    name: ClassVar[str] = "pick-frames"
    needs: ClassVar[tuple[Need, ...]] = ()
    draws: ClassVar[int] = 2

    window: int
    keep: tuple[float] | tuple[float, float]
    fill: Fill

    def sample(self, facts: ClipFacts, rng: Chance) -> list[int]:
        """Choose the frame of each place in the window; -1 stands for a frame of zeros.

        Draws only if ``keep`` is a range.
        """
        if self.fill is Fill.SAMPLE and len(self.keep) == 2:
            own = np.random.default_rng(draw_seed(rng))  # a clip has few draws
            start, length = _stretch(self.keep, facts.frames, own)
            frames = start + self._drawn(length, own)
        else:
            start, length = _stretch(self.keep, facts.frames, rng)
            frames = start + self._in_order(length)
        chosen: list[int] = np.where(frames < start + length, frames, -1).tolist()
        return chosen

    def apply(self, batch: Batch, drawn: Sequence[Sequence[int]]) -> Batch:
        """Take the chosen frames out of padded clips."""
        frames = np.array(drawn, dtype=np.int64)  # N W
        taken = _frames(batch, np.maximum(frames, 0))
        empty = torch.as_tensor(frames < 0, device=taken.device)[..., None, None, None]
        return replace(batch, joints=taken.masked_fill(empty, 0).transpose(1, 2).contiguous())

    def _in_order(self, length: int) -> Int64[ndarray, " W"]:
        frames = np.arange(self.window)
        if self.fill is Fill.LOOP:
            return frames % length
        return frames if self.fill is Fill.ZEROS else self._even(length)

    def _even(self, length: int) -> Int64[ndarray, " W"]:
        frames = np.arange(self.window)
        if length < self.window:
            return frames % length
        return (2 * frames + 1) * length // (2 * self.window)

    def _drawn(self, length: int, rng: np.random.Generator) -> Int64[ndarray, " W"]:
        frames = np.arange(self.window)
        if length < self.window:
            return (rng.integers(length) + frames) % length
        if length < 2 * self.window:
            skips = np.zeros(self.window + 1, dtype=np.int64)  # a frame left out before each, or 0
            skips[rng.choice(self.window + 1, length - self.window, replace=False)] = 1
            return frames + np.cumsum(skips)[:-1]
        bounds = np.arange(self.window + 1) * length // self.window
        return rng.integers(bounds[:-1], bounds[1:])


def _stretch(keep: tuple[float] | tuple[float, float], num_frames: int, rng: Chance) -> Crop:
    """A stretch of a clip of ``num_frames`` frames: its middle, or, for a range, drawn."""
    if len(keep) == 1:
        margin = int((1 - keep[0]) * num_frames / 2)
        return Crop(margin, num_frames - 2 * margin)
    low, high = keep
    share = rng.random() * (high - low) + low
    length = min(max(floor(num_frames * share), MIN_CROP), num_frames)
    return Crop(int(rng.integers(0, num_frames - length + 1)), length)


def _frames(batch: Batch, frames: Int64[ndarray, "N W"]) -> Float[Tensor, "N W C V M"]:
    """The frames of these numbers, W of each clip."""
    by_frame = batch.joints.transpose(1, 2)  # N T C V M
    rows = torch.arange(len(by_frame), device=by_frame.device)[:, None]
    return by_frame[rows, torch.as_tensor(frames, device=by_frame.device)]
