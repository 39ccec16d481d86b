"""Takes: what truly happens, before any camera."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skelab.skeleton import get_layout
from skelab.synthetic.actions import list_actions
from skelab.synthetic.scene import LONGEST, SHORTEST, VERY_LONGEST, make_take

LAYOUT = get_layout("ntu25")
ACTIONS = {action.number: action for action in list_actions(23)}
BASE, HEAD = 0, 3
HANDS, WRISTS, ANKLES, FEET = [7, 11], [6, 10], [14, 18], [15, 19]


def true_joints(action: int, *, performer: int = 1) -> np.ndarray:
    """Joints (B, 3, 25, T) of one take; performer 1 of seed 0 is right-handed."""
    return np.asarray(make_take(action, performer, 1, 1, 0).joints)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_bones_never_change_and_the_head_stays_over_the_feet(action: int) -> None:
    joints = true_joints(action)
    child, parent = np.array(LAYOUT.bones).T

    lengths = np.linalg.norm(joints[:, :, child] - joints[:, :, parent], axis=1)

    assert len(joints) == ACTIONS[action].persons
    assert np.ptp(lengths, axis=2).max() < 1e-9
    assert (joints[:, 1, HEAD] > joints[:, 1, FEET].max(axis=1)).all()
    assert joints[:, 1].min() > -0.15


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_nobody_moves_faster_than_people_do(action: int) -> None:
    for performer in (1, 2, 3):
        joints = true_joints(action, performer=performer)

        speed = np.linalg.norm(np.diff(joints, axis=3), axis=1) * 30

        assert speed.max() < 17.0


def test_takes_last_as_long_as_clips_of_ntu() -> None:
    lengths = [
        make_take(action, performer, 1, 1, 0).num_frames
        for action in (8, 1, 58)
        for performer in range(1, 41)
    ]

    assert min(lengths) >= SHORTEST
    assert max(lengths) <= VERY_LONGEST
    assert 45 < np.median(lengths) < 80
    assert 0 < sum(length > LONGEST for length in lengths) < 15


def test_a_take_is_the_same_every_time_and_cannot_be_changed() -> None:
    first = true_joints(10)
    make_take.cache_clear()

    assert_array_equal(true_joints(10), first)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0, 0, 0] = 1.0


def test_sitting_down_lowers_the_hips_and_standing_up_raises_them() -> None:
    sit, stand = true_joints(8)[0, 1, BASE], true_joints(9)[0, 1, BASE]

    assert sit[0] - sit[-1] > 0.35
    assert stand[-1] - stand[0] > 0.35


def test_drinking_brings_one_hand_to_the_head() -> None:
    joints = true_joints(1)[0]

    distance = np.linalg.norm(joints[:, HANDS] - joints[:, [HEAD]], axis=0).min(axis=1)

    assert distance.min() < 0.25
    assert distance.max() > 0.6


def test_clapping_brings_the_hands_together_again_and_again() -> None:
    joints = true_joints(10)[0]

    apart = np.linalg.norm(joints[:, WRISTS[0]] - joints[:, WRISTS[1]], axis=0)

    together = apart < 0.5 * (apart.min() + np.median(apart))
    assert apart.min() < 0.15
    assert np.count_nonzero(np.diff(together.astype(int)) == 1) >= 3


def test_jumping_lifts_both_feet_and_hopping_one_for_long() -> None:
    jump, hop = true_joints(27)[0, 1, ANKLES], true_joints(26)[0, 1, ANKLES]

    off_floor = [np.mean(ankles > ankles[:, :1] + 0.08, axis=1) for ankles in (jump, hop)]
    assert off_floor[0].min() > 0.03
    assert off_floor[1].max() > 0.5
    assert off_floor[1].min() < 0.5


def test_kicking_sends_one_foot_up_and_picking_up_a_hand_down() -> None:
    kick, pick = true_joints(24)[0, 1], true_joints(6)[0, 1]

    assert np.ptp(kick[ANKLES], axis=1).max() > 0.25
    assert np.ptp(kick[ANKLES], axis=1).min() < 0.10
    assert pick[HANDS].min() < 0.45


def test_people_meet_and_part() -> None:
    towards, apart = (true_joints(action)[:, :, BASE] for action in (59, 60))

    gaps = [np.linalg.norm(base[0] - base[1], axis=0) for base in (towards, apart)]
    assert gaps[0][0] > 2.0
    assert gaps[0][-1] < 1.1
    assert gaps[1][0] < 1.1
    assert gaps[1][-1] > 2.0


def test_hands_meet_in_a_handshake_and_a_fist_meets_a_face() -> None:
    shake, punch = true_joints(58), true_joints(50)

    right_hands = np.linalg.norm(shake[0, :, 11] - shake[1, :, 11], axis=0)
    fist = np.linalg.norm(punch[0, :, [7, 11]] - punch[1, :, [HEAD]], axis=1).min(axis=0)
    assert right_hands.min() < 0.22
    assert fist.min() < 0.40


def test_repetitions_of_two_change_sides() -> None:
    first, second = (make_take(58, 1, again, 1, 0).joints[:, 0, BASE, 0] for again in (1, 2))

    assert (first[0] - first[1]) * (second[0] - second[1]) < 0
