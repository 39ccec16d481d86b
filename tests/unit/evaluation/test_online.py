"""Segments from scores of frames, while a sequence runs."""

import numpy as np
import pytest

from skelab.errors import ScoresError
from skelab.evaluation import (
    Hysteresis,
    choose_hysteresis,
    detect_online,
    evaluate_segmentation,
    frames_of_detections,
)

RULE = Hysteresis(enter=0.6, leave=0.3)


def shares(*rows: tuple[float, float]) -> np.ndarray:
    """Probabilities of two actions at each frame; the rest is no action."""
    made = np.array(rows, dtype=np.float64)
    return np.column_stack([made, 1 - made.sum(axis=1)])


def test_a_segment_begins_above_one_threshold_and_ends_below_a_lower_one() -> None:
    given = shares((0.5, 0), (0.7, 0), (0.4, 0), (0.5, 0.1), (0.2, 0), (0.5, 0))

    found = detect_online(given, RULE)

    (only,) = found
    assert only[:3] == (0, 1, 4)
    assert only.confidence == pytest.approx((0.7 + 0.4 + 0.5) / 3)


def test_another_action_that_enters_ends_the_segment_and_the_last_one_ends_with_the_sequence() -> (
    None
):
    given = shares((0.7, 0), (0.35, 0.6), (0.1, 0.8))

    found = detect_online(given, RULE)

    assert [each[:3] for each in found] == [(0, 0, 1), (1, 1, 3)]


@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_no_decision_changes_when_later_frames_do(memory: float) -> None:
    rng = np.random.default_rng(3)
    given = rng.dirichlet(np.ones(4) * 0.2, size=60).repeat(4, axis=0)[:60]
    other = given.copy()
    other[30:] = given[:30]
    rule = Hysteresis(0.5, 0.3, memory)

    one, two = (
        frames_of_detections(detect_online(each, rule), frames=60, background=3)
        for each in (given, other)
    )

    assert (one[:30] == two[:30]).all()
    assert (one[30:] != two[30:]).any()


def test_the_thresholds_are_those_with_the_best_segments() -> None:
    truth = np.array([2, 2, 0, 0, 0, 0, 2, 2])
    given = shares((0.5, 0), (0, 0), (0.6, 0), (0.2, 0), (0.2, 0), (0.2, 0), (0, 0), (0, 0))

    rule = choose_hysteresis([given], [truth])

    worth = [
        evaluate_segmentation(
            [truth],
            [frames_of_detections(detect_online(given, each), frames=8, background=2)],
            overlaps=(0.5,),
            background=2,
        ).f1[0.5]
        for each in (Hysteresis(), rule)
    ]
    assert worth == [0.0, 1.0]


@pytest.mark.parametrize("values", [(0.3, 0.5, 0.0), (0.5, 0.0, 0.0), (0.5, 0.3, 1.0)])
def test_thresholds_out_of_range_are_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(ScoresError, match="hysteresis: expected 0 < leave <= enter <= 1"):
        Hysteresis(*values)
