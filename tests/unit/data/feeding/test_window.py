"""Transforms that fill the window, against their equations written as loops."""

import math
from itertools import pairwise, product
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from feeding_kit import batch_of, facts_of, random_batch

from skelab.data.feeding.transforms import (
    MIN_CROP,
    Crop,
    CropResize,
    Fill,
    PickFrames,
)


def never_draws() -> np.random.Generator:
    """A generator that fails whoever draws from it."""
    return MagicMock(spec=np.random.Generator, random=None, integers=None, uniform=None)


@pytest.mark.parametrize("window", [4, 7, 12, 40])
def test_crop_and_resize_equal_linear_interpolation_written_as_loops(window: int) -> None:
    clips = random_batch()
    crops = [Crop(start=1, length=9), Crop(start=0, length=12)]

    resized = CropResize(window, (0.5, 1.0)).apply(clips, crops).joints

    expected = torch.zeros(2, 3, window, 15, 2)
    for n, i in product(range(2), range(window)):
        start, length = crops[n]
        position = max((i + 0.5) * length / window - 0.5, 0.0)
        before = math.floor(position)
        after = min(before + 1, length - 1)
        share = position - before
        frames = clips.joints[n].unbind(1)
        expected[n, :, i] = (1 - share) * frames[start + before] + share * frames[start + after]
    torch.testing.assert_close(resized, expected)


def test_nothing_outside_of_the_stretch_is_looked_at() -> None:
    clips = random_batch().joints
    changed = clips.clone()
    changed[:, :, :3] = changed[:, :, 8:] = 1e6
    crops = [Crop(3, 5), Crop(3, 5)]

    resized = [CropResize(16, (0.95,)).apply(batch_of(c), crops) for c in (clips, changed)]

    assert torch.equal(resized[0].joints, resized[1].joints)


def test_a_stretch_of_the_length_of_the_window_is_copied() -> None:
    clips = random_batch()

    resized = CropResize(8, (1.0,)).apply(clips, [Crop(2, 8), Crop(4, 8)]).joints

    first, second = clips.joints
    assert torch.equal(resized, torch.stack([first[:, 2:10], second[:, 4:12]]))


def test_a_single_frame_fills_the_window() -> None:
    clips = random_batch(frames=1)

    resized = CropResize(5, (0.95,)).apply(clips, [Crop(0, 1), Crop(0, 1)]).joints

    torch.testing.assert_close(resized, clips.joints.expand(2, 3, 5, 15, 2))


def test_only_frames_with_values_count_unless_gaps_are_kept() -> None:
    facts = facts_of(20)._replace(valid=15)

    assert CropResize(64, (1.0,)).sample(facts, never_draws()) == (0, 15)
    assert CropResize(64, (1.0,), keeps_gaps=True).sample(facts, never_draws()) == (0, 20)
    assert max(PickFrames(64, (1.0,), Fill.LOOP).sample(facts, never_draws())) == 19


@pytest.mark.parametrize("num_frames", [*range(1, 60), 100, 299, 300, 1000])
def test_a_share_in_the_middle_is_cut_without_drawing(num_frames: int) -> None:
    crop = CropResize(64, (0.95,)).sample(facts_of(num_frames), never_draws())

    margin = int((1 - 0.95) * num_frames / 2)
    assert crop == (margin, num_frames - 2 * margin)
    assert crop.length >= 1


@pytest.mark.parametrize("num_frames", [1, 2, 63, 64, 65, 127, 128, 129, 300])
def test_a_drawn_stretch_lies_in_the_clip_and_is_not_too_short(num_frames: int) -> None:
    transform = CropResize(64, (0.5, 1.0))
    rng = np.random.default_rng(0)

    crops = [transform.sample(facts_of(num_frames), rng) for _ in range(300)]

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

    crop = CropResize(64, (0.5, 1.0)).sample(facts_of(200), rng)

    assert crop == (17, 150)
    rng.integers.assert_called_once_with(0, 51)


def picked(fill: Fill, window: int, num_frames: int, seed: int = 0) -> list[int]:
    """The frames that training draws from a whole clip."""
    transform = PickFrames(window, (1.0, 1.0), fill)
    return transform.sample(facts_of(num_frames), np.random.default_rng(seed))


@pytest.mark.parametrize("num_frames", [1, 3, 7, 8, 9, 20])
@pytest.mark.parametrize("keep", [(1.0,), (1.0, 1.0)])
def test_a_loop_begins_anew_until_the_window_is_full(
    num_frames: int, keep: tuple[float] | tuple[float, float]
) -> None:
    frames = PickFrames(8, keep, Fill.LOOP).sample(facts_of(num_frames), np.random.default_rng(0))

    expected, frame = [], 0
    for _ in range(8):
        expected.append(frame)
        frame = frame + 1 if frame + 1 < num_frames else 0
    assert frames == expected


def test_only_the_stretch_that_is_kept_goes_round() -> None:
    frames = PickFrames(8, (0.5,), Fill.LOOP).sample(facts_of(10), never_draws())

    assert frames == [2, 3, 4, 5, 6, 7, 2, 3]


def test_frames_behind_the_stretch_are_zeros_and_the_others_copies() -> None:
    clips = random_batch()
    transform = PickFrames(10, (0.5,), Fill.ZEROS)
    frames = [transform.sample(facts_of(12), never_draws()), list(range(10))]

    filled = transform.apply(clips, frames).joints

    assert frames[0] == [3, 4, 5, 6, 7, 8, -1, -1, -1, -1]
    expected = torch.zeros(3, 10, 15, 2)
    for output, frame in enumerate(range(3, 9)):
        expected[:, output] = clips.joints[0, :, frame]
    assert torch.equal(filled[0], expected)
    assert torch.equal(filled[1], clips.joints[1, :, :10])


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
    frames = PickFrames(8, (1.0,), Fill.SAMPLE).sample(facts_of(num_frames), never_draws())

    if num_frames < 8:
        expected = [step % num_frames for step in range(8)]
    else:
        expected = [math.floor((step + 0.5) * num_frames / 8) for step in range(8)]
    assert frames == expected


def test_sampling_takes_one_draw_of_the_clip_whatever_is_cut() -> None:
    rng = MagicMock(spec=np.random.Generator, integers=None, uniform=None)
    rng.random.return_value = 0.25

    PickFrames(8, (0.5, 1.0), Fill.SAMPLE).sample(facts_of(100), rng)

    rng.random.assert_called_once_with()
