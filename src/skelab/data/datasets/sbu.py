"""SBU Kinect Interaction: eight actions of two people, as text files."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack, RawClip, SampleInfo
from skelab.data.clips.splits import Split
from skelab.data.recordings.base import FolderSource, SourceItem, read_bytes
from skelab.data.recordings.card import DatasetCard
from skelab.errors import DataError

_FILES: Final = "s[0-9][0-9]s[0-9][0-9]/[0-9][0-9]/[0-9][0-9][0-9]/skeleton_pos.txt"
_LOCATION: Final = re.compile(
    r"(?:.*/)?(s(\d\d)s(\d\d))/(\d\d)/(\d\d\d)/skeleton_pos\.txt", re.ASCII
)
_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
_BODIES: Final = 2
_AXES: Final = 3

SBU_CLASSES: Final = (
    *("approaching", "departing", "kicking", "pushing"),
    *("shaking hands", "hugging", "exchanging objects", "punching"),
)
"""The eight actions, by label."""


class SbuSource(FolderSource):
    """The folders of SBU Kinect Interaction, ``s{A}s{B}/{action}/{take}/skeleton_pos.txt``.

    Two bodies of 15 joints, the person of the left half of the image first. Coordinates are
    normalised by the makers: x and y to the image, y growing downwards, z by a depth of their
    choice; so the axes have different scales. The pair of performers is the subject: 100 * A + B,
    so that s01s02 is 102. Frames are the rows of the file.

    Source: Yun et al., CVPRW 2012; its README.
    """

    kind: ClassVar[str] = "sbu"
    title: ClassVar[str] = "SBU Kinect Interaction"
    expects: ClassVar[str] = "s01s02/01/001/skeleton_pos.txt (SBU Kinect Interaction)"
    layout_name: ClassVar[str] = "sbu15"
    units: ClassVar[str] = "normalised"

    @property
    def classes(self) -> tuple[str, ...]:
        """The eight actions, by label."""
        return SBU_CLASSES

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, two bodies in every frame.

        Raises:
            DataError: The file is missing or empty, or a line is not a frame number and 90 finite
                numbers; the message names file and line.
        """
        path = self.path / item.location
        joints = _parse(read_bytes(path), str(path), self.layout.num_joints)
        frames = np.arange(len(joints), dtype=np.int32)
        bodies = {
            str(body + 1): BodyTrack(frames, np.ascontiguousarray(joints[:, body]))
            for body in range(_BODIES)
        }
        return RawClip(len(joints), bodies, actors_chosen=True)

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        if not path.is_dir():
            return
        found = False
        for pattern in (_FILES, f"*/{_FILES}"):
            for file in path.glob(pattern):
                found = True
                yield file.relative_to(path).as_posix()
            if found:
                return

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        match = _LOCATION.fullmatch(location)
        action = int(match[4]) if match else 0
        if match is None or not 1 <= action <= len(SBU_CLASSES):
            raise DataError(
                f"{location}: expected an action from 1 to {len(SBU_CLASSES)}, found {action}"
            )
        return SampleInfo(
            f"{match[1]}_{match[4]}_{match[5]}",
            label=action - 1,
            subject=100 * int(match[2]) + int(match[3]),
            replication=int(match[5]),
        )


def _parse(data: bytes, where: str, num_joints: int) -> Float64[ndarray, "T 2 V 3"]:
    lines = data.replace(b"\r\n", b"\n").decode("latin-1").rstrip("\n").split("\n")
    numbers = _BODIES * num_joints * _AXES
    rows = [_row(line, f"{where}, line {at}", numbers) for at, line in enumerate(lines, start=1)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), _BODIES, num_joints, _AXES)


def _row(line: str, where: str, numbers: int) -> list[float]:
    """The coordinates of a line, behind the frame number."""
    expected = f"{where}: expected a frame number and {numbers} numbers"
    number, *fields = line.split(",")
    if not line.strip():
        raise DataError(f"{expected}, found nothing")
    if len(fields) != numbers:
        raise DataError(f"{expected}, found {1 + len(fields)} fields")
    if not (number.strip().isascii() and number.strip().isdigit()):
        raise DataError(f"{expected}, found {_shown(number)} as frame number")
    try:
        values = [float(field) for field in fields]
    except ValueError:
        values = []
    if not values or "_" in line:  # Python alone would read 1_0 as ten
        wrong = next(field for field in fields if not _NUMBER.fullmatch(field.strip()))
        raise DataError(f"{expected}, found {_shown(wrong)}")
    for field, value in zip(fields, values, strict=True):
        if not math.isfinite(value):
            raise DataError(f"{expected}, all finite, found {_shown(field)}")
    return values


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 40 else f"{text[:40]}...")


def _performers(subject: int) -> tuple[int, ...]:
    """The two people of a pair, as it is counted here."""
    return divmod(subject, 100)


_FOLDS: Final = (
    frozenset({102, 304, 502, 604}),
    frozenset({203, 207, 305, 503}),
    frozenset({103, 107, 701, 703}),
    frozenset({201, 206, 302, 306}),
    frozenset({402, 403, 406, 602, 603}),
)
"""Pairs of performers, 100 * A + B as the reader counts them."""

_CLIPS: Final = (55, 52, 56, 54, 65)
"""Clips of each fold: of four counted in the recordings, of the fifth what is left of 282."""

CARDS: Final = (
    DatasetCard(
        name="sbu",
        title="SBU Kinect Interaction",
        kind=SbuSource.kind,
        paper="Yun et al., CVPRW 2012",
        home="https://www3.cs.stonybrook.edu/~kyun/research/kinect_interaction/",
        licence="none stated",
        layout=SbuSource.layout_name,
        classes=SBU_CLASSES,
        bodies=2,
        recorded=282,
        splits=tuple(
            Split(
                f"sbu-fold{number}",
                "subject",
                frozenset().union(*_FOLDS) - fold,
                fold,
                "Yun et al., CVPRW 2012: five folds by pair, each tests once",
            )
            for number, fold in enumerate(_FOLDS, start=1)
        ),
        counts={
            f"sbu-fold{number}": (282 - clips, clips)
            for number, clips in enumerate(_CLIPS, start=1)
        },
        readers=(SbuSource,),
        units=SbuSource.units,
        up="-y",
        people=_performers,
    ),
)
"""SBU Kinect Interaction."""
