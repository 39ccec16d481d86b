"""Mixup: clips and labels against the equation, and who is mixed with whom."""

import numpy as np
import pytest
import torch
from feeding_kit import facts_of, random_batch

from skelab.data.feeding.transforms import Mix, MixedIn
from skelab.errors import DataError


def test_a_mixed_clip_is_the_weighted_mean_and_so_is_its_target() -> None:
    clips = random_batch(clips=3)

    done = Mix().apply(clips, [MixedIn(2, 0.25), None, MixedIn(0, 0.5)])

    expected = clips.joints.clone()
    expected[0] = 0.75 * clips.joints[0] + 0.25 * clips.joints[2]
    expected[2] = 0.5 * clips.joints[2] + 0.5 * clips.joints[0]
    torch.testing.assert_close(done.joints, expected)
    assert torch.equal(done.joints[1], clips.joints[1])
    assert done.labels.tolist() == [0, 1, 2]
    assert done.mixed is not None
    assert done.mixed.labels.tolist() == [2, 1, 0]
    assert done.mixed.weights.tolist() == [0.25, 0.0, 0.5]


def test_the_other_clip_is_any_of_the_batch_but_itself() -> None:
    facts = facts_of(9, row=5, company=(3, 5, 8, 9))

    drawn = [Mix().sample(facts, np.random.default_rng(seed)) for seed in range(200)]

    assert {mixed.row for mixed in drawn if mixed is not None} == {3, 8, 9}


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_weights_are_the_smaller_share_of_a_beta_distribution(alpha: float) -> None:
    rng = np.random.default_rng(0)

    drawn = [Mix(alpha).sample(facts_of(9), rng) for _ in range(3000)]

    weights = np.array([mixed.weight for mixed in drawn if mixed is not None])
    expected = np.random.default_rng(1).beta(alpha, alpha, size=100_000)
    folded = np.minimum(expected, 1 - expected)
    assert weights.max() <= 0.5
    assert weights.mean() == pytest.approx(folded.mean(), abs=0.01)
    assert weights.std() == pytest.approx(folded.std(), abs=0.01)


def test_a_clip_that_is_alone_is_not_mixed() -> None:
    drawn = Mix().sample(facts_of(9, row=4, company=(4,)), np.random.default_rng(0))

    assert drawn is None


def test_a_clip_that_is_not_in_the_batch_cannot_be_mixed_in() -> None:
    with pytest.raises(DataError, match="clip 1 was mixed with clip 9, which is not in the batch"):
        Mix().apply(random_batch(), [None, MixedIn(9, 0.3)])


def test_two_bodies_mixed_with_one_leave_a_share_of_the_second() -> None:
    clips = random_batch()
    clips.joints[0, ..., 1] = 0

    done = Mix().apply(clips, [MixedIn(1, 0.25), None]).joints

    torch.testing.assert_close(done[0, ..., 1], 0.25 * clips.joints[1, ..., 1])
