"""The number of loader processes that shared memory allows.

Workers pass batches to the training process through ``/dev/shm``. If it is full, a worker
is killed by a bus error in the middle of a run; containers have 64 MB of it by default.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.store import ClipStore

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the system's, nothing of ours is written

_READ_AHEAD: Final = 2  # batches of each worker, as PyTorch's loader has it
_FRAMES_OF_FILES: Final = 300  # of a clip in a file of the authors; counting would read it all
_BYTES: Final = 4  # of a float32


def workers_that_fit(asked: int, *, free_bytes: int, batch_bytes: int) -> int:
    """How many of the workers have room for their batches: two each, beside the one in use.

    Args:
        asked: Requested workers.
        free_bytes: Shared memory that is free.
        batch_bytes: The largest batch of a worker.

    Returns:
        From 0, which reads in the training process, to ``asked``.
    """
    batches = free_bytes // max(batch_bytes, 1)
    return max(0, min(asked, (batches - 1) // _READ_AHEAD))


def largest_batch_bytes(store: OpenedClips, *, batch_size: int, max_bodies: int) -> int:
    """Bytes of the batch that has the longest clips; an upper bound where lengths are not known."""
    pose = store.info.layout.num_joints * len(store.info.layout.axes) * _BYTES
    if isinstance(store, ClipStore):
        poses = store.frames * np.minimum(store.bodies, max_bodies)
        return int(np.sort(poses)[-batch_size:].sum()) * pose
    return min(batch_size, len(store)) * _FRAMES_OF_FILES * max_bodies * pose


def choose_workers(
    asked: int,
    store: OpenedClips,
    *,
    batch_size: int,
    max_bodies: int,
    on_message: Callable[[str], None] | None = None,
) -> int:
    """The requested workers, or as many as fit into shared memory.

    Processes of one run on this machine share its memory.

    Args:
        asked: Requested workers of a process; 0 needs no shared memory.
        store: What they read.
        batch_size: Clips of a process's batch.
        max_bodies: Bodies of each that are read.
        on_message: Called if there are fewer than requested.
    """
    if not asked or not SHARED_MEMORY.is_dir():
        return asked
    free = shutil.disk_usage(SHARED_MEMORY).free
    share = free // max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    batch = largest_batch_bytes(store, batch_size=batch_size, max_bodies=max_bodies)
    workers = workers_that_fit(asked, free_bytes=share, batch_bytes=batch)
    if workers < asked and on_message:
        on_message(
            f"{SHARED_MEMORY}: {free / 2**20:.0f} MiB are free and a batch may take"
            f" {batch / 2**20:.1f} MiB: going on with {workers} instead of {asked} workers; a"
            " container gets more with --shm-size=8g"
        )
    return workers
