"""Joints of two layouts that are the same, whatever they are called."""

from dataclasses import replace
from itertools import permutations

import pytest

from skelab.skeleton import Layout, canonical_name, get_layout, list_layouts, match_joints


def named_pairs(source: str, target: str) -> dict[str, str]:
    """The counterpart in ``source`` of each joint of ``target``, by name."""
    joints = match_joints(get_layout(source), get_layout(target))
    return {
        joints.target.joints[pair.target]: joints.source.joints[pair.source]
        for pair in joints.pairs
    }


def test_a_layout_matches_itself_joint_by_joint() -> None:
    for layout in list_layouts():
        pairs = match_joints(layout, layout).pairs

        assert [(pair.source, pair.target, pair.same) for pair in pairs] == [
            (joint, joint, True) for joint in range(layout.num_joints)
        ]


def test_the_trunks_of_both_kinects_are_matched_by_what_they_are() -> None:
    found = named_pairs("ntu25", "kinect20")

    assert found["hip centre"] == "base of spine"
    assert found["spine"] == "middle of spine"
    assert found["shoulder centre"] == "spine at the shoulders"
    assert found["left wrist"] == "left wrist"
    assert len(found) == 20
    assert match_joints(get_layout("ntu25"), get_layout("kinect20")).source_only == (
        "neck",
        "tip of left hand",
        "left thumb",
        "tip of right hand",
        "right thumb",
    )


def test_joints_in_another_order_are_matched_by_name() -> None:
    utd, kinect = get_layout("utd20"), get_layout("kinect20")

    pairs = match_joints(utd, kinect).pairs

    assert [pair.source for pair in pairs] == [3, 2, 1, 0, *range(4, 20)]
    assert [utd.joints[pair.source] for pair in pairs] == list(kinect.joints)


def test_neighbours_stand_in_only_for_joints_that_are_missing() -> None:
    from_kinect, from_coco = named_pairs("kinect20", "sbu15"), named_pairs("coco17", "sbu15")

    assert from_kinect["left hand"] == "left hand"
    assert from_coco["left hand"] == "left wrist"
    assert from_kinect["neck"] == "shoulder centre"
    assert from_kinect["torso"] == "spine"
    assert from_coco["head"] == "nose"
    assert from_coco["right foot"] == "right ankle"
    assert "torso" not in from_coco


def test_neighbours_are_told_from_joints_that_are_the_same() -> None:
    joints = match_joints(get_layout("ntu25"), get_layout("sbu15"))

    near = {joints.target.joints[pair.target] for pair in joints.pairs if not pair.same}

    assert near == {"torso"}
    assert joints.target_only == ()


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("HipCenter", "base of spine"),
        ("spine_base", "base of spine"),
        ("SpineShoulder", "spine at the shoulders"),
        ("Shoulder Centre", "spine at the shoulders"),
        ("ShoulderLeft", "left shoulder"),
        ("l_shoulder", "left shoulder"),
        ("HandTipRight", "right tip of hand"),
        ("tip of right hand", "right tip of hand"),
        ("RIGHT-WRIST", "right wrist"),
        ("left eye", "left eye"),
    ],
)
def test_spelling_case_and_the_place_of_the_side_do_not_matter(
    written: str, canonical: str
) -> None:
    assert canonical_name(written) == canonical


def test_no_joint_of_a_shipped_layout_shares_its_canonical_name_with_another() -> None:
    for layout in list_layouts():
        names = {canonical_name(joint) for joint in layout.joints}

        assert len(names) == layout.num_joints, layout.name


def test_matching_backwards_gives_the_same_pairs_and_no_joint_twice() -> None:
    for a, b in permutations(list_layouts(), 2):
        there, back = match_joints(a, b), match_joints(b, a)

        assert {(pair.source, pair.target, pair.same) for pair in there.pairs} == {
            (pair.target, pair.source, pair.same) for pair in back.pairs
        }
        assert len({pair.source for pair in there.pairs}) == len(there.pairs)


def test_every_pair_of_shipped_layouts_has_at_least_twelve_joints_in_common() -> None:
    for a, b in permutations(list_layouts(), 2):
        assert len(match_joints(a, b).pairs) >= 12, (a.name, b.name)


def test_a_name_that_is_equal_wins_over_an_alias() -> None:
    kinect = get_layout("kinect20")
    both: Layout = replace(
        kinect, joints=("pelvis", *kinect.joints[1:3], "hip centre", *kinect.joints[4:])
    )

    pairs = match_joints(both, kinect).pairs

    assert pairs[0].source == both.joint("hip centre")
