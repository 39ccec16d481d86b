"""A recording and what was made of it run in step; what contradicts itself is refused."""

from dataclasses import replace

import numpy as np
import pytest
from viewer_kit import NTU25, a_clip, a_recording, a_scene, an_answer, standing

from skelab.data.clips.clip import Clip, RawClip, SampleInfo
from skelab.errors import DataError
from skelab.skeleton import get_layout
from skelab.viewer.scene import (
    Pane,
    on_timeline,
    scene_of,
    share_beyond_bones,
    strongest_links,
)


def test_frames_that_preprocessing_left_out_are_shown_without_a_body() -> None:
    numbers = np.array([0, 1, 4, 5], np.int32)
    clip = Clip(SampleInfo("clip"), standing(4), numbers)

    scene = scene_of("clip", NTU25, clip=clip, raw=a_recording(6), pipeline="ctrgcn")

    assert [pane.title for pane in scene.panes] == ["As recorded", "Preprocessed: ctrgcn"]
    assert scene.frame_numbers.tolist() == [0, 1, 2, 3, 4, 5]
    assert scene.panes[0].present.all()
    assert scene.panes[1].present[0].tolist() == [True, True, False, False, True, True]


def test_frames_that_preprocessing_repeats_are_repeated_in_the_recording() -> None:
    numbers = np.array([0, 1, 2, 0, 1, 2], np.int32)
    clip = Clip(SampleInfo("clip"), standing(6), numbers)

    scene = scene_of("clip", NTU25, clip=clip, raw=a_recording(3))

    recorded = scene.panes[0].poses
    assert scene.frame_numbers.tolist() == numbers.tolist()
    np.testing.assert_array_equal(recorded[:, :3], recorded[:, 3:])


def test_the_people_of_both_panes_stand_in_the_same_order() -> None:
    recording = a_recording(8, bodies=2)
    moved = np.sin(np.arange(8))[:, None, None] * np.array([0.0, 0.3, 0.0])
    tracks = dict(recording.bodies)
    tracks["1"] = replace(tracks["1"], joints=tracks["1"].joints + moved)
    recording = RawClip(8, tracks)
    swapped = np.stack([tracks["1"].joints, tracks["0"].joints]).astype(np.float32) - np.float32(2)
    clip = Clip(SampleInfo("clip"), swapped, np.arange(8, dtype=np.int32))

    scene = scene_of("clip", NTU25, clip=clip, raw=recording)

    np.testing.assert_allclose(scene.panes[0].poses - 2, scene.panes[1].poses, atol=1e-5)


def test_joints_in_a_picture_stand_upright_and_those_not_found_are_absent() -> None:
    layout = get_layout("coco17")
    joints = np.ones((1, 3, 17, 3), np.float32)
    joints[..., 0], joints[..., 1] = 4.0, 7.0
    joints[0, 1, 5, 2] = 0.0  # its score
    clip = Clip(SampleInfo("clip"), joints, np.arange(3, dtype=np.int32))

    scene = scene_of("clip", layout, clip=clip)

    assert scene.is_flat
    assert scene.panes[0].poses[0, 0, 0].tolist() == [-4.0, -7.0, 0.0]
    assert np.isnan(scene.panes[0].poses[0, 1, 5]).all()


def test_a_body_of_zeros_is_absent() -> None:
    joints = standing(4, bodies=2)
    joints[1, 2:] = 0
    clip = Clip(SampleInfo("clip"), joints, np.arange(4, dtype=np.int32))

    scene = scene_of("clip", NTU25, clip=clip)

    assert scene.panes[0].present.tolist() == [[True] * 4, [True, True, False, False]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_clip_with_numbers_that_are_not_finite_is_refused(wrong: float) -> None:
    clip = a_clip()
    clip.joints[0, 3, 4, 1] = wrong

    with pytest.raises(DataError, match=r"clip: expected finite coordinates, found NaN or infi"):
        scene_of("clip", NTU25, clip=clip)


def test_a_clip_of_other_joints_is_refused() -> None:
    with pytest.raises(DataError, match="clip: expected 15 joints of sbu15 with 3 values, found"):
        scene_of("clip", get_layout("sbu15"), clip=a_clip())
    with pytest.raises(DataError, match="clip: expected 15 joints of sbu15 with 3 values, found"):
        scene_of("clip", get_layout("sbu15"), raw=a_recording())


def test_a_scene_needs_a_clip_or_a_recording_and_somebody_in_it() -> None:
    with pytest.raises(DataError, match="expected a clip or a recording, found neither"):
        scene_of("clip", NTU25)
    with pytest.raises(DataError, match="Clip: expected a body in at least one frame, found none"):
        Pane("Clip", np.full((1, 2, 25, 3), np.nan, np.float32))
    with pytest.raises(DataError, match="Clip: expected finite coordinates, found infinity"):
        Pane("Clip", np.full((1, 2, 25, 3), np.inf, np.float32))


def test_panes_of_other_lengths_and_speeds_out_of_range_are_refused() -> None:
    with pytest.raises(DataError, match="Clip: expected 20 frames of 25 joints, found 5 of 25"):
        a_scene(panes=(Pane("Clip", standing(5)),))
    with pytest.raises(DataError, match="expected 1 to 1000 frames a second, found 0"):
        a_scene(frames_per_second=0.0)


def test_a_stretch_of_a_scene_keeps_its_reasons() -> None:
    scene = a_scene(answer=an_answer())

    part = scene.between(5, 9)

    assert part.frame_numbers.tolist() == [5, 6, 7, 8]
    assert part.panes[0].poses.shape == (1, 4, 25, 3)
    assert part.answer is not None
    assert part.answer.evidence[0].joints.shape == (1, 4, 25)
    assert part.answer.evidence[0].frames.shape == (4,)
    with pytest.raises(DataError, match="clip: expected frames within 0:20, found 9:30"):
        scene.between(9, 30)


def test_values_of_a_clip_stand_on_the_frames_that_it_was_made_of() -> None:
    numbers = np.array([0, 1, 4], np.int32)
    clip = Clip(SampleInfo("clip"), standing(3), numbers)
    scene = scene_of("clip", NTU25, clip=clip, raw=a_recording(6))

    values = on_timeline(scene, clip, np.array([[1.0, 2.0, 3.0]]))

    assert values.tolist() == [[1.0, 2.0, 0.0, 0.0, 3.0, 0.0]]


def test_the_strongest_links_leave_out_bones_and_joints_themselves() -> None:
    weights = np.array([[9, 5, 2, 1], [5, 9, 0, 4], [0, 0, 9, 0], [0, 0, 0, 9]], np.float32)

    links = strongest_links(weights, [(0, 1)], most=2)

    assert links == [(1, 3, 1.0), (0, 2, 0.5)]
    assert share_beyond_bones(weights, [(0, 1)]) == pytest.approx(7 / 17)


def test_left_and_right_are_told_by_the_layout() -> None:
    sides = a_scene().sides

    assert sides[NTU25.joint("left hand")] == 1
    assert sides[NTU25.joint("right foot")] == -1
    assert sides[NTU25.joint("head")] == 0
