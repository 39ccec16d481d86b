"""CTR-GCN's preprocessing, rule by rule."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from jaxtyping import Float64
from numpy import ndarray
from numpy.testing import assert_array_equal
from skeleton_text import a_pose

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.preprocessing.ctrgcn import choose_bodies, prepare_ctrgcn
from skelab.errors import DataError
from skelab.skeleton import get_layout

NTU25 = get_layout("ntu25")
SPINE = 1


def poses(frames: int, *, motion: float = 0.1, seed: int = 0) -> Float64[ndarray, "F 25 3"]:
    """A body that sways sideways by ``motion`` metres."""
    sway = motion * np.sin(np.arange(frames))[:, None, None] * [1.0, 0.0, 0.0]
    return np.asarray(a_pose(seed) + sway)


def recording(
    bodies: Mapping[str, tuple[Sequence[int], Float64[ndarray, "F 25 3"]]], num_frames: int
) -> RawClip:
    tracks = {
        body: BodyTrack(np.array(frames, dtype=np.int32), joints)
        for body, (frames, joints) in bodies.items()
    }
    return RawClip(num_frames, tracks)


def test_one_body_keeps_every_frame_it_has_and_moves_to_the_first_spine() -> None:
    joints = poses(5)
    raw = recording({"7": ([1, 2, 4, 5, 6], joints)}, num_frames=8)

    prepared = prepare_ctrgcn(raw, NTU25)

    single = joints.astype(np.float32)
    assert_array_equal(prepared.joints, (single - single[0, SPINE])[None])
    assert_array_equal(prepared.frame_numbers, np.array([1, 2, 4, 5, 6], dtype=np.int32))


def test_an_empty_frame_of_one_body_becomes_minus_the_origin() -> None:
    joints = poses(3)
    joints[0] = 0
    raw = recording({"7": (range(3), joints)}, num_frames=3)

    prepared = prepare_ctrgcn(raw, NTU25)

    origin = joints.astype(np.float32)[1, SPINE]
    assert_array_equal(prepared.joints[0, 0], np.broadcast_to(-origin, (25, 3)))


def test_the_body_that_moves_more_is_actor_one() -> None:
    calm, lively = poses(20, motion=0.01), poses(20, motion=0.5)
    raw = recording({"1": (range(20), calm), "2": (range(20), lively)}, num_frames=20)

    prepared = prepare_ctrgcn(raw, NTU25)

    origin = lively.astype(np.float32)[0, SPINE]
    expected = np.stack([lively, calm]).astype(np.float32) - origin
    assert_array_equal(prepared.joints, expected)


def test_a_body_that_returns_has_its_later_frames_closed_up() -> None:
    stays, returns = poses(40, motion=0.5), poses(20, motion=0.01)
    frames = [*range(10), *range(30, 40)]
    raw = recording({"1": (range(40), stays), "2": (frames, returns)}, num_frames=40)

    prepared = prepare_ctrgcn(raw, NTU25)

    second = prepared.joints[1].any(axis=(1, 2))
    assert_array_equal(np.flatnonzero(second), np.arange(20))


def test_bodies_of_eleven_frames_are_dropped_and_one_left_stands_alone() -> None:
    raw = recording(
        {"1": (range(30), poses(30)), "2": (range(5, 16), poses(11, motion=0.9))}, num_frames=30
    )

    choice = choose_bodies(raw)

    assert choice.dropped == (("2", "length"),)
    assert choice.single
    assert [body.body for body in choice.actors[0]] == ["1"]
    assert prepare_ctrgcn(raw, NTU25).joints.shape == (1, 30, 25, 3)


def test_frames_outside_of_the_only_actor_left_are_removed() -> None:
    raw = recording(
        {"1": (range(4, 30), poses(26)), "2": (range(5), poses(5, motion=0.9))}, num_frames=30
    )

    prepared = prepare_ctrgcn(raw, NTU25)

    assert_array_equal(prepared.frame_numbers, np.arange(4, 30, dtype=np.int32))


def test_several_bodies_that_are_all_too_short_are_refused_with_their_length() -> None:
    raw = recording({"1": (range(11), poses(11)), "2": (range(5), poses(5))}, num_frames=11)

    with pytest.raises(DataError) as caught:
        prepare_ctrgcn(raw, NTU25)

    assert str(caught.value) == (
        "expected a body of at least 12 frames among 2 bodies, found at most 11 frames"
    )


def test_a_body_wider_than_high_is_dropped_and_never_the_last_one() -> None:
    flat = poses(20) * [1.0, 0.01, 1.0]
    raw = recording({"1": (range(20), flat), "2": (range(20), flat)}, num_frames=20)

    choice = choose_bodies(raw)

    assert choice.dropped == (("1", "spread"),)
    assert choice.single


def test_motion_counts_plausible_frames_only() -> None:
    partly_flat = poses(20, motion=0.01)
    partly_flat[:5] = partly_flat[:5] * [1.0, 0.01, 1.0] + [4.0, 0.0, 0.0]
    raw = recording({"1": (range(20), partly_flat), "2": (range(20), poses(20))}, num_frames=20)

    choice = choose_bodies(raw)

    plausible = partly_flat[5:].astype(np.float32).reshape(-1, 3)
    assert dict(choice.motions)["1"] == pytest.approx(plausible.var(axis=0).sum(), abs=1e-5)
    assert choice.tracked[0].motion > 1


def test_bodies_that_share_one_frame_continue_the_same_actor() -> None:
    first, second = poses(20, motion=0.5), poses(21, motion=0.01, seed=1)
    raw = recording({"1": (range(20), first), "2": (range(19, 40), second)}, num_frames=40)

    choice = choose_bodies(raw)
    prepared = prepare_ctrgcn(raw, NTU25)

    assert [[body.body for body in actor] for actor in choice.actors] == [["1", "2"]]
    assert not choice.single
    assert prepared.joints.shape == (1, 40, 25, 3)
    origin = first.astype(np.float32)[0, SPINE]
    assert_array_equal(prepared.joints[0, 19], second.astype(np.float32)[0] - origin)


def test_a_third_body_that_overlaps_both_actors_is_not_used() -> None:
    tracks = {str(body): (range(20), poses(20, motion=0.1 * (4 - body))) for body in (1, 2, 3)}

    choice = choose_bodies(recording(tracks, num_frames=20))

    assert choice.unused == ("3",)


def test_an_absent_actor_of_a_pair_stays_zero() -> None:
    raw = recording(
        {"1": (range(40), poses(40, motion=0.5)), "2": (range(15, 40), poses(25))}, num_frames=40
    )

    prepared = prepare_ctrgcn(raw, NTU25)

    assert not prepared.joints[1, :15].any()
    assert prepared.joints[1, 15:].any(axis=(1, 2)).all()


def test_a_body_that_stands_twice_in_a_frame_is_refused() -> None:
    raw = recording({"1": ([0, 0, 1], poses(3))}, num_frames=2)

    with pytest.raises(DataError) as caught:
        prepare_ctrgcn(raw, NTU25)

    assert str(caught.value) == (
        "body 1: expected at most one pose a frame, found 3 poses in 2 frames"
    )


def test_chosen_actors_are_neither_filtered_nor_moved_in_time() -> None:
    flat, short = poses(40) * [1.0, 0.01, 1.0], poses(6)
    frames = [0, 1, 2, 30, 31, 32]
    tracks = {
        "1": BodyTrack(np.arange(40, dtype=np.int32), flat),
        "2": BodyTrack(np.array(frames, dtype=np.int32), short),
    }

    prepared = prepare_ctrgcn(RawClip(40, tracks, actors_chosen=True), NTU25)

    origin = flat.astype(np.float32)[0, SPINE]
    assert_array_equal(prepared.joints[0], flat.astype(np.float32) - origin)
    assert_array_equal(prepared.joints[1, frames], short.astype(np.float32) - origin)
    assert not prepared.joints[1, 3:30].any()
    assert_array_equal(prepared.frame_numbers, np.arange(40, dtype=np.int32))


def test_the_origin_is_the_joint_that_the_layout_names() -> None:
    layout = get_layout("utd20")
    joints = poses(4)[:, :20]
    track = BodyTrack(np.arange(4, dtype=np.int32), joints)

    prepared = prepare_ctrgcn(RawClip(4, {"1": track}, actors_chosen=True), layout)

    assert not prepared.joints[0, 0, layout.joint("spine")].any()
