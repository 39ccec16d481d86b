"""Stretches of sequences as clips of their own, cut when they are read."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64
from numpy import ndarray

from skelab.data.clips.clip import Clip
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.sequence import Segment, UntrimmedSequence, labels_of_segments
from skelab.data.clips.store import ClipStore, StoreInfo
from skelab.errors import DataError

FRAMES_PER_SECOND: Final = 30
"""Rate at which seconds before an action are counted as frames; Kinect sensors record at it."""


class Window(NamedTuple):
    """A stretch of a sequence.

    Attributes:
        row: Row of the sequence.
        start: First frame.
        end: The frame behind the last one.
        name: Name of the clip.
        label: Its class.
    """

    row: int
    start: int
    end: int
    name: str
    label: int


class WindowClips:
    """Windows of sequences as opened clips; no frame outside a window is ever in its clip.

    A clip has its origin at the pose of the first body in the latest frame that shows it. With
    ``per_frame`` a clip carries the label of each of its frames, and joints stay where the sequence
    has them: a stream knows no latest frame.

    Args:
        clips: The sequences.
        windows: The windows, in the order of the rows.
        classes: The classes that the windows' labels name.
        per_frame: Clips carry the label of each frame.
        made_by: Names the rule that chose the windows; two rules give two digests.

    Attributes:
        path: What was opened.
        whole: The sequences.
        windows: The windows.
        info: Their description.
        index: A row a window, with subject and script of its sequence.

    Raises:
        DataError: There is no window.
    """

    def __init__(
        self,
        clips: OpenedClips,
        windows: Sequence[Window],
        classes: tuple[str, ...],
        *,
        per_frame: bool = False,
        made_by: str,
    ) -> None:
        if not windows:
            raise DataError(f"{clips.path}: expected at least one window of a sequence, found none")
        self.path: Path = clips.path
        self.whole = clips
        self.windows = tuple(windows)
        self.per_frame = per_frame
        self.info: StoreInfo = replace(
            clips.info,
            classes=classes,
            digest=f"{clips.info.digest}-{made_by}",
            notes=(),
            annotations="",
        )
        self.index = ClipIndex.of(
            replace(
                clips.index.sample(window.row),
                name=window.name,
                label=window.label,
                untrimmed=False,
            )
            for window in self.windows
        )
        self._read: dict[int, UntrimmedSequence] = {}

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def max_bodies(self) -> int:
        """Bodies that a clip has at most."""
        return self.whole.max_bodies

    def lengths(self) -> Int64[ndarray, " N"]:
        """Frames of each clip."""
        return np.array([window.end - window.start for window in self.windows], dtype=np.int64)

    def clip(self, row: int) -> Clip:
        """The clip of a row: the frames of its window, and nothing of any other.

        Raises:
            IndexError: There is no such row.
            DataError: It cannot be read.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} windows")
        window = self.windows[row]
        whole = self._sequence(window.row)
        stretch = slice(window.start, window.end)
        info = self.index.sample(row)
        joints = np.ascontiguousarray(whole.joints[:, stretch])
        numbers = whole.frame_numbers[stretch]
        if not self.per_frame:
            return Clip(info, _centred(joints, self.info.layout.origin), numbers)
        labels = labels_of_segments(whole.segments, whole.num_frames)[stretch]
        return UntrimmedSequence(replace(info, untrimmed=True), joints, numbers, (), labels)

    def _sequence(self, row: int) -> UntrimmedSequence:
        """A sequence, kept for its other windows."""
        if row not in self._read:
            whole = self.whole.clip(row)
            if not isinstance(whole, UntrimmedSequence):
                raise DataError(f"{self.path}: {whole.info.name} is no sequence")
            self._read[row] = whole
        return self._read[row]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_read": {}}


def _centred(joints: Float32[ndarray, "M T V C"], origin: int) -> Float32[ndarray, "M T V C"]:
    """Poses moved so that the latest one of the first body is at the origin; absent ones stay 0."""
    present: Bool[ndarray, "M T"] = np.asarray(joints.any(axis=(2, 3)))
    seen = np.flatnonzero(present[0])
    if not len(seen):
        return joints
    return np.asarray(
        (joints - joints[0, seen[-1], origin]) * present[:, :, None, None], dtype=np.float32
    )


def segments_by_row(clips: OpenedClips, needed_for: str) -> dict[int, tuple[Segment, ...]]:
    """The segments of every sequence, by row.

    Args:
        clips: A store of sequences.
        needed_for: What needs them, for the message.

    Raises:
        DataError: There is no sequence with segments.
    """
    rows = np.flatnonzero(clips.index.untrimmed).tolist()
    read: Callable[[int], tuple[Segment, ...] | None] = (
        clips.segments if isinstance(clips, ClipStore) else lambda row: _segments_of(clips, row)
    )
    found = {row: segments for row in rows if (segments := read(row))}
    if not found:
        raise DataError(
            f"{clips.path}: {needed_for} needs sequences with segments, found"
            f" {len(clips):,} clips without; `skelab ingest SOURCE STORE` makes a store of them"
            " from untrimmed recordings, and `skelab synth --sequences` writes some"
        )
    return found


def _segments_of(clips: OpenedClips, row: int) -> tuple[Segment, ...] | None:
    clip = clips.clip(row)
    return clip.segments if isinstance(clip, UntrimmedSequence) else None


def windows_before_actions(
    clips: OpenedClips, horizons: Sequence[int], *, observed: int
) -> WindowClips:
    """For every action but the first of a sequence, a window for each horizon.

    A window ends ``-horizon`` frames before the action starts, or ``horizon`` frames into it: its
    clip holds the frames up to there and none after. Its class is the action and the horizon:
    label ``number of the horizon x K + action``.

    A window that would hold less than one frame, or that would begin after the action has ended, is
    left out.

    Args:
        clips: A store of sequences.
        horizons: Frames from the start of the action to the cut; negative ones lie before it.
        observed: Frames of a window, fewer at the beginning of a sequence.

    Raises:
        DataError: There is no sequence with segments, or none with two actions.
    """
    actions = clips.info.classes
    windows = []
    for row, segments in segments_by_row(clips, "the next action").items():
        name = clips.index.names[row]
        for number in range(1, len(segments)):
            action = segments[number]
            for place, horizon in enumerate(horizons):
                end = action.start + horizon
                if end < 1 or end > action.end:
                    continue
                windows.append(
                    Window(
                        row,
                        max(0, end - observed),
                        end,
                        f"{name}#{number + 1:03d}@{horizon:+d}",
                        place * len(actions) + action.label,
                    )
                )
    if not windows:
        raise DataError(f"{clips.path}: expected sequences of two actions or more, found none")
    classes = tuple(f"{action} @{horizon:+d}" for horizon in horizons for action in actions)
    rule = f"next-{observed}-{','.join(map(str, horizons))}"
    return WindowClips(clips, windows, classes, made_by=rule)


def windows_of_frames(clips: OpenedClips, *, frames: int, background: str) -> WindowClips:
    """Windows over whole sequences, half of each overlapping the next, with frame labels.

    The class of a window is the label that most of its frames have; ``background`` is the last.

    Args:
        clips: A store of sequences.
        frames: Frames of a window, fewer where the sequence ends.
        background: What to call frames without an action.

    Raises:
        DataError: There is no sequence with segments.
    """
    actions = clips.info.classes
    lengths = clips.lengths()
    windows = []
    for row, segments in segments_by_row(clips, "detection").items():
        length = int(lengths[row])
        labels = labels_of_segments(segments, length)
        for start in range(0, max(length - frames // 2, 1), max(frames // 2, 1)):
            end = min(start + frames, length)
            counts = np.bincount(labels[start:end] + 1, minlength=len(actions) + 1)
            label = int(np.argmax(np.roll(counts, -1)))  # background last
            windows.append(Window(row, start, end, f"{clips.index.names[row]}@{start}", label))
    return WindowClips(
        clips, windows, (*actions, background), per_frame=True, made_by=f"frames-{frames}"
    )
