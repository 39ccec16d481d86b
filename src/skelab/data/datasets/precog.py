"""PRECOG 2016: short scripts of martial-arts actions, a csv file a sequence, a label a frame."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Final

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.clips.sequence import RawSequence
from skelab.data.recordings.base import FolderSource, SourceItem, files_below, read_bytes
from skelab.data.recordings.card import DatasetCard
from skelab.data.recordings.frame_csv import parse_frame_csv
from skelab.data.recordings.untrimmed import label_words, seen_bodies, segments_of_frames
from skelab.errors import DataError

_NAME: Final = re.compile(r"(Seq(\d{1,3})_(\d{1,3}))\.csv", re.ASCII)
_SEPARATOR: Final = ";"
_BACKGROUND: Final = "none"
_LONGEST_HOLE: Final = 15  # half a second; no script has an action twice
_SIDES: Final = ("Left", "Right")
_JOINTS: Final = (
    *("HipCenter", "Spine", "ShoulderCenter", "Head"),
    *(f"{joint}{side}" for side in _SIDES for joint in ("Shoulder", "Elbow", "Wrist", "Hand")),
    *(f"{joint}{side}" for side in _SIDES for joint in ("Hip", "Knee", "Ankle", "Foot")),
)

PRECOG_CLASSES: Final = (
    *("right punch", "left punch", "front right kick", "front left kick"),
    *("side right kick", "side left kick", "back fist", "elbow strike"),
)
"""The eight actions, by label; files count them from 1, 0 is no action."""

_, _WORDS = label_words((_BACKGROUND, *PRECOG_CLASSES), _BACKGROUND)


class PrecogSource(FolderSource):
    """A folder of PRECOG's csv files, ``Seq{script}_{subject}.csv``: sequences of five actions.

    One body of 20 joints, metres in the frame of a Kinect v1. Fields are separated by ``;``, the
    values of a joint by blanks; the last field is the label of the frame. A hole of up to 15
    frames inside an action is closed, with a note: no script has an action twice. A file of zeros
    only has no body and is left out.

    Source: DavidJardim/precog_dataset_16@1ff2c9d, ``Dataset/CSV``; its viewer names the labels.
    """

    kind: ClassVar[str] = "precog"
    title: ClassVar[str] = "PRECOG 2016"
    expects: ClassVar[str] = "Seq1_1.csv (PRECOG 2016)"
    layout_name: ClassVar[str] = "kinect20"

    @property
    def classes(self) -> tuple[str, ...]:
        """The eight actions, by label."""
        return PRECOG_CLASSES

    def read(self, item: SourceItem) -> RawClip:
        """The recording of ``item``, with its segments and the label of each frame.

        Raises:
            DataError: The file is missing, its headline names other joints, or a line is cut off
                or has a value that is no number or label; the message names file and line.
        """
        path = self.path / item.location
        frames = parse_frame_csv(
            read_bytes(path), str(path), self.layout, separator=_SEPARATOR, words=_WORDS
        )
        joints = tuple(joint.strip() for joint in frames.head.split(_SEPARATOR))
        if joints != _JOINTS:
            raise DataError(
                f"{path}, line 1: expected the headline {_SEPARATOR.join(_JOINTS[:3])}{_SEPARATOR}…"
                f" of {len(_JOINTS)} joints, found {frames.head[:40]!r}"
            )
        if frames.labels is None:
            raise DataError(f"{path}: expected a label for each frame, found none")
        segments, notes = segments_of_frames(
            item.info.name, frames.labels, frames.places, _LONGEST_HOLE
        )
        return RawSequence(
            len(frames.labels),
            seen_bodies(frames.joints),
            actors_chosen=True,
            segments=segments,
            frame_labels=frames.labels,
            notes=notes,
        )

    @classmethod
    def _files(cls, path: Path) -> Iterable[str]:
        return files_below(path, lambda name: _NAME.fullmatch(name) is not None)

    @classmethod
    def _describe(cls, location: str) -> SampleInfo:
        match = _NAME.fullmatch(location.rpartition("/")[2])
        if match is None:
            raise DataError(f"{location}: expected a name like Seq1_1.csv, found another form")
        return SampleInfo(match[1], subject=int(match[3]), script=int(match[2]), untrimmed=True)


CARDS: Final = (
    DatasetCard(
        name="precog",
        title=PrecogSource.title,
        kind=PrecogSource.kind,
        paper="Jardim, 2016, its repository",
        home="https://github.com/DavidJardim/precog_dataset_16",
        licence="MIT",
        layout=PrecogSource.layout_name,
        classes=PRECOG_CLASSES,
        bodies=1,
        recorded=72,
        missing=2,
        splits=(),
        readers=(PrecogSource,),
        untrimmed=True,
    ),
)
"""PRECOG 2016; two of its files hold zeros only. It has no split of its own."""
