"""What readers of untrimmed recordings share: lines of labels become segments, faults become notes.

A line that is wrong by itself is left out with a note that names file and line, and the rest goes
on. Where lines contradict each other nobody knows which is right: the recording is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from jaxtyping import Float64, Int32
from numpy import ndarray

from skelab.data.clips.clip import BodyTrack
from skelab.data.clips.sequence import (
    BACKGROUND,
    SEGMENT_LEFT_OUT,
    Note,
    Segment,
    label_runs,
)
from skelab.errors import DataError

SORTED: Final = "sorted by time"
HOLE_CLOSED: Final = "hole closed"
DOUBTFUL: Final = "confidence 0"
REPEATED: Final = "frames repeated"

_SHOWN: Final = 8


@dataclass(frozen=True)
class LabelLine:
    """A segment as a file gives it, not yet checked.

    Attributes:
        where: File and line.
        label: Class index.
        start: First frame of the recording, from 0.
        end: The frame after the last one.
        confidence: As the file gives it.
    """

    where: str
    label: int
    start: int
    end: int
    confidence: float | None = None


def arrange_segments(
    name: str, lines: Iterable[LabelLine], num_frames: int | None = None
) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:
    """The segments of one recording, sorted by start, and what was wrong with the lines.

    A line whose end is not after its start, or that lies outside the recording, is left out with a
    note. Lines that are not in the order of time are sorted, with one note.

    Args:
        name: Name of the recording.
        lines: In the order of the file.
        num_frames: Frames of the recording; None where they are not known.

    Raises:
        DataError: Two segments overlap; the message names both lines.
    """
    notes: list[Note] = []
    sound: list[LabelLine] = []
    unsorted = False
    for line in lines:
        if fault := _fault(line, num_frames):
            notes.append(Note(name, SEGMENT_LEFT_OUT, f"{fault}; the segment is left out"))
            continue
        if sound and not unsorted and line.start < sound[-1].start:
            unsorted = True
            reason = (
                f"{line.where}: expected a start after frame {sound[-1].start}, where the segment"
                f" above starts, found {line.start}; the segments are sorted by start"
            )
            notes.append(Note(name, SORTED, reason))
        sound.append(line)
    sound.sort(key=lambda line: (line.start, line.end))
    for one, two in pairwise(sound):
        if two.start < one.end:
            raise DataError(
                f"{two.where}: expected a start from frame {one.end} on, where the segment of"
                f" {one.where} ends, found {two.start}; segments must not overlap"
            )
    segments = (Segment(line.label, line.start, line.end, line.confidence) for line in sound)
    return tuple(segments), tuple(notes)


def segments_of_frames(
    name: str, labels: Int32[ndarray, " T"], places: Sequence[str], bridge: int
) -> tuple[tuple[Segment, ...], tuple[Note, ...]]:
    """The segments that labels of frames make, and the holes in them that were closed.

    Args:
        name: Name of the recording.
        labels: Class index of each frame, ``BACKGROUND`` where there is no action.
        places: File and line of each label.
        bridge: Stretches of background up to this many frames between two segments of one label
            belong to the action; each is noted.
    """
    segments: list[Segment] = []
    notes = []
    for label, start, end in label_runs(labels):
        if label == BACKGROUND:
            continue
        before = segments[-1] if segments else None
        if before and before.label == label and start - before.end <= bridge:
            segments[-1] = Segment(label, before.start, end)
            reason = (
                f"{places[before.end]}: expected the label of the frames before and after, found"
                f" {start - before.end} without an action; the segment goes on"
            )
            notes.append(Note(name, HOLE_CLOSED, reason))
        else:
            segments.append(Segment(label, start, end))
    return tuple(segments), tuple(notes)


def label_words(
    classes: Sequence[str], background: str, *, first: int = 0
) -> tuple[tuple[str, ...], dict[str, int]]:
    """The classes without the background, and the label of each word that a file may use.

    Args:
        classes: Names by the number that files use; the background may be among them.
        background: What files call a frame without an action, by name or number.
        first: The number of the first class.

    Returns:
        The classes, and label by word: names, numbers, and the background, which is ``BACKGROUND``.
    """
    actions = tuple(name for name in classes if name != background)
    labels = {name: label for label, name in enumerate(actions)} | {background: BACKGROUND}
    numbers = {str(number): labels[name] for number, name in enumerate(classes, start=first)}
    return actions, numbers | labels


def find_label(text: str, words: Mapping[str, int], where: str) -> int:
    """The label that a word of a file means.

    Raises:
        DataError: It is none that the data set knows.
    """
    if text in words:
        return words[text]
    known = list(words)
    shown = ", ".join(known[:_SHOWN]) + (", …" if len(known) > _SHOWN else "")
    raise DataError(f"{where}: expected a label of the data set ({shown}), found {text[:40]!r}")


def seen_bodies(joints: Float64[ndarray, "M T V C"]) -> dict[str, BodyTrack]:
    """The bodies of an array; one whose values are all zero in a frame is absent in it."""
    bodies = {}
    for number, poses in enumerate(joints, start=1):
        frames = np.flatnonzero(poses.any(axis=(1, 2)))
        bodies[str(number)] = BodyTrack(frames.astype(np.int32), poses[frames])
    return bodies


def _fault(line: LabelLine, num_frames: int | None) -> str:
    """What is wrong with a line by itself; empty where nothing is."""
    if line.end <= line.start:
        return f"{line.where}: expected an end after frame {line.start}, found {line.end}"
    if line.start < 0 or (num_frames is not None and line.end > num_frames):
        within = "from 0 on" if num_frames is None else f"from 0 up to {num_frames}"
        return f"{line.where}: expected frames {within}, found {line.start} to {line.end}"
    return ""
