"""PYSKL's preprocessing of recordings that its authors never had."""

import numpy as np
import pytest

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.preprocessing import get_pipeline
from skelab.errors import LayoutError
from skelab.skeleton import get_layout

KINECT20 = get_layout("kinect20")


def recording(bodies: int, frames: int = 6, joints: int = 20, seed: int = 0) -> RawClip:
    rng = np.random.default_rng(seed)
    numbers = np.arange(frames, dtype=np.int32)
    slots = [np.full(frames, body, dtype=np.int8) for body in range(bodies)]
    tracks = {
        str(body): BodyTrack(
            numbers, (body + 1) * rng.normal(size=(frames, joints, 3)), slots=slots[body]
        )
        for body in range(bodies)
    }
    return RawClip(frames, tracks)


def test_another_skeleton_is_centred_on_its_own_origin_and_stands_upright() -> None:
    clip = get_pipeline("pyskl").prepare(recording(2), KINECT20)

    first = clip.joints[0, 0]
    base, middle = first[KINECT20.joint("hip centre")], first[KINECT20.joint("spine")]
    left, right = (first[KINECT20.joint(f"{side} shoulder")] for side in ("left", "right"))
    across = (right - left) / np.linalg.norm(right - left)
    np.testing.assert_allclose(first[KINECT20.origin], 0, atol=1e-6)
    np.testing.assert_allclose(across, [1, 0, 0], atol=1e-5)  # turned last
    assert np.linalg.norm(middle - base) > 0


def test_of_three_bodies_the_two_with_the_most_energy_are_taken() -> None:
    raw = recording(3)

    clip = get_pipeline("pyskl-centred").prepare(raw, KINECT20)

    assert clip.joints.shape == (2, 6, 20, 3)
    third, second = (raw.bodies[body].joints.astype(np.float32) for body in ("2", "1"))
    moved = third[0, KINECT20.origin]
    np.testing.assert_allclose(clip.joints[0], third - moved, atol=1e-5)
    np.testing.assert_allclose(clip.joints[1], second - moved, atol=1e-5)


def test_a_layout_without_a_spine_cannot_be_turned() -> None:
    layout = get_layout("sbu15")

    with pytest.raises(LayoutError, match="the pyskl pipeline turns bodies by spine and shoulders"):
        get_pipeline("pyskl").prepare(recording(1, joints=15), layout)
