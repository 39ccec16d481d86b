"""UTKinect-Action3D, the continuous recordings: ten actions each, labels by number of frame."""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip, SampleInfo
from skelab.data.clips.sequence import SEGMENT_LEFT_OUT, Note, RawSequence
from skelab.data.recordings.base import FolderSource, SourceItem, files_below, read_bytes
from skelab.data.recordings.card import DatasetCard
from skelab.data.recordings.untrimmed import REPEATED, LabelLine, arrange_segments
from skelab.errors import DataError, SourceError
from skelab.skeleton import Layout

_NAME: Final = re.compile(r"joints_(s(\d\d)_e(\d\d))\.txt", re.ASCII)
_BLOCK: Final = re.compile(r"s\d\d_e\d\d", re.ASCII)
_LABEL: Final = re.compile(r"(\w+):\s*(\S+)\s+(\S+)", re.ASCII)
_LABEL_FILES: Final = ("actionLabel_modified.txt", "actionLabel.txt")
_LARGEST: Final = 1 << 24
_ACTIONS: Final = {
    "walk": "walk",
    "sitDown": "sit down",
    "standUp": "stand up",
    "pickUp": "pick up",
    "carry": "carry",
    "throw": "throw",
    "push": "push",
    "pull": "pull",
    "waveHands": "wave hands",
    "clapHands": "clap hands",
}

UTKINECT_CLASSES: Final = tuple(_ACTIONS.values())
"""The ten actions, by label."""


class UtkinectSource(FolderSource):
    """A folder of UTKinect's ``joints_s{subject}_e{take}.txt`` files and its list of actions.

    One body of 20 joints, metres in the frame of a Kinect v1. Frames keep their ids, which have
    gaps: a missing id is missing time. Of lines with one id the first is taken, with a note.
    The list ``actionLabel_modified.txt`` is taken where it is there, else ``actionLabel.txt``; its
    borders are ids, and the last id of an action belongs to it, unless the next action starts with
    it. The take is given as replication.

    Args:
        path: The folder.
        layout: A layout to use in place of the data set's own; it must have as many joints.

    Raises:
        SourceError: The list of actions cannot be read, or the layout does not fit.

    Source: Xia, Chen and Aggarwal, CVPR Workshops 2012; JeslieHCI/UTKinect_3@590aede,
    ``data/UTKinect/joints``.
    """

    kind: ClassVar[str] = "utkinect"
    title: ClassVar[str] = "UTKinect-Action3D"
    expects: ClassVar[str] = "joints_s01_e01.txt (UTKinect-Action3D)"
    layout_name: ClassVar[str] = "kinect20"

    def __init__(self, path: Path, layout: Layout | None = None) -> None:
        super().__init__(path, layout)
        _ = self._blocks  # a list that cannot be read is known before any recording is

    @property
    def classes(self) -> tuple[str, ...]:
        """The ten actions, by label."""
        return UTKINECT_CLASSES

    @property
    def rejected(self) -> Sequence[tuple[str, str]]:
        """Files and lines of the list that are not samples, each with the reason."""
        names = {item.info.name for item in self.items()}
        alone = [
            (name, f"{where}: expected a recording joints_{name}.txt for these labels, found none")
            for name, (where, _) in self._blocks.items()
            if name not in names
        ]
        return (*super().rejected, *alone)

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, with its segments.

        Raises:
            DataError: The file is missing, a line is not an id and 60 finite numbers, ids fall,
                the list has no actions for it, or two of them overlap; the message names file and
                line.
        """
        path = self.path / item.location
        name = item.info.name
        ids, joints, repeated = _parse(path, self.layout.num_joints)
        if name not in self._blocks:
            wanted = self._list or f"{path.parent}, {' or '.join(_LABEL_FILES)}"
            raise DataError(f"{wanted}: expected the actions of {name}, found none")
        lines, faults = self._lines(name)
        segments, notes = arrange_segments(name, lines, int(ids[-1]) + 1)
        if repeated:
            reason = (
                f"{path}: expected one line for each frame id, found {repeated} lines that repeat"
                " the id above; the first of them is taken"
            )
            notes = (*notes, Note(name, REPEATED, reason))
        return RawSequence(
            int(ids[-1]) + 1,
            {"1": BodyTrack(ids, joints)},
            actors_chosen=True,
            segments=segments,
            notes=(*faults, *notes),
        )

    def digest(self) -> str:
        """A cheap fingerprint of the names and sizes of all recordings, and of the list."""
        content = read_bytes(self._list) if self._list else b""
        return hashlib.sha256(super().digest().encode() + content).hexdigest()

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        return files_below(path, lambda name: _NAME.fullmatch(name) is not None)

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        match = _NAME.fullmatch(location.rpartition("/")[2])
        if match is None:
            raise DataError(f"{location}: expected a name like joints_s01_e01.txt, found another")
        return SampleInfo(
            match[1], subject=int(match[2]), replication=int(match[3]), untrimmed=True
        )

    @cached_property
    def _list(self) -> Path | None:
        """The list of actions beside the recordings; None where there is none."""
        folder = (self.path / next(iter(self._files(self.path)))).parent
        found = (folder / name for name in _LABEL_FILES if (folder / name).is_file())
        return next(found, None)

    @cached_property
    def _blocks(self) -> dict[str, tuple[str, list[tuple[str, str]]]]:
        """Of each recording where its block starts, and the lines of it with their places."""
        blocks: dict[str, tuple[str, list[tuple[str, str]]]] = {}
        path = self._list
        if path is None:
            return blocks
        block: list[tuple[str, str]] | None = None
        text = read_bytes(path).decode("latin-1")
        for number, line in enumerate(text.splitlines(), start=1):
            where = f"{path}, line {number}"
            if _BLOCK.fullmatch(line.strip()):
                if line.strip() in blocks:
                    raise SourceError(f"{where}: {line.strip()} stands in the list twice")
                block = []
                blocks[line.strip()] = (where, block)
            elif line.strip():
                if block is None:
                    raise SourceError(
                        f"{where}: expected a recording such as s01_e01, found {line!r}"
                    )
                block.append((where, line.strip()))
        return blocks

    def _lines(self, name: str) -> tuple[list[LabelLine], list[Note]]:
        """The actions of a recording, and the lines that are none."""
        lines: list[tuple[str, int, int, int]] = []
        notes = []
        for where, text in self._blocks[name][1]:
            match = _LABEL.fullmatch(text)
            if (
                match is None
                or match[1] not in _ACTIONS
                or not all(map(_is_id, match.groups()[1:]))
            ):
                reason = (
                    f"{where}: expected an action and two frame ids, say walk: 252 390, found"
                    f" {text[:40]!r}; the segment is left out"
                )
                notes.append(Note(name, SEGMENT_LEFT_OUT, reason))
                continue
            label = list(_ACTIONS).index(match[1])
            lines.append((where, label, int(match[2]), int(match[3])))
        starts = {start for _, _, start, _ in lines}
        return [
            LabelLine(where, label, start, last if last in starts - {start} else last + 1)
            for where, label, start, last in lines
        ], notes


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[-12:]) < _LARGEST


def _parse(
    path: Path, num_joints: int
) -> tuple[Int32[ndarray, " F"], Float64[ndarray, "F V 3"], int]:
    """Frame ids, joints, and how many lines repeat the id above and are passed over."""
    size = 3 * num_joints
    ids: list[int] = []
    rows: list[list[float]] = []
    repeated = 0
    lines = read_bytes(path).decode("latin-1").rstrip().splitlines()
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        fields = line.split()
        if len(fields) != 1 + size:
            raise DataError(
                f"{where}: expected a frame id and {size} numbers, found {len(fields)} fields"
            )
        if not _is_id(fields[0]) or (ids and int(fields[0]) < ids[-1]):
            wanted = f"a frame id from {ids[-1]} on" if ids else "a frame id"
            raise DataError(f"{where}: expected {wanted}, found {fields[0][:40]!r}")
        values = [_number(field, where) for field in fields[1:]]
        if ids and int(fields[0]) == ids[-1]:
            repeated += 1
            continue
        ids.append(int(fields[0]))
        rows.append(values)
    if not rows:
        raise DataError(f"{path}: expected a line for each frame, found none")
    joints = np.array(rows, dtype=np.float64).reshape(len(rows), num_joints, 3)
    return np.array(ids, dtype=np.int32), joints, repeated


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or "_" in text:  # Python alone would read 1_0 as ten
        raise DataError(f"{where}: expected finite numbers, found {text[:40]!r}")
    return value


CARDS: Final = (
    DatasetCard(
        name="utkinect",
        title=UtkinectSource.title,
        kind=UtkinectSource.kind,
        paper="Xia, Chen and Aggarwal, CVPR Workshops 2012",
        home="https://github.com/JeslieHCI/UTKinect_3",
        licence="none stated",
        layout=UtkinectSource.layout_name,
        classes=UTKINECT_CLASSES,
        bodies=1,
        recorded=20,
        splits=(),
        readers=(UtkinectSource,),
        untrimmed=True,
    ),
)
"""UTKinect-Action3D, the continuous recordings; they come without a split."""
