"""The clip store: one Arrow file with every clip of a set, ragged, ready to train.

Valid frames and present bodies only, so that NTU RGB+D 60 takes about 1.7 GB instead of 10.
Opening costs milliseconds and no memory: a clip is read when it is asked for, out of the system's
cache, which all processes share, and checked against its digest the first time.
The file is written under a temporary name, ends with Arrow's footer, and is then renamed, so that
a store that was not finished is never mistaken for one.
"""

import contextlib
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Float32, Int32, Int64
from numpy import ndarray

from skelab.data.clips.annotations import (
    ANNOTATIONS_KEY,
    Annotation,
    annotated_index,
    annotations_digest,
    annotations_of,
    annotations_text,
    read_annotations,
)
from skelab.data.clips.clip import Clip
from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.data.clips.ragged import RaggedColumns, digest_frames
from skelab.data.clips.sequence import Note, Segment, UntrimmedSequence
from skelab.errors import DataError, LayoutError, StoreError
from skelab.files.atomic import atomic_write, folder_beside
from skelab.files.steady import ShorterFileError, SteadyFile
from skelab.skeleton import Layout

FORMAT: Final = 1
SEQUENCE_FORMAT: Final = 2
"""Version of a store that holds sequences or scripts; any other is written as before."""
CLIPS_PER_PART: Final = 128
_BATCH_BYTES: Final = 64 << 20  # of joints; few large batches, so that opening is quick
_METADATA_KEY: Final = b"skelab"
_CHECK_KEY: Final = b"skelab-check"
_FRAMES_KEY: Final = b"skelab-frame-numbers"
_PART_KEY: Final = b"skelab-part"
_SCHEMA: Final = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("label", pa.int32()),
        pa.field("subject", pa.int32()),
        pa.field("camera", pa.int32()),
        pa.field("setup", pa.int32()),
        pa.field("replication", pa.int32()),
        pa.field("parts", pa.string()),
        pa.field("bodies", pa.int32(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("frame_numbers", pa.list_(pa.int32()), nullable=False),
        pa.field("joints", pa.list_(pa.float32()), nullable=False),
        pa.field("digest", pa.binary(16), nullable=False),
    ]
)
_PART_SEPARATOR: Final = ","
_RAGGED: Final = ("frame_numbers", "joints")
_NO_ANNOTATION: Final = Annotation()
_INDEX: Final = [name for name in _SCHEMA.names if name not in _RAGGED]


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
    """The poses of some clips, one clip behind the other.

    Attributes:
        poses: Of each clip all frames of its first body, then of the next.
        frames: Frames of each clip.
        bodies: Bodies of each clip that were taken.
        present: Bodies that each clip has.
    """

    poses: Float32[ndarray, "poses V C"]
    frames: tuple[int, ...]
    bodies: tuple[int, ...]
    present: tuple[int, ...]


@dataclass(frozen=True)
class StoreInfo:
    """What a store says of itself.

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
        notes: What was left out, repaired or is doubtful in the labels of sequences.
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

    @property
    def format(self) -> int:
        """Version of the format in which the store is written."""
        return SEQUENCE_FORMAT if self.annotations or self.notes else FORMAT

    def to_json(self) -> str:
        """The text that stands in the file."""
        content = {"format": self.format, **asdict(self)}
        if self.format == FORMAT:
            del content["annotations"], content["notes"]
        return json.dumps(content, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "StoreInfo":
        """Read the text back.

        Raises:
            StoreError: It is not of this format.
        """
        try:
            content = json.loads(text)
            if (found := content.pop("format")) not in (FORMAT, SEQUENCE_FORMAT):
                raise StoreError(
                    f"expected a store of format version {FORMAT} or {SEQUENCE_FORMAT}, found"
                    f" {found!r}; ingest the source again"
                )
            return cls(
                layout=Layout.from_dict(content.pop("layout")),
                classes=tuple(content.pop("classes")),
                excluded=tuple(Excluded(*entry) for entry in content.pop("excluded")),
                notes=tuple(Note(*entry) for entry in content.pop("notes", ())),
                **content,
            )
        except (ValueError, KeyError, TypeError, AttributeError, LayoutError) as error:
            raise StoreError(f"the store's description is damaged: {error}") from None


class ClipStore:
    """Every clip of a set, read-only; made by :func:`open_store`.

    A clip is read from the file when it is asked for, and its joints are compared with its digest
    when that happens first, or first after somebody has written to the file. Cheap to pickle:
    another process opens the file again, and refuses it if it is another one by then.

    Attributes:
        path: The file.
        info: What the store says of itself.
        index: Names, labels, subjects and so on, one row a clip.
        frames: Frames of each clip.
        bodies: Present bodies of each clip.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened_steady(path) as (reader, file):
            self.info = _read_info(path, reader)
            self._frames_digest = (reader.schema.metadata or {}).get(_FRAMES_KEY, b"").decode()
            batches = [_read_batch(reader, i) for i in range(reader.num_record_batches)]
            self._ragged = RaggedColumns(file, _SCHEMA, [each.num_rows for each in batches])
            table = _index_table(batches)
            index = _clip_index(table)
            self._annotations = read_annotations(reader.schema.metadata, self.info.annotations)
            self._digests: list[bytes] = _objects(table, "digest")
            self.frames: Int64[ndarray, " N"] = _numbers(table, "frames")
            self.bodies: Int64[ndarray, " N"] = _numbers(table, "bodies")
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
        """Most bodies in any clip."""
        return int(self.bodies.max())

    @property
    def digests(self) -> tuple[bytes, ...]:
        """Sixteen bytes for each clip; equal joints have equal ones."""
        return tuple(self._digests)

    @property
    def frame_numbers_are_checked(self) -> bool:
        """Whether the store carries a digest of its frame numbers; those of 0.1 do not."""
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

        What :meth:`clip` gives for each of them, at a fraction of the time.

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
        """Read every clip and compare it with its digest; returns what is damaged, a line each.

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
        """The coordinates of a clip, compared with its digest unless they were before."""
        joints = self._ragged.joints(row)
        if not self._ragged.is_sound(row):
            if not self._matches(row, joints):
                name = self.index.names[row]
                raise _damaged(self.path, f"clip {name} does not match its digest")
            self._ragged.set_sound(row)
        return joints

    def _matches(self, row: int, joints: Float32[ndarray, " values"]) -> bool:
        bodies, frames = self.bodies.item(row), self.frames.item(row)
        pose = len(joints) // (bodies * frames)
        return _joints_digest((bodies, frames, pose), joints) == self._digests[row]

    def _check_frame_numbers(self) -> None:
        if self._frames_digest and not self._ragged.frames_are_sound:
            if self._ragged.frames_digest() != self._frames_digest:
                raise _damaged(self.path, "its frame numbers do not match their digest")
            self._ragged.set_frames_sound()

    def clips(self) -> Iterator[Clip]:
        """All clips, in row order."""
        return map(self.clip, range(len(self)))

    def _check_columns(self, table: pa.Table) -> None:
        """Make sure that the index is as it was written, and that each clip has its numbers."""
        if _store_digest(table, self.info.annotations) != self.info.digest:
            raise ValueError("its index does not match its digest")
        values_per_pose = self.info.layout.num_joints * len(self.info.layout.axes)
        values, frames = self._ragged.lengths()
        wanted = self.bodies * self.frames * values_per_pose
        if (frames != self.frames).any() or (values != wanted).any() or (wanted < 1).any():
            raise ValueError("a clip has more or fewer numbers than its frames and bodies")


def open_store(path: Path) -> ClipStore:
    """Open a store that :func:`write_store` or ``skelab ingest`` has finished.

    Raises:
        StoreError: There is none, it was not finished, is damaged, or is another kind of file.
    """
    return ClipStore(Path(path))


def _open_again(path: Path, digest: str) -> ClipStore:
    """Open a store in another process; a worker must not read other clips than its main process."""
    store = open_store(path)
    if store.info.digest != digest:
        raise StoreError(
            f"{path}: expected the store that this command has opened, found another; it was"
            " replaced meanwhile, give the command again"
        )
    return store


def write_store(path: Path, clips: Iterable[Clip], info: StoreInfo) -> StoreInfo:
    """Write clips to one store, atomically and in constant memory; returns its description.

    The digest of ``info`` is replaced by that of the clips.

    Raises:
        StoreError: A clip does not fit the layout, two have one name, or there is none.
        OutputError: The disk is full or the folder cannot be written.
    """
    path = Path(path)
    remaining = iter(clips)
    with folder_beside(path) as folder:
        parts: list[Path] = []
        while chunk := list(islice(remaining, CLIPS_PER_PART)):
            parts.append(folder / f"{len(parts):06d}.arrow")
            write_part(parts[-1], chunk, info.layout)
        return join_parts(path, parts, info)


def write_part(
    path: Path,
    clips: Sequence[Clip],
    layout: Layout,
    excluded: Sequence[Excluded] = (),
    notes: Sequence[Note] = (),
) -> None:
    """Write some clips, and what was left out among them, as one part of a store to be joined.

    The part appears whole under its name, but may not have reached the disk by then.

    Raises:
        StoreError: A clip does not fit the layout.
        OutputError: The disk is full or the folder cannot be written.
    """
    shape = (layout.num_joints, len(layout.axes))
    for clip in clips:
        if clip.joints.shape[2:] != shape:
            raise StoreError(
                f"{clip.info.name}: expected {shape[0]} joints of {shape[1]} values for layout"
                f" {layout.name}, found {clip.joints.shape[2]} of {clip.joints.shape[3]}"
            )
    text = annotations_text(annotations) if (annotations := annotations_of(clips)) else b""
    about: dict[str, Any] = {"excluded": list(excluded)}
    if text or notes:
        about |= {"notes": list(notes), "annotations": annotations_digest(text) if text else ""}
    schema = _SCHEMA.with_metadata({_PART_KEY: json.dumps(about), **_annotated(text)})
    batch = pa.record_batch([_column(field.name, clips) for field in _SCHEMA], schema=schema)
    with (
        atomic_write(path, durable=False) as temporary,
        pa.ipc.new_file(str(temporary), schema) as writer,
    ):
        writer.write_batch(batch)


LeaveOut = Callable[[ClipIndex, Sequence[bytes]], Sequence[Excluded]]
"""Told names, numbers and digests of all clips, says which of them to leave out of a store."""


def join_parts(
    path: Path, parts: Sequence[Path], info: StoreInfo, leave_out: LeaveOut | None = None
) -> StoreInfo:
    """Join parts to the finished store, in the order given; returns its description.

    Args:
        path: The store to write.
        parts: What :func:`write_part` wrote.
        info: Its description; digest and excluded samples are completed.
        leave_out: Says which clips to leave out, now that all are known.

    Raises:
        StoreError: There is no clip in them, or two have one name.
        OutputError: The disk is full or the folder cannot be written.
    """
    indices: list[pa.Table] = []
    frames: list[pa.Array] = []
    excluded, notes = list(info.excluded), list(info.notes)
    annotations: dict[str, Annotation] = {}
    for part in parts:
        batch, left_out, noted, annotated = _read_part(part)
        indices.append(_index_table([batch]))
        frames.append(batch.column(_RAGGED[0]))
        excluded += left_out
        notes += noted
        annotations |= annotated
    index = pa.concat_tables([_index_table([]), *indices])
    if not len(index):
        raise StoreError(f"{path}: no clip is left to store; {_first_reasons(excluded)}")
    _check_names(_objects(index, "name"))
    known = annotated_index(_clip_index(index), annotations)
    unwanted = leave_out(known, _objects(index, "digest")) if leave_out else ()
    if unwanted:
        excluded += unwanted
        annotations = {
            name: annotation
            for name, annotation in annotations.items()
            if name not in {entry.name for entry in unwanted}
        }
        wanted = _wanted(index.column("name"), unwanted)
        index = index.filter(wanted)
        frames = pa.chunked_array(frames).filter(wanted).chunks
        if not len(index):
            raise StoreError(f"{path}: no clip is left to store; {_first_reasons(excluded)}")
    segments = annotations_text(annotations) if annotations else b""
    annotated_by = annotations_digest(segments) if segments else ""
    finished = replace(
        info,
        digest=_store_digest(index, annotated_by),
        excluded=tuple(excluded),
        annotations=annotated_by,
        notes=tuple(notes),
    )
    text = finished.to_json().encode()
    metadata = {**_annotated(segments), _METADATA_KEY: text, _CHECK_KEY: _check_of(text)}
    metadata[_FRAMES_KEY] = digest_frames(chunk.flatten().to_numpy() for chunk in frames).encode()
    schema = _SCHEMA.with_metadata(metadata)
    with atomic_write(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for group in _groups(parts, unwanted):
            writer.write_batch(_joined(group).replace_schema_metadata(schema.metadata))
    return finished


def inspect_part(path: Path) -> tuple[int, list[Excluded]]:
    """How many clips a part holds, and the samples that were left out of it.

    Every clip is compared with its digest: a part is written without waiting for the disk, so that
    a machine that lost its power may have kept less of it than its name promises.

    Raises:
        StoreError: The part is damaged.
    """
    batch, excluded, _, _ = _read_part(path)
    joints = _ListColumn.of(batch.column("joints"))
    columns = (batch.column(name).to_pylist() for name in ("bodies", "frames", "digest"))
    for row, (bodies, frames, digest) in enumerate(zip(*columns, strict=True)):
        values = joints.row(row)
        poses = max(bodies * frames, 1)
        if _joints_digest((bodies, frames, len(values) // poses), values) != digest:
            raise _damaged(path, f"clip {row} does not match its digest")
    return batch.num_rows, excluded


def part_notes(path: Path) -> list[Note]:
    """What a part says of the labels of its sequences.

    Raises:
        StoreError: The part is damaged.
    """
    return _read_part(path).notes


class _Part(NamedTuple):
    """What a part holds."""

    batch: pa.RecordBatch
    excluded: list[Excluded]
    notes: list[Note]
    annotations: dict[str, Annotation]


@dataclass(frozen=True)
class _ListColumn:
    """A ragged column of one batch as flat values and where each row starts."""

    values: Any
    starts: Any

    @classmethod
    def of(cls, column: pa.ListArray) -> "_ListColumn":
        return cls(column.values.to_numpy(), column.offsets.to_numpy())

    def row(self, number: int) -> Any:
        return self.values[self.starts.item(number) : self.starts.item(number + 1)]

    def lengths(self) -> Any:
        return np.diff(self.starts)


def _column(name: str, clips: Sequence[Clip]) -> pa.Array:
    match name:
        case "bodies":
            return pa.array([clip.num_bodies for clip in clips], pa.int32())
        case "frames":
            return pa.array([clip.num_frames for clip in clips], pa.int32())
        case "frame_numbers":
            return _list_column([clip.frame_numbers for clip in clips], pa.int32())
        case "joints":
            return _list_column([clip.joints.reshape(-1) for clip in clips], pa.float32())
        case "parts":
            joined = [_PART_SEPARATOR.join(clip.info.parts) or None for clip in clips]
            return pa.array(joined, pa.string())
        case "digest":
            return pa.array([_clip_digest(clip) for clip in clips], _SCHEMA.field(name).type)
        case _:
            return pa.array([getattr(clip.info, name) for clip in clips], _SCHEMA.field(name).type)


def _list_column(rows: Sequence[Any], kind: pa.DataType) -> pa.ListArray:
    starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int32)
    values = np.concatenate(rows) if rows else np.empty(0)
    return pa.ListArray.from_arrays(starts, pa.array(values, kind))


def _clip_digest(clip: Clip) -> bytes:
    """Sixteen bytes that are equal for equal joints, whatever the clip is called."""
    bodies, frames, *pose = clip.joints.shape
    return _joints_digest((bodies, frames, math.prod(pose)), clip.joints)


def _joints_digest(shape: tuple[int, int, int], values: Any) -> bytes:
    """The digest of bodies, frames and values of a pose, and of the values themselves."""
    digest = hashlib.blake2b(repr(shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(values, dtype="<f4").data)
    return digest.digest()


def joints_digest(*bodies: Float[ndarray, " ..."]) -> bytes:
    """Sixteen bytes that are equal for equal arrays of joints; not those of a store."""
    digest = hashlib.blake2b(digest_size=16)
    for joints in bodies:
        digest.update(repr(joints.shape).encode() + np.ascontiguousarray(joints).tobytes())
    return digest.digest()


def _groups(parts: Sequence[Path], unwanted: Sequence[Excluded]) -> Iterator[list[pa.RecordBatch]]:
    """The batches of the parts in order, as many together as make one of the finished store.

    Parts are opened one at a time: a large set has more of them than files may be open.
    """
    group: list[pa.RecordBatch] = []
    size = 0
    for part in parts:
        batch = _read_part(part).batch
        if unwanted:
            batch = batch.filter(_wanted(batch.column("name"), unwanted))
        if not batch.num_rows:
            continue
        own = batch.column("joints").values.nbytes
        if group and size + own > _BATCH_BYTES:
            yield group
            group, size = [], 0
        group.append(batch)
        size += own
    yield group


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    plain = [batch.replace_schema_metadata(None) for batch in batches]
    (whole,) = pa.Table.from_batches(plain).combine_chunks().to_batches()
    return whole


def _wanted(names: Any, unwanted: Sequence[Excluded]) -> Any:
    """Which of a column of names are not left out."""
    return pc.invert(pc.is_in(names, pa.array([entry.name for entry in unwanted], pa.string())))


def _clip_index(table: pa.Table) -> ClipIndex:
    return ClipIndex(
        names=tuple(_objects(table, "name")),
        labels=_numbers(table, "label"),
        subjects=_numbers(table, "subject"),
        cameras=_numbers(table, "camera"),
        setups=_numbers(table, "setup"),
        replications=_numbers(table, "replication"),
        parts=_parts(table),
    )


def _index_table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """All columns but the ragged ones."""
    schema = pa.schema([_SCHEMA.field(name) for name in _INDEX])
    chosen = [batch.select(_INDEX).replace_schema_metadata(None) for batch in batches]
    return pa.Table.from_batches(chosen, schema)


def _index_digest(table: pa.Table) -> str:
    """Digest of an index, the same however the clips were cut into parts."""
    digest = hashlib.blake2b(digest_size=16)
    for name in _INDEX:
        column = table.column(name)
        if pa.types.is_integer(column.type):
            digest.update(column.fill_null(UNKNOWN).to_numpy().data)
            continue
        if pa.types.is_string(column.type):
            column = column.fill_null("")
            digest.update(pc.binary_length(column).to_numpy())
        for chunk in column.chunks:
            digest.update(_characters(chunk))
    return digest.hexdigest()


def _store_digest(table: pa.Table, annotations: str) -> str:
    """Digest of an index, and of the digest of what the columns do not say."""
    digest = _index_digest(table)
    if not annotations:
        return digest
    return hashlib.blake2b(f"{digest} {annotations}".encode(), digest_size=16).hexdigest()


def _annotated(text: bytes) -> dict[bytes, bytes]:
    """What the metadata says of sequences; nothing where there are none."""
    return {ANNOTATIONS_KEY: text} if text else {}


def _characters(texts: pa.Array) -> memoryview:
    """All characters of a column, one text behind the other."""
    *_, offsets, values = texts.buffers()
    start, end = texts.offset, texts.offset + len(texts)
    if pa.types.is_string(texts.type):
        places = np.frombuffer(offsets, "<i4") if offsets else np.zeros(1, "<i4")
        start, end = int(places[start]), int(places[end])
    else:
        start, end = start * texts.type.byte_width, end * texts.type.byte_width
    return memoryview(values or b"")[start:end]


def _objects(table: pa.Table, name: str) -> list[Any]:
    """A column of texts or bytes, several times as fast as ``to_pylist``."""
    values: list[Any] = table.column(name).to_numpy().tolist()
    return values


def _numbers(table: pa.Table, name: str) -> Int64[ndarray, " N"]:
    column: Int64[ndarray, " N"] = table.column(name).fill_null(UNKNOWN).to_numpy().astype(np.int64)
    return column


def _parts(table: pa.Table) -> tuple[tuple[str, ...], ...]:
    """The parts of each clip; a store has few different ones, so each is cut up once."""
    if table.column("parts").null_count == len(table):
        return ()
    texts = _objects(table, "parts")
    known = {text: tuple(text.split(_PART_SEPARATOR)) if text else () for text in set(texts)}
    return tuple(known[text] for text in texts)


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise StoreError(f"two clips are called {twice!r}; names must be unique")


def _first_reasons(excluded: Sequence[Excluded]) -> str:
    if not excluded:
        return "none was given"
    shown = "; ".join(entry.reason for entry in excluded[:3])
    return f"all {len(excluded)} samples were left out ({shown})"


def _check_of(text: bytes) -> bytes:
    """What tells whether the description is as it was written."""
    return hashlib.blake2b(text, digest_size=16).hexdigest().encode()


def _read_info(path: Path, reader: pa.ipc.RecordBatchFileReader) -> StoreInfo:
    metadata = reader.schema.metadata or {}
    if _METADATA_KEY not in metadata:
        raise StoreError(
            f"{path}: an Arrow file, but not a clip store; `skelab ingest SOURCE STORE` makes one"
        )
    text = metadata[_METADATA_KEY]
    if metadata.get(_CHECK_KEY) != _check_of(text):
        raise _damaged(path, "its description does not match its digest")
    try:
        return StoreInfo.from_json(text)
    except StoreError as error:
        raise StoreError(f"{path}: {error}") from None


def _read_part(path: Path) -> _Part:
    with _opened(path) as reader:
        metadata = reader.schema.metadata
        about = json.loads(metadata[_PART_KEY])
        return _Part(
            _read_batch(reader, 0),
            [Excluded(*entry) for entry in about["excluded"]],
            [Note(*entry) for entry in about.get("notes", ())],
            read_annotations(metadata, about.get("annotations", "")),
        )


def _read_batch(reader: pa.ipc.RecordBatchFileReader, number: int) -> pa.RecordBatch:
    """A batch whose offsets are sound, so that nothing can be read from outside of it."""
    batch = reader.get_batch(number)
    batch.validate(full=True)
    return batch


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pa.ipc.RecordBatchFileReader]:
    """A reader of a part; what was read outlives it, and what goes wrong is worded."""
    _refuse_no_file(path)
    with _opening_worded(path):
        file = pa.memory_map(str(path))
        reader = pa.ipc.open_file(file)
    with _reading_worded(path), file:  # the pages stay mapped as long as an array shows them
        _check_schema(path, reader)
        yield reader


@contextlib.contextmanager
def _opened_steady(path: Path) -> Iterator[tuple[pa.ipc.RecordBatchFileReader, SteadyFile]]:
    """A reader of a store's index, and the file for everything else; nothing of it is mapped."""
    _refuse_no_file(path)
    with _opening_worded(path):
        file = SteadyFile(path)
        plain = open(file.handle, "rb", buffering=0, closefd=False)  # noqa: SIM115
        reader = pa.ipc.open_file(pa.PythonFile(plain, mode="r"))
    with _reading_worded(path):
        _check_schema(path, reader)
        if reader.schema == _SCHEMA:  # the ragged columns are read clip by clip
            columns = [_SCHEMA.names.index(name) for name in _INDEX]
            options = pa.ipc.IpcReadOptions(included_fields=columns)
            reader = pa.ipc.open_file(pa.PythonFile(plain, mode="r"), options=options)
        yield reader, file


def _refuse_no_file(path: Path) -> None:
    if path.is_dir():
        raise StoreError(
            f"{path}: expected a clip store, found a folder;"
            f" `skelab ingest {path} STORE` makes a store of a source"
        )
    if not path.is_file():
        raise StoreError(f"{path}: there is no clip store; `skelab ingest SOURCE STORE` makes one")


@contextlib.contextmanager
def _opening_worded(path: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from None
    except (pa.ArrowException, OSError):
        raise StoreError(
            f"{path}: expected a finished clip store, found another or half-written file;"
            " `skelab ingest SOURCE STORE` makes it anew"
        ) from None


@contextlib.contextmanager
def _reading_worded(path: Path) -> Iterator[None]:
    try:
        yield
    except StoreError:
        raise
    except ShorterFileError as error:
        raise StoreError(f"{error}; give the same command again when the store is whole") from None
    except (pa.ArrowException, DataError, OSError, LookupError, TypeError, ValueError) as error:
        raise _damaged(path, " ".join(str(error).split())[:200]) from None


def _check_schema(path: Path, reader: pa.ipc.RecordBatchFileReader) -> None:
    known = reader.schema.metadata or {}
    if (_METADATA_KEY in known or _PART_KEY in known) and reader.schema != _SCHEMA:
        raise _damaged(path, "its columns are not those of a clip store")


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(
        f"{path}: the store is damaged: {reason}; `skelab ingest SOURCE STORE` makes it anew"
    )
