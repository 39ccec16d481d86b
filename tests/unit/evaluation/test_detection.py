"""The usual figures of detection, and where they differ from those of PKU-MMD."""

import math
from typing import Any

import numpy as np
import pytest

from skelab.errors import ScoresError
from skelab.evaluation import (
    Detection,
    Ranking,
    average_precision,
    evaluate_detections,
    evaluate_pku,
    evaluate_segmentation,
)
from skelab.evaluation.detection import PlacedDetection

TRUTH = {"a": [Detection(1, 0, 10), Detection(2, 20, 30)], "b": [Detection(1, 5, 15)]}


def placed(*found: Detection) -> list[PlacedDetection]:
    return [PlacedDetection("a", each) for each in found]


def test_perfect_detections_score_one() -> None:
    result = evaluate_detections(TRUTH, TRUTH)

    assert (result.mean_ap, result.precision, result.recall, result.f1) == (1, 1, 1, 1)
    assert result.mean_delay == 0
    assert result.per_class == {1: 1.0, 2: 1.0}


def test_a_weaker_false_alarm_costs_nothing_usually_and_half_in_pku_mmd() -> None:
    truth = placed(Detection(1, 0, 10))
    found = placed(Detection(1, 0, 10, 0.9), Detection(1, 50, 60, 0.1))

    usual, pku = (average_precision(truth, found, 0.5, ranking=each) for each in Ranking)

    assert (usual, pku) == (1.0, 0.5)


def test_a_truth_is_matched_once_by_the_most_confident() -> None:
    truth = {"a": [Detection(1, 0, 10)]}
    found = {"a": [Detection(1, 1, 10, 0.4), Detection(1, 2, 10, 0.8)]}

    result = evaluate_detections(truth, found)

    assert (result.precision, result.recall, result.mean_ap) == (0.5, 1.0, 1.0)
    assert result.mean_delay == 2


def test_average_precision_is_the_envelope_written_out() -> None:
    truths = placed(*(Detection(1, 20 * k, 20 * k + 10) for k in range(4)))
    hits = [Detection(1, 20 * k, 20 * k + 10, c) for k, c in ((0, 0.9), (1, 0.7), (2, 0.3))]
    wrong = [Detection(1, 500, 510, c) for c in (0.8, 0.5, 0.4)]

    found = average_precision(truths, placed(*wrong, *hits), 0.5)

    # by confidence: hit, miss, hit, miss, miss, hit: precision 1, 2/3, 3/6 at the three hits
    assert found == pytest.approx((1 + 2 / 3 + 1 / 2) / 4)


def test_other_labels_and_sequences_never_match() -> None:
    found = {"a": [Detection(2, 0, 10)], "b": [Detection(1, 20, 30)]}

    result = evaluate_detections(TRUTH, found)

    assert (result.precision, result.recall, result.f1, result.mean_ap) == (0, 0, 0, 0)
    assert math.isnan(result.mean_delay)


def test_classes_without_a_truth_are_false_alarms_but_no_term_of_the_mean() -> None:
    found = {**TRUTH, "b": [*TRUTH["b"], Detection(9, 0, 5)]}

    result = evaluate_detections(TRUTH, found)

    assert set(result.per_class) == {1, 2}
    assert result.precision == pytest.approx(3 / 4)


@pytest.mark.parametrize(("end", "hit"), [(5, True), (4.9, False)])
def test_the_overlap_itself_suffices(end: float, hit: bool) -> None:
    result = evaluate_detections({"a": [Detection(1, 0, 10)]}, {"a": [Detection(1, 0, end)]})

    assert result.recall == float(hit)


def test_an_empty_result_is_no_error() -> None:
    result = evaluate_detections(TRUTH, {})

    assert (result.precision, result.recall, result.mean_ap) == (0, 0, 0)


@pytest.mark.parametrize(
    ("truths", "found", "overlap", "message"),
    [
        ({"a": []}, {}, 0.5, "at least one true segment, found none"),
        (TRUTH, {"z": []}, 0.5, "sequence 'z' is not among the true ones"),
        (TRUTH, {"a": [Detection(1, 9, 3)]}, 0.5, "sequence 'a': expected a start before the end"),
        (TRUTH, {"a": [Detection(1, 0, 3, math.nan)]}, 0.5, "a finite confidence"),
        (TRUTH, {}, 0.0, "overlap: expected a number above 0 and up to 1, found 0.0"),
    ],
)
def test_detections_that_contradict_themselves_are_refused(
    truths: Any, found: Any, overlap: float, message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        evaluate_detections(truths, found, overlap=overlap)


def test_pku_mmd_needs_a_result_file() -> None:
    with pytest.raises(ScoresError, match="expected at least one sequence, found none"):
        evaluate_pku(TRUTH, {}, 0.5)


def test_segmentations_of_other_lengths_are_refused() -> None:
    labels = np.zeros(4, dtype=np.int64)

    with pytest.raises(ScoresError, match="as many predicted sequences as true ones, from 1"):
        evaluate_segmentation([labels], [])
    with pytest.raises(ScoresError, match="sequence 0: expected a predicted label for each of 4"):
        evaluate_segmentation([labels], [labels[:3]])
