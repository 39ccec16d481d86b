"""Annotations of sequences in a store: scripts, segments and frame labels.

They form one JSON object in the file's metadata, keyed by clip name. The columns are those of every
store, so that older versions of skelab can read the format version and refuse it.
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
    """The annotation of one clip.

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
        """The annotation of a clip or sequence."""
        if isinstance(clip, UntrimmedSequence):
            return cls(clip.info.script, clip.segments, clip.frame_labels)
        return cls(clip.info.script)

    @property
    def empty(self) -> bool:
        """Whether there is no annotation."""
        return self.script is None and self.segments is None

    def to_json(self) -> dict[str, Any]:
        """The annotation as a JSON object, with run-length encoded frame labels."""
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
        """Read a JSON object; ValueError, KeyError or TypeError if damaged."""
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
    """The annotations of several clips, without empty ones."""
    found = {clip.info.name: Annotation.of(clip) for clip in clips}
    return {name: annotation for name, annotation in found.items() if not annotation.empty}


def annotations_text(annotations: Annotations) -> bytes:
    """Annotations as text for the metadata of a file; deterministic."""
    content = {name: annotation.to_json() for name, annotation in annotations.items()}
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def annotations_digest(text: bytes) -> str:
    """The digest of an annotations text, hexadecimal."""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def read_annotations(metadata: Mapping[bytes, bytes], digest: str) -> dict[str, Annotation]:
    """Read the annotations from the metadata of a file.

    Args:
        metadata: Metadata of the schema.
        digest: Digest in the description of the file; empty without annotations.

    Raises:
        ValueError: They do not match their digest.
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
    """Add scripts, and which rows are sequences, to an index.

    Args:
        index: Index from the columns of a store.
        annotations: Annotations by name.
        frames: Frames of each clip, to check the labels; None for no check.

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
