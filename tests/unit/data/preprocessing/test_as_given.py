"""The pipeline that changes nothing."""

import numpy as np
import pytest

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.preprocessing import get_pipeline
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import get_layout

AS_GIVEN = get_pipeline("as-given")
SBU15 = get_layout("sbu15")


def track(frames: list[int], *, joints: int = 15, axes: int = 3, seed: int = 0) -> BodyTrack:
    poses = np.random.default_rng(seed).normal(size=(len(frames), joints, axes))
    return BodyTrack(np.array(frames, dtype=np.int32), poses)


def test_every_body_stays_where_and_when_it_was() -> None:
    one, two = track([0, 1, 4]), track([3], seed=1)

    prepared = AS_GIVEN.prepare(RawClip(6, {"a": one, "b": two}), SBU15)

    wanted = np.zeros((2, 6, 15, 3), np.float32)
    wanted[0, [0, 1, 4]], wanted[1, 3] = one.joints, two.joints[0]
    np.testing.assert_array_equal(prepared.joints, wanted)
    assert prepared.frame_numbers.tolist() == [0, 1, 2, 3, 4, 5]


def test_bodies_that_are_absent_at_the_end_of_the_list_go() -> None:
    prepared = AS_GIVEN.prepare(RawClip(2, {"a": track([0, 1]), "b": track([])}), SBU15)

    assert prepared.joints.shape == (1, 2, 15, 3)


def test_points_of_an_image_are_taken_too() -> None:
    layout = get_layout("coco17")
    points = track([0, 1], joints=17)

    prepared = AS_GIVEN.prepare(RawClip(2, {"a": points}), layout)

    np.testing.assert_array_equal(prepared.joints[0], points.joints.astype(np.float32))


@pytest.mark.parametrize(
    "bodies", [{}, {"a": track([])}, {"a": BodyTrack(np.zeros(1, "i4"), np.zeros((1, 15, 3)))}]
)
def test_a_recording_without_a_body_is_refused(bodies: dict[str, BodyTrack]) -> None:
    with pytest.raises(NoBodyError, match="expected a body in at least one frame, found none in 4"):
        AS_GIVEN.prepare(RawClip(4, bodies), SBU15)


def test_joints_of_another_layout_and_two_poses_at_once_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"expected 15 joints of sbu15 with 3 values, found 15 .* 2"
    ):
        AS_GIVEN.prepare(RawClip(2, {"a": track([0], axes=2)}), SBU15)
    with pytest.raises(DataError, match="expected one pose a frame, found several in one"):
        AS_GIVEN.prepare(RawClip(2, {"a": track([0, 0])}), SBU15)
