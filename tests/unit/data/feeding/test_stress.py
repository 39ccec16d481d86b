"""Clips under stress: what each kind does, and what it leaves alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_clips import SBU15, tiny_clip, tiny_info, tiny_store

from skelab.data.clips.clip import Clip
from skelab.data.clips.store import open_store
from skelab.data.clips.write import write_store
from skelab.data.feeding.stress import STRESSES, Scene, StressedClips, limbs_of, stressed
from skelab.skeleton import get_layout

NTU25 = get_layout("ntu25")
PAIR = tiny_clip(1)  # two bodies


def under(name: str, strength: float, clip: Clip = PAIR, *, seed: int = 5) -> Clip:
    """A clip under one kind of stress."""
    rng = np.random.default_rng(seed)
    return stressed(clip, Scene(SBU15), STRESSES[name], strength, rng)


def test_there_are_nine_kinds_of_five_strengths_from_weak_to_strong() -> None:
    assert len(STRESSES) == 9
    for stress in STRESSES.values():
        assert list(stress.strengths) == sorted(set(stress.strengths))
        assert len(stress.strengths) == 5


@pytest.mark.parametrize("name", STRESSES)
def test_the_same_seed_gives_the_same_clip_and_a_stronger_one_changes_more(
    name: str, tmp_path: Path
) -> None:
    store = tiny_store(tmp_path / "clips.arrow")
    stress = STRESSES[name]

    def changed(strength: float, seed: int = 1) -> list[Clip]:
        clips = StressedClips(store, stress, strength, seed)
        return [clips.clip(row) for row in range(len(store))]

    strong, again = changed(stress.strengths[-1]), changed(stress.strengths[-1])
    weak, other = changed(stress.strengths[0]), changed(stress.strengths[0], seed=2)

    same = [np.array_equal(a.joints, b.joints) for a, b in zip(strong, again, strict=True)]
    kept = [np.array_equal(clip.joints, store.clip(row).joints) for row, clip in enumerate(strong)]
    assert all(same)
    assert not all(kept)
    if name != "other rate":  # which draws nothing
        differ = zip(weak, other, strict=True)
        assert not all(np.array_equal(a.joints, b.joints) for a, b in differ)


@pytest.mark.parametrize("name", STRESSES)
def test_a_body_that_is_absent_stays_absent(name: str) -> None:
    joints = PAIR.joints.copy()
    joints[1, :2] = 0
    clip = replace(PAIR, joints=joints)

    for strength in STRESSES[name].strengths:
        if name in ("other rate", "swapped bodies"):
            continue  # frames and bodies change places
        found = under(name, strength, clip)
        assert not found.joints[1, :2].any()


def test_missing_joints_are_a_share_and_the_same_ones_among_more() -> None:
    few, many = under("missing joints", 0.2), under("missing joints", 0.5)

    lost = [~clip.joints.any(axis=(0, 1, 3)) for clip in (few, many)]
    assert [int(each.sum()) for each in lost] == [3, 8]
    assert not (lost[0] & ~lost[1]).any()


def test_the_limbs_of_a_body_are_its_arms_legs_and_head() -> None:
    limbs = limbs_of(SBU15)

    named = {frozenset(SBU15.joints[joint] for joint in limb) for limb in limbs}
    assert len(limbs) == 5
    assert any("left hand" in limb and "left elbow" in limb for limb in named)
    assert all(SBU15.centre not in limb for limb in limbs)


def test_a_limb_is_lost_for_a_share_of_the_frames() -> None:
    found = under("lost limb", 0.6)

    missing = np.logical_not(found.joints.any(axis=(0, 3)))  # T V
    joints = np.flatnonzero(missing.any(axis=0))
    assert tuple(sorted(joints.tolist())) in {tuple(sorted(limb)) for limb in limbs_of(SBU15)}
    assert missing[:, joints[0]].sum() == round(0.6 * PAIR.num_frames)


def test_jitter_has_a_spread_in_mean_bone_lengths() -> None:
    long = tiny_clip(1)
    long = replace(
        long,
        joints=np.repeat(long.joints, 200, axis=1),
        frame_numbers=np.arange(200 * long.num_frames, dtype=np.int32),
    )
    ends, starts = np.array(SBU15.bones).T
    bones = np.linalg.norm(long.joints[:, :, ends] - long.joints[:, :, starts], axis=-1)

    found = under("jitter", 0.2, long)

    assert (found.joints - long.joints).std() == pytest.approx(0.2 * bones.mean(), rel=0.02)


def test_dropped_frames_are_zero_and_never_all() -> None:
    found = under("dropped frames", 0.4)
    few = under("dropped frames", 1.0)

    empty = ~found.joints.any(axis=(0, 2, 3))
    assert empty.sum() == round(0.4 * PAIR.num_frames)
    assert few.joints.any()


def test_another_rate_keeps_every_nth_frame() -> None:
    found = under("other rate", 2.0)

    np.testing.assert_array_equal(found.joints, PAIR.joints[:, ::2])
    assert len(found.frame_numbers) == found.num_frames


def test_another_view_turns_people_about_their_vertical_axis() -> None:
    found = under("other view", 90.0)

    before = PAIR.joints.reshape(-1, 3) - PAIR.joints.reshape(-1, 3).mean(axis=0)
    after = found.joints.reshape(-1, 3) - found.joints.reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(after[:, 1], before[:, 1], atol=1e-5)
    np.testing.assert_allclose(np.abs(after[:, 0]), np.abs(before[:, 2]), atol=1e-5)
    np.testing.assert_allclose(
        np.linalg.norm(after, axis=1), np.linalg.norm(before, axis=1), atol=1e-5
    )


def test_where_z_is_up_people_turn_about_z() -> None:
    rng = np.random.default_rng(5)

    found = stressed(PAIR, Scene(SBU15, "z"), STRESSES["other view"], 45.0, rng)

    np.testing.assert_allclose(found.joints[..., 2], PAIR.joints[..., 2], atol=1e-5)


def test_a_mirrored_camera_swaps_sides_and_the_sign_of_x() -> None:
    found = under("mirrored camera", 1.0)

    expected = PAIR.joints[:, :, list(SBU15.mirror)] * np.array([-1, 1, 1], np.float32)
    np.testing.assert_array_equal(found.joints, expected)


def test_bodies_change_places_at_as_many_frames_as_it_is_strong() -> None:
    found = under("swapped bodies", 2.0)

    swapped = (found.joints[0] == PAIR.joints[1]).all(axis=(1, 2))
    kept = (found.joints[0] == PAIR.joints[0]).all(axis=(1, 2))
    assert (swapped ^ kept).all()
    assert np.abs(np.diff(np.concatenate([[0], swapped.astype(int)]))).sum() == 2


def test_one_body_cannot_be_swapped() -> None:
    alone = tiny_clip(0)

    found = under("swapped bodies", 4.0, alone)

    np.testing.assert_array_equal(found.joints, alone.joints)
    assert STRESSES["swapped bodies"].unfit(SBU15, 1) == "no clip has two bodies"


def test_people_are_scaled_about_the_middle() -> None:
    found = under("scaled people", 0.3)

    middle = PAIR.joints.reshape(-1, 3).mean(axis=0)
    factor = (found.joints - middle) / (PAIR.joints - middle)
    assert factor.mean() == pytest.approx(1.3, abs=1e-3) or factor.mean() == pytest.approx(
        0.7, abs=1e-3
    )
    np.testing.assert_allclose(found.joints.reshape(-1, 3).mean(axis=0), middle, atol=1e-5)


def test_poses_in_the_image_have_no_other_view() -> None:
    coco = get_layout("coco17")

    assert STRESSES["other view"].unfit(coco, 2).startswith("it needs coordinates x, y, z; layout")
    assert STRESSES["scaled people"].unfit(coco, 2) == ""


def test_scores_of_joints_are_not_moved(tmp_path: Path) -> None:
    coco = get_layout("coco17")
    clips = [tiny_clip(row, layout=coco, label=row % 3) for row in range(4)]
    write_store(tmp_path / "clips.arrow", clips, tiny_info(layout=coco))
    store = open_store(tmp_path / "clips.arrow")

    found = StressedClips(store, STRESSES["jitter"], 0.8, 0).clip(1)

    scores = [axis not in ("x", "y") for axis in coco.axes]
    np.testing.assert_array_equal(found.joints[..., scores], store.clip(1).joints[..., scores])
    assert len(StressedClips(store, STRESSES["jitter"], 0.8, 0)) == 4
