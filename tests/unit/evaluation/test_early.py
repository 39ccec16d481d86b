"""Metrics of early recognition, against their definitions written out clip by clip."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from skelab.errors import ScoresError
from skelab.evaluation import (
    FIXED_THRESHOLDS,
    RATIOS,
    Area,
    EarlyProtocol,
    EarlyScores,
    ScoresInfo,
    area,
    choose_thresholds,
    compare_areas,
    early_exits,
    evaluate_early,
    frame_at_ratio,
    time_to_correct,
)

INFO = ScoresInfo("made-up", "xsub", "test", "honest", "tiny", "joint")


def scores_of(right: list[list[bool]], confidence: float = 2.0, **changes: Any) -> EarlyScores:
    """Two classes; where ``right`` says so the true one, 0, is the likelier."""
    logits = np.array([[[confidence, 0] if r else [0, confidence] for r in row] for row in right])
    shares = logits.shape[1]
    usual: dict[str, Any] = {
        "names": tuple(f"clip{n}" for n in range(len(right))),
        "labels": np.zeros(len(right), dtype=np.int64),
        "logits": logits.astype(np.float32),
        "ratios": tuple((place + 1) / shares for place in range(shares)),
        "classes": ("wave", "sit"),
        "info": INFO,
    }
    return EarlyScores(**{**usual, **changes})


def random_scores(seed: int, clips: int = 40) -> EarlyScores:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, clips)
    logits = rng.normal(size=(clips, 10, 4))
    logits += 3 * np.array(RATIOS)[:, None] * np.eye(4)[labels][:, None]
    names = tuple(f"clip{n}" for n in range(clips))
    return EarlyScores(names, labels, logits.astype(np.float32), RATIOS, tuple("abcd"), INFO)


def test_accuracy_and_auc_are_the_plain_means() -> None:
    scores = scores_of([[False, True, True], [False, False, True]])

    found = evaluate_early(scores)

    assert [each.value for each in found.accuracy] == [0.0, 0.5, 1.0]
    assert found.auc == pytest.approx(0.5)


def test_the_trapezoid_rule_weights_the_ends_by_half() -> None:
    assert area([0.0, 0.5, 1.0], (0.1, 0.2, 0.4), rule=Area.TRAPEZOID) == pytest.approx(
        (0.1 * 0.25 + 0.2 * 0.75) / 0.3
    )


def test_an_answer_is_settled_where_it_is_right_and_stays_so() -> None:
    scores = scores_of(
        [[True, False, True, True], [True, True, True, True], [True, True, True, False]]
    )

    found = time_to_correct(scores)

    assert (found.settled, found.total) == (2, 3)
    assert found.mean == pytest.approx((0.75 + 0.25) / 2)
    assert found.median == pytest.approx(0.75)


def test_where_most_clips_never_settle_there_is_no_median() -> None:
    found = time_to_correct(scores_of([[True, False], [True, False], [True, True]]))

    assert (found.settled, found.mean) == (1, 0.5)
    assert math.isnan(found.median)
    assert math.isnan(time_to_correct(scores_of([[True, False]])).mean)


def test_calibration_is_that_of_each_share() -> None:
    scores = scores_of([[False, True], [True, True]])

    found = evaluate_early(scores)

    sure = float(softmax([2.0, 0.0])[0])
    assert found.calibration_error == pytest.approx((abs(0.5 - sure), 1 - sure))


def test_an_exit_answers_at_the_first_share_that_is_sure_enough_else_at_the_last() -> None:
    scores = random_scores(0)

    points = early_exits(scores, (0.5, 0.9))

    for point in points:
        observed, right = [], []
        for row, label in zip(scores.logits, scores.labels, strict=True):
            chosen = next((k for k in range(10) if softmax(row[k]).max() >= point.threshold), 9)
            observed.append(RATIOS[chosen])
            right.append(row[chosen].argmax() == label)
        assert point.observed == pytest.approx(np.mean(observed))
        assert point.accuracy == pytest.approx(np.mean(right))
    assert [point.threshold for point in points] == [0.5, 0.9]


def test_thresholds_are_chosen_on_validation_and_only_read_off_on_the_test_part() -> None:
    scores, validation = random_scores(0), random_scores(1)

    found = evaluate_early(scores, validation)

    chosen = choose_thresholds(validation)
    assert found.thresholds_chosen
    assert {point.threshold for point in found.exits} == set(chosen)
    assert found.exits == early_exits(scores, chosen)


def test_a_chosen_threshold_is_the_most_accurate_that_observes_no_more() -> None:
    validation = random_scores(1)

    chosen = choose_thresholds(validation)

    points = {point.threshold: point for point in early_exits(validation, chosen)}
    every = early_exits(validation, np.linspace(0.25, 1.0, 400).tolist())
    for budget in RATIOS[3:]:
        best = max(point.accuracy for point in points.values() if point.observed <= budget + 1e-9)
        possible = max(point.accuracy for point in every if point.observed <= budget)
        assert best >= possible - 0.051  # the candidates are the percentiles of the confidence


def test_without_validation_the_thresholds_are_fixed_and_said_to_be() -> None:
    found = evaluate_early(random_scores(0))

    assert not found.thresholds_chosen
    assert {point.threshold for point in found.exits} == set(FIXED_THRESHOLDS)
    assert found.to_dict()["thresholds"] == "fixed"


def test_two_networks_are_compared_clip_by_clip_whatever_their_order() -> None:
    first, other = random_scores(0), random_scores(1)
    other = replace(other, labels=first.labels, names=first.names[::-1])

    found = compare_areas(first, other, resamples=500)

    change = other.right[::-1].mean() - first.right.mean()
    assert found.difference == pytest.approx(change)
    assert found.full_difference == pytest.approx(
        other.right[:, -1].mean() - first.right[:, -1].mean()
    )
    assert found.low < found.difference < found.high


def test_protocols_are_never_compared_with_one_another() -> None:
    first = random_scores(0)

    with pytest.raises(ScoresError, match="P1 and P2 are no measure of one another"):
        compare_areas(first, replace(first, protocol=EarlyProtocol.P2))


def test_other_clips_are_not_compared() -> None:
    first = random_scores(0)

    with pytest.raises(ScoresError, match="expected the same clips and shares, found others"):
        compare_areas(first, random_scores(0, clips=39))


def test_validation_must_be_of_the_same_kind() -> None:
    scores = random_scores(0)

    with pytest.raises(ScoresError, match="validation scores of the same classes, shares and"):
        evaluate_early(scores, replace(scores, protocol=EarlyProtocol.P2))


def test_scores_come_back_from_their_file(tmp_path: Path) -> None:
    scores = replace(random_scores(0), protocol=EarlyProtocol.P2, frame_accuracy=0.25)

    scores.save(tmp_path / "early.npz")
    found = EarlyScores.load(tmp_path / "early.npz")

    np.testing.assert_array_equal(found.logits, scores.logits)
    np.testing.assert_array_equal(found.labels, scores.labels)
    for name in ("names", "ratios", "classes", "info", "protocol", "frame_accuracy"):
        assert getattr(found, name) == getattr(scores, name)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "early.npz"
    path.write_bytes(content)

    with pytest.raises(ScoresError, match=r"early.npz: expected scores of `skelab anticipate`"):
        EarlyScores.load(path)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("info", '{"dataset": 7}'),
        ("info", "[" * 100_000),
        ("protocol", '{"name": "P3", "frame_accuracy": null}'),
        ("protocol", '{"name": "P1", "frame_accuracy": "0.5"}'),
        ("protocol", "[]"),
    ],
)
def test_a_forged_description_is_one_line(entry: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "early.npz"
    random_scores(0).save(path)
    with np.load(path) as archive:
        arrays = {**archive, entry: np.array(text)}
    np.savez(path, **arrays)

    with pytest.raises(ScoresError, match=r"early.npz: ") as caught:
        EarlyScores.load(path)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratios": (0.5, 0.2)}, "observed shares that rise from above 0 to 1"),
        ({"ratios": (0.5, 0.9)}, "observed shares that rise from above 0 to 1"),
        ({"labels": np.array([2])}, r"clip 'clip0': expected a label in 0..1, found 2"),
        ({"labels": np.array([0, 0])}, "expected logits of shape"),
        ({"logits": np.full((1, 2, 2), np.nan, np.float32)}, "'clip0': expected finite logits"),
    ],
)
def test_scores_that_contradict_themselves_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        scores_of([[True, False]], **changes)


@pytest.mark.parametrize("ratio", [0.0, 1.1])
def test_a_share_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ScoresError, match=r"expected a number in \(0, 1\]"):
        frame_at_ratio(64, ratio)


def test_an_area_needs_its_accuracies() -> None:
    with pytest.raises(ScoresError, match="expected one accuracy for each of 10 shares, found 1"):
        area([0.5])
    with pytest.raises(ScoresError, match="expected arithmetic float64 or float32, found 'half'"):
        area([0.5], (1.0,), arithmetic="half")
    with pytest.raises(ScoresError, match="at least two shares for the trapezoid rule"):
        area([0.5], (1.0,), rule=Area.TRAPEZOID)
