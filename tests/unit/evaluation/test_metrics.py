import json
import math

import numpy as np
import pytest
import sklearn.metrics
from made_scores import made_scores, scores_of

from skelab.errors import ScoresError
from skelab.evaluation import (
    accuracy_by_group,
    calibration_error,
    confused_pairs,
    confusion_matrix,
    evaluate_scores,
    log_loss,
    reliability,
    softmax,
    topk_accuracy,
    wilson_interval,
)


def test_the_interval_equals_the_textbook_value() -> None:
    low, high = wilson_interval(81, 263)

    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


@pytest.mark.parametrize(
    ("hits", "total", "expected"),
    [(15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_the_interval_equals_the_same_table_elsewhere(
    hits: int, total: int, expected: tuple[float, float]
) -> None:
    low, high = wilson_interval(hits, total)

    assert (round(low, 4), round(high, 4)) == expected


def test_the_interval_of_all_right_ends_at_one() -> None:
    low, high = wilson_interval(50, 50)

    assert high == 1.0
    assert 0.92 < low < 0.94


@pytest.mark.parametrize(("hits", "total"), [(0, 0), (3, 2), (-1, 2)])
def test_an_impossible_count_has_no_interval(hits: int, total: int) -> None:
    with pytest.raises(ScoresError, match=rf"hits in 0..total, found {hits} of {total}"):
        wilson_interval(hits, total)


def test_accuracy_carries_hits_and_interval() -> None:
    scores = scores_of(np.array([[2, 1, 0], [2, 1, 0], [2, 1, 0], [0, 1, 2]]), [0, 1, 2, 2])

    top1, top2 = topk_accuracy(scores, 1), topk_accuracy(scores, 2)

    assert (top1.hits, top1.total, top1.value) == (2, 4, 0.5)
    assert (top2.hits, top2.value) == (3, 0.75)
    assert (top1.low, top1.high) == wilson_interval(2, 4)
    with pytest.raises(ScoresError, match="k of at least 1, found -1"):
        topk_accuracy(scores, -1)


def test_top_five_of_fewer_classes_is_everything() -> None:
    scores = made_scores(10, 3)

    assert topk_accuracy(scores, 5).value == 1.0


def test_probabilities_are_safe_for_any_logits() -> None:
    logits = np.array([[1e4, 0.0], [-1e4, 0.0], [3.0, 3.0]], dtype=np.float32)

    probabilities = softmax(logits)

    np.testing.assert_allclose(probabilities, [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    assert log_loss(logits, np.array([0, 1, 0])) == pytest.approx(math.log(2) / 3)


def test_log_loss_equals_that_of_scikit_learn() -> None:
    scores = made_scores(50, 6)

    loss = log_loss(scores.logits, scores.labels)

    expected = sklearn.metrics.log_loss(scores.labels, softmax(scores.logits), labels=range(6))
    assert loss == pytest.approx(expected, rel=1e-12)


def test_the_confusion_matrix_counts_row_by_truth() -> None:
    labels, predictions = np.array([0, 0, 1, 3, 3]), np.array([0, 1, 1, 0, 3])

    matrix = confusion_matrix(labels, predictions, 4)

    expected = np.zeros((4, 4), dtype=np.int64)
    for label, prediction in zip(labels, predictions, strict=True):
        expected[label, prediction] += 1
    np.testing.assert_array_equal(matrix, expected)


def test_class_figures_equal_their_definitions() -> None:
    scores = made_scores(80, 5)

    results = evaluate_scores(scores).per_class

    for k, result in enumerate(results):
        true, said = scores.labels == k, scores.predictions == k
        both = int((true & said).sum())
        assert (result.support, result.predicted) == (true.sum(), said.sum())
        assert result.precision == pytest.approx(both / said.sum())
        assert result.recall == pytest.approx(both / true.sum())
        assert result.f1 == pytest.approx(2 * both / (true.sum() + said.sum()))


def test_a_class_that_does_not_occur_does_not_count_in_the_mean() -> None:
    scores = scores_of(np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0]]), [0, 1, 1])

    evaluation = evaluate_scores(scores)

    assert evaluation.mean_class_accuracy == pytest.approx((1 + 0.5) / 2)
    assert math.isnan(evaluation.per_class[2].recall)
    assert math.isnan(evaluation.per_class[2].f1)
    assert evaluation.to_dict()["per_class"][2]["recall"] is None


def test_the_worst_pairs_come_first_and_the_diagonal_never() -> None:
    matrix = np.array([[9, 2, 0], [2, 3, 1], [0, 0, 50]])

    pairs = confused_pairs(matrix, ["a", "b", "c"], limit=2)

    assert [(p.truth, p.prediction, p.count) for p in pairs] == [("b", "a", 2), ("a", "b", 2)]
    assert pairs[0].share == pytest.approx(2 / 6)


def test_calibration_equals_its_definition_written_as_loops() -> None:
    scores = made_scores(200, 4, lean=0.8)

    bins = reliability(scores.logits, scores.labels, bins=15)
    error = calibration_error(bins)

    probabilities = softmax(scores.logits)
    expected = 0.0
    for number in range(15):
        inside = [
            n for n in range(200) if number / 15 < probabilities[n].max() <= (number + 1) / 15
        ]
        if inside:
            right = np.mean([probabilities[n].argmax() == scores.labels[n] for n in inside])
            confidence = np.mean([probabilities[n].max() for n in inside])
            expected += len(inside) / 200 * abs(right - confidence)
            assert bins[number].count == len(inside)
    assert error == pytest.approx(expected)
    assert sum(entry.count for entry in bins) == 200


def test_full_confidence_falls_into_the_last_bin() -> None:
    logits = np.array([[1e3, 0.0], [1e3, 0.0]], dtype=np.float32)

    bins = reliability(logits, np.array([0, 1]))

    assert [entry.count for entry in bins] == [0] * 14 + [2]
    assert calibration_error(bins) == pytest.approx(0.5)
    assert math.isnan(bins[0].accuracy)


def test_groups_leave_unknown_numbers_out() -> None:
    scores = made_scores(50)

    results = accuracy_by_group(scores, "camera")

    camera = scores.group("camera")
    assert [result.number for result in results] == [1, 2, 3]
    for result in results:
        inside = camera == result.number
        right = scores.predictions[inside] == scores.labels[inside]
        assert (result.top1.hits, result.top1.total) == (right.sum(), inside.sum())
    assert accuracy_by_group(scores, "setup") == ()


def test_the_summary_is_strict_json_and_holds_the_figures() -> None:
    scores = made_scores(40)
    evaluation = evaluate_scores(scores)

    content = json.loads(evaluation.to_json())

    assert content["top1"]["value"] == scores.top(1)
    assert content["top5"]["hits"] == round(40 * scores.top(5))
    assert content["info"]["split"] == "xsub"
    assert np.array(content["confusion"]).sum() == 40
    assert len(content["reliability"]) == 15
    assert set(content["groups"]) == {"subject", "camera"}
    assert content["groups"]["subject"][0]["top1"]["total"] > 0
