"""The feeder's transforms against their equations written as loops."""

import math
from itertools import pairwise, product
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch import Tensor

from skelab.data.feeding.transforms import (
    MIN_CROP,
    Crop,
    CropResize,
    Fill,
    PickFrames,
    RandomLimbs,
    RandomRotation,
    rotation_matrices,
)
from skelab.skeleton import get_layout

ANGLES = [(0.1, -0.2, 0.3), (-0.3, 0.25, 0.05)]


def random_clips(frames: int = 12) -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, frames, 2, 4, 3)


def never_draws() -> np.random.Generator:
    """A generator that fails whoever draws from it."""
    return MagicMock(spec=np.random.Generator, random=None, integers=None, uniform=None)


@pytest.mark.parametrize("window", [4, 7, 12, 40])
def test_crop_and_resize_equal_linear_interpolation_written_as_loops(window: int) -> None:
    clips = random_clips()
    crops = [Crop(start=1, length=9), Crop(start=0, length=12)]

    resized = CropResize(window, (0.5, 1.0)).apply(clips, crops)

    expected = torch.zeros(2, window, 2, 4, 3)
    for n, i in product(range(2), range(window)):
        start, length = crops[n]
        position = max((i + 0.5) * length / window - 0.5, 0.0)
        before = math.floor(position)
        after = min(before + 1, length - 1)
        share = position - before
        expected[n, i] = (1 - share) * clips[n, start + before] + share * clips[n, start + after]
    torch.testing.assert_close(resized, expected)


def test_nothing_outside_of_the_stretch_is_looked_at() -> None:
    clips = random_clips()
    changed = clips.clone()
    changed[:, :3] = changed[:, 8:] = 1e6
    crops = [Crop(3, 5), Crop(3, 5)]

    resized = [CropResize(16, (0.95,)).apply(which, crops) for which in (clips, changed)]

    assert torch.equal(*resized)


def test_a_stretch_of_the_length_of_the_window_is_copied() -> None:
    clips = random_clips()

    resized = CropResize(8, (1.0,)).apply(clips, [Crop(2, 8), Crop(4, 8)])

    assert torch.equal(resized, torch.stack([clips[0, 2:10], clips[1, 4:12]]))


def test_a_single_frame_fills_the_window() -> None:
    clips = random_clips(frames=1)

    resized = CropResize(5, (0.95,)).apply(clips, [Crop(0, 1), Crop(0, 1)])

    torch.testing.assert_close(resized, clips.expand(2, 5, 2, 4, 3))


@pytest.mark.parametrize("num_frames", [*range(1, 60), 100, 299, 300, 1000])
def test_a_share_in_the_middle_is_cut_without_drawing(num_frames: int) -> None:
    crop = CropResize(64, (0.95,)).sample(num_frames, never_draws())

    margin = int((1 - 0.95) * num_frames / 2)
    assert crop == (margin, num_frames - 2 * margin)
    assert crop.length >= 1


@pytest.mark.parametrize("num_frames", [1, 2, 63, 64, 65, 127, 128, 129, 300])
def test_a_drawn_stretch_lies_in_the_clip_and_is_not_too_short(num_frames: int) -> None:
    transform = CropResize(64, (0.5, 1.0))
    rng = np.random.default_rng(0)

    crops = [transform.sample(num_frames, rng) for _ in range(300)]

    shortest = min(num_frames, max(MIN_CROP, num_frames // 2))
    for start, length in crops:
        assert 0 <= start <= num_frames - length
        assert shortest <= length <= num_frames
    if num_frames == 300:
        assert len({crop.length for crop in crops}) > 50
        assert len({crop.start for crop in crops}) > 50


def test_the_share_is_drawn_before_the_start() -> None:
    rng = MagicMock(spec=np.random.Generator)
    rng.random.return_value = 0.5
    rng.integers.return_value = 17

    crop = CropResize(64, (0.5, 1.0)).sample(200, rng)

    assert crop == (17, 150)
    rng.integers.assert_called_once_with(0, 51)


def test_rotation_equals_the_product_of_three_turns_written_as_loops() -> None:
    clips = random_clips().double()

    turned = RandomRotation(0.3).apply(clips, ANGLES)

    expected = torch.zeros_like(clips)
    for n, (x, y, z) in enumerate(ANGLES):
        for t, m, v in product(range(12), range(2), range(4)):
            a, b, c = clips[n, t, m, v].tolist()
            b, c = math.cos(x) * b + math.sin(x) * c, -math.sin(x) * b + math.cos(x) * c
            a, c = math.cos(y) * a - math.sin(y) * c, math.sin(y) * a + math.cos(y) * c
            a, b = math.cos(z) * a + math.sin(z) * b, -math.sin(z) * a + math.cos(z) * b
            expected[n, t, m, v] = torch.tensor([a, b, c], dtype=torch.float64)
    torch.testing.assert_close(turned, expected)


def test_no_angle_turns_nothing() -> None:
    clips = random_clips()

    turned = RandomRotation(0.3).apply(clips, [(0.0, 0.0, 0.0)] * 2)

    assert torch.equal(turned, clips)


def test_matrices_are_rotations() -> None:
    matrices = rotation_matrices(ANGLES)

    for matrix in matrices:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(matrix), 1.0)


def test_angles_are_drawn_between_the_limits() -> None:
    rng = np.random.default_rng(0)

    angles = np.array([RandomRotation(0.3).sample(rng) for _ in range(500)])

    assert angles.shape == (500, 3)
    assert (np.abs(angles) <= 0.3).all()
    assert (angles.min(axis=0) < -0.28).all()
    assert (angles.max(axis=0) > 0.28).all()


def test_the_angle_about_the_vertical_axis_has_a_limit_of_its_own() -> None:
    rng = np.random.default_rng(0)

    angles = np.abs([RandomRotation(0.1, yaw=1.5).sample(rng) for _ in range(500)])

    assert (angles[:, [0, 2]] <= 0.1).all()
    assert 1.4 < angles[:, 1].max() <= 1.5
    assert [RandomRotation(0.2, yaw=0.2).sample(np.random.default_rng(1))] == [
        RandomRotation(0.2).sample(np.random.default_rng(1))
    ]


@pytest.mark.parametrize("transform", [CropResize(16, (0.5, 1.0)), RandomRotation(0.3)])
def test_the_type_of_the_joints_is_kept(transform: CropResize | RandomRotation) -> None:
    for dtype in (torch.float32, torch.float64):
        clips = random_clips().to(dtype)

        if isinstance(transform, CropResize):
            done = transform.apply(clips, [Crop(0, 12), Crop(0, 12)])
        else:
            done = transform.apply(clips, ANGLES)

        assert done.dtype is dtype


def test_limbs_equal_bones_put_together_one_by_one() -> None:
    layout = get_layout("sbu15")
    torch.manual_seed(1)
    clips = torch.randn(2, 3, 4, 15, 2, dtype=torch.float64)
    transform = RandomLimbs(0.3, layout)
    factors = [transform.sample(np.random.default_rng(seed)) for seed in (5, 6)]

    changed = transform.apply(clips, factors)

    expected = torch.zeros_like(clips)
    expected[:, :, :, layout.centre] = clips[:, :, :, layout.centre]
    waiting = list(layout.bones)
    placed = {layout.centre}
    while waiting:
        joint, parent = waiting.pop(0)
        if parent not in placed:
            waiting.append((joint, parent))
            continue
        placed.add(joint)
        for n in range(2):
            bone = clips[n, :, :, joint] - clips[n, :, :, parent]
            expected[n, :, :, joint] = expected[n, :, :, parent] + factors[n][joint] * bone
    torch.testing.assert_close(changed, expected)


def test_limb_factors_keep_to_their_limit_and_are_alike_on_both_sides() -> None:
    layout = get_layout("ntu25")
    rng = np.random.default_rng(0)

    factors = np.stack([RandomLimbs(0.2, layout).sample(rng) for _ in range(200)])

    assert factors.min() >= 0.8
    assert factors.max() <= 1.2
    assert factors.std() > 0.1
    for left, right in layout.pairs:
        assert (factors[:, left] == factors[:, right]).all()


def test_absent_bodies_stay_absent_when_limbs_change() -> None:
    layout = get_layout("sbu15")
    clips = torch.randn(1, 3, 4, 15, 2)
    clips[..., 1] = 0
    transform = RandomLimbs(0.3, layout)

    changed = transform.apply(clips, [transform.sample(np.random.default_rng(0))])

    assert not changed[..., 1].any()


def picked(fill: Fill, window: int, num_frames: int, seed: int = 0) -> list[int]:
    """The frames that training draws from a whole clip."""
    transform = PickFrames(window, (1.0, 1.0), fill)
    frames: list[int] = transform.sample(num_frames, np.random.default_rng(seed)).tolist()
    return frames


@pytest.mark.parametrize("num_frames", [1, 3, 7, 8, 9, 20])
@pytest.mark.parametrize("keep", [(1.0,), (1.0, 1.0)])
def test_a_loop_begins_anew_until_the_window_is_full(
    num_frames: int, keep: tuple[float] | tuple[float, float]
) -> None:
    frames = PickFrames(8, keep, Fill.LOOP).sample(num_frames, np.random.default_rng(0))

    expected, frame = [], 0
    for _ in range(8):
        expected.append(frame)
        frame = frame + 1 if frame + 1 < num_frames else 0
    assert frames.tolist() == expected


def test_only_the_stretch_that_is_kept_goes_round() -> None:
    frames = PickFrames(8, (0.5,), Fill.LOOP).sample(10, never_draws())

    assert frames.tolist() == [2, 3, 4, 5, 6, 7, 2, 3]


def test_frames_behind_the_stretch_are_zeros_and_the_others_copies() -> None:
    clips = random_clips()
    transform = PickFrames(10, (0.5,), Fill.ZEROS)
    frames = [transform.sample(12, never_draws()), np.arange(10)]

    filled = transform.apply(clips, frames)

    assert frames[0].tolist() == [3, 4, 5, 6, 7, 8, -1, -1, -1, -1]
    expected = torch.zeros(10, 2, 4, 3)
    for output, frame in enumerate(range(3, 9)):
        expected[output] = clips[0, frame]
    assert torch.equal(filled[0], expected)
    assert torch.equal(filled[1], clips[1, :10])


def test_a_window_of_zeros_holds_the_beginning_of_a_longer_clip() -> None:
    assert picked(Fill.ZEROS, window=4, num_frames=9) == [0, 1, 2, 3]


@pytest.mark.parametrize("num_frames", [1, 5, 7])
def test_sampling_lets_a_short_clip_go_round_from_any_frame(num_frames: int) -> None:
    drawn = [picked(Fill.SAMPLE, 8, num_frames, seed) for seed in range(60)]

    assert {frames[0] for frames in drawn} == set(range(num_frames))
    for frames in drawn:
        assert frames == [(frames[0] + step) % num_frames for step in range(8)]


@pytest.mark.parametrize("num_frames", [8, 9, 12, 15])
def test_sampling_leaves_frames_out_of_a_clip_of_up_to_two_windows(num_frames: int) -> None:
    drawn = [picked(Fill.SAMPLE, 8, num_frames, seed) for seed in range(80)]

    for frames in drawn:
        assert len(frames) == 8
        assert sorted(set(frames)) == frames
        assert all(after - before in (1, 2) for before, after in pairwise(frames))
    if num_frames > 8:
        assert set(range(num_frames)) == {frame for frames in drawn for frame in frames}


@pytest.mark.parametrize("num_frames", [16, 17, 100])
def test_sampling_takes_one_frame_of_each_part_of_a_long_clip(num_frames: int) -> None:
    drawn = [picked(Fill.SAMPLE, 8, num_frames, seed) for seed in range(200)]

    for part, frames in enumerate(zip(*drawn, strict=True)):
        first, behind = part * num_frames // 8, (part + 1) * num_frames // 8
        assert set(frames) == set(range(first, behind))


@pytest.mark.parametrize("num_frames", [1, 7, 8, 9, 40, 41])
def test_sampling_draws_nothing_where_nothing_may_be_drawn(num_frames: int) -> None:
    frames = PickFrames(8, (1.0,), Fill.SAMPLE).sample(num_frames, never_draws())

    if num_frames < 8:
        expected = [step % num_frames for step in range(8)]
    else:
        expected = [math.floor((step + 0.5) * num_frames / 8) for step in range(8)]
    assert frames.tolist() == expected


def test_sampling_takes_one_draw_of_the_clip_whatever_is_cut() -> None:
    rng = MagicMock(spec=np.random.Generator, integers=None, uniform=None)
    rng.random.return_value = 0.25

    PickFrames(8, (0.5, 1.0), Fill.SAMPLE).sample(100, rng)

    rng.random.assert_called_once_with()
