"""MS-G3D's preprocessing, rule by rule."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from jaxtyping import Float64
from numpy import ndarray
from numpy.testing import assert_allclose, assert_array_equal
from skeleton_text import a_pose

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.preprocessing.msg3d import pad_loop, prepare_msg3d
from skelab.errors import DataError, LayoutError
from skelab.skeleton import get_layout

NTU25 = get_layout("ntu25")


def poses(frames: int, *, wide: float = 1.0, seed: int = 0) -> Float64[ndarray, "F 25 3"]:
    """A body that sways sideways; ``wide`` stretches it and so raises its energy."""
    sway = 0.1 * np.sin(np.arange(frames))[:, None, None] * [1.0, 0.0, 0.0]
    return np.asarray((a_pose(seed) + sway) * [wide, 1.0, 1.0])


def recording(
    slots: Mapping[int, tuple[Sequence[int], Float64[ndarray, "F 25 3"]]], num_frames: int
) -> RawClip:
    tracks = {
        f"id{slot}": BodyTrack(
            np.array(frames, dtype=np.int32),
            joints,
            slots=np.full(len(joints), slot, dtype=np.int8),
        )
        for slot, (frames, joints) in slots.items()
    }
    return RawClip(num_frames, tracks)


def test_one_body_is_stored_once_and_looped_to_300_frames() -> None:
    raw = recording({0: (range(7), poses(7))}, num_frames=7)

    prepared = prepare_msg3d(raw, NTU25)
    looped = pad_loop(prepared.joints)

    assert prepared.joints.shape == (1, 7, 25, 3)
    assert_array_equal(prepared.frame_numbers, np.arange(7, dtype=np.int32))
    assert looped.shape == (3, 300, 25, 2)
    assert_array_equal(looped[:, 7:14], looped[:, :7])
    assert_array_equal(looped[:, 294:], looped[:, :6])
    assert not looped[..., 1].any()


def test_two_bodies_of_one_length_are_stored_once() -> None:
    raw = recording({0: (range(7), poses(7)), 1: (range(7), poses(7, seed=1))}, num_frames=7)

    prepared = prepare_msg3d(raw, NTU25)

    assert prepared.joints.shape == (2, 7, 25, 3)


def test_two_bodies_of_different_length_are_stored_in_full() -> None:
    raw = recording(
        {0: (range(7), poses(7, wide=2.0)), 1: (range(5), poses(5, seed=1))}, num_frames=7
    )

    prepared = prepare_msg3d(raw, NTU25)

    assert prepared.joints.shape == (2, 300, 25, 3)
    assert_array_equal(prepared.frame_numbers, np.arange(300, dtype=np.int32) % 7)


def test_the_spine_is_the_centre_of_every_frame() -> None:
    raw = recording({0: (range(7), poses(7))}, num_frames=7)

    prepared = prepare_msg3d(raw, NTU25)

    assert not prepared.joints[0, :, NTU25.origin].any()


def test_the_shoulders_point_along_x_and_lengths_stay() -> None:
    joints = poses(7)
    raw = recording({0: (range(7), joints)}, num_frames=7)

    prepared = prepare_msg3d(raw, NTU25).joints[0]

    left, right = NTU25.joint("left shoulder"), NTU25.joint("right shoulder")
    across = prepared[0, right] - prepared[0, left]
    width = float(np.linalg.norm(joints[0, right] - joints[0, left]))
    assert_allclose(across, [width, 0.0, 0.0], atol=1e-6)
    assert_allclose(
        np.linalg.norm(prepared[:, 3] - prepared[:, 0], axis=1),
        np.linalg.norm(joints[:, 3] - joints[:, 0], axis=1),
        atol=1e-6,
    )


def test_a_spine_along_z_and_shoulders_along_x_are_not_turned() -> None:
    joints = poses(3)
    joints[:, 1] = joints[:, 0] + [0.0, 0.0, 0.3]
    joints[:, 8] = joints[:, 4] + [0.4, 0.0, 0.0]
    raw = recording({0: (range(3), joints)}, num_frames=3)

    prepared = prepare_msg3d(raw, NTU25)

    assert_allclose(prepared.joints[0], joints - joints[:, 1:2], atol=1e-6)


def test_the_body_of_more_energy_comes_first_and_slots_above_four_are_not_seen() -> None:
    wide = {slot: (range(5), poses(5, wide=1.0 + slot, seed=slot)) for slot in range(6)}
    raw = recording(wide, num_frames=5)

    prepared = prepare_msg3d(raw, NTU25)

    length = np.linalg.norm(prepared.joints[0, 0, 3] - prepared.joints[0, 0, 0])
    expected = poses(5, wide=4.0, seed=3)[0]
    assert length == pytest.approx(np.linalg.norm(expected[3] - expected[0]), abs=1e-5)


def test_bodies_without_slots_stand_in_the_order_of_the_recording() -> None:
    track = BodyTrack(np.arange(5, dtype=np.int32), poses(5))
    with_slots = recording({0: (range(5), poses(5))}, num_frames=5)

    prepared = prepare_msg3d(RawClip(5, {"7": track}), NTU25)

    assert_array_equal(prepared.joints, prepare_msg3d(with_slots, NTU25).joints)


def test_gaps_close_only_if_the_first_frame_is_empty() -> None:
    late = recording({0: ([1, 2, 5], poses(3))}, num_frames=6)
    early = recording({0: ([0, 2, 5], poses(3))}, num_frames=6)

    closed, open_ = prepare_msg3d(late, NTU25), prepare_msg3d(early, NTU25)

    assert_array_equal(closed.frame_numbers, np.array([1, 2, 5], dtype=np.int32))
    assert_array_equal(open_.frame_numbers, np.arange(6, dtype=np.int32))
    assert not open_.joints[0, [1, 3, 4]].any()


def test_a_missing_joint_stays_zero() -> None:
    joints = poses(3)
    joints[1, 10] = 0
    raw = recording({0: (range(3), joints)}, num_frames=3)

    prepared = prepare_msg3d(raw, NTU25)

    assert not prepared.joints[0, 1, 10].any()
    assert prepared.joints[0, 2, 10].any()


def test_chosen_actors_keep_their_order() -> None:
    tracks = {
        str(body): BodyTrack(np.arange(5, dtype=np.int32), poses(5, wide=wide, seed=body))
        for body, wide in ((1, 0.5), (2, 3.0))
    }

    prepared = prepare_msg3d(RawClip(5, tracks, actors_chosen=True), NTU25)

    assert not prepared.joints[0, :, NTU25.origin].any()
    assert prepared.joints[1, :, NTU25.origin].any(axis=1).all()


def test_more_than_two_chosen_actors_are_refused() -> None:
    track = BodyTrack(np.arange(5, dtype=np.int32), poses(5))
    tracks = {str(body): track for body in range(3)}

    with pytest.raises(DataError, match="expected at most 2 bodies, found 3"):
        prepare_msg3d(RawClip(5, tracks, actors_chosen=True), NTU25)


def test_more_than_300_frames_are_refused_with_what_to_do() -> None:
    raw = recording({0: (range(301), poses(301))}, num_frames=301)

    with pytest.raises(DataError) as caught:
        prepare_msg3d(raw, NTU25)

    assert str(caught.value) == (
        "expected at most 300 frames, found 301: the msg3d pipeline takes no more;"
        " use the ctrgcn pipeline"
    )


@pytest.mark.parametrize("name", ["kinect20", "utd20"])
def test_other_layouts_turn_by_their_own_spine_and_shoulders(name: str) -> None:
    layout = get_layout(name)
    track = BodyTrack(np.arange(5, dtype=np.int32), poses(5)[:, :20])

    prepared = prepare_msg3d(RawClip(5, {"1": track}, actors_chosen=True), layout)

    left, right = layout.joint("left shoulder"), layout.joint("right shoulder")
    across = prepared.joints[0, 0, right] - prepared.joints[0, 0, left]
    assert_allclose(across[1:], 0, atol=1e-6)
    assert not prepared.joints[0, :, layout.joint("spine")].any()


def test_a_layout_without_a_spine_is_refused_with_what_is_missing() -> None:
    track = BodyTrack(np.arange(5, dtype=np.int32), poses(5)[:, :15])

    with pytest.raises(LayoutError) as caught:
        prepare_msg3d(RawClip(5, {"1": track}), get_layout("sbu15"))

    assert str(caught.value) == (
        "the msg3d pipeline turns bodies by spine and shoulders: expected a joint called"
        " 'base of spine' or 'hip centre', found none in layout 'sbu15'; use the ctrgcn pipeline"
    )


@pytest.mark.parametrize("shape", [(3, 10, 25, 3), (1, 301, 25, 3)])
def test_what_does_not_fit_is_not_looped(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError) as caught:
        pad_loop(np.zeros(shape, np.float32))

    assert str(caught.value) == (
        f"expected at most 300 frames and 2 bodies, found {shape[1]} and {shape[0]}"
    )
