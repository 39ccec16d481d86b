"""Performers: all different, all plausible."""

import numpy as np
import pytest

from skelab.synthetic.exact import Draws
from skelab.synthetic.performer import LEFT, NUM_PERFORMERS, Performance, performer

EVERYONE = range(1, NUM_PERFORMERS + 1)


def test_performers_differ_and_are_of_plausible_height() -> None:
    people = [performer(number, seed=0) for number in EVERYONE]

    heights = [person.physique.height for person in people]
    assert len(set(heights)) == NUM_PERFORMERS
    assert 1.55 <= min(heights) < 1.65
    assert 1.80 < max(heights) <= 1.90


def test_a_few_are_left_handed() -> None:
    people = [performer(number, seed=seed) for seed in range(10) for number in EVERYONE]

    left = sum(person.main_side == LEFT for person in people) / len(people)

    assert 0.05 < left < 0.15


def test_a_performer_depends_on_the_seed_alone() -> None:
    assert performer(5, seed=1) == performer(5, seed=1)
    assert performer(5, seed=1) != performer(5, seed=2)


@pytest.mark.parametrize("frames", [1, 30, 120])
def test_a_movement_rises_holds_and_falls_within_its_clock(frames: int) -> None:
    act = Performance(performer(1, seed=0), frames, Draws(0))

    held = act.hold(0.2, 0.4, 0.6, 0.8)

    assert held.shape == (frames,)
    assert held.min() >= -1e-12
    assert held.max() <= 1.0 + 1e-12
    assert held[0] == 0.0 or frames == 1


def test_standing_sways_a_little_and_no_more() -> None:
    act = Performance(performer(1, seed=0), 90, Draws(0))

    pose = act.standing()

    sway = np.ptp(pose.pelvis[0])
    assert 0.0 < sway < 0.06
