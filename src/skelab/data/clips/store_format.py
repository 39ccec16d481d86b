"""The format of a store: its columns, digests and metadata, and how the Arrow file is opened.

A store and the shards that it is joined from share all of it. The ragged columns, joints and frame
numbers, are written here and read by :mod:`skelab.data.clips.ragged`.
"""

import contextlib
import hashlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64
from numpy import ndarray

from skelab.data.clips.annotations import ANNOTATIONS_KEY
from skelab.data.clips.clip import Clip
from skelab.data.clips.index import UNKNOWN, ClipIndex
from skelab.errors import DataError, StoreError
from skelab.files.steady import ShorterFileError, SteadyFile

DESCRIPTION_KEY: Final = b"skelab"
DESCRIPTION_DIGEST_KEY: Final = b"skelab-check"
FRAME_NUMBERS_KEY: Final = b"skelab-frame-numbers"
SHARD_KEY: Final = b"skelab-part"
"""Keys of the schema's metadata."""
SCHEMA: Final = pa.schema(
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
RAGGED_COLUMNS: Final = ("frame_numbers", "joints")
INDEX_COLUMNS: Final = tuple(name for name in SCHEMA.names if name not in RAGGED_COLUMNS)
_PART_SEPARATOR: Final = ","


def index_table(batches: Sequence[pa.RecordBatch]) -> pa.Table:
    """The index of some batches: all columns but the ragged ones."""
    schema = pa.schema([SCHEMA.field(name) for name in INDEX_COLUMNS])
    chosen = [batch.select(INDEX_COLUMNS).replace_schema_metadata(None) for batch in batches]
    return pa.Table.from_batches(chosen, schema)


def clip_index(table: pa.Table) -> ClipIndex:
    """The index of a store out of its columns, without what the annotations add."""
    return ClipIndex(
        names=tuple(object_column(table, "name")),
        labels=number_column(table, "label"),
        subjects=number_column(table, "subject"),
        cameras=number_column(table, "camera"),
        setups=number_column(table, "setup"),
        replications=number_column(table, "replication"),
        parts=_parts(table),
    )


def object_column(table: pa.Table, name: str) -> list[Any]:
    """A column of text or bytes as a list; several times as fast as ``to_pylist``."""
    values: list[Any] = table.column(name).to_numpy().tolist()
    return values


def number_column(table: pa.Table, name: str) -> Int64[ndarray, " N"]:
    """A column of numbers; null becomes :data:`UNKNOWN`."""
    column: Int64[ndarray, " N"] = table.column(name).fill_null(UNKNOWN).to_numpy().astype(np.int64)
    return column


def _parts(table: pa.Table) -> tuple[tuple[str, ...], ...]:
    """The parts of each clip; a store has few distinct texts, so each is split only once."""
    if table.column("parts").null_count == len(table):
        return ()
    texts = object_column(table, "parts")
    known = {text: tuple(text.split(_PART_SEPARATOR)) if text else () for text in set(texts)}
    return tuple(known[text] for text in texts)


def clip_column(name: str, clips: Sequence[Clip]) -> pa.Array:
    """One column of :data:`SCHEMA` for some clips."""
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
            return pa.array([_clip_digest(clip) for clip in clips], SCHEMA.field(name).type)
        case _:
            return pa.array([getattr(clip.info, name) for clip in clips], SCHEMA.field(name).type)


def _list_column(rows: Sequence[Any], kind: pa.DataType) -> pa.ListArray:
    starts = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int32)
    values = np.concatenate(rows) if rows else np.empty(0)
    return pa.ListArray.from_arrays(starts, pa.array(values, kind))


def _clip_digest(clip: Clip) -> bytes:
    bodies, frames, *pose = clip.joints.shape
    return stored_digest((bodies, frames, math.prod(pose)), clip.joints)


def stored_digest(shape: tuple[int, int, int], values: Any) -> bytes:
    """The 16-byte digest of a clip's joints; the clip's name and label do not enter.

    Args:
        shape: Bodies, frames and values of one pose.
        values: The coordinates, in the order M T V C.
    """
    digest = hashlib.blake2b(repr(shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(values, dtype="<f4").data)
    return digest.digest()


def store_digest(table: pa.Table, annotations: str) -> str:
    """Digest of a whole store, in hexadecimal: its index, which has the digest of every clip.

    Args:
        table: The index.
        annotations: Digest of the annotations; empty where there are none.
    """
    digest = _index_digest(table)
    if not annotations:
        return digest
    return hashlib.blake2b(f"{digest} {annotations}".encode(), digest_size=16).hexdigest()


def _index_digest(table: pa.Table) -> str:
    """Digest of an index, independent of how the clips were divided into shards."""
    digest = hashlib.blake2b(digest_size=16)
    for name in INDEX_COLUMNS:
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


def _characters(texts: pa.Array) -> memoryview:
    """The bytes of all texts in a column, concatenated."""
    *_, offsets, values = texts.buffers()
    start, end = texts.offset, texts.offset + len(texts)
    if pa.types.is_string(texts.type):
        places = np.frombuffer(offsets, "<i4") if offsets else np.zeros(1, "<i4")
        start, end = int(places[start]), int(places[end])
    else:
        start, end = start * texts.type.byte_width, end * texts.type.byte_width
    return memoryview(values or b"")[start:end]


def description_digest(text: bytes) -> bytes:
    """Digest of a store's description, to detect a change."""
    return hashlib.blake2b(text, digest_size=16).hexdigest().encode()


def annotation_metadata(text: bytes) -> dict[bytes, bytes]:
    """The metadata entry for the annotations; empty where there are none."""
    return {ANNOTATIONS_KEY: text} if text else {}


@contextlib.contextmanager
def index_reader(path: Path) -> Iterator[tuple[pa.ipc.RecordBatchFileReader, SteadyFile]]:
    """Open a store: a reader of its index, and the file for the rest. Nothing is mapped.

    Raises:
        StoreError: There is no store, or it is damaged or another kind of file; so are errors
            that occur while the reader is in use.
    """
    _refuse_no_file(path)
    with _opening_errors(path):
        file = SteadyFile(path)
        # Arrow reads in threads of its own. A file object of Python would need the interpreter
        # there, and one that is still reading when the interpreter ends aborts the process.
        plain = pa.OSFile(f"/dev/fd/{file.handle}")
        reader = pa.ipc.open_file(plain)
    with _reading_errors(path), plain:
        _check_schema(path, reader)
        if reader.schema == SCHEMA:  # the ragged columns are read clip by clip
            columns = [SCHEMA.names.index(name) for name in INDEX_COLUMNS]
            options = pa.ipc.IpcReadOptions(included_fields=columns)
            reader = pa.ipc.open_file(plain, options=options)
        yield reader, file


@contextlib.contextmanager
def mapped_reader(path: Path) -> Iterator[pa.ipc.RecordBatchFileReader]:
    """Open a shard, memory-mapped; arrays that were read stay valid after it is closed.

    Raises:
        StoreError: There is no shard, or it is damaged or another kind of file; so are errors
            that occur while the reader is in use.
    """
    _refuse_no_file(path)
    with _opening_errors(path):
        file = pa.memory_map(str(path))
        reader = pa.ipc.open_file(file)
    with _reading_errors(path), file:  # the pages stay mapped as long as an array shows them
        _check_schema(path, reader)
        yield reader


def read_batch(reader: pa.ipc.RecordBatchFileReader, number: int) -> pa.RecordBatch:
    """A batch whose offsets were validated, so that no read leaves its buffers."""
    batch = reader.get_batch(number)
    batch.validate(full=True)
    return batch


def _refuse_no_file(path: Path) -> None:
    if (path / "recipe.yaml").is_file():
        raise StoreError(
            f"{path}: expected a clip store, found a run; say the run first, and --data STORE"
        )
    if path.is_dir():
        raise StoreError(
            f"{path}: expected a clip store, found a folder;"
            f" `skelab ingest {path} STORE` makes a store of a source"
        )
    if not path.is_file():
        raise StoreError(f"{path}: there is no clip store; `skelab ingest SOURCE STORE` makes one")


@contextlib.contextmanager
def _opening_errors(path: Path) -> Iterator[None]:
    """Turn errors of opening a file into StoreErrors."""
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
def _reading_errors(path: Path) -> Iterator[None]:
    """Turn errors of reading a file into StoreErrors."""
    try:
        yield
    except StoreError:
        raise
    except ShorterFileError as error:
        raise StoreError(f"{error}; give the same command again when the store is whole") from None
    except (pa.ArrowException, DataError, OSError, LookupError, TypeError, ValueError) as error:
        raise damaged_store(path, " ".join(str(error).split())[:200]) from None


def _check_schema(path: Path, reader: pa.ipc.RecordBatchFileReader) -> None:
    known = reader.schema.metadata or {}
    if (DESCRIPTION_KEY in known or SHARD_KEY in known) and reader.schema != SCHEMA:
        raise damaged_store(path, "its columns are not those of a clip store")


def damaged_store(path: Path, reason: str) -> StoreError:
    """The error for a store that is damaged."""
    return StoreError(
        f"{path}: the store is damaged: {reason}; `skelab ingest SOURCE STORE` makes it anew"
    )
