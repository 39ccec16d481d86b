"""What a store knows of sequences beside its columns: scripts, segments, labels of frames.

It is one JSON object in the metadata of the file, by name of the clip. The columns are those of
every store, so that a version of the lab that knows no sequences gets as far as the format
version and refuses by that.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Int32
from numpy import ndarray

from skelab.data.clips.clip import Clip
from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.sequence import Segment, UntrimmedSequence, check_labels, label_runs
from skelab.errors import DataError

ANNOTATIONS_KEY: Final = b"skelab-sequences"
"""Key of the schema's metadata."""


@dataclass(frozen=True)
class Annotation:
    """What is known of one clip beside the columns.

    Attributes:
        script: Script that the performer followed; None where unknown.
        segments: Segments of a sequence; None for a trimmed clip.
        frame_labels: Label of each frame of a sequence; None where there are none.
    """

    script: int | None = None
    segments: tuple[Segment, ...] | None = None
    frame_labels: Int32[ndarray, " T"] | None = None

    @classmethod
    def of(cls, clip: Clip) -> "Annotation":
        """That of a clip or sequence."""
        if isinstance(clip, UntrimmedSequence):
            return cls(clip.info.script, clip.segments, clip.frame_labels)
        return cls(clip.info.script)

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return self.script is None and self.segments is None

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file: frame labels as pairs of label and count."""
        content: dict[str, Any] = {}
        if self.script is not None:
            content["script"] = self.script
        if self.segments is not None:
            content["segments"] = [
                [segment.label, segment.start, segment.end, segment.confidence]
                for segment in self.segments
            ]
        if self.frame_labels is not None:
            runs = label_runs(self.frame_labels)
            content["frame_labels"] = [[label, end - start] for label, start, end in runs]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Annotation":
        """Read back what stands in the file; ValueError, KeyError or TypeError if damaged."""
        segments, runs = content.get("segments"), content.get("frame_labels")
        return cls(
            content.get("script"),
            None if segments is None else tuple(Segment(*entry) for entry in segments),
            None
            if runs is None
            else np.repeat(*np.array(runs, dtype=np.int32).reshape(-1, 2).T).astype(np.int32),
        )


Annotations = Mapping[str, Annotation]
"""Annotation of each clip that has one, by name."""


def annotations_of(clips: Iterable[Clip]) -> dict[str, Annotation]:
    """The annotations of some clips; those that say nothing are not among them."""
    found = {clip.info.name: Annotation.of(clip) for clip in clips}
    return {name: annotation for name, annotation in found.items() if not annotation.empty}


def annotations_text(annotations: Annotations) -> bytes:
    """The text for the metadata of a file; the same for equal annotations."""
    content = {name: annotation.to_json() for name, annotation in annotations.items()}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def annotations_digest(text: bytes) -> str:
    """What tells whether a text is as it was written, in hexadecimal."""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def read_annotations(metadata: Mapping[bytes, bytes], digest: str) -> dict[str, Annotation]:
    """The annotations in the metadata of a file.

    Args:
        metadata: Of the schema.
        digest: What the description of the file says; empty where it has no annotations.

    Raises:
        ValueError: They are not as they were written.
    """
    text = metadata.get(ANNOTATIONS_KEY, b"")
    if (annotations_digest(text) if text else "") != digest:
        raise ValueError("its segments do not match their digest")
    if not text:
        return {}
    return {name: Annotation.from_json(entry) for name, entry in json.loads(text).items()}


def annotated_index(
    index: ClipIndex, annotations: Annotations, frames: Iterable[int] | None = None
) -> ClipIndex:
    """An index with scripts, and with what is a sequence.

    Args:
        index: From the columns of a store.
        annotations: By name.
        frames: Frames of each clip, against which the labels are checked; None checks nothing.

    Raises:
        DataError: A segment lies outside its sequence, or a name is not in the index.
    """
    if not annotations:
        return index
    rows = index.rows_by_name
    if unknown := annotations.keys() - rows.keys():
        raise DataError(f"segments of a sequence that is not there: {min(unknown)!r}")
    scripts = np.full(len(index), UNKNOWN, dtype=np.int64)
    untrimmed = np.zeros(len(index), dtype=np.bool_)
    lengths = None if frames is None else list(frames)
    for name, annotation in annotations.items():
        row = rows[name]
        scripts[row] = UNKNOWN if annotation.script is None else annotation.script
        untrimmed[row] = annotation.segments is not None
        if lengths is not None and annotation.segments is not None:
            check_labels(name, annotation.segments, annotation.frame_labels, lengths[row])
    return replace(index, scripts=scripts, untrimmed=untrimmed)
