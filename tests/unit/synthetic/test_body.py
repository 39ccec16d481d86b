"""The kinematic body: bones, sides, and limbs that go where they are sent."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skelab.skeleton import get_layout
from skelab.synthetic.body import Physique, Pose, joints_of

LAYOUT = get_layout("ntu25")
HEAD, FEET, WRISTS = 3, [15, 19], [6, 10]


def wild_pose(frames: int = 40) -> Pose:
    """Every channel somewhere else in every frame, some targets far out of reach."""
    rng = np.random.default_rng(0)
    pose = Pose(frames)
    for name in ("bend", "tilt", "twist", "nod", "look", "turn", "travel"):
        setattr(pose, name, rng.normal(0.0, 0.6, size=frames))
    pose.pelvis += rng.normal(0.0, 0.3, size=pose.pelvis.shape)
    pose.wrists += rng.normal(0.0, 0.3, size=pose.wrists.shape)
    pose.ankles += rng.normal(0.0, 0.3, size=pose.ankles.shape)
    return pose


def test_bones_keep_their_length_whatever_the_pose() -> None:
    physique = Physique(1.62, arm=1.04, leg=0.96, breadth=1.1)
    child, parent = np.array(LAYOUT.bones).T

    joints = joints_of(wild_pose(), physique)

    lengths = np.linalg.norm(joints[:, child] - joints[:, parent], axis=0)
    at_rest = joints_of(Pose(1), physique)
    expected = np.linalg.norm(at_rest[:, child] - at_rest[:, parent], axis=0)
    assert_allclose(lengths, np.broadcast_to(expected, lengths.shape), atol=1e-9)
    assert lengths.min() > 0.03


def test_left_and_right_bones_are_alike() -> None:
    joints = joints_of(wild_pose(), Physique(1.80))

    lengths = {
        child: np.linalg.norm(joints[:, child] - joints[:, parent], axis=0)
        for child, parent in LAYOUT.bones
    }
    for left, right in LAYOUT.pairs:
        assert_allclose(lengths[left], lengths[right], atol=1e-9)


def test_a_body_at_rest_stands_on_the_floor_head_up_and_left_to_the_left() -> None:
    joints = joints_of(Pose(3), Physique(1.70))

    assert joints[1, HEAD].min() > 1.5
    assert abs(joints[1, FEET]).max() < 0.03
    assert (joints[1].max(axis=0) < 1.70).all()
    for left, right in LAYOUT.pairs:
        assert (joints[0, left] > 0).all()
        assert_allclose(joints[0, left], -joints[0, right], atol=1e-9)


@pytest.mark.parametrize("side", [0, 1])
def test_a_wrist_goes_where_it_is_sent(side: int) -> None:
    pose = Pose(2)
    pose.reach(side, (0.10, 0.05, 0.30), np.array([0.0, 1.0]))

    joints = joints_of(pose, Physique(1.70))

    out = 1.0 if side == 0 else -1.0
    wrist = joints[:, WRISTS[side], 1] - joints[:, 20, 1]
    assert_allclose(wrist, [out * 0.10, 0.05, 0.30], atol=1e-9)


def test_an_ankle_is_lifted_and_the_other_stays() -> None:
    pose = Pose(2)
    pose.step(0, (0.0, 0.2, 0.1), np.array([0.0, 1.0]))

    joints = joints_of(pose, Physique(1.70))

    moved = joints[:, :, 1] - joints[:, :, 0]
    assert_allclose(moved[:, 14], [0.0, 0.2, 0.1], atol=0.01)
    assert_allclose(moved[:, 18], 0.0, atol=1e-9)


def test_taller_bodies_are_larger_in_proportion() -> None:
    small, tall = (joints_of(Pose(1), Physique(height)) for height in (1.50, 1.80))

    assert_allclose(tall, small * 1.2, atol=1e-9)


def test_turning_and_walking_move_the_whole_body_over_the_floor() -> None:
    pose = Pose(2)
    pose.turn[1], pose.travel[1] = np.pi / 2, 2.0

    joints = joints_of(pose, Physique(1.70))

    assert_allclose(joints[1, :, 1], joints[1, :, 0], atol=1e-9)
    assert_allclose(joints[0, :, 1], joints[2, :, 0], atol=1e-9)
    assert_allclose(joints[2, :, 1], 2.0 - joints[0, :, 0], atol=1e-9)
