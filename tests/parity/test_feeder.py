"""The feeder against outputs of the authors' (Uason-Chen/CTR-GCN@e13d758), limit 5e-6.

Looped clips against the arrays that MS-G3D trains on (kenziyuliu/MS-G3D@2f927f4), bit for bit.
"""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from feeding_kit import batch_of, facts_of
from numpy import ndarray

from skelab.data.clips.clip import Clip, SampleInfo
from skelab.data.feeding.dataset import PaddedClips, pad_clips
from skelab.data.feeding.feeder import Feeder, FeederConfig
from skelab.data.feeding.streams import Stream, derive_stream
from skelab.data.feeding.transforms import Crop, CropResize, Fill, RandomRotation, rotation_matrices
from skelab.data.preprocessing import get_pipeline, pad_loop
from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.skeleton import get_layout

GOLDEN = Path(__file__).parents[1] / "golden"
NTU25 = get_layout("ntu25")
FACTS = json.loads((GOLDEN / "feeder" / "feeder.json").read_text())
MSG3D_LABELS = json.loads((GOLDEN / "preprocess" / "msg3d" / "labels.json").read_text())["xsub"]
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
        crop = transform.sample(facts_of(clips.valid[0]), np.random.default_rng(0))

    resized = transform.apply(batch_of(clips.joints), [crop]).joints

    assert clips.valid == (case["valid_frames"],)
    close(resized[0], arrays("crop_resize")[case["key"]])


@pytest.mark.parametrize(
    "case", [case for case in FACTS["crop_resize"] if "rand_draw" in case], ids=lambda c: c["key"]
)
def test_a_random_crop_is_as_long_as_the_authors_for_the_same_draw(case: dict[str, Any]) -> None:
    rng = MagicMock(spec=np.random.Generator)
    rng.random.return_value = case["rand_draw"]
    rng.integers.return_value = case["begin"]

    crop = CropResize(case["window"], keep(case)).sample(facts_of(case["valid_frames"]), rng)

    assert crop == Crop(case["begin"], case["cropped_length"])
    rng.integers.assert_called_once_with(case["randint_low"], case["randint_high_exclusive"])


@pytest.mark.parametrize("key", [case["key"] for case in FACTS["random_rot"]])
def test_rotation_equals_the_authors_for_recorded_angles(key: str) -> None:
    golden = arrays("random_rot")
    x, y, z = golden[f"angles_{key}"].tolist()
    angles = (x, y, z)
    joints = torch.from_numpy(golden[f"in_{key}"])[None]

    turned = RandomRotation(0.3).apply(batch_of(joints), [angles]).joints

    close(rotation_matrices([angles])[0], golden[f"matrix_{key}"])
    close(turned[0], golden[f"out_{key}"])


@pytest.mark.parametrize("case", FACTS["train_path"], ids=lambda case: case["key"])
def test_the_whole_training_path_equals_the_authors_for_recorded_draws(
    case: dict[str, Any],
) -> None:
    clips = padded(authors_rows("train")[[case["row"]]])
    crop = Crop(case["begin"], case["cropped_length"])
    x, y, z = (float(angle) for angle in case["angles_xyz_float32"])
    name = "bone" if case.get("bone") else "joint"
    stream = Stream(f"{name}-motion" if case.get("vel") else name)

    batch = CropResize(64, (0.5, 1.0)).apply(batch_of(clips.joints), [crop])
    batch = RandomRotation(0.3).apply(batch, [(x, y, z)])
    inputs = derive_stream(batch.joints, stream, NTU25)

    close(inputs[0], arrays("train_path")[case["key"]])


def test_frames_of_zeros_inside_a_clip_cut_off_its_end_as_they_do_for_the_authors() -> None:
    golden = arrays("holes")
    clips = padded(golden["x"])

    batch = Feeder(FeederConfig(), NTU25).evaluation_batch(clips)

    assert clips.valid == tuple(golden["valid_frames"])
    close(batch.joints, golden["joint"])


def msg3d_rows(part: str) -> ndarray:
    """The authors' looped arrays of MS-G3D, N C 300 V M."""
    with np.load(GOLDEN / "preprocess" / "msg3d" / "xsub_joint.npz") as archive:
        rows: ndarray = archive[f"{part}_data"]
    return rows


def one_period(row: ndarray) -> ndarray:
    """The fewest frames of a row that give all 300 back by looping, and the bodies in them."""
    poses = row.transpose(3, 1, 2, 0)  # M T V C
    bodies = 1 if not poses[1].any() else 2
    frames = np.arange(300)
    period = next(p for p in range(1, 301) if np.array_equal(poses, poses[:, frames % p]))
    return np.ascontiguousarray(poses[:bodies, :period])


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize("stream", [Stream.JOINT, Stream.BONE])
def test_looped_clips_are_the_arrays_that_msg3d_trains_on_bit_for_bit(
    part: str, stream: Stream
) -> None:
    rows = msg3d_rows(part)
    periods = [one_period(row) for row in rows]
    items = [
        (
            number,
            Clip(SampleInfo(str(number), label=0), joints, np.arange(joints.shape[1], dtype="i4")),
        )
        for number, joints in enumerate(periods)
    ]
    config = FeederConfig(
        stream=stream, window=300, fill=Fill.LOOP, train_crop=(1.0, 1.0), eval_crop=1.0, rotation=0
    )
    feeder = Feeder(config, NTU25)

    tested = feeder.evaluation_batch(pad_clips(items, max_bodies=2)).joints.numpy()
    trained = feeder.training_batch(pad_clips(items, max_bodies=2), seed=1, epoch=3).joints.numpy()

    kind = "bone" if stream is Stream.BONE else "joint"
    digest = MSG3D_LABELS[part][f"sha256_{kind}"]
    assert len({joints.shape[1] for joints in periods}) > 10
    assert hashlib.sha256(tested.tobytes()).hexdigest() == digest
    assert hashlib.sha256(trained.tobytes()).hexdigest() == digest


def test_a_recording_prepared_as_msg3d_is_looped_as_its_pipeline_says() -> None:
    checked = set()
    with tarfile.open(GOLDEN / "preprocess" / "skeletons.tar.gz") as archive:
        for member in archive:
            content = archive.extractfile(member)
            raw = parse_skeleton(content.read(), member.name) if content else None
            if raw is None or not raw.bodies:
                continue
            prepared = get_pipeline("msg3d").prepare(raw, NTU25)
            joints = prepared.joints
            clip = Clip(SampleInfo(member.name, label=0), joints, prepared.frame_numbers)
            config = FeederConfig(window=300, fill=Fill.LOOP, eval_crop=1.0, rotation=0)

            batch = Feeder(config, NTU25).evaluation_batch(pad_clips([(0, clip)], max_bodies=2))

            np.testing.assert_array_equal(batch.joints[0], pad_loop(joints))
            checked.add(len(joints))
    assert checked == {1, 2}
