"""Transforms that hide joints and frames, against their equations written as loops."""

from itertools import product

import numpy as np
import pytest
import torch
from feeding_kit import batch_of, facts_of, random_batch

from skelab.data.feeding.transforms import (
    Crop,
    DropJoints,
    DroppedJoints,
    MaskTime,
    ReverseTime,
)


def test_dropped_joints_are_zeros_of_all_bodies_while_they_are_missing() -> None:
    clips = random_batch()
    drawn = [DroppedJoints([2, 7], start=3, length=4), None]

    done = DropJoints().apply(clips, drawn).joints

    expected = clips.joints.clone()
    for t, v in product(range(12), range(15)):
        if v in (2, 7) and 3 <= t < 7:
            expected[0, :, t, v] = 0
    assert torch.equal(done, expected)


def test_as_many_joints_are_dropped_as_the_limit_allows_for_as_long_as_is_asked_for() -> None:
    transform = DropJoints(limit=0.4, frames=(0.25, 0.5), probability=1.0)
    facts = facts_of(40, window=40)

    drawn = [transform.sample(facts, np.random.default_rng(seed)) for seed in range(400)]

    chosen = [value for value in drawn if value is not None]
    assert len(chosen) == 400
    assert {len(value.joints) for value in chosen} == set(range(1, 7))  # of 15 joints
    assert {joint for value in chosen for joint in value.joints} == set(range(15))
    assert all(value.joints == sorted(set(value.joints)) for value in chosen)
    assert {value.length for value in chosen} == set(range(10, 21))
    assert all(0 <= value.start <= 40 - value.length for value in chosen)
    assert len({value.start for value in chosen}) > 20


def test_one_joint_is_dropped_at_least_over_the_whole_window_by_default() -> None:
    drawn = DropJoints(limit=0.01, probability=1.0).sample(facts_of(9), np.random.default_rng(0))

    assert drawn is not None
    assert len(drawn.joints) == 1
    assert drawn[1:] == (0, 64)


@pytest.mark.parametrize("freeze", [False, True])
def test_a_masked_stretch_is_zeros_or_stands_still(freeze: bool) -> None:
    clips = random_batch()

    done = MaskTime(freeze=freeze).apply(clips, [Crop(4, 5), None]).joints

    expected = clips.joints.clone()
    for t in range(4, 9):
        expected[0, :, t] = clips.joints[0, :, 4] if freeze else 0
    assert torch.equal(done, expected)


def test_a_masked_stretch_lies_in_the_window_and_has_the_share_that_was_asked_for() -> None:
    transform = MaskTime(frames=(0.1, 0.3), probability=1.0)
    facts = facts_of(100, window=20)

    drawn = [transform.sample(facts, np.random.default_rng(seed)) for seed in range(300)]

    stretches = [stretch for stretch in drawn if stretch is not None]
    assert {stretch.length for stretch in stretches} == set(range(2, 7))
    assert {stretch.start for stretch in stretches} == set(range(19))
    assert all(stretch.start + stretch.length <= 20 for stretch in stretches)


def test_the_shortest_mask_is_one_frame_and_the_longest_the_window() -> None:
    facts = facts_of(100, window=20)

    shortest = MaskTime(frames=(0.001, 0.001), probability=1.0).sample(
        facts, np.random.default_rng(0)
    )
    longest = MaskTime(frames=(1.0, 1.0), probability=1.0).sample(facts, np.random.default_rng(0))

    assert shortest is not None
    assert shortest.length == 1
    assert longest == (0, 20)


def test_reversed_frames_equal_those_taken_one_by_one_and_zeros_stay_behind_the_end() -> None:
    joints = random_batch(clips=3).joints
    joints[1, :, 7:] = 0
    joints[1, :, 3] = 0  # a gap is a frame of the clip
    clips = batch_of(joints)

    done = ReverseTime().apply(clips, [True, True, False]).joints

    expected = torch.zeros_like(joints)
    for n, length in enumerate((12, 7)):
        for t in range(length):
            expected[n, :, t] = joints[n, :, length - 1 - t]
    expected[2] = joints[2]
    assert torch.equal(done, expected)


def test_a_clip_of_zeros_can_be_reversed() -> None:
    empty = batch_of(torch.zeros(1, 3, 4, 15, 1))

    assert not ReverseTime().apply(empty, [True]).joints.any()
