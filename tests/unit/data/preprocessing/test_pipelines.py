"""Pipelines by name, and what every pipeline checks."""

import numpy as np
import pytest

from skelab.data.clips.clip import BodyTrack, RawClip
from skelab.data.preprocessing import get_pipeline, list_pipelines
from skelab.data.preprocessing.base import drop_absent_bodies
from skelab.errors import DataError, NoBodyError
from skelab.skeleton import get_layout


def test_pipelines_come_by_name_with_their_source() -> None:
    pipelines = list_pipelines()

    names = ["as-given", "clean", "ctrgcn", "msg3d", "pyskl", "pyskl-centred"]
    assert [pipeline.name for pipeline in pipelines] == names
    assert all("@" in pipeline.source or pipeline.source == "ours" for pipeline in pipelines)


def test_an_unknown_pipeline_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(DataError) as caught:
        get_pipeline("ctrgc")

    assert str(caught.value) == (
        "unknown pipeline 'ctrgc', did you mean 'ctrgcn'? Known: as-given, clean, ctrgcn, msg3d,"
        " pyskl, pyskl-centred"
    )


@pytest.mark.parametrize("name", ["clean", "ctrgcn", "msg3d", "pyskl", "pyskl-centred"])
@pytest.mark.parametrize("bodies", [{}, {"1": BodyTrack(np.empty(0, "i4"), np.empty((0, 25, 3)))}])
def test_a_recording_without_a_body_is_refused(name: str, bodies: dict[str, BodyTrack]) -> None:
    raw = RawClip(17, bodies)

    with pytest.raises(NoBodyError) as caught:
        get_pipeline(name).prepare(raw, get_layout("ntu25"))

    assert str(caught.value) == (
        "expected a body in at least one frame, found none in 17 frames;"
        " recordings without a body are left out"
    )


@pytest.mark.parametrize("name", ["clean", "ctrgcn", "msg3d"])
@pytest.mark.parametrize("chosen", [False, True])
def test_a_recording_of_zeros_is_refused(name: str, chosen: bool) -> None:
    track = BodyTrack(np.arange(3, dtype=np.int32), np.zeros((3, 25, 3)))

    with pytest.raises(NoBodyError, match="found only zeros"):
        get_pipeline(name).prepare(RawClip(3, {"1": track}, chosen), get_layout("ntu25"))


@pytest.mark.parametrize("name", ["clean", "ctrgcn", "msg3d"])
@pytest.mark.parametrize(("joints", "axes"), [(20, 3), (25, 2)])
def test_joints_of_another_layout_are_refused(name: str, joints: int, axes: int) -> None:
    track = BodyTrack(np.arange(3, dtype=np.int32), np.ones((3, joints, axes)))

    with pytest.raises(DataError) as caught:
        get_pipeline(name).prepare(RawClip(3, {"7": track}), get_layout("ntu25"))

    assert str(caught.value) == (
        f"body 7: expected 25 joints of ntu25 with 3 coordinates, found {joints} joints with {axes}"
    )


@pytest.mark.parametrize(("present", "kept"), [((1, 0), 1), ((0, 1), 2), ((0, 0), 1), ((1, 1), 2)])
def test_only_absent_bodies_at_the_end_are_dropped(present: tuple[int, int], kept: int) -> None:
    joints = np.ones((2, 3, 25, 3), np.float32) * np.array(present, np.float32)[:, None, None, None]

    left = drop_absent_bodies(joints)

    np.testing.assert_array_equal(left, joints[:kept])
