"""Sequences: untrimmed recordings with labelled segments."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Int32
from numpy import ndarray

from skelab.data.clips.clip import Clip, RawClip
from skelab.errors import DataError

BACKGROUND: Final = -1
"""Label of a frame without action."""

SEGMENT_LEFT_OUT: Final = "segment left out"
"""Cause of a note: an invalid segment was left out."""


@dataclass(frozen=True)
class Segment:
    """A labelled stretch of a sequence.

    Attributes:
        label: Class index from 0.
        start: First frame, counted from 0.
        end: The frame after the last one (exclusive).
        confidence: Confidence of the annotators on the scale of the data set; None if unknown.

    Raises:
        DataError: The label or the start is negative, or the segment is empty.
    """

    label: int
    start: int
    end: int
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Check label and range."""
        if self.label < 0 or not 0 <= self.start < self.end:
            raise DataError(
                f"segment of label {self.label}: expected a label and a start from 0 and an end"
                f" after the start, found frames {self.start} to {self.end}"
            )

    def __len__(self) -> int:
        return self.end - self.start


class Note(NamedTuple):
    """A label of a sequence that was left out, repaired or is doubtful.

    Attributes:
        name: Name of the sequence.
        cause: Kind of the problem, by which notes are counted.
        reason: One line that says where, what was expected, what was found and what was done.
    """

    name: str
    cause: str
    reason: str


@dataclass(frozen=True)
class RawSequence(RawClip):
    """An untrimmed recording as it was tracked, with its labels.

    Attributes:
        segments: Sorted by start, without overlap; frames are those of the recording.
        frame_labels: Class index of each frame of the recording, ``BACKGROUND`` without action;
            None if the source has segments only.
        notes: Labels that were left out, repaired or are doubtful.

    Raises:
        DataError: Segments overlap, are not sorted or lie outside the recording, or the
            number of labels differs from that of frames.
    """

    segments: tuple[Segment, ...] = ()
    frame_labels: Int32[ndarray, " T"] | None = None
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        """Check the labels against the recording."""
        check_labels("recording", self.segments, self.frame_labels, self.num_frames)


@dataclass(frozen=True)
class UntrimmedSequence(Clip):
    """An untrimmed recording ready for a network, with its labels.

    Attributes:
        segments: Sorted by start, without overlap; frames are indices into ``joints``.
        frame_labels: Class index of each frame, ``BACKGROUND`` without action; None if the source
            has segments only.

    Raises:
        DataError: Segments overlap, are not sorted or lie outside the frames, the labels are not
            as many as the frames, or ``info`` does not say that the recording is untrimmed.
    """

    segments: tuple[Segment, ...] = ()
    frame_labels: Int32[ndarray, " T"] | None = None

    def __post_init__(self) -> None:
        """Check the labels against the frames."""
        super().__post_init__()
        if not self.info.untrimmed:
            raise DataError(f"{self.info.name}: expected the info of an untrimmed recording")
        check_labels(self.info.name, self.segments, self.frame_labels, self.num_frames)


def check_labels(
    name: str,
    segments: Sequence[Segment],
    frame_labels: Int32[ndarray, " L"] | None,
    num_frames: int,
) -> None:
    """Check that the labels of a sequence fit its frames.

    Raises:
        DataError: They do not; the message names the sequence.
    """
    free = 0
    for segment in segments:
        if segment.start < free:
            raise DataError(
                f"{name}: expected segments sorted by start that do not overlap, found one from"
                f" frame {segment.start} behind one up to frame {free}"
            )
        free = segment.end
    if free > num_frames:
        raise DataError(
            f"{name}: expected segments within {num_frames} frames, found one up to frame {free}"
        )
    if frame_labels is not None and len(frame_labels) != num_frames:
        raise DataError(
            f"{name}: expected a label for each of {num_frames} frames, found {len(frame_labels)}"
        )


def on_frames(
    name: str, raw: RawSequence, frame_numbers: Int32[ndarray, " T"]
) -> tuple[tuple[Segment, ...], Int32[ndarray, " T"] | None, tuple[Note, ...]]:
    """Map the labels of a recording to the frames that preprocessing has kept.

    Args:
        name: Name of the sequence, for notes.
        raw: The recording.
        frame_numbers: Number of each kept frame in the recording, ascending.

    Returns:
        Segments and labels of the kept frames, and all notes. A segment without any kept
        frame is left out with a note.

    Raises:
        DataError: The frames are not in the order of the recording.
    """
    if (np.diff(frame_numbers) <= 0).any():
        raise DataError(
            f"{name}: expected frames in the order of the recording, found some repeated; a"
            " sequence needs --pipeline ctrgcn, clean or as-given"
        )
    segments, notes = [], list(raw.notes)
    for segment in raw.segments:
        start, end = np.searchsorted(frame_numbers, (segment.start, segment.end)).tolist()
        if start < end:
            segments.append(Segment(segment.label, start, end, segment.confidence))
            continue
        reason = f"expected a body, found none in frames {segment.start} to {segment.end - 1}"
        notes.append(Note(name, SEGMENT_LEFT_OUT, f"{name}: {reason}; the segment is left out"))
    labels = raw.frame_labels
    return tuple(segments), None if labels is None else labels[frame_numbers], tuple(notes)


def label_runs(labels: Int32[ndarray, " T"]) -> Iterator[tuple[int, int, int]]:
    """Runs of equal labels, including background: label, start, end (exclusive)."""
    borders = np.flatnonzero(np.diff(labels)) + 1
    edges = [0, *borders.tolist(), len(labels)] if len(labels) else []
    for start, end in pairwise(edges):
        yield labels.item(start), start, end


def labels_of_segments(segments: Sequence[Segment], num_frames: int) -> Int32[ndarray, " T"]:
    """The label of each frame, ``BACKGROUND`` outside all segments."""
    labels = np.full(num_frames, BACKGROUND, dtype=np.int32)
    for segment in segments:
        labels[segment.start : segment.end] = segment.label
    return labels


def labelled(segments: Sequence[Segment], num_frames: int) -> Bool[ndarray, " T"]:
    """A mask of the frames that belong to a segment."""
    return np.asarray(labels_of_segments(segments, num_frames) != BACKGROUND)
