"""Segments of untrimmed recordings, from a store, a source or label files."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int32
from numpy import ndarray

from skelab.data.clips.clip import RawClip, SampleInfo
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.sequence import Note, RawSequence, Segment, on_frames
from skelab.data.clips.store import ClipStore, open_store
from skelab.data.datasets import holds_recordings, open_source
from skelab.data.datasets.pku_mmd import (
    PKU_MMD_CLASSES,
    PkuLabels,
    PkuMmdSource,
    describe_recording,
)
from skelab.data.recordings import Source, SourceItem
from skelab.errors import DataError, SourceError

Progress = Callable[[int, int], None]
"""Called with the recordings done, and their total."""


@dataclass(frozen=True)
class LabelledRecording:
    """The segments of one untrimmed recording.

    Attributes:
        info: Metadata of the recording.
        segments: Sorted by start, without overlap.
        num_frames: Frames of the recording; None if only its labels are available.
    """

    info: SampleInfo
    segments: tuple[Segment, ...]
    num_frames: int | None = None


@dataclass(frozen=True)
class SegmentTable:
    """The segments of a whole data set.

    Attributes:
        dataset: Kind of the source.
        classes: Name of each class, by label.
        recordings: Recordings in the order of the source.
        notes: Labels that were left out, repaired or are doubtful.
        rejected: Recordings that were left out, each with the reason.
        synthetic: Whether the recordings are synthetic.
        digest: Digest of the files that were read, hexadecimal.
    """

    dataset: str
    classes: tuple[str, ...]
    recordings: tuple[LabelledRecording, ...]
    notes: tuple[Note, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    synthetic: bool = False
    digest: str = ""

    @property
    def index(self) -> ClipIndex:
        """The index of the recordings, one row each, for splits."""
        return ClipIndex.of(recording.info for recording in self.recordings)

    @property
    def num_segments(self) -> int:
        """Total number of segments."""
        return sum(len(recording.segments) for recording in self.recordings)


def holds_labels_alone(path: Path) -> bool:
    """Whether a path holds label files of PKU-MMD without recordings."""
    return not PkuMmdSource.recognises(path) and bool(PkuLabels(path).names)


def read_segments(path: Path, *, on_progress: Progress | None = None) -> SegmentTable:
    """Read the segments of a store, a source, or the label files of PKU-MMD.

    Args:
        path: A store, a source, or a folder or zip of label files without recordings.
        on_progress: Called while a source is read.

    Raises:
        SourceError: The path holds none of these, or no sequence.
        StoreError: The store is damaged.
    """
    path = Path(path)
    if holds_recordings(path):
        table = segments_of_source(open_source(path), on_progress=on_progress)
    elif holds_labels_alone(path):
        return _read_labels(PkuLabels(path))
    else:
        table = segments_of_store(open_store(path))
    if not table.recordings:
        raise SourceError(
            f"{path}: expected untrimmed recordings with segments, found trimmed clips only"
        )
    return table


def segments_of_store(store: ClipStore) -> SegmentTable:
    """The segments of the sequences in a store, without reading joints."""
    recordings = tuple(
        LabelledRecording(store.index.sample(row), segments, int(store.frames[row]))
        for row in np.flatnonzero(store.index.untrimmed).tolist()
        if (segments := store.segments(row)) is not None
    )
    info = store.info
    return SegmentTable(
        info.dataset,
        info.classes,
        recordings,
        info.notes,
        tuple((entry.name, entry.reason) for entry in info.excluded),
        info.synthetic,
        info.digest,
    )


def segments_of_source(source: Source, *, on_progress: Progress | None = None) -> SegmentTable:
    """The segments of the sequences in a source; reads every recording."""
    items = [item for item in source.items() if item.info.untrimmed]
    recordings: list[LabelledRecording] = []
    notes: list[Note] = []
    rejected = list(source.rejected)
    for number, (item, read) in enumerate(_read_each(source, items), start=1):
        if isinstance(read, DataError):
            rejected.append((item.info.name, str(read)))
        elif isinstance(read, RawSequence):
            recording, noted = label_recording(item.info, read)
            recordings.append(recording)
            notes += noted
        if on_progress:
            on_progress(number, len(items))
    return SegmentTable(
        source.kind,
        source.classes,
        tuple(recordings),
        tuple(notes),
        tuple(rejected),
        source.synthetic,
        source.digest(),
    )


def label_recording(
    info: SampleInfo, raw: RawSequence
) -> tuple[LabelledRecording, tuple[Note, ...]]:
    """The segments of a recording on its frames with a body, and its notes."""
    seen = frames_with_body(raw)
    segments, _, notes = on_frames(info.name, raw, seen)
    return LabelledRecording(info, segments, len(seen)), notes


def frames_with_body(raw: RawClip) -> Int32[ndarray, " T"]:
    """Numbers of the frames with a tracked body, ascending."""
    seen = [track.frames for track in raw.bodies.values()]
    return np.unique(np.concatenate([np.empty(0, np.int32), *seen])).astype(np.int32)


def _read_each(
    source: Source, items: list[SourceItem]
) -> Iterator[tuple[SourceItem, RawClip | DataError]]:
    """Each recording, or the reason why it cannot be read."""
    for item in items:
        try:
            yield item, source.read(item)
        except DataError as error:
            yield item, error


def _read_labels(labels: PkuLabels) -> SegmentTable:
    recordings: list[LabelledRecording] = []
    notes: list[Note] = []
    rejected: list[tuple[str, str]] = []
    for name in labels.names:
        try:
            segments, noted = labels.read(name)
        except DataError as error:
            rejected.append((name, str(error)))
            continue
        recordings.append(LabelledRecording(describe_recording(name), segments))
        notes += noted
    return SegmentTable(
        PkuMmdSource.kind,
        PKU_MMD_CLASSES,
        tuple(recordings),
        tuple(notes),
        tuple(rejected),
        digest=labels.digest(),
    )
