"""Files with prepared clips, as other repositories write them, small enough for any test."""

import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from golden_files import ctrgcn_clips
from golden_kit import GOLDEN, read_json
from jaxtyping import Float32, Float64
from numpy import ndarray

from skelab.skeleton import list_layouts

CTRGCN = GOLDEN / "preprocess" / "ctrgcn"
NAMES = GOLDEN / "preprocess" / "available_names.txt"
FRAMES = 20


def standing(joints: int) -> Float64[ndarray, "V 3"]:
    """A body: of 25 joints one who stands; else the bones of a layout, each going its own way."""
    if joints == 25:
        return np.asarray(ctrgcn_clips()[0][0, 0], dtype=np.float64)
    layout = next(each for each in list_layouts() if each.num_joints == joints)
    ways = np.random.default_rng(7).normal(size=(joints, 3))
    ways *= 0.2 / np.linalg.norm(ways, axis=1, keepdims=True)
    pose = np.zeros((joints, 3))
    for joint in range(joints):
        step = joint
        while step != layout.centre:
            pose[joint] += ways[step]
            step = layout.parents[step]
    return pose


def padded_rows(clips: int, *, columns: int = 150, seed: int = 0) -> Float32[ndarray, "N T F"]:
    """Rows as CTR-GCN pads them: every third has a second body, the lengths differ."""
    rng = np.random.default_rng(seed)
    pose = standing(columns // 6 if columns > 75 else columns // 3)
    rows = np.zeros((clips, FRAMES, columns), np.float32)
    for number, row in enumerate(rows):
        frames, filled = 5 + number % 12, columns if number % 3 == 2 else min(75, columns)
        still = np.resize(pose, filled)
        row[:frames, :filled] = still + rng.normal(0.0, 0.02, size=(frames, filled))
        row[0, 3:6] = 0.0  # the middle of the spine, where CTR-GCN begins
    return rows


def one_hot(labels: Sequence[int] | ndarray, classes: int = 60) -> Float64[ndarray, "N K"]:
    """Labels as CTR-GCN writes them."""
    rows: Float64[ndarray, "N K"] = np.eye(classes)[np.asarray(labels, dtype=int)]
    return rows


def npz_arrays(train: int = 6, test: int = 4) -> dict[str, Any]:
    """The four arrays; labels go round."""
    return {
        "x_train": padded_rows(train),
        "y_train": one_hot(np.arange(train) % 3),
        "x_test": padded_rows(test, seed=1),
        "y_test": one_hot(np.arange(test) % 3),
    }


def write_npz(path: Path, *, compressed: bool = False, **changes: Any) -> Path:
    """An npz of ten clips; ``changes`` replace arrays, None takes one away."""
    arrays = {name: each for name, each in {**npz_arrays(), **changes}.items() if each is not None}
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def golden_arrays(benchmark: str) -> dict[str, ndarray]:
    """The authors' arrays of ``CS`` or ``CV``; those of CV are the rows of CS, reordered."""
    with np.load(CTRGCN / "NTU60_CS.npz") as archive:
        arrays = {name: archive[name] for name in archive.files}
    if benchmark == "CS":
        return arrays
    orders = read_json("preprocess/ctrgcn", "order")
    rows = {name: row for row, name in enumerate(orders["CS"]["train"] + orders["CS"]["test"])}
    both = {
        kind: np.concatenate([arrays[f"{kind}_{p}"] for p in ("train", "test")]) for kind in "xy"
    }
    return {
        f"{kind}_{part}": both[kind][[rows[name] for name in orders[benchmark][part]]]
        for kind in "xy"
        for part in ("train", "test")
    }


def write_npy_pkl(
    folder: Path,
    joints: Mapping[str, ndarray],
    names: Mapping[str, Any],
    labels: Mapping[str, Any],
    *,
    stream: str = "_joint",
) -> Path:
    """A folder as MS-G3D writes it, by part."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, array in joints.items():
        np.save(folder / f"{part}_data{stream}.npy", array)
        content = ([f"{name}.skeleton" for name in names[part]], list(labels[part]))
        (folder / f"{part}_label.pkl").write_bytes(pickle.dumps(content))
    return folder


def annotation(name: str, label: Any = 0, **changes: Any) -> dict[str, Any]:
    """A PYSKL annotation of one body of 25 joints over six frames."""
    rng = np.random.default_rng(len(name))
    keypoint = rng.normal(0.0, 0.4, size=(1, 6, 25, 3)).astype(np.float16)
    return {
        "frame_dir": name,
        "label": label,
        "total_frames": 6,
        "keypoint": keypoint,
        **changes,
    }


def write_pyskl(path: Path, annotations: Sequence[Any], **split: Sequence[str]) -> Path:
    """A pickle as PYSKL writes it."""
    path.write_bytes(pickle.dumps({"split": split, "annotations": list(annotations)}))
    return path


class Attack:
    """Unpickled by Python itself, it makes the folder ``was-here``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"mkdir {self.folder / 'was-here'}",)
