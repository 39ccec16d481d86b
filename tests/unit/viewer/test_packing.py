"""Poses come out of their text as they went in, within half a step."""

import base64

import numpy as np
import pytest
from viewer_kit import standing

from skelab.viewer.packing import LEVELS, pack_poses, pack_signed, unpack_poses


@pytest.mark.parametrize("bodies", [1, 2])
def test_poses_are_kept_within_half_a_step(bodies: int) -> None:
    poses = standing(30, bodies)
    poses[0, 3:7] = np.nan  # away for a time
    poses[-1, 9, 4] = np.nan  # a joint not found

    packed = pack_poses(poses)
    found = unpack_poses(packed, poses.shape)

    np.testing.assert_array_equal(np.isnan(found), np.isnan(poses))
    assert np.nanmax(np.abs(found - poses)) <= 0.51 * packed["step"] + 1e-5
    assert packed["step"] * LEVELS < 4.0  # metres: what is shown, and no more


def test_bodies_that_are_away_cost_nothing() -> None:
    poses = standing(40)
    away = poses.copy()
    away[0, 10:] = np.nan

    packed = pack_poses(away)

    assert packed["bodies"][0]["runs"] == [(0, 10)]
    assert len(packed["bodies"][0]["data"]) < 0.4 * len(pack_poses(poses)["bodies"][0]["data"])


def test_one_point_in_one_frame_can_be_packed() -> None:
    poses = np.full((1, 1, 1, 3), 2.5, np.float32)

    found = unpack_poses(pack_poses(poses), (1, 1, 1, 3))

    np.testing.assert_allclose(found, poses, atol=1e-5)


def test_signed_values_are_bytes_around_128() -> None:
    values = np.array([-2.0, 0.0, 1.0, 2.0], np.float32)

    packed = base64.b64decode(pack_signed(values, 2.0))

    assert list(packed) == [1, 128, 192, 255]
    assert list(base64.b64decode(pack_signed(values * 0, 0.0))) == [128] * 4
