"""Write stores: clips go to shards, and shards are joined to one store.

A store is written under a temporary name, ends with Arrow's footer, and is then renamed, so that an
unfinished one is never mistaken for a store.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from skelab.data.clips.annotations import (
    Annotation,
    annotated_index,
    annotations_digest,
    annotations_of,
    annotations_text,
    read_annotations,
)
from skelab.data.clips.clip import Clip
from skelab.data.clips.index import ClipIndex
from skelab.data.clips.ragged import digest_frames
from skelab.data.clips.sequence import Note
from skelab.data.clips.store import Excluded, StoreInfo
from skelab.data.clips.store_format import (
    DESCRIPTION_DIGEST_KEY,
    DESCRIPTION_KEY,
    FRAME_NUMBERS_KEY,
    SCHEMA,
    SHARD_KEY,
    annotation_metadata,
    clip_column,
    clip_index,
    damaged_store,
    description_digest,
    index_table,
    mapped_reader,
    object_column,
    read_batch,
    store_digest,
    stored_digest,
)
from skelab.errors import StoreError
from skelab.files.atomic import atomic_write, folder_beside
from skelab.skeleton import Layout

CLIPS_PER_SHARD: Final = 128
_BATCH_BYTES: Final = 64 << 20  # of joints; few large batches, so that opening is quick


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
        shards: list[Path] = []
        while chunk := list(islice(remaining, CLIPS_PER_SHARD)):
            shards.append(folder / f"{len(shards):06d}.arrow")
            write_shard(shards[-1], chunk, info.layout)
        return join_shards(path, shards, info)


def write_shard(
    path: Path,
    clips: Sequence[Clip],
    layout: Layout,
    excluded: Sequence[Excluded] = (),
    notes: Sequence[Note] = (),
) -> None:
    """Write some clips, and what was left out among them, as one shard of a store.

    The shard appears whole under its name, but is not flushed to the disk.

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
    schema = SCHEMA.with_metadata({SHARD_KEY: json.dumps(about), **annotation_metadata(text)})
    batch = pa.record_batch([clip_column(field.name, clips) for field in SCHEMA], schema=schema)
    with (
        atomic_write(path, durable=False) as temporary,
        pa.ipc.new_file(str(temporary), schema) as writer,
    ):
        writer.write_batch(batch)


LeaveOut = Callable[[ClipIndex, Sequence[bytes]], Sequence[Excluded]]
"""Given the index and the digests of all clips, returns the clips to leave out of a store."""


def join_shards(
    path: Path, shards: Sequence[Path], info: StoreInfo, leave_out: LeaveOut | None = None
) -> StoreInfo:
    """Join shards to the finished store, in the order given; returns its description.

    Args:
        path: The store to write.
        shards: Files that :func:`write_shard` wrote.
        info: Its description; digest and excluded samples are completed.
        leave_out: Chooses clips to leave out, now that all are known.

    Raises:
        StoreError: There is no clip in them, or two have one name.
        OutputError: The disk is full or the folder cannot be written.
    """
    content = _collect(shards, info)
    _refuse_empty(path, content)
    _check_names(object_column(content.index, "name"))
    unwanted: Sequence[Excluded] = ()
    if leave_out:
        known = annotated_index(clip_index(content.index), content.annotations)
        unwanted = leave_out(known, object_column(content.index, "digest"))
        content = _without(content, unwanted)
        _refuse_empty(path, content)
    segments = annotations_text(content.annotations) if content.annotations else b""
    annotations = annotations_digest(segments) if segments else ""
    finished = replace(
        info,
        digest=store_digest(content.index, annotations),
        excluded=tuple(content.excluded),
        annotations=annotations,
        notes=tuple(content.notes),
    )
    schema = SCHEMA.with_metadata(_store_metadata(finished, segments, content.frame_numbers))
    with atomic_write(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for group in _groups(shards, unwanted):
            writer.write_batch(_concatenated(group).replace_schema_metadata(schema.metadata))
    return finished


def inspect_shard(path: Path) -> tuple[int, list[Excluded]]:
    """The number of clips in a shard, and the samples that were left out of it.

    Every clip is compared with its digest: a shard is not flushed to the disk, so after a power
    failure it may be incomplete under its final name.

    Raises:
        StoreError: The shard is damaged.
    """
    batch, excluded, _, _ = _read_shard(path)
    joints = batch.column("joints")
    values, starts = joints.values.to_numpy(), joints.offsets.to_numpy().tolist()
    columns = (batch.column(name).to_pylist() for name in ("bodies", "frames", "digest"))
    for row, (bodies, frames, digest) in enumerate(zip(*columns, strict=True)):
        own = values[starts[row] : starts[row + 1]]
        poses = max(bodies * frames, 1)
        if stored_digest((bodies, frames, len(own) // poses), own) != digest:
            raise damaged_store(path, f"clip {row} does not match its digest")
    return batch.num_rows, excluded


def shard_notes(path: Path) -> list[Note]:
    """The notes of a shard on the labels of its sequences.

    Raises:
        StoreError: The shard is damaged.
    """
    return _read_shard(path).notes


class _Content(NamedTuple):
    """All that shards hold together, except the joints."""

    index: pa.Table
    frame_numbers: list[pa.Array]
    excluded: list[Excluded]
    notes: list[Note]
    annotations: dict[str, Annotation]


def _collect(shards: Sequence[Path], info: StoreInfo) -> _Content:
    content = _Content(index_table([]), [], list(info.excluded), list(info.notes), {})
    indices = [content.index]
    for shard in shards:
        batch, excluded, notes, annotations = _read_shard(shard)
        indices.append(index_table([batch]))
        content.frame_numbers.append(batch.column("frame_numbers"))
        content.excluded.extend(excluded)
        content.notes.extend(notes)
        content.annotations.update(annotations)
    return content._replace(index=pa.concat_tables(indices))


def _without(content: _Content, unwanted: Sequence[Excluded]) -> _Content:
    """The content without the clips that are left out, which join the excluded samples."""
    if not unwanted:
        return content
    names = {entry.name for entry in unwanted}
    wanted = _wanted(content.index.column("name"), unwanted)
    return _Content(
        index=content.index.filter(wanted),
        frame_numbers=pa.chunked_array(content.frame_numbers).filter(wanted).chunks,
        excluded=[*content.excluded, *unwanted],
        notes=content.notes,
        annotations={
            name: annotation
            for name, annotation in content.annotations.items()
            if name not in names
        },
    )


def _store_metadata(
    info: StoreInfo, segments: bytes, frame_numbers: Sequence[pa.Array]
) -> dict[bytes, bytes]:
    text = info.to_json().encode()
    frames_digest = digest_frames(chunk.flatten().to_numpy() for chunk in frame_numbers)
    return {
        **annotation_metadata(segments),
        DESCRIPTION_KEY: text,
        DESCRIPTION_DIGEST_KEY: description_digest(text),
        FRAME_NUMBERS_KEY: frames_digest.encode(),
    }


class _Shard(NamedTuple):
    """The content of a shard."""

    batch: pa.RecordBatch
    excluded: list[Excluded]
    notes: list[Note]
    annotations: dict[str, Annotation]


def _read_shard(path: Path) -> _Shard:
    with mapped_reader(path) as reader:
        metadata = reader.schema.metadata
        about = json.loads(metadata[SHARD_KEY])
        return _Shard(
            read_batch(reader, 0),
            [Excluded(*entry) for entry in about["excluded"]],
            [Note(*entry) for entry in about.get("notes", ())],
            read_annotations(metadata, about.get("annotations", "")),
        )


def _groups(shards: Sequence[Path], unwanted: Sequence[Excluded]) -> Iterator[list[pa.RecordBatch]]:
    """The batches of the shards in order, grouped so that a group makes one batch of the store.

    Shards are opened one at a time: a large set has more of them than a process may open files.
    """
    group: list[pa.RecordBatch] = []
    size = 0
    for shard in shards:
        batch = _read_shard(shard).batch
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


def _concatenated(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    plain = [batch.replace_schema_metadata(None) for batch in batches]
    (whole,) = pa.Table.from_batches(plain).combine_chunks().to_batches()
    return whole


def _wanted(names: Any, unwanted: Sequence[Excluded]) -> Any:
    """A mask over a column of names: true where the clip is not left out."""
    return pc.invert(pc.is_in(names, pa.array([entry.name for entry in unwanted], pa.string())))


def _check_names(names: Sequence[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise StoreError(f"two clips are called {twice!r}; names must be unique")


def _refuse_empty(path: Path, content: _Content) -> None:
    if len(content.index):
        return
    excluded = content.excluded
    shown = "; ".join(entry.reason for entry in excluded[:3])
    cause = f"all {len(excluded)} samples were left out ({shown})" if shown else "none was given"
    raise StoreError(f"{path}: no clip is left to store; {cause}")
