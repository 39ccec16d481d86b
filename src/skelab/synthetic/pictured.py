"""Clips with pictures beside them, half of whose classes differ in the picture alone.

Eight classes: four have a motion each and a picture drawn by chance; the other four share one
motion, and each shows a shape of its own. So neither skeletons nor pictures suffice, and what each
can reach alone is known.
"""

from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image, ImageDraw

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.clips.store import StoreInfo
from skelab.data.clips.write import write_store
from skelab.skeleton import get_layout

SHAPES: Final = ("square", "disc", "triangle", "cross")
CLASSES: Final = (*(f"motion {k}" for k in range(4)), *(f"hold {shape}" for shape in SHAPES))
SKELETON_BOUND: Final = 0.625
"""Best expected accuracy of skeletons alone: four classes right, one in four of the others."""

PICTURE_BOUND: Final = 0.5
"""Best expected accuracy of pictures alone: each shape says its class, and no motion is seen."""

SUBJECTS: Final = 10
SIDE: Final = 64
_FRAMES: Final = 20
_LIMBS: Final = ((5, 6, 7), (9, 10, 11), (13, 14, 15), (17, 18, 19), (2, 3, 20))  # of ntu25


def write_pictured(folder: Path, *, clips: int = 480, seed: int = 0) -> Path:
    """Write the clips to ``clips.arrow``, and the frames of each to ``pictures/NAME``.

    Args:
        folder: Where.
        clips: Number of clips; classes and subjects take turns.
        seed: The same seed gives the same clips.

    Returns:
        The store.

    Raises:
        OutputError: The folder cannot be written.
    """
    rng = np.random.default_rng(seed)
    layout = get_layout("ntu25")
    made = []
    for number in range(clips):
        label = number % len(CLASSES)
        subject = 1 + number // len(CLASSES) % SUBJECTS
        name = f"P{subject:03d}R{number:05d}A{label + 1:03d}"
        shape = label - 4 if label >= 4 else int(rng.integers(len(SHAPES)))
        _write_pictures(folder / "pictures" / name, shape, rng)
        joints = _motion(min(label, 4), rng)
        made.append(Clip(SampleInfo(name, label, subject), joints, np.arange(_FRAMES, dtype="i4")))
    store = folder / "clips.arrow"
    write_store(store, made, StoreInfo(layout, "ctrgcn", CLASSES, "pictured", synthetic=True))
    return store


def _motion(kind: int, rng: np.random.Generator) -> Float32[ndarray, "1 T V C"]:
    """One limb swings, at a pace and with a phase of its own, in a noisy pose."""
    rest = np.random.default_rng(7).normal(scale=0.3, size=(25, 3))
    time = np.arange(_FRAMES)[:, None, None]
    phase, pace = rng.uniform(0, 6), rng.uniform(0.5, 0.8)
    joints = rest + rng.normal(scale=0.02, size=(_FRAMES, 25, 3))
    limb = list(_LIMBS[kind])
    joints[:, limb] += 0.25 * np.sin(pace * time + phase) * np.array([1.0, 0.6, 0.2])
    found: Float32[ndarray, "1 T V C"] = joints[None].astype(np.float32)
    return found


def _write_pictures(folder: Path, shape: int, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    x, y = rng.integers(22, 42, size=2)
    for number in range(_FRAMES):
        picture = _picture(SHAPES[shape], int(x), int(y), rng)
        Image.fromarray(picture).save(folder / f"{number:04d}.png", compress_level=1)


def _picture(shape: str, x: int, y: int, rng: np.random.Generator) -> UInt8[ndarray, "H W 3"]:
    """A bright shape on a dark ground, with noise."""
    canvas = Image.new("L", (SIDE, SIDE), 40)
    draw = ImageDraw.Draw(canvas)
    box = (x - 14, y - 14, x + 14, y + 14)
    if shape == "square":
        draw.rectangle(box, fill=200)
    elif shape == "disc":
        draw.ellipse(box, fill=200)
    elif shape == "triangle":
        draw.polygon([(x, y - 14), (x - 14, y + 14), (x + 14, y + 14)], fill=200)
    else:
        draw.rectangle((x - 14, y - 4, x + 14, y + 4), fill=200)
        draw.rectangle((x - 4, y - 14, x + 4, y + 14), fill=200)
    grey = np.asarray(canvas, dtype=np.float64) + rng.normal(scale=8, size=(SIDE, SIDE))
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
