"""Side-cars for the tiny clips: vectors that say the class."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_clips import CLASSES
from tiny_run import CONFIG, tiny_recipe

from skelab.data.clips.store import ClipStore
from skelab.data.feeding.batch import FEATURES, POSITIONS, VALID
from skelab.fusion import SideCarInfo, make_side_car, write_side_cars
from skelab.models import ModelInput
from skelab.recipes import Recipe

SIZE = 5


def write_tiny_side_cars(
    path: Path, store: ClipStore, *, every: int = 1, leave_out: int = 0, encoder: str = "imu"
) -> Path:
    """A vector for each second frame; all but each ``every``-th clip, say, have one."""
    rng = np.random.default_rng(0)
    made = []
    for row, name in enumerate(store.index.names):
        if leave_out and row % leave_out == 0:
            continue
        frames = np.arange(0, int(store.frames[row]), 2)
        vectors = rng.normal(scale=0.1, size=(len(frames), SIZE))
        vectors[:, int(store.index.labels[row])] += 2
        made.append(make_side_car(name, vectors, frames, length=int(store.frames[row])))
    write_side_cars(path, made[::every], SideCarInfo(encoder, "1", SIZE))
    return path


def fused_recipe(side_cars: Path, kind: str = "gated", epochs: int = 2, **changes: Any) -> Recipe:
    """A few epochs of a tiny ST-GCN with side-cars."""
    training = CONFIG.model_copy(update={"epochs": epochs}).model_dump()
    fusion = {"side_car": str(side_cars), "kind": kind, "width": 8}
    usual = {"model": {"name": "stgcn", "width": 4}, "training": training, "fusion": fusion}
    return tiny_recipe(**{**usual, **changes})


def fused_input(
    *, clips: int = 3, present: tuple[bool, ...] = (True, True, False), seed: int = 0
) -> ModelInput:
    """Clips of 16 frames with four side-car vectors each, of which the last is invalid."""
    generator = torch.Generator().manual_seed(seed)
    joints = torch.randn(clips, 3, 16, 15, 2, generator=generator)
    valid = torch.tensor(present)[:, None] & torch.tensor([True, True, True, False])
    return ModelInput(
        joints,
        sidecars={
            FEATURES: torch.randn(clips, 4, SIZE, generator=generator),
            POSITIONS: torch.tensor([0.0, 5, 10, 15]).expand(clips, 4),
            VALID: valid,
        },
    )


NUM_CLASSES = len(CLASSES)
