"""Transforms that move joints, against their equations written as loops."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from feeding_kit import SBU15, batch_of, facts_of, random_batch

from skelab.data.feeding.batch import Batch
from skelab.data.feeding.transforms import (
    Mirror,
    Noise,
    RandomLimbs,
    RandomRotation,
    Scale,
    Shear,
    Transform,
    rotation_matrices,
)
from skelab.skeleton import get_layout

ANGLES = [(0.1, -0.2, 0.3), (-0.3, 0.25, 0.05)]
COCO17 = get_layout("coco17")


def doubled(batch: Batch) -> Batch:
    return replace(batch, joints=batch.joints.double())


def test_rotation_equals_the_product_of_three_turns_written_as_loops() -> None:
    clips = doubled(random_batch())

    turned = RandomRotation(0.3).apply(clips, ANGLES).joints

    expected = torch.zeros_like(turned)
    for n, (x, y, z) in enumerate(ANGLES):
        for t, v, m in product(range(12), range(15), range(2)):
            a, b, c = clips.joints[n, :, t, v, m].tolist()
            b, c = math.cos(x) * b + math.sin(x) * c, -math.sin(x) * b + math.cos(x) * c
            a, c = math.cos(y) * a - math.sin(y) * c, math.sin(y) * a + math.cos(y) * c
            a, b = math.cos(z) * a + math.sin(z) * b, -math.sin(z) * a + math.cos(z) * b
            expected[n, :, t, v, m] = torch.tensor([a, b, c], dtype=torch.float64)
    torch.testing.assert_close(turned, expected)


def test_no_angle_turns_nothing() -> None:
    clips = random_batch()

    turned = RandomRotation(0.3).apply(clips, [(0.0, 0.0, 0.0)] * 2)

    assert torch.equal(turned.joints, clips.joints)


def test_matrices_are_rotations() -> None:
    matrices = rotation_matrices(ANGLES)

    for matrix in matrices:
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(matrix), 1.0)


def test_angles_are_drawn_between_the_limits() -> None:
    rng = np.random.default_rng(0)

    angles = np.array([RandomRotation(0.3).sample(facts_of(9), rng) for _ in range(500)])

    assert angles.shape == (500, 3)
    assert (np.abs(angles) <= 0.3).all()
    assert (angles.min(axis=0) < -0.28).all()
    assert (angles.max(axis=0) > 0.28).all()


def test_the_angle_about_the_vertical_axis_has_a_limit_of_its_own() -> None:
    rng = np.random.default_rng(0)

    angles = np.abs([RandomRotation(0.1, yaw=1.5).sample(facts_of(9), rng) for _ in range(500)])

    assert (angles[:, [0, 2]] <= 0.1).all()
    assert 1.4 < angles[:, 1].max() <= 1.5
    assert [RandomRotation(0.2, yaw=0.2).sample(facts_of(9), np.random.default_rng(1))] == [
        RandomRotation(0.2).sample(facts_of(9), np.random.default_rng(1))
    ]


def test_limbs_equal_bones_put_together_one_by_one() -> None:
    layout = get_layout("sbu15")
    torch.manual_seed(1)
    clips = torch.randn(2, 3, 4, 15, 2, dtype=torch.float64)
    transform = RandomLimbs(0.3, layout)
    factors = [transform.sample(facts_of(9), np.random.default_rng(seed)) for seed in (5, 6)]

    changed = transform.apply(batch_of(clips), factors).joints

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

    factors = np.array([RandomLimbs(0.2, layout).sample(facts_of(9), rng) for _ in range(200)])

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

    changed = transform.apply(
        batch_of(clips), [transform.sample(facts_of(9), np.random.default_rng(0))]
    )

    assert not changed.joints[..., 1].any()


@pytest.mark.parametrize("layout", [SBU15, COCO17], ids=lambda layout: layout.name)
def test_a_mirrored_clip_equals_joints_swapped_one_by_one(layout: Any) -> None:
    clips = random_batch(joints=layout.num_joints)

    mirrored = Mirror(layout).apply(clips, [True, False]).joints

    other = {a: b for left, right in layout.pairs for a, b in ((left, right), (right, left))}
    expected = clips.joints.clone()
    for t, v, m in product(range(12), range(layout.num_joints), range(2)):
        x, *rest = clips.joints[0, :, t, other.get(v, v), m].tolist()
        expected[0, :, t, v, m] = torch.tensor([-x, *rest])
    assert torch.equal(mirrored, expected)


def test_a_sheared_clip_equals_its_shares_added_one_by_one() -> None:
    clips = doubled(random_batch())
    shares = [0.1, -0.2, 0.3, 0.4, -0.5, 0.25]

    sheared = Shear().apply(clips, [None, shares]).joints

    expected = clips.joints.clone()
    xy, xz, yx, yz, zx, zy = shares
    for t, v, m in product(range(12), range(15), range(2)):
        x, y, z = clips.joints[1, :, t, v, m].tolist()
        moved = [x + xy * y + xz * z, y + yx * x + yz * z, z + zx * x + zy * y]
        expected[1, :, t, v, m] = torch.tensor(moved, dtype=torch.float64)
    torch.testing.assert_close(sheared, expected)
    assert torch.equal(sheared[0], clips.joints[0])


@pytest.mark.parametrize("layout", [SBU15, COCO17], ids=lambda layout: layout.name)
def test_a_scaled_clip_equals_each_coordinate_times_its_factor(layout: Any) -> None:
    clips = doubled(random_batch(joints=layout.num_joints))
    factors = [1.1, 0.9, 1.2][: 2 if layout is COCO17 else 3]

    scaled = Scale(layout).apply(clips, [factors, None]).joints

    expected = clips.joints.clone()
    for axis, factor in enumerate(factors):
        for t, v, m in product(range(12), range(layout.num_joints), range(2)):
            expected[0, axis, t, v, m] = factor * clips.joints[0, axis, t, v, m]
    torch.testing.assert_close(scaled, expected)


def test_one_factor_scales_all_coordinates_unless_each_has_its_own() -> None:
    one, each = Scale(SBU15, 0.3, per_axis=False), Scale(SBU15, 0.3)

    drawn = [one.sample(facts_of(9), np.random.default_rng(seed)) or [] for seed in range(300)]
    apart = each.sample(facts_of(9), np.random.default_rng(0)) or []

    assert {len(set(factors)) for factors in drawn} == {1}
    assert {len(factors) for factors in drawn} == {3}
    assert 0.7 <= min(drawn)[0] < 0.72
    assert 1.28 < max(drawn)[0] <= 1.3
    assert len(set(apart)) == 3


def test_noise_equals_the_numbers_of_its_seed_added_one_by_one() -> None:
    clips = random_batch(joints=17)
    clips.joints[1, :, 5:, :, 1] = 0  # the second body leaves after five frames

    noisy = Noise(COCO17, std=0.5).apply(clips, [None, 7]).joints

    own = np.random.default_rng(7).standard_normal((2, 12, 17, 2), np.float32)
    expected = clips.joints.clone()
    for c, t, v, m in product(range(2), range(12), range(17), range(2)):
        if t < 5 or m == 0:
            expected[1, c, t, v, m] += 0.5 * float(own[c, t, v, m])
    torch.testing.assert_close(noisy, expected)
    assert torch.equal(noisy[0], clips.joints[0])


def test_noise_has_the_deviation_that_was_asked_for_and_no_mean() -> None:
    clips = random_batch(clips=1, frames=400)
    seed = Noise(SBU15).sample(facts_of(9), np.random.default_rng(0))

    noise = Noise(SBU15, std=0.02).apply(clips, [seed]).joints - clips.joints

    assert noise.std().item() == pytest.approx(0.02, rel=0.02)
    assert abs(noise.mean().item()) < 1e-3


@pytest.mark.parametrize(
    ("make", "widest"),
    [(lambda limit: Shear(limit), 6), (lambda limit: Scale(SBU15, limit), 3)],
    ids=["shear", "scale"],
)
def test_shares_are_drawn_up_to_the_limit(make: Callable[[float], Transform], widest: int) -> None:
    rng = np.random.default_rng(0)

    drawn = np.array([make(0.4).sample(facts_of(9), rng) for _ in range(500)])
    drawn = drawn - drawn.mean().round()

    assert drawn.shape == (500, widest)
    assert (np.abs(drawn) <= 0.4).all()
    assert (drawn.min(axis=0) < -0.38).all()
    assert (drawn.max(axis=0) > 0.38).all()
