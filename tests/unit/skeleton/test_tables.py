"""The layouts of the public data sets, against what their makers print."""

import pytest

from skelab.errors import LayoutError
from skelab.skeleton import Layout, get_layout, list_layouts

NAMES = [layout.name for layout in list_layouts()]


def test_the_layouts_come_sorted_by_name() -> None:
    names = [layout.name for layout in list_layouts()]

    assert names == ["coco17", "kinect20", "ntu25", "openpose18", "sbu15", "utd20"]


def test_an_unknown_layout_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(LayoutError) as caught:
        get_layout("ntu24")

    assert str(caught.value) == (
        "unknown layout 'ntu24', did you mean 'ntu25'?"
        " Known: coco17, kinect20, ntu25, openpose18, sbu15, utd20"
    )


@pytest.mark.parametrize(
    ("name", "num_joints", "centre", "origin"),
    [
        ("ntu25", 25, "spine at the shoulders", "middle of spine"),
        ("kinect20", 20, "shoulder centre", "spine"),
        ("utd20", 20, "shoulder centre", "spine"),
        ("sbu15", 15, "torso", "torso"),
        ("coco17", 17, "nose", "nose"),
        ("openpose18", 18, "neck", "neck"),
    ],
)
def test_each_layout_has_its_joints_its_centre_and_its_origin(
    name: str, num_joints: int, centre: str, origin: str
) -> None:
    layout = get_layout(name)

    assert layout.num_joints == num_joints
    assert layout.joints[layout.centre] == centre
    assert layout.joints[layout.origin] == origin


@pytest.mark.parametrize("name", NAMES)
def test_the_title_and_the_source_are_told(name: str) -> None:
    layout = get_layout(name)

    assert layout.title
    assert layout.source


@pytest.mark.parametrize("name", NAMES)
def test_pairs_are_left_then_right_of_the_same_part(name: str) -> None:
    layout = get_layout(name)

    pairs = [(layout.joints[left], layout.joints[right]) for left, right in layout.pairs]

    assert all("left" in left and left.replace("left", "right") == right for left, right in pairs)


@pytest.mark.parametrize("name", NAMES)
def test_every_joint_named_left_or_right_stands_in_a_pair(name: str) -> None:
    layout = get_layout(name)
    paired = {index for pair in layout.pairs for index in pair}

    sided = {i for i, joint in enumerate(layout.joints) if "left" in joint or "right" in joint}

    assert sided == paired


@pytest.mark.parametrize("name", ["ntu25", "kinect20", "utd20", "sbu15", "openpose18"])
def test_the_mirror_image_of_a_bone_is_a_bone(name: str) -> None:
    layout = get_layout(name)

    mirrored = {(layout.mirror[joint], layout.mirror[parent]) for joint, parent in layout.bones}

    assert mirrored == set(layout.bones)


@pytest.mark.parametrize("name", ["ntu25", "kinect20", "utd20"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_limbs_of_a_kinect_run_shoulder_to_hand_and_hip_to_foot(name: str, side: str) -> None:
    layout = get_layout(name)
    chains = [("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot")]

    for chain in chains:
        joints = [layout.joint(f"{side} {part}") for part in chain]

        assert joints == list(range(joints[0], joints[0] + 4))
        assert [layout.parents[joint] for joint in joints[1:]] == joints[:3]


def test_utd_is_kinect_with_the_trunk_reversed() -> None:
    kinect, utd = get_layout("kinect20"), get_layout("utd20")

    trunk, limbs = utd.joints[:4], utd.joints[4:]

    assert trunk == kinect.joints[3::-1]
    assert limbs == kinect.joints[4:]
    assert _named_bones(utd) == _named_bones(kinect)


def test_ntu_tips_of_hands_hang_from_thumbs_as_the_authors_tie_them() -> None:
    layout = get_layout("ntu25")

    bones = _named_bones(layout)

    assert ("tip of left hand", "left thumb") in bones
    assert ("left thumb", "left hand") in bones
    assert ("tip of right hand", "right thumb") in bones
    assert ("right thumb", "right hand") in bones


def _named_bones(layout: Layout) -> set[tuple[str, str]]:
    return {(layout.joints[joint], layout.joints[parent]) for joint, parent in layout.bones}
