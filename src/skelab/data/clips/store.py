"""The clip store: one Arrow file with every clip of a set, ragged, ready to train.

Valid frames and present bodies only, so that NTU RGB+D 60 takes about 1.7 GB instead of 10.
Opening costs milliseconds and no memory: a clip is read when it is asked for, out of the page
cache, which all processes share, and checked against its digest the first time.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int32, Int64
from numpy import ndarray

from skelab.data.clips.annotations import Annotation, annotated_index, read_annotations
from skelab.data.clips.clip import Clip
from skelab.data.clips.description import STORE_SCHEMA, StoreDescription
from skelab.data.clips.ragged import RaggedColumns
from skelab.data.clips.sequence import Note, Segment, UntrimmedSequence
from skelab.data.clips.store_format import (
    DESCRIPTION_DIGEST_KEY,
    DESCRIPTION_KEY,
    FRAME_NUMBERS_KEY,
    SCHEMA,
    clip_index,
    damaged_store,
    description_digest,
    index_reader,
    index_table,
    number_column,
    object_column,
    read_batch,
    store_digest,
    stored_digest,
)
from skelab.errors import StoreError
from skelab.files.description import read_description
from skelab.skeleton import Layout

FORMAT: Final = 1
SEQUENCE_FORMAT: Final = 2
"""Version of a store that holds sequences or scripts; any other is written as version 1."""
_NO_ANNOTATION: Final = Annotation()


class Excluded(NamedTuple):
    """A sample that was left out of a store, and why.

    Attributes:
        name: Its name, or the file's where there is no name.
        cause: ``no body``, ``damaged``, ``ignored`` (the user's list), ``leak`` (a training copy
            of a test clip) or ``not a sample``.
        reason: One line that says where, what was expected and what was found.
    """

    name: str
    cause: str
    reason: str


class PackedPoses(NamedTuple):
    """The poses of several clips, concatenated.

    Attributes:
        poses: For each clip all frames of its first body, then of the next.
        frames: Frames of each clip.
        bodies: Bodies that were taken from each clip.
        present: Bodies that each clip has.
    """

    poses: Float32[ndarray, "poses V C"]
    frames: tuple[int, ...]
    bodies: tuple[int, ...]
    present: tuple[int, ...]


@dataclass(frozen=True)
class StoreInfo:
    """The description of a store, kept in its metadata.

    Attributes:
        layout: Joints and bones; the store carries the whole table.
        pipeline: The preprocessing that made the clips, say ``ctrgcn``.
        classes: Name of each of the K classes.
        dataset: Kind of the source, say ``ntu`` or ``utd-mhad``.
        units: Unit of the coordinates.
        synthetic: The clips were generated; every result says so.
        source_digest: Digest of the source that was read.
        digest: Digest of all clips in order: names, numbers and joints.
        excluded: The samples that were left out, and why.
        versions: Versions of what wrote the store.
        annotations: Digest of scripts, segments and labels of frames; empty where there are none.
        notes: Labels of sequences that were left out, repaired or are doubtful.
        title: What the owner of a data set of one's own calls it; empty for a public one.
    """

    layout: Layout
    pipeline: str
    classes: tuple[str, ...]
    dataset: str
    units: str = "metres"
    synthetic: bool = False
    source_digest: str = ""
    digest: str = ""
    excluded: tuple[Excluded, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    annotations: str = ""
    notes: tuple[Note, ...] = ()
    title: str = ""

    @property
    def format(self) -> int:
        """Format version of the store."""
        return SEQUENCE_FORMAT if self.annotations or self.notes else FORMAT

    def to_json(self) -> str:
        """The text for the file's metadata."""
        content = {"format": self.format, **asdict(self)}
        if self.format == FORMAT:
            del content["annotations"], content["notes"]
        if not self.title:
            del content["title"]
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "StoreInfo":
        """Read the description from the file's metadata.

        Raises:
            StoreError: It is not of this format.
        """
        where = "the store's description is damaged"
        found = read_description(text, STORE_SCHEMA, where, StoreError)
        content = {name: getattr(found, name) for name in StoreDescription.model_fields}
        del content["format"]
        return cls(
            **{
                **content,
                "layout": found.layout.layout,
                "excluded": tuple(Excluded(*entry) for entry in found.excluded),
                "notes": tuple(Note(*entry) for entry in found.notes),
            }
        )


class ClipStore:
    """Every clip of a set, read-only; made by :func:`open_store`.

    A clip is read from the file on demand. Its joints are compared with their digest on the first
    read, and again if the file has been written to since. Cheap to pickle: another process opens
    the file again, and refuses it if it has been replaced.

    Attributes:
        path: The file.
        info: The description of the store.
        index: Names, labels, subjects and so on, one row per clip.
        frames: Frames of each clip.
        bodies: Present bodies of each clip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with index_reader(path) as (reader, file):
            self.info = _read_info(path, reader)
            metadata = reader.schema.metadata or {}
            self._frames_digest = metadata.get(FRAME_NUMBERS_KEY, b"").decode()
            batches = [read_batch(reader, i) for i in range(reader.num_record_batches)]
            self._ragged = RaggedColumns(file, SCHEMA, [each.num_rows for each in batches])
            table = index_table(batches)
            index = clip_index(table)
            self._annotations = read_annotations(metadata, self.info.annotations)
            self._digests: list[bytes] = object_column(table, "digest")
            self.frames: Int64[ndarray, " N"] = number_column(table, "frames")
            self.bodies: Int64[ndarray, " N"] = number_column(table, "bodies")
            self.index = annotated_index(index, self._annotations, self.frames.tolist())
            self._check_columns(table)

    def __len__(self) -> int:
        return len(self.index)

    def segments(self, row: int) -> tuple[Segment, ...] | None:
        """The segments of a row, sorted by start; None for a trimmed clip.

        Raises:
            IndexError: There is no such row.
        """
        return self._annotation(row).segments

    def frame_labels(self, row: int) -> Int32[ndarray, " T"] | None:
        """The label of each frame of a row, -1 for background; None where it has none.

        Raises:
            IndexError: There is no such row.
        """
        return self._annotation(row).frame_labels

    def _annotation(self, row: int) -> Annotation:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a store of {len(self)} clips")
        return self._annotations.get(self.index.names[row], _NO_ANNOTATION)

    @property
    def max_bodies(self) -> int:
        """The largest number of bodies in a clip."""
        return int(self.bodies.max())

    @property
    def digests(self) -> tuple[bytes, ...]:
        """A 16-byte digest per clip; equal joints have equal digests."""
        return tuple(self._digests)

    @property
    def frame_numbers_are_checked(self) -> bool:
        """Whether the store has a digest of its frame numbers; stores of version 0.1 do not."""
        return bool(self._frames_digest)

    def lengths(self) -> Int64[ndarray, " N"]:
        """Frames of each clip."""
        return self.frames

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_again, (self.path, self.info.digest)

    def clip(self, row: int) -> Clip:
        """The clip of a row, its joints read-only.

        A row that is a sequence comes as :class:`UntrimmedSequence`, with its segments.

        Raises:
            IndexError: There is no such row.
            StoreError: The clip is damaged, or the file has become shorter.
        """
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a store of {len(self)} clips")
        self._ragged.notice_changes()
        self._check_frame_numbers()
        layout = self.info.layout
        bodies, frames = self.bodies.item(row), self.frames.item(row)
        shape = (bodies, frames, layout.num_joints, len(layout.axes))
        info = self.index.sample(row)
        joints = self._checked_joints(row).reshape(shape)
        frame_numbers = self._ragged.frame_numbers(row)
        segments = self.segments(row) if info.untrimmed else None
        if segments is None:
            return Clip(info, joints, frame_numbers)
        return UntrimmedSequence(info, joints, frame_numbers, segments, self.frame_labels(row))

    def pack(self, rows: Sequence[int], max_bodies: int) -> PackedPoses:
        """A copy of the poses of some rows, the first ``max_bodies`` bodies of each.

        The same values as :meth:`clip`, in a fraction of the time.

        Raises:
            IndexError: There is no such row.
            StoreError: A clip is damaged, or the file has become shorter.
        """
        chosen = np.asarray(rows, dtype=np.int64)
        if not len(chosen) or chosen.min() < 0 or chosen.max() >= len(self):
            raise IndexError(f"rows {list(rows)[:8]} of a store of {len(self)} clips")
        pose = (self.info.layout.num_joints, len(self.info.layout.axes))
        frames = self.frames[chosen].tolist()
        present = self.bodies[chosen].tolist()
        bodies = [min(count, max_bodies) for count in present]
        self._ragged.notice_changes()
        sizes = [
            taken * length * math.prod(pose) for taken, length in zip(bodies, frames, strict=True)
        ]
        values = np.empty(sum(sizes), dtype=np.float32)
        start = 0
        for row, size in zip(chosen.tolist(), sizes, strict=True):
            target = values[start : start + size]
            if self._ragged.is_sound(row):
                self._ragged.joints_into(row, target)
            else:
                target[:] = self._checked_joints(row)[:size]
            start += size
        poses = values.reshape(-1, *pose)
        return PackedPoses(poses, tuple(frames), tuple(bodies), tuple(present))

    def find_damage(self, on_progress: Callable[[int, int], None] | None = None) -> tuple[str, ...]:
        """Read every clip and compare it with its digest; returns one line per fault.

        Raises:
            StoreError: The file has become shorter.
        """
        faults = []
        if self._frames_digest and self._ragged.frames_digest() != self._frames_digest:
            faults.append("the frame numbers do not match their digest")
        for row in range(len(self)):
            if not self._matches(row, self._ragged.joints(row)):
                faults.append(f"clip {self.index.names[row]} does not match its digest")
            if on_progress and (row % 200 == 199 or row == len(self) - 1):
                on_progress(row + 1, len(self))
        return tuple(faults)

    def _checked_joints(self, row: int) -> Float32[ndarray, " values"]:
        """The coordinates of a clip; compared with their digest unless already done."""
        joints = self._ragged.joints(row)
        if not self._ragged.is_sound(row):
            if not self._matches(row, joints):
                name = self.index.names[row]
                raise damaged_store(self.path, f"clip {name} does not match its digest")
            self._ragged.set_sound(row)
        return joints

    def _matches(self, row: int, joints: Float32[ndarray, " values"]) -> bool:
        bodies, frames = self.bodies.item(row), self.frames.item(row)
        pose = len(joints) // (bodies * frames)
        return stored_digest((bodies, frames, pose), joints) == self._digests[row]

    def _check_frame_numbers(self) -> None:
        if self._frames_digest and not self._ragged.frames_are_sound:
            if self._ragged.frames_digest() != self._frames_digest:
                raise damaged_store(self.path, "its frame numbers do not match their digest")
            self._ragged.set_frames_sound()

    def clips(self) -> Iterator[Clip]:
        """All clips, in row order."""
        return map(self.clip, range(len(self)))

    def _check_columns(self, table: pa.Table) -> None:
        """Check the index against its digest, and the size of each clip against its index."""
        if store_digest(table, self.info.annotations) != self.info.digest:
            raise ValueError("its index does not match its digest")
        values_per_pose = self.info.layout.num_joints * len(self.info.layout.axes)
        values, frames = self._ragged.lengths()
        wanted = self.bodies * self.frames * values_per_pose
        if (frames != self.frames).any() or (values != wanted).any() or (wanted < 1).any():
            raise ValueError("a clip has more or fewer numbers than its frames and bodies")


def open_store(path: Path) -> ClipStore:
    """Open a clip store.

    Raises:
        StoreError: There is none, it was not finished, is damaged, or is another kind of file.
    """
    return ClipStore(Path(path))


def _open_again(path: Path, digest: str) -> ClipStore:
    """Open a store in another process, which must read the same clips as the main process."""
    store = open_store(path)
    if store.info.digest != digest:
        raise StoreError(
            f"{path}: expected the store that this command has opened, found another; it was"
            " replaced meanwhile, give the command again"
        )
    return store


def _read_info(path: Path, reader: pa.ipc.RecordBatchFileReader) -> StoreInfo:
    metadata = reader.schema.metadata or {}
    if DESCRIPTION_KEY not in metadata:
        raise StoreError(
            f"{path}: an Arrow file, but not a clip store; `skelab ingest SOURCE STORE` makes one"
        )
    text = metadata[DESCRIPTION_KEY]
    if metadata.get(DESCRIPTION_DIGEST_KEY) != description_digest(text):
        raise damaged_store(path, "its description does not match its digest")
    try:
        return StoreInfo.from_json(text)
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None
