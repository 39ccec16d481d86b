"""Clips that others have prepared, read where they lie."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped
from numpy import ndarray

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.store import StoreInfo
from skelab.data.foreign.rows import Rows, StoredRows
from skelab.data.preprocessing.base import drop_absent_bodies
from skelab.errors import DataError, NoBodyError, SourceError

_LOOKED_AT: Final = 8  # first rows that tell how a file was prepared


@dataclass(frozen=True)
class Part:
    """One array of a file with the clips of one part of its split.

    Attributes:
        name: The part: ``train``, ``test`` or ``val``.
        rows: The array.
        labels: Class index of each row.
        names: Name of each row, where the file gives them.
    """

    name: str
    rows: Rows
    labels: Int64[ndarray, " N"]
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check that each row has its label."""
        if len(self.labels) != len(self.rows):
            raise SourceError(
                f"{self.rows.title}: expected a label for each of {len(self.rows):,} rows, found"
                f" {len(self.labels):,}"
            )


class PreparedClips(ABC):
    """Rows of padded arrays as clips: absent bodies and the padding left out, nothing copied ahead.

    Attributes:
        path: What was opened.
        parts: Its arrays; rows are counted through them.
        info: Layout, classes, how the clips were prepared.
        index: Names, labels and so on, one row a clip.
    """

    kind: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self, path: Path, parts: Sequence[Part], index: ClipIndex, info: StoreInfo
    ) -> None:
        self.path = path
        self.parts = tuple(parts)
        self.index = index
        self.info = info
        self._starts = np.cumsum([0, *(len(part.rows) for part in parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def form(self) -> str:
        """What the file is, and how it is read, in a few words."""
        plain = all(isinstance(part.rows, StoredRows) for part in self.parts)
        how = "read in place" if plain else "compressed, inflated row by row"
        return f"{self.title}, {how}"

    @property
    @abstractmethod
    def max_bodies(self) -> int:
        """Bodies that a row has room for."""

    def lengths(self) -> Int64[ndarray, " N"]:
        """Frames of each clip; reads all clips the first time, 0 where one cannot be read."""
        return self._sizes[0]

    def widths(self) -> Int64[ndarray, " N"]:
        """Bodies of each clip; reads all clips the first time, 0 where one cannot be read."""
        return self._sizes[1]

    def clip(self, row: int) -> Clip:
        """The clip of a row.

        Raises:
            IndexError: There is no such row.
            NoBodyError: The row is nothing but zeros.
            DataError: A value is not finite.
            SourceError: The file is damaged.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} clips")
        part, offset = self._find(row)
        with np.errstate(over="ignore", invalid="ignore"):  # damaged values are named below
            poses = self._unpack(part.rows.row(offset)).astype(np.float32, copy=False)
            valid = self._valid_frames(poses)
        joints = poses[:, :valid]
        if not np.isfinite(joints).all():
            missing = int(np.count_nonzero(~np.isfinite(joints)))
            raise DataError(
                f"{self._where(row)}: expected finite coordinates, found {missing} values that"
                " are not; `skelab ingest` leaves such clips out"
            )
        if not valid:
            raise NoBodyError(
                f"{self._where(row)}: expected a body in at least one frame, found only zeros;"
                " `skelab ingest` leaves such clips out"
            )
        return Clip(
            info=self.index.sample(row),
            joints=drop_absent_bodies(joints),
            frame_numbers=np.arange(valid, dtype=np.int32),
        )

    def named(self, infos: Sequence[SampleInfo]) -> "PreparedClips":
        """The same clips under the names given, one a row."""
        index = replace(ClipIndex.of(infos), parts=self.index.parts)
        twin: PreparedClips = object.__new__(type(self))
        vars(twin).update(vars(self))
        vars(twin).pop("_sizes", None)
        twin.index = index
        twin.info = replace(self.info, digest=digest_of(self.info.digest, *index.names))
        return twin

    @abstractmethod
    def _unpack(self, stored: Shaped[ndarray, " ..."]) -> Shaped[ndarray, "M T V C"]:
        """The poses of one row."""

    def _valid_frames(self, poses: Float32[ndarray, "M T V C"]) -> int:
        """Frames without the padding: up to the last one that has a value other than zero."""
        return count_frames(poses)

    def _find(self, row: int) -> tuple[Part, int]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        return self.parts[number], row - int(self._starts[number])

    def _where(self, row: int) -> str:
        part, offset = self._find(row)
        return f"{part.rows.title}, row {offset} ({self.index.names[row]})"

    @cached_property
    def _sizes(self) -> tuple[Int64[ndarray, " N"], Int64[ndarray, " N"]]:
        sizes = np.zeros((2, len(self)), dtype=np.int64)
        for row in range(len(self)):
            try:
                sizes[:, row] = self.clip(row).joints.shape[1::-1]
            except SourceError:
                raise
            except DataError:
                continue
        return sizes[0], sizes[1]


def count_frames(poses: Float32[ndarray, "M T V C"]) -> int:
    """Frames up to the last one in which any value is not zero."""
    filled = np.flatnonzero(poses.any(axis=(0, 2, 3)))
    return int(filled[-1]) + 1 if len(filled) else 0


def majority(parts: Sequence[Part], fits: Callable[[Shaped[ndarray, " ..."]], bool | None]) -> bool:
    """Whether most of the first rows fit; rows that tell nothing (None) are passed over."""
    answers: list[bool] = []
    for part in parts:
        for number in range(min(_LOOKED_AT, len(part.rows))):
            with np.errstate(invalid="ignore"):
                answer = fits(part.rows.row(number))
            answers += [] if answer is None else [answer]
    return sum(answers) * 2 >= len(answers)


def read_labels(
    found: Shaped[ndarray, "N ..."], where: str, *, first: int = 0, labels_from: int | None = None
) -> Int64[ndarray, " N"]:
    """Class indices out of one-hot rows or whole numbers.

    Args:
        found: N rows with a single 1 each, or N whole numbers from 0.
        where: What to call them in messages.
        first: Number of the first row.
        labels_from: The smallest number that is a label; None for 0. Labels come out as they are.

    Raises:
        SourceError: They are neither; the message has the first row that is wrong.
    """
    lowest = labels_from or 0
    if found.ndim == 2:
        if not found.shape[1]:
            raise SourceError(f"{where}: expected one-hot labels, found rows without a column")
        labels = found.argmax(axis=1)
        right = found[np.arange(len(found)), labels] == 1
        right &= labels >= lowest
        if np.count_nonzero(found) != len(found):
            right &= np.count_nonzero(found, axis=1) == 1
        expected = f"a single 1 among {found.shape[1]} columns{f' from {lowest}' if lowest else ''}"
    else:
        with np.errstate(invalid="ignore"):
            labels = found.astype(np.int64)
        right = (labels == found) & (labels >= lowest) & (labels < 1_000_000)
        expected = f"a whole number from {lowest}"
    _refuse_first(right, where, expected, found, first)
    return np.asarray(labels, dtype=np.int64)


def shift_labels(parts: Sequence[Part], first: int) -> tuple[Part, ...]:
    """The parts with labels that are indices of classes, where the first class has a number."""
    return tuple(replace(part, labels=part.labels - first) for part in parts)


def smallest_label(parts: Sequence[Part]) -> list[int]:
    """The smallest label of each part that has one."""
    return [int(part.labels.min()) for part in parts if len(part.labels)]


def digest_of(*texts: object) -> str:
    """A fingerprint of some texts and numbers, in hexadecimal."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(str(text).encode(errors="surrogateescape") + b"\0")
    return digest.hexdigest()


def _refuse_first(
    right: Bool[ndarray, " N"], where: str, expected: str, found: Any, first: int
) -> None:
    wrong = np.flatnonzero(~right)
    if len(wrong):
        shown = np.array2string(found[wrong[0]], threshold=6, edgeitems=2, separator=" ")
        raise SourceError(
            f"{where}, row {first + wrong[0]}: expected {expected}, found {' '.join(shown.split())}"
        )
