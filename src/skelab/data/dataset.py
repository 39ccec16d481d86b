"""From stored clips to tensors: a dataset that reads, and a collation that pads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

from skelab.data.clip import Clip
from skelab.data.index import UNKNOWN, ClipIndex


@runtime_checkable
class ClipSource(Protocol):
    """Anything that holds indexed clips; a clip store does."""

    @property
    def index(self) -> ClipIndex:
        """Names, labels and so on, one row a clip."""
        ...

    def clip(self, row: int) -> Clip:
        """The clip of a row."""
        ...


class ClipDataset(Dataset[tuple[int, Clip]]):
    """Some rows of a clip source, for a PyTorch loader; an item is its row and its clip."""

    def __init__(self, source: ClipSource, rows: Sequence[int] | Int64[ndarray, " R"]) -> None:
        self.source = source
        self.rows = np.asarray(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[int, Clip]:
        row = int(self.rows[position])
        return row, self.source.clip(row)


@dataclass(frozen=True)
class PaddedClips:
    """Clips of different lengths side by side, zeros behind their ends; not yet shaped.

    The zeros are not kept: poses lie packed as they are stored, since most batches have three
    times as many zeros as values.

    Attributes:
        poses: Of each clip all frames of its first body, then of the next.
        frames: Frames of each clip.
        bodies: Bodies of each clip that were taken.
        max_bodies: Places for bodies, M.
        valid: Valid frames of each clip, from its first.
        labels: Class indices; -1 unknown.
        rows: Row of each clip in its source.
    """

    poses: Float32[Tensor, "poses V C"]
    frames: tuple[int, ...]
    bodies: tuple[int, ...]
    max_bodies: int
    valid: tuple[int, ...]
    labels: Int64[Tensor, " N"]
    rows: tuple[int, ...]

    @cached_property
    def joints(self) -> Float32[Tensor, "N T M V C"]:
        """The coordinates with all their zeros, T being the frames of the longest clip."""
        clips, longest = len(self.frames), max(self.frames)
        places = np.full((clips, longest, self.max_bodies), len(self.poses))  # a pose of zeros
        for place, first, frames, bodies in zip(
            places, self.starts, self.frames, self.bodies, strict=True
        ):
            own = np.arange(first, first + frames * bodies)
            place[:frames, :bodies] = own.reshape(bodies, frames).T
        zeros = self.poses.new_zeros(1, *self.poses.shape[1:])
        return torch.cat([self.poses, zeros])[torch.as_tensor(places, device=self.poses.device)]

    @property
    def starts(self) -> tuple[int, ...]:
        """Where the poses of each clip begin."""
        sizes = (frames * bodies for frames, bodies in zip(self.frames, self.bodies, strict=True))
        return tuple(accumulate(sizes, initial=0))[:-1]

    def to(self, device: torch.device) -> "PaddedClips":
        """The same on another device."""
        return replace(
            self,
            poses=self.poses.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
        )


def pad_clips(items: Sequence[tuple[int, Clip]], max_bodies: int) -> PaddedClips:
    """Lay clips side by side, the first ``max_bodies`` bodies of each; absent ones are zeros."""
    clips = [clip for _, clip in items]
    pose = clips[0].joints.shape[2:]
    poses = np.concatenate([clip.joints[:max_bodies].reshape(-1, *pose) for clip in clips])
    labels = [UNKNOWN if clip.info.label is None else clip.info.label for clip in clips]
    return PaddedClips(
        poses=torch.from_numpy(poses),
        frames=tuple(clip.num_frames for clip in clips),
        bodies=tuple(min(clip.num_bodies, max_bodies) for clip in clips),
        max_bodies=max_bodies,
        valid=_valid_frames(clips, poses, max_bodies),
        labels=torch.tensor(labels),
        rows=tuple(row for row, _ in items),
    )


def _valid_frames(
    clips: Sequence[Clip], poses: Float32[ndarray, "poses V C"], max_bodies: int
) -> tuple[int, ...]:
    """The valid frames of each clip; all of them where none is valid.

    Most clips have one body. Their frames are counted together, which gives what each clip would
    say of itself, at a fraction of the time.
    """
    filled = np.add.reduce(poses.reshape(len(poses), -1), axis=1) != 0
    counts = []
    start = 0
    for clip in clips:
        if clip.num_bodies == 1:
            counts.append(int(np.count_nonzero(filled[start : start + clip.num_frames])))
        else:
            counts.append(clip.valid_frames())
        start += min(clip.num_bodies, max_bodies) * clip.num_frames
    return tuple(count or clip.num_frames for count, clip in zip(counts, clips, strict=True))
