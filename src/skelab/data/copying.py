"""Copies preprocessed clips to a store, without their padding."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from skelab._version import __version__
from skelab.data.audit.anatomy import check_clips, refuse_if_scrambled
from skelab.data.clips.clip import Clip
from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import Excluded, open_store
from skelab.data.clips.write import CLIPS_PER_SHARD, LeaveOut, join_shards, write_shard
from skelab.data.ingest import IngestReport
from skelab.data.losses import MOST_LOST, refuse_losses
from skelab.errors import DataError, NoBodyError, OutputError, SourceError
from skelab.files.atomic import folder_beside
from skelab.files.kinds import STORE
from skelab.files.lock import hold_lock, lock_beside
from skelab.files.output import check_output


def copy_clips(
    clips: OpenedClips,
    path: Path,
    *,
    strict: bool = False,
    anatomy_check: bool = True,
    leave_out: LeaveOut | None = None,
    max_lost: float = MOST_LOST,
    on_progress: Callable[[int, int], None] | None = None,
    force: bool = False,
) -> IngestReport:
    """Copy preprocessed clips to a clip store, in constant memory.

    Clips are read in the order of the file, so that a compressed file is inflated once and the
    checksums of an archive are verified. A clip that is all zeros or has a non-finite value is left
    out and named.

    Args:
        clips: The result of :func:`skelab.data.opened.open_clips`.
        path: The store to write, ``.arrow``.
        strict: Stop at the first damaged clip instead of leaving it out.
        anatomy_check: Check some clips first, and refuse a file with scrambled joints.
        leave_out: Chooses clips to leave out, once all are read.
        max_lost: Share of the clips that may be damaged or empty; where more are, nothing is
            written.
        on_progress: Called with the clips done, and their total.
        force: Replace an existing store, at the very end.

    Raises:
        SourceError: The file is damaged, its joints are scrambled, or too much of it is lost.
        DataError: ``strict``, and a clip is damaged.
        StoreError: No clip is left.
        OutputError: The disk is full, the folder cannot be written, a file exists that may
            not be overwritten, or another process writes the store.
    """
    path = check_output(path, STORE, inputs=[clips.path], force=force)
    with hold_lock(lock_beside(path), str(path), OutputError):
        return _copied(clips, path, strict, anatomy_check, leave_out, max_lost, on_progress)


def _copied(
    clips: OpenedClips,
    path: Path,
    strict: bool,
    anatomy_check: bool,
    leave_out: LeaveOut | None,
    max_lost: float,
    on_progress: Callable[[int, int], None] | None,
) -> IngestReport:
    """Copy the clips, shard by shard; damaged ones are named."""
    anatomy = refuse_if_scrambled(check_clips(clips), clips.path) if anatomy_check else None
    info = replace(
        clips.info,
        source_digest=clips.info.digest,
        versions={"skelab": __version__, "numpy": np.__version__, "pyarrow": pa.__version__},
    )
    shards: list[Path] = []
    lost: list[Excluded] = []
    with folder_beside(path) as folder:
        for first in range(0, len(clips), CLIPS_PER_SHARD):
            stop = min(first + CLIPS_PER_SHARD, len(clips))
            read, excluded = _read(clips, range(first, stop), strict)
            lost += excluded
            shards.append(folder / f"{len(shards):06d}.arrow")
            write_shard(shards[-1], read, info.layout, excluded)
            if on_progress:
                on_progress(stop, len(clips))
        refuse_losses(lost, len(clips) - len(lost), max_lost, clips.path)
        finished = join_shards(path, shards, info, leave_out)
    return IngestReport(path, finished, len(open_store(path)), num_resumed=0, anatomy=anatomy)


def _read(clips: OpenedClips, rows: range, strict: bool) -> tuple[list[Clip], list[Excluded]]:
    """The clips of several rows, and the excluded ones."""
    read: list[Clip] = []
    excluded: list[Excluded] = []
    for row in rows:
        try:
            read.append(clips.clip(row))
        except SourceError:
            raise
        except NoBodyError as error:
            excluded.append(Excluded(clips.index.names[row], "no body", str(error)))
        except DataError as error:
            if strict:
                raise
            excluded.append(Excluded(clips.index.names[row], "damaged", str(error)))
    return read, excluded
