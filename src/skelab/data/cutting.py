"""Cuts a store of sequences into a store of trimmed clips, one per segment."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np

from skelab.data.clips.clip import BodyTrack, Clip, RawClip
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.sequence import Segment, UntrimmedSequence
from skelab.data.clips.store import Excluded, StoreInfo
from skelab.data.clips.write import CLIPS_PER_SHARD, join_shards, write_shard
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError, OutputError
from skelab.files.atomic import folder_beside
from skelab.files.kinds import STORE
from skelab.files.lock import hold_lock, lock_beside
from skelab.files.output import check_output

CUT_PIPELINES: Final = ("ctrgcn", "clean", "as-given")
"""Pipelines that can be applied again to a part of their result."""

Progress = Callable[[int, int], None]
"""Called with the sequences done, and their total."""


@dataclass(frozen=True)
class CutReport:
    """The result of cutting sequences.

    Attributes:
        info: Description of the new store.
        num_sequences: Sequences that were cut.
        num_clips: Clips in the new store.
        num_left_out: Segments without a body; they are named in ``info.excluded``.
    """

    info: StoreInfo
    num_sequences: int
    num_clips: int
    num_left_out: int


def cut_segments(
    clips: OpenedClips,
    path: Path,
    *,
    on_progress: Progress | None = None,
    force: bool = False,
) -> CutReport:
    """Write a store of trimmed clips, one for each segment of each sequence.

    Clips are called ``<sequence>#001`` and so on in chronological order, with the metadata of their
    sequence. Each is preprocessed again by the store's pipeline like a recording: its first pose is
    at the origin. Frame numbers remain those of the recording. Trimmed clips of the store are
    copied unchanged.

    Args:
        clips: A store of sequences.
        path: The store to write, ``.arrow``.
        on_progress: Called after each sequence.
        force: Replace an existing store, at the very end.

    Raises:
        DataError: There is no sequence in the store, or its pipeline repeats frames.
        StoreError: No clip is left, or two have one name.
        OutputError: The disk is full, the folder cannot be written, a file exists that may
            not be overwritten, or another process writes the store.
    """
    rows = np.flatnonzero(clips.index.untrimmed)
    if not len(rows):
        raise DataError(
            f"{clips.path}: expected sequences with segments to cut, found trimmed clips only"
        )
    if clips.info.pipeline not in CUT_PIPELINES:
        *others, last = CUT_PIPELINES
        raise DataError(
            f"{clips.path}: expected sequences of pipeline {', '.join(others)} or {last} to cut,"
            f" found those of {clips.info.pipeline}; `skelab ingest SOURCE STORE --pipeline"
            f" {others[0]}` makes them"
        )
    path = check_output(Path(path), STORE, inputs=[clips.path], force=force)
    excluded: list[Excluded] = []
    info = replace(clips.info, source_digest=clips.info.digest, notes=(), annotations="")
    cut = _cut(clips, excluded, on_progress or (lambda done, total: None), len(rows))
    num_clips = 0
    with hold_lock(lock_beside(path), str(path), OutputError), folder_beside(path) as folder:
        shards: list[Path] = []
        while chunk := list(islice(cut, CLIPS_PER_SHARD)):
            shards.append(folder / f"{len(shards):06d}.arrow")
            write_shard(shards[-1], chunk, info.layout)
            num_clips += len(chunk)
        info = replace(info, excluded=(*clips.info.excluded, *excluded))
        finished = join_shards(path, shards, info)
    return CutReport(finished, len(rows), num_clips, len(excluded))


def _cut(
    clips: OpenedClips, excluded: list[Excluded], on_progress: Progress, total: int
) -> Iterator[Clip]:
    """All clips; segments without a body go to ``excluded``."""
    done = 0
    for row in range(len(clips)):
        whole = clips.clip(row)
        if not isinstance(whole, UntrimmedSequence):
            yield whole
            continue
        for number, segment in enumerate(whole.segments, start=1):
            name = f"{whole.info.name}#{number:03d}"
            try:
                yield cut_one(whole, segment, name, clips)
            except DataError as error:
                excluded.append(Excluded(name, "no body", f"{name}: {error}"))
        done += 1
        on_progress(done, total)


def cut_one(sequence: UntrimmedSequence, segment: Segment, name: str, clips: OpenedClips) -> Clip:
    """Cut one segment of a sequence to a clip, preprocessed by the pipeline of its store.

    Raises:
        NoBodyError: The segment has no body.
        DataError: The pipeline rejects it.
    """
    stretch = slice(segment.start, segment.end)
    bodies = {}
    for number, poses in enumerate(sequence.joints[:, stretch], start=1):
        frames = np.flatnonzero(poses.any(axis=(1, 2))).astype(np.int32)
        if len(frames):
            bodies[str(number)] = BodyTrack(frames, poses[frames].astype(np.float64))
    raw = RawClip(len(segment), bodies, actors_chosen=True)
    info = replace(sequence.info, name=name, label=segment.label, untrimmed=False)
    clip = get_pipeline(clips.info.pipeline).prepare(raw, clips.info.layout, info)
    return replace(clip, frame_numbers=sequence.frame_numbers[stretch][clip.frame_numbers])
