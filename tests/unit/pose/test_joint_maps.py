"""Landmarks as joints: where Kinect and COCO have them, and never left for right."""

import math
from dataclasses import replace

import numpy as np
import pytest
from jaxtyping import Float64
from numpy import ndarray
from pose_kit import some_landmarks, standing_world

from skelab.data.audit.anatomy import check_anatomy
from skelab.data.clips.clip import RawClip
from skelab.errors import LayoutError
from skelab.pose.joint_maps import (
    KINECT_SCALE,
    MAPPED_LAYOUTS,
    joint_visibility,
    to_recording,
)
from skelab.pose.landmarks import LANDMARK_NAMES, Landmarks
from skelab.skeleton import get_layout

NTU25 = get_layout("ntu25")


def raised_left() -> Float64[ndarray, "33 3"]:
    """Somebody who raises the left hand."""
    world = standing_world()
    for number in (13, 15, 17, 19, 21):
        world[number, 1] = -0.5 - (number - 13) * 0.05
    return world


def in_a_mirror(landmarks: Landmarks) -> Landmarks:
    """What an estimator sees of the same people in a mirror: left and right are exchanged."""
    order = [
        LANDMARK_NAMES.index(
            name.replace("left", "!").replace("right", "left").replace("!", "right")
        )
        for name in LANDMARK_NAMES
    ]
    world, picture = landmarks.world[:, order].copy(), landmarks.picture[:, order].copy()
    world[..., 0] *= -1
    picture[..., 0] = landmarks.info.width - 1 - picture[..., 0]
    info = replace(landmarks.info, mirrored=True)
    return replace(landmarks, info=info, world=world, picture=picture)


def joint(clip: RawClip, name: str, layout: str = "ntu25") -> Float64[ndarray, "3"]:
    """A joint of body 1 in the first frame."""
    number = get_layout(layout).joints.index(name)
    found: Float64[ndarray, 3] = clip.bodies["1"].joints[0, number]
    return found


def test_somebody_who_faces_the_camera_has_the_left_at_its_right() -> None:
    clip = to_recording(some_landmarks(world=raised_left()), NTU25)

    hips = joint(clip, "base of spine")
    assert joint(clip, "left wrist")[0] < hips[0] < joint(clip, "right wrist")[0]
    assert joint(clip, "head")[1] > hips[1] > joint(clip, "left foot")[1]
    assert joint(clip, "left hand")[1] > joint(clip, "right hand")[1] + 0.3
    assert joint(clip, "left foot")[2] < joint(clip, "left ankle")[2]  # toes point to the camera


@pytest.mark.parametrize("name", MAPPED_LAYOUTS)
def test_a_mirrored_picture_gives_the_same_people(name: str) -> None:
    landmarks = some_landmarks(world=raised_left(), bodies=2)

    straight = to_recording(landmarks, get_layout(name))
    mirrored = to_recording(in_a_mirror(landmarks), get_layout(name))

    for body, track in straight.bodies.items():
        np.testing.assert_allclose(mirrored.bodies[body].joints, track.joints, atol=1e-4)


def test_a_wrong_mirror_exchanges_left_and_right() -> None:
    landmarks = some_landmarks(world=raised_left())
    wrong = replace(landmarks, info=replace(landmarks.info, mirrored=True))

    clip = to_recording(wrong, NTU25)

    assert joint(clip, "right hand")[1] > joint(clip, "left hand")[1] + 0.3


def test_joints_lie_where_the_figures_put_them() -> None:
    clip = to_recording(some_landmarks(), NTU25)

    world = standing_world() * np.array([-1, -1, 1]) * KINECT_SCALE
    hips, shoulders = (world[23] + world[24]) / 2, (world[11] + world[12]) / 2
    ears = (world[7] + world[8]) / 2
    knuckles = (world[17] + world[19]) / 2
    expected = {
        "base of spine": hips,
        "middle of spine": hips + 0.52 * (shoulders - hips),
        "spine at the shoulders": shoulders,
        "neck": 0.65 * shoulders + 0.35 * ears,
        "head": shoulders + 1.05 * (ears - shoulders),
        "left shoulder": world[11] + 0.15 * (shoulders - world[11]),
        "left elbow": world[13],
        "right wrist": world[16],
        "left hand": world[15] + 0.6 * (knuckles - world[15]),
        "tip of left hand": world[15] + 1.3 * (knuckles - world[15]),
        "right thumb": world[22],
        "left hip": world[23] + 0.45 * (hips - world[23]),
        "right knee": world[26],
        "left ankle": world[27],
        "left foot": world[27] + 0.8 * (world[31] - world[27]),
    }
    place = joint(clip, "base of spine") - hips
    for name, point in expected.items():
        np.testing.assert_allclose(joint(clip, name) - place, point, atol=1e-6, err_msg=name)


def test_kinect_v1_has_the_joints_of_the_same_names() -> None:
    landmarks = some_landmarks(world=raised_left())

    old, new = (to_recording(landmarks, get_layout(name)) for name in ("kinect20", "ntu25"))

    names = {"hip centre": "base of spine", "spine": "middle of spine"}
    names |= {"shoulder centre": "spine at the shoulders"}
    for name in get_layout("kinect20").joints:
        np.testing.assert_allclose(
            joint(old, name, "kinect20"), joint(new, names.get(name, name)), err_msg=name
        )


def test_coco_has_pixels_and_visibility() -> None:
    landmarks = some_landmarks(world=raised_left())

    clip = to_recording(landmarks, get_layout("coco17"))

    for name in get_layout("coco17").joints:
        number = LANDMARK_NAMES.index(name)
        seen = [*landmarks.picture[0, number, :2], landmarks.visibility[0, number]]
        np.testing.assert_allclose(joint(clip, name, "coco17"), seen, err_msg=name)


@pytest.mark.parametrize("name", ["ntu25", "kinect20"])
def test_what_is_mapped_is_a_body(name: str) -> None:
    def sway(frame: int) -> Float64[ndarray, "33 3"]:
        return 0.02 * np.sin(frame + np.arange(99).reshape(33, 3))

    layout = get_layout(name)

    report = check_anatomy([to_recording(some_landmarks(40, move=sway), layout)], layout)

    assert report.verdict == "plausible"
    assert report.up == "+y"


def test_who_is_smaller_in_the_picture_stands_further_away() -> None:
    near = to_recording(some_landmarks(pixels=150.0), NTU25)
    far = to_recording(some_landmarks(pixels=75.0), NTU25)

    focal = 640 / 2 / math.tan(math.radians(30))
    assert joint(near, "base of spine")[2] == pytest.approx(focal / 150 * KINECT_SCALE, rel=1e-3)
    assert joint(far, "base of spine")[2] == pytest.approx(
        2 * joint(near, "base of spine")[2], rel=1e-3
    )


def test_two_people_stand_beside_each_other() -> None:
    clip = to_recording(some_landmarks(bodies=2), NTU25)

    apart = clip.bodies["1"].joints[0, 0] - clip.bodies["2"].joints[0, 0]
    # The second is 200 pixels to the right, which is towards the camera's right.
    assert apart[0] == pytest.approx(200 / 150 * KINECT_SCALE, rel=1e-3)
    assert abs(apart[1]) < 1e-6


def test_a_joint_counts_as_tracked_where_all_that_it_is_made_of_is_seen() -> None:
    landmarks = some_landmarks()
    landmarks.visibility[:, 31] = 0.1  # the left toe

    clip = to_recording(landmarks, NTU25)
    seen = joint_visibility(landmarks, NTU25)

    tracking = clip.bodies["1"].tracking
    assert tracking is not None
    foot = NTU25.joints.index("left foot")
    assert set(tracking[:, foot].tolist()) == {1}
    assert set(np.delete(tracking, foot, axis=1).ravel().tolist()) == {2}
    assert seen[0, foot] == np.float32(0.1)


def test_nobody_gives_a_recording_of_nobody() -> None:
    landmarks = some_landmarks(bodies=1).of_body(7)

    clip = to_recording(landmarks, NTU25)

    assert clip.num_frames == 10
    assert clip.bodies == {}


def test_other_layouts_are_refused() -> None:
    with pytest.raises(
        LayoutError, match=r"can be mapped to ntu25, kinect20, coco17, not to sbu15"
    ):
        to_recording(some_landmarks(), get_layout("sbu15"))
