"""From stored clips to tensors: a PyTorch dataset, and its collation."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Final, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy import ndarray
from torch import Tensor
from torch.utils.data import Dataset

from skelab.data.clips.clip import Clip
from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.sequence import UntrimmedSequence
from skelab.data.clips.store import PackedPoses
from skelab.data.feeding.batch import NO_FRAME
from skelab.errors import LoaderError, SkelabError
from skelab.native import count_filled

Batch = TypeVar("Batch")


@runtime_checkable
class ClipSource(Protocol):
    """A source of indexed clips, such as a clip store."""

    @property
    def index(self) -> ClipIndex:
        """Names, labels and so on, one row per clip."""
        ...

    def clip(self, row: int) -> Clip:
        """The clip of a row."""
        ...


@runtime_checkable
class PackingSource(ClipSource, Protocol):
    """A source that reads the poses of many clips at once, such as a clip store."""

    def pack(self, rows: Sequence[int], max_bodies: int) -> PackedPoses:
        """The poses of several rows, up to ``max_bodies`` bodies of each."""
        ...


@dataclass(frozen=True)
class RowsOfSource:
    """A batch that :func:`pad_clips` has yet to read, all at once.

    Attributes:
        source: The clips.
        rows: Rows of the source.
    """

    source: PackingSource
    rows: tuple[int, ...]


_DEATH: Final = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:is killed by signal: ([\w ]+)|exited unexp)"
)
"""How PyTorch's loader words that a worker is gone."""


@contextmanager
def killed_workers_named(hint: str) -> Iterator[None]:
    """Say which worker was killed; PyTorch tells it anywhere in the block, by a signal.

    Args:
        hint: How to go on.

    Raises:
        LoaderError: A worker was killed.
    """
    try:
        yield
    except RuntimeError as error:
        found = _DEATH.search(str(error))
        if found is None:
            raise
        cause = f" ({found[2].strip()})" if found[2] else ""
        raise LoaderError(
            f"loader process {found[1]} was killed{cause}, as a rule because memory ran out;"
            f" {hint}, and --set data.workers=0 reads the clips in the training process"
        ) from None


def read_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches of a loader; SkelabErrors of workers keep their message.

    PyTorch would add the traceback of the worker to the message.

    Raises:
        SkelabError: A clip cannot be read.
    """
    try:
        yield from batches
    except SkelabError as error:
        lines = str(error).strip().splitlines()
        if not lines or not lines[0].startswith("Caught "):
            raise
        _, _, said = lines[-1].partition(f"{type(error).__name__}: ")
        raise type(error)(said or lines[-1]) from None


class ClipDataset(Dataset[tuple[int, Clip]]):
    """Rows of a clip source for a PyTorch loader; an item is a row number and its clip."""

    def __init__(self, source: ClipSource, rows: Sequence[int] | Int64[ndarray, " R"]) -> None:
        self.source = source
        self.rows = np.asarray(rows, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, position: int) -> tuple[int, Clip]:
        row = int(self.rows[position])
        return row, self.source.clip(row)

    def __getitems__(self, positions: Sequence[int]) -> list[tuple[int, Clip]] | RowsOfSource:
        """A whole batch for PyTorch's loader, which :func:`pad_clips` reads."""
        if isinstance(self.source, PackingSource):
            return RowsOfSource(self.source, tuple(self.rows[list(positions)].tolist()))
        return [self[position] for position in positions]


@dataclass(frozen=True)
class PaddedClips:
    """A batch of clips of different lengths, zero-padded on demand.

    The poses are kept packed, without padding: most batches would have three times as many zeros as
    values.

    Attributes:
        poses: For each clip all frames of its first body, then of the next.
        frames: Frames of each clip.
        bodies: Bodies that were taken from each clip.
        max_bodies: Number of body slots, M.
        valid: Number of valid frames of each clip.
        labels: Class indices; -1 unknown.
        rows: Row of each clip in its source.
        names: Name of each clip.
        known_labels: The labels on the CPU, readable without synchronising a device.
        frame_labels: Label of each frame, -1 without an action, ``NO_FRAME`` behind the end of a
            clip; None for clips with one label each.
    """

    poses: Float32[Tensor, "poses V C"]
    frames: tuple[int, ...]
    bodies: tuple[int, ...]
    max_bodies: int
    valid: tuple[int, ...]
    labels: Int64[Tensor, " N"]
    rows: tuple[int, ...]
    names: tuple[str, ...]
    known_labels: tuple[int, ...]
    frame_labels: Int64[Tensor, "N T"] | None = None

    @cached_property
    def joints(self) -> Float32[Tensor, "N C T V M"]:
        """The padded coordinates, where T is the length of the longest clip.

        A view of memory in the order N T M V C.
        """
        clips, longest = len(self.frames), max(self.frames)
        places = np.full((clips, longest, self.max_bodies), len(self.poses))  # a pose of zeros
        for place, first, frames, bodies in zip(
            places, self.starts, self.frames, self.bodies, strict=True
        ):
            own = np.arange(first, first + frames * bodies)
            place[:frames, :bodies] = own.reshape(bodies, frames).T
        zeros = self.poses.new_zeros(1, *self.poses.shape[1:])
        poses = torch.cat([self.poses, zeros])
        by_pose = poses[torch.as_tensor(places, device=poses.device)]  # N T M V C
        return by_pose.permute(0, 4, 1, 3, 2)

    @property
    def starts(self) -> tuple[int, ...]:
        """First pose of each clip."""
        sizes = (frames * bodies for frames, bodies in zip(self.frames, self.bodies, strict=True))
        return tuple(accumulate(sizes, initial=0))[:-1]

    def to(self, device: torch.device) -> "PaddedClips":
        """Move the batch to another device."""
        return replace(
            self,
            poses=self.poses.to(device, non_blocking=True),
            labels=self.labels.to(device, non_blocking=True),
            frame_labels=None
            if self.frame_labels is None
            else self.frame_labels.to(device, non_blocking=True),
        )


def pad_clips(items: Sequence[tuple[int, Clip]] | RowsOfSource, max_bodies: int) -> PaddedClips:
    """Collate clips to a batch, with up to ``max_bodies`` bodies of each; absent ones are zero."""
    frame_labels = None
    if isinstance(items, RowsOfSource):
        rows = items.rows
        packed = items.source.pack(rows, max_bodies)
        index = items.source.index
        labels = torch.from_numpy(index.labels[list(rows)])
        names = tuple([index.names[row] for row in rows])
        clip_of: Callable[[int], Clip] = items.source.clip
    else:
        rows = tuple([row for row, _ in items])
        clips = [clip for _, clip in items]
        packed = _packed(clips, max_bodies)
        known = [UNKNOWN if clip.info.label is None else clip.info.label for clip in clips]
        labels = torch.tensor(known)
        names = tuple([clip.info.name for clip in clips])
        clip_of = dict(items).__getitem__
        frame_labels = _frame_labels(clips)
    return PaddedClips(
        poses=torch.from_numpy(packed.poses),
        frames=packed.frames,
        bodies=packed.bodies,
        max_bodies=max_bodies,
        valid=_valid_frames(packed, rows, clip_of),
        labels=labels,
        rows=rows,
        names=names,
        known_labels=tuple(labels.tolist()),
        frame_labels=frame_labels,
    )


def _frame_labels(clips: Sequence[Clip]) -> Int64[Tensor, "N T"] | None:
    """The labels of the frames of each clip; None unless all clips have them."""
    given = [clip.frame_labels for clip in clips if isinstance(clip, UntrimmedSequence)]
    found = [labels for labels in given if labels is not None]
    if len(found) < len(clips):
        return None
    made = torch.full((len(found), max(map(len, found))), NO_FRAME, dtype=torch.int64)
    for row, labels in zip(made, found, strict=True):
        row[: len(labels)] = torch.from_numpy(labels.astype(np.int64))
    return made


def _packed(clips: Sequence[Clip], max_bodies: int) -> PackedPoses:
    pose = clips[0].joints.shape[2:]
    shapes = [clip.joints.shape[:2] for clip in clips]
    return PackedPoses(
        np.concatenate([clip.joints[:max_bodies].reshape(-1, *pose) for clip in clips]),
        tuple([frames for _, frames in shapes]),
        tuple([min(bodies, max_bodies) for bodies, _ in shapes]),
        tuple([bodies for bodies, _ in shapes]),
    )


def _valid_frames(
    packed: PackedPoses, rows: Sequence[int], clip_of: Callable[[int], Clip]
) -> tuple[int, ...]:
    """The valid frames of each clip; all frames if none is valid.

    All clips are counted together, in a fraction of the time. A clip with bodies that were not
    taken is counted by itself, since those count as well.
    """
    sizes = np.array([packed.frames, packed.bodies], dtype=np.int64)
    poses = sizes[0] * sizes[1]
    table = np.stack([np.cumsum(poses) - poses, *sizes], axis=1)
    counts = count_filled(packed.poses, table).tolist()
    for number, row in enumerate(rows):
        if packed.present[number] > packed.bodies[number]:
            counts[number] = clip_of(row).valid_frames()
    return tuple([count or all_ for count, all_ in zip(counts, packed.frames, strict=True)])
