"""Clips so small that a store of them takes no time."""

from pathlib import Path
from typing import Any

import numpy as np

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import ClipStore, StoreInfo, open_store
from skelab.data.clips.write import write_store
from skelab.skeleton import Layout, get_layout

SBU15 = get_layout("sbu15")
CLASSES = ("wave", "sit", "fall")


def tiny_clip(row: int, *, layout: Layout = SBU15, label: int | None = 0) -> Clip:
    """A clip of 5 to 12 frames and 1 or 2 bodies; its label shifts it a little."""
    rng = np.random.default_rng(row)
    shape = (1 + row % 2, int(rng.integers(5, 13)), layout.num_joints, len(layout.axes))
    joints = rng.normal(0.3 * (label or 0), 1.0, size=shape).astype(np.float32)
    numbers = (row % 4 + 1, row % 2 + 1, row % 3 + 1, 1)
    info = SampleInfo(f"clip{row:03d}", label, *numbers)
    return Clip(info, joints, np.arange(shape[1], dtype=np.int32))


def tiny_info(**changes: Any) -> StoreInfo:
    """The description of a store of tiny clips."""
    usual: dict[str, Any] = {
        "layout": SBU15,
        "pipeline": "ctrgcn",
        "classes": CLASSES,
        "dataset": "made-up",
        "synthetic": True,
    }
    return StoreInfo(**{**usual, **changes})


def tiny_store(path: Path, clips: int = 24) -> ClipStore:
    """A store of tiny clips with three classes and four subjects."""
    write_store(path, [tiny_clip(row, label=row % 3) for row in range(clips)], tiny_info())
    return open_store(path)
