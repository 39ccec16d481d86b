"""The feeder against outputs of the authors' (Uni-Create/CTR-GCN@e13d758), limit 5e-6."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from numpy import ndarray

from skelab.data.clip import Clip, SampleInfo
from skelab.data.dataset import PaddedClips, pad_clips
from skelab.data.feeder import Feeder, FeederConfig
from skelab.data.streams import Stream, derive_stream
from skelab.data.transforms import Crop, CropResize, RandomRotation, rotation_matrices
from skelab.skeleton import get_layout

GOLDEN = Path(__file__).parents[1] / "golden"
NTU25 = get_layout("ntu25")
FACTS = json.loads((GOLDEN / "feeder" / "feeder.json").read_text())
SUBSETS = [("bone_subset", Stream.BONE), ("vel_subset", Stream.JOINT_MOTION)]
SUBSETS += [("bone_vel_subset", Stream.BONE_MOTION)]


def arrays(name: str) -> dict[str, ndarray]:
    with np.load(GOLDEN / "feeder" / f"{name}.npz") as archive:
        return {key: archive[key] for key in archive.files}


def authors_rows(part: str) -> ndarray:
    with np.load(GOLDEN / "preprocess" / "ctrgcn" / "NTU60_CS.npz") as archive:
        rows: ndarray = archive[f"x_{part}"]
    return rows


def padded(rows: ndarray) -> PaddedClips:
    """Rows of the authors' arrays, (T, 150) each, as clips side by side."""
    items = []
    for number, row in enumerate(rows):
        joints = row.reshape(len(row), 2, 25, 3).swapaxes(0, 1)
        frames = np.arange(len(row), dtype=np.int32)
        items.append((number, Clip(SampleInfo(str(number), label=0), joints, frames)))
    return pad_clips(items, max_bodies=2)


def keep(case: dict[str, Any]) -> Any:
    """The share of frames to keep, as the transform takes it."""
    return tuple(float(share) for share in case["p_interval"])


def close(ours: torch.Tensor | ndarray, theirs: ndarray) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=5e-6)


@pytest.mark.parametrize("stream", list(Stream))
def test_the_test_split_comes_out_as_the_authors(stream: Stream) -> None:
    golden = arrays("test_split")
    rows = {key: golden["subset_rows"] for key, _ in SUBSETS}
    key = next((key for key, of in SUBSETS if of is stream), "joint")
    chosen = rows.get(key, np.arange(30))
    clips = padded(authors_rows("test")[chosen])

    batch = Feeder(FeederConfig(stream=stream), NTU25).evaluation_batch(clips)

    assert clips.valid == tuple(golden["valid_frames"][chosen])
    close(batch.joints, golden[key])


@pytest.mark.parametrize("case", FACTS["crop_resize"], ids=lambda case: case["key"])
def test_crop_and_resize_equal_the_authors_with_fixed_and_recorded_draws(
    case: dict[str, Any],
) -> None:
    clips = padded(authors_rows(case["split"])[[case["row"]]])
    transform = CropResize(case["window"], keep(case))
    if "begin" in case:
        crop = Crop(case["begin"], case["cropped_length"])
    else:
        crop = transform.sample(clips.valid[0], np.random.default_rng(0))

    resized = transform.apply(clips.joints, [crop])

    assert clips.valid == (case["valid_frames"],)
    close(resized[0].permute(3, 0, 2, 1), arrays("crop_resize")[case["key"]])


@pytest.mark.parametrize(
    "case", [case for case in FACTS["crop_resize"] if "rand_draw" in case], ids=lambda c: c["key"]
)
def test_a_random_crop_is_as_long_as_the_authors_for_the_same_draw(case: dict[str, Any]) -> None:
    rng = MagicMock(spec=np.random.Generator)
    rng.random.return_value = case["rand_draw"]
    rng.integers.return_value = case["begin"]

    crop = CropResize(case["window"], keep(case)).sample(case["valid_frames"], rng)

    assert crop == Crop(case["begin"], case["cropped_length"])
    rng.integers.assert_called_once_with(case["randint_low"], case["randint_high_exclusive"])


@pytest.mark.parametrize("key", [case["key"] for case in FACTS["random_rot"]])
def test_rotation_equals_the_authors_for_recorded_angles(key: str) -> None:
    golden = arrays("random_rot")
    x, y, z = golden[f"angles_{key}"].tolist()
    angles = (x, y, z)
    joints = torch.from_numpy(golden[f"in_{key}"]).permute(1, 3, 2, 0)[None]

    turned = RandomRotation(0.3).apply(joints, [angles])

    close(rotation_matrices([angles])[0], golden[f"matrix_{key}"])
    close(turned[0].permute(3, 0, 2, 1), golden[f"out_{key}"])


@pytest.mark.parametrize("case", FACTS["train_path"], ids=lambda case: case["key"])
def test_the_whole_training_path_equals_the_authors_for_recorded_draws(
    case: dict[str, Any],
) -> None:
    clips = padded(authors_rows("train")[[case["row"]]])
    crop = Crop(case["begin"], case["cropped_length"])
    x, y, z = (float(angle) for angle in case["angles_xyz_float32"])
    name = "bone" if case.get("bone") else "joint"
    stream = Stream(f"{name}-motion" if case.get("vel") else name)

    joints = CropResize(64, (0.5, 1.0)).apply(clips.joints, [crop])
    joints = RandomRotation(0.3).apply(joints, [(x, y, z)])
    inputs = derive_stream(joints.permute(0, 4, 1, 3, 2), stream, NTU25)

    close(inputs[0], arrays("train_path")[case["key"]])


def test_frames_of_zeros_inside_a_clip_cut_off_its_end_as_they_do_for_the_authors() -> None:
    golden = arrays("holes")
    clips = padded(golden["x"])

    batch = Feeder(FeederConfig(), NTU25).evaluation_batch(clips)

    assert clips.valid == tuple(golden["valid_frames"])
    close(batch.joints, golden["joint"])
