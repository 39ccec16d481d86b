"""Compiled kernels and their twins say the same, whatever they are given."""

import numpy as np
import pytest
import torch
from feeding_kit import batch_of
from fuzz_skeleton_file import fuzz
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import drawn_recording

from skelab.data.feeding.transforms import Crop, CropResize, RandomRotation, rotation_matrices
from skelab.data.preprocessing import get_pipeline
from skelab.data.recordings.skeleton_file import parse_skeleton
from skelab.errors import DataError
from skelab.native import (
    available,
    can_prepare,
    can_resample,
    column_variances,
    count_filled,
    prepare_recordings,
    resample_clips,
)
from skelab.native.resample import count_filled_by_numpy
from skelab.native.variance import column_variances_by_numpy
from skelab.skeleton import get_layout

SEEDS = st.integers(0, 2**32 - 1)
ANGLE = st.floats(-3, 3)
NTU25 = get_layout("ntu25")


@pytest.mark.skipif(not available(), reason="the compiled reader was not built")
def test_damaged_recordings_are_read_or_refused_alike() -> None:
    counts = fuzz(1500, seed=1)

    assert counts["read, compiled"] > 300
    assert counts["refused"] > 300


@given(SEEDS, st.integers(1, 3000), st.floats(-5, 5))
@settings(max_examples=60)
def test_variances_have_the_bits_of_numpy(seed: int, points: int, middle: float) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(middle, 1, size=(points, 3)).astype(np.float32)

    found = column_variances(drawn)

    assert found.tobytes() == column_variances_by_numpy(drawn).tobytes()


@pytest.mark.skipif(not can_resample(), reason="the kernel was not built")
@given(
    SEEDS,
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 3)), min_size=1, max_size=4),
    st.integers(1, 70),
    st.tuples(ANGLE, ANGLE, ANGLE) | st.none(),
)
@settings(max_examples=60)
def test_resampling_gives_the_values_of_torch(
    seed: int,
    sizes: list[tuple[int, int]],
    window: int,
    angles: tuple[float, float, float] | None,
) -> None:
    rng = np.random.default_rng(seed)
    clips = [rng.normal(size=(bodies, frames, 7, 3)).astype(np.float32) for frames, bodies in sizes]
    crops = []
    for frames, _ in sizes:
        length = int(rng.integers(1, frames + 1))
        crops.append(Crop(int(rng.integers(0, frames - length + 1)), length))
    poses = np.concatenate([clip.reshape(-1, 7, 3) for clip in clips])
    firsts = np.cumsum([0, *(frames * bodies for frames, bodies in sizes)])[:-1]
    table = np.array(
        [(first, *size, *crop) for first, size, crop in zip(firsts, sizes, crops, strict=True)]
    )
    turns = None if angles is None else rotation_matrices([angles] * len(sizes)).astype(np.float32)
    found = np.empty((len(sizes), 3, window, 7, 2), dtype=np.float32)

    resample_clips(poses, table, turns, found)

    padded = torch.zeros(len(sizes), 3, 50, 7, 2)
    for place, clip in zip(padded, clips, strict=True):
        own = torch.from_numpy(clip[:2]).permute(3, 1, 2, 0)
        place[:, : own.shape[1], :, : own.shape[3]] = own
    expected = CropResize(window, (0.5, 1.0)).apply(batch_of(padded), crops)
    if angles is not None:
        expected = RandomRotation(3.0).apply(expected, [angles] * len(sizes))
    assert torch.equal(torch.from_numpy(found), expected.joints)


@pytest.mark.skipif(not can_prepare(), reason="the kernel was not built")
@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_recordings_are_prepared_as_by_the_twin_or_left_to_it(seed: int) -> None:
    content = drawn_recording(seed)

    (found,) = prepare_recordings([content], NTU25.origin)

    try:
        expected = get_pipeline("ctrgcn").prepare(parse_skeleton(content, "a"), NTU25)
    except DataError:
        assert found is None
        return
    assert found is not None
    joints, numbers = found
    assert joints.shape == expected.joints.shape
    assert joints.tobytes() == expected.joints.tobytes()
    assert numbers.tolist() == expected.frame_numbers.tolist()


@given(
    SEEDS,
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 3)), min_size=1, max_size=5),
    st.sampled_from([1, 7, 8, 25, 40, 43, 60, 90]),
    st.sampled_from([2, 3]),
)
@settings(max_examples=150, deadline=None)
def test_frames_with_values_are_counted_as_by_numpy(
    seed: int, sizes: list[tuple[int, int]], joints: int, axes: int
) -> None:
    rng = np.random.default_rng(seed)
    poses = rng.normal(size=(sum(f * b for f, b in sizes), joints * axes)).astype(np.float32)
    half = joints * axes // 2
    poses[:, half : 2 * half] = -rng.permuted(poses[:, :half], axis=1)  # cancels out, or nearly
    poses[:, 2 * half :] = 0
    poses[rng.random(len(poses)) < 0.2] = 0
    firsts = np.cumsum([0, *(frames * bodies for frames, bodies in sizes)])[:-1]
    table = np.array([(first, *size) for first, size in zip(firsts, sizes, strict=True)])
    values = poses.reshape(-1, joints, axes)

    found = count_filled(values, table)

    np.testing.assert_array_equal(found, count_filled_by_numpy(values, table))
