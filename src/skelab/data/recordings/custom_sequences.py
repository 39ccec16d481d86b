"""Labels of untrimmed recordings of one's own: a table of segments, or a label a frame."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from skelab.data.clips.sequence import BACKGROUND, SEGMENT_LEFT_OUT, Note, RawSequence
from skelab.data.recordings.base import read_bytes
from skelab.data.recordings.frame_csv import LabelledFrames
from skelab.data.recordings.tables import read_table
from skelab.data.recordings.untrimmed import (
    LabelLine,
    arrange_segments,
    find_label,
    seen_bodies,
    segments_of_frames,
)
from skelab.errors import DataError

IN_RECORDINGS: Final = "last"
"""Value of ``frame_labels``: the last field of each line of a recording is its label."""

SEGMENT_COLUMNS: Final = ("name", "label", "start", "end", "confidence")
"""Columns of the table of segments; all but the last are needed."""

_WHOLE: Final = re.compile(r"-?\d{1,9}", re.ASCII)
_REAL: Final = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


class SequenceTable(BaseModel):
    """What ``sequences`` in ``dataset.yaml`` says: where the labels are. One of the first two.

    Attributes:
        segments: A table of segments; a line is name, label, start, end, and perhaps confidence.
        frame_labels: ``last`` where the last field of each line of a recording is the label of the
            frame; else the ending of a file of labels, one a line, beside each recording.
        background: What labels call a frame without an action, by name or number.
        bridge: Stretches of background up to this many frames inside an action belong to it.
        separator: What stands between the fields of a recording that is a csv file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: str | None = None
    frame_labels: str | None = None
    background: str = Field(default="none", min_length=1)
    bridge: int = Field(default=0, ge=0)
    separator: str = Field(default=",", min_length=1, max_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.segments is None) == (self.frame_labels is None):
            raise ValueError("expected either segments or frame_labels")
        if self.beside_recordings and not str(self.frame_labels).startswith("."):
            raise ValueError(
                f"expected {IN_RECORDINGS!r} or an ending such as '.labels.txt' for frame_labels"
            )
        return self

    @property
    def in_recordings(self) -> bool:
        """Whether each line of a recording ends with its label."""
        return self.frame_labels == IN_RECORDINGS

    @property
    def beside_recordings(self) -> bool:
        """Whether a file beside each recording has its labels."""
        return self.frame_labels is not None and not self.in_recordings


class SegmentLine(NamedTuple):
    """A line of the table of segments, as it stands."""

    where: str
    label: str
    start: str
    end: str
    confidence: str


def read_segment_table(path: Path) -> Mapping[str, Sequence[SegmentLine]]:
    """The lines of a table of segments, by the name of the recording.

    Raises:
        SourceError: It cannot be read, is no csv, or lacks a column.
    """
    found: dict[str, list[SegmentLine]] = {}
    for number, row in read_table(path, SEGMENT_COLUMNS, SEGMENT_COLUMNS[:-1], "table of segments"):
        rest = (row[column] for column in SEGMENT_COLUMNS[1:])
        found.setdefault(row["name"], []).append(SegmentLine(f"{path}, line {number}", *rest))
    return found


def label_sequence(
    about: SequenceTable,
    name: str,
    path: Path,
    joints: Float64[ndarray, "M T V C"],
    frames: LabelledFrames | None,
    lines: Sequence[SegmentLine],
    words: Mapping[str, int],
) -> RawSequence:
    """A recording with its labels.

    Args:
        about: Where the labels are.
        name: Name of the recording.
        path: Its file.
        joints: What the file holds.
        frames: The same with labels, where the file is csv.
        lines: Its lines in the table of segments.
        words: Label by word.

    Raises:
        DataError: There are no labels, one is unknown, they are not as many as the frames, or
            segments overlap; the message names file and line.
    """
    num_frames = joints.shape[1]
    bodies = seen_bodies(joints)
    if about.segments is not None:
        sound, faults = _sound_lines(name, lines, words)
        segments, notes = arrange_segments(name, sound, num_frames)
        return RawSequence(
            num_frames, bodies, actors_chosen=True, segments=segments, notes=(*faults, *notes)
        )
    if about.beside_recordings:
        file = path.with_name(path.stem + str(about.frame_labels))
        labels, places = _labels_beside(file, path, num_frames, words)
    elif frames is not None and frames.labels is not None:
        labels, places = frames.labels, frames.places
    else:
        raise DataError(
            f"{path}: expected a csv file whose lines end with a label, found an array; labels of"
            " arrays lie in files of their own, say frame_labels: .labels.txt"
        )
    segments, notes = segments_of_frames(name, labels, places, about.bridge)
    return RawSequence(
        num_frames, bodies, actors_chosen=True, segments=segments, frame_labels=labels, notes=notes
    )


def _sound_lines(
    name: str, lines: Sequence[SegmentLine], words: Mapping[str, int]
) -> tuple[list[LabelLine], list[Note]]:
    """The lines that can be read, and notes on the others."""
    sound, notes = [], []
    for line in lines:
        try:
            sound.append(_read_line(line, words))
        except DataError as error:
            notes.append(Note(name, SEGMENT_LEFT_OUT, f"{error}; the segment is left out"))
    return sound, notes


def _read_line(line: SegmentLine, words: Mapping[str, int]) -> LabelLine:
    label = find_label(line.label, words, line.where)
    if label == BACKGROUND:
        raise DataError(f"{line.where}: expected an action, found {line.label!r}")
    for column, text in (("start", line.start), ("end", line.end)):
        if not _WHOLE.fullmatch(text):
            raise DataError(
                f"{line.where}, {column}: expected a whole number of frames, found {text!r}"
            )
    if line.confidence and not _REAL.fullmatch(line.confidence):
        raise DataError(
            f"{line.where}, confidence: expected a number from 0, found {line.confidence!r}"
        )
    confidence = float(line.confidence) if line.confidence else None
    return LabelLine(line.where, label, int(line.start), int(line.end), confidence)


def _labels_beside(
    file: Path, recording: Path, num_frames: int, words: Mapping[str, int]
) -> tuple[Int32[ndarray, " T"], Sequence[str]]:
    """The labels of a file of their own, one a line, and the place of each."""
    lines = read_bytes(file).decode("utf-8-sig", errors="replace").rstrip().splitlines()
    places = [f"{file}, line {number}" for number in range(1, len(lines) + 1)]
    if len(lines) != num_frames:
        raise DataError(
            f"{file}, line {min(len(lines), num_frames) + 1}: expected {num_frames} labels, one for"
            f" each frame of {recording.name}, found {len(lines)}"
        )
    labels = [
        find_label(line.strip(), words, place) for line, place in zip(lines, places, strict=True)
    ]
    return np.array(labels, dtype=np.int32), places
