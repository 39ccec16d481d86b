"""Cameras: their frame, their pixels, their orientations."""

import numpy as np
from numpy.testing import assert_allclose

from skelab.synthetic.camera import Camera, camera_of, orientations, pixels
from skelab.synthetic.scene import make_take


def one_point(x: float, y: float, z: float) -> np.ndarray:
    """A point of the room as one body, of one frame, whose joints all lie there."""
    return np.broadcast_to(np.array([x, y, z]).reshape(1, 3, 1, 1), (1, 3, 25, 1)).copy()


def test_the_point_that_a_camera_looks_at_lies_on_its_axis() -> None:
    camera = Camera(azimuth=0.7, height=1.9, distance=3.0)

    seen = camera.sees(one_point(0.0, 0.9, 0.0))[0, :, 0, 0]

    assert_allclose(seen, [0.0, 0.0, np.hypot(3.0, 1.0)], atol=1e-9)


def test_distances_are_the_same_in_every_camera() -> None:
    room = make_take(58, 1, 1, 1, 0).joints
    seen = [camera_of(4, camera, seed=0).sees(room) for camera in (1, 2, 3)]

    def between(joints: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(joints[0, :, :, 0] - joints[1, :, :, 0], axis=0))

    for joints in seen:
        assert_allclose(between(joints), between(np.asarray(room)), atol=1e-9)


def test_a_level_camera_sees_up_as_up_and_the_performers_left_at_negative_x() -> None:
    camera = Camera(azimuth=0.0, height=0.9, distance=3.0)

    left, up, near = (
        camera.sees(one_point(*point))[0, :, 0, 0]
        for point in ((0.3, 0.9, 0.0), (0.0, 1.4, 0.0), (0.0, 0.9, 0.5))
    )

    assert_allclose(left, [-0.3, 0.0, 3.0], atol=1e-9)
    assert_allclose(up, [0.0, 0.5, 3.0], atol=1e-9)
    assert_allclose(near, [0.0, 0.0, 2.5], atol=1e-9)


def test_the_outer_cameras_stand_45_degrees_to_either_side() -> None:
    azimuths = [camera_of(1, camera, seed=0).azimuth for camera in (1, 2, 3)]

    assert_allclose(np.degrees(azimuths), [0, -45, 45], atol=11)


def test_setups_differ_in_height_and_distance() -> None:
    cameras = [camera_of(setup, 1, seed=0) for setup in range(1, 18)]

    assert len({camera.height for camera in cameras}) >= 12
    assert all(2.5 < camera.distance < 4.5 for camera in cameras)


def test_pixels_agree_with_those_of_a_kinect_file() -> None:
    # The base of a spine as a Kinect v2 saw it, rounded, and where in its two images.
    joints = np.broadcast_to([0.2, 0.2, 3.8], (1, 25, 3)).copy()

    found = pixels(joints)[0, 0]

    assert_allclose(found, [275.6, 189.0, 1029.3, 511.1], atol=1.0)


def test_orientations_are_unit_quaternions_that_turn_y_onto_the_bone() -> None:
    room = make_take(27, 3, 1, 1, 0).joints
    joints = camera_of(2, 3, seed=0).sees(room)[0].transpose(2, 1, 0).copy()
    upper_arm = joints[:, 5] - joints[:, 4]

    w, x, y, z = np.moveaxis(orientations(joints)[:, 5], -1, 0)

    turned = np.stack([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], axis=1)
    length = np.linalg.norm(upper_arm, axis=1, keepdims=True)
    assert_allclose(w * w + x * x + y * y + z * z, 1.0, atol=1e-9)
    assert_allclose(turned, upper_arm / length, atol=1e-9)


def test_heads_feet_tips_and_thumbs_have_no_orientation() -> None:
    joints = np.random.default_rng(0).normal(size=(4, 25, 3))

    found = orientations(joints)

    without = [3, 15, 19, 21, 22, 23, 24]
    assert not found[:, without].any()
    assert_allclose(np.linalg.norm(np.delete(found, without, axis=1), axis=2), 1.0, atol=1e-9)
