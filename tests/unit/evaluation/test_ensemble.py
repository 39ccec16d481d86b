import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_scores import made_info, made_scores, scores_of
from scipy.stats import binom

from skelab.errors import ScoresError
from skelab.evaluation import (
    Scores,
    apply_temperature,
    authors_weights,
    calibrate,
    evaluate_scores,
    fit_temperature,
    fit_weights,
    fuse,
    log_loss,
    paired_bootstrap,
)

STREAMS = ("joint", "bone", "joint_motion", "bone_motion")


@pytest.fixture(scope="module")
def golden(repository: Path) -> tuple[Mapping[str, Scores], Mapping[str, Mapping[str, float]]]:
    folder = repository / "tests" / "golden" / "ensemble"
    with np.load(folder / "scores.npz") as archive:
        labels = archive["label"].tolist()
        streams = {name: scores_of(archive[name], labels, stream=name) for name in STREAMS}
    return streams, json.loads((folder / "ensemble.json").read_text())["results"]


@pytest.mark.parametrize(
    ("case", "weights"),
    [
        ("two_stream_alpha_1", (1.0, 1.0)),
        ("two_stream_alpha_0.5", (1.0, 0.5)),
        ("msg3d_two_stream_alpha_1", (1.0, 1.0)),
        ("four_stream_0.6_0.6_0.4_0.4", (0.6, 0.6, 0.4, 0.4)),
        ("single_joint", (1.0,)),
    ],
)
def test_the_sum_reaches_what_the_official_scripts_print(
    golden: tuple[Mapping[str, Scores], Mapping[str, Mapping[str, float]]],
    case: str,
    weights: tuple[float, ...],
) -> None:
    streams, printed = golden

    fused = fuse([streams[name] for name in STREAMS[: len(weights)]], weights)

    assert round(100 * fused.top(1), 4) == printed[case]["top1_percent"]
    if "top5_percent" in printed[case]:
        assert round(100 * fused.top(5), 4) == printed[case]["top5_percent"]


@pytest.mark.parametrize(
    ("preset", "count", "case"),
    [
        ("ctrgcn", 4, "four_stream_0.6_0.6_0.4_0.4"),
        ("shiftgcn", 4, "four_stream_0.6_0.6_0.4_0.4"),
        ("authors", 2, "msg3d_two_stream_alpha_1"),
        ("pyskl", 2, "two_stream_alpha_1"),
    ],
)
def test_presets_reach_what_the_official_scripts_print(
    golden: tuple[Mapping[str, Scores], Mapping[str, Mapping[str, float]]],
    preset: str,
    count: int,
    case: str,
) -> None:
    streams, printed = golden
    names = [name.replace("_", "-") for name in STREAMS[:count]]

    fused = fuse([streams[name] for name in STREAMS[:count]], authors_weights(names, preset))

    assert round(100 * fused.top(1), 4) == printed[case]["top1_percent"]
    assert round(100 * fused.top(5), 4) == printed[case]["top5_percent"]


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ScoresError, match=r"unknown preset of weights 'psykl', did you mean 'pys"):
        authors_weights(["joint"], "psykl")


def test_scores_are_joined_by_name_whatever_their_order() -> None:
    joint, bone = made_scores(50, noise_seed=1), made_scores(50, noise_seed=2, stream="bone")
    shuffled = bone.take(np.random.default_rng(3).permutation(50))

    fused = fuse([joint, shuffled], [0.6, 0.4])

    expected = 0.6 * joint.logits.astype(np.float64) + 0.4 * bone.logits
    np.testing.assert_allclose(fused.logits, expected, rtol=1e-6, atol=1e-6)
    assert fused.names == joint.names
    assert fused.info == replace(joint.info, stream="joint+bone")


def test_no_weights_are_equal_weights() -> None:
    scores = [made_scores(noise_seed=seed) for seed in (1, 2)]

    np.testing.assert_array_equal(fuse(scores).logits, fuse(scores, [1.0, 1.0]).logits)


def test_what_was_chosen_on_the_test_part_or_made_up_stays_labelled() -> None:
    plain = made_scores()
    other = replace(plain, info=made_info(protocol="paper", synthetic=True, model="msg3d"))

    info = fuse([plain, other]).info

    assert (info.protocol, info.synthetic, info.model) == ("paper", True, "ctrgcn+msg3d")


def test_a_column_that_only_one_file_knows_is_kept() -> None:
    plain = made_scores(5)
    bare = replace(plain, groups={})

    fused = fuse([bare, plain])

    np.testing.assert_array_equal(fused.group("subject"), plain.group("subject"))


def test_other_samples_are_refused_by_name() -> None:
    scores = made_scores(10)
    first, second = scores.take(np.arange(0, 8)), scores.take(np.arange(5, 10))

    with pytest.raises(
        ScoresError,
        match=r"different samples: 5 only in the first \(say 'S0000'\), 2 only in the second"
        r" \(say 'S0008'\)",
    ):
        fuse([first, second])


def test_other_labels_are_refused_by_name() -> None:
    scores = made_scores(10)
    labels = scores.labels.copy()
    labels[3] = (labels[3] + 1) % 6

    with pytest.raises(ScoresError, match=r"the label of 1 samples: 'S0003' is 'action"):
        fuse([scores, replace(scores, labels=labels)])


@pytest.mark.parametrize(
    ("name", "value"), [("dataset", "other"), ("split", "xview"), ("part", "test")]
)
def test_another_origin_is_refused(name: str, value: str) -> None:
    scores = made_scores()
    other = replace(scores, info=made_info(**{name: value}))

    with pytest.raises(ScoresError, match=rf"cannot be joined: {name} '\w+' and '{value}'"):
        fuse([scores, other])


def test_other_classes_are_refused_by_name() -> None:
    scores = made_scores(5, 3)
    other = replace(scores, classes=("action 0", "clap", "action 2"))

    with pytest.raises(ScoresError, match="class 1 is 'action 1' and 'clap'"):
        fuse([scores, other])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "expected 2 weights, one each, found 1"),
        ([1.0, float("nan")], "not all 0, found 1, nan"),
        ([1.0, -0.5], "at least 0, not all 0, found 1, -0.5"),
        ([0.0, 0.0], "not all 0, found 0, 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        fuse([made_scores(), made_scores()], weights)


def test_nothing_cannot_be_fused() -> None:
    with pytest.raises(ScoresError, match="at least one score file, found none"):
        fuse([])


def test_a_sum_beyond_float32_is_refused() -> None:
    huge = scores_of(np.array([[3e38, 0.0]]), [0])

    with pytest.raises(ScoresError, match="'S0000': expected finite logits"):
        fuse([huge, huge])


def test_fitted_weights_prefer_the_better_stream() -> None:
    good = made_scores(300, noise_seed=1, lean=3.0)
    poor = made_scores(300, noise_seed=2, lean=0.2)

    for objective in ("log-likelihood", "accuracy"):
        weights = fit_weights([good, poor], objective=objective)
        assert sum(weights) == pytest.approx(1)
        assert weights[0] > 0.7


def test_fitted_weights_are_the_best_of_the_grid() -> None:
    scores = [made_scores(120, noise_seed=seed, lean=lean) for seed, lean in ((1, 2.0), (2, 1.0))]

    weights = fit_weights(scores, objective="accuracy")

    reached = fuse(scores, weights).top(1)
    assert reached == max(fuse(scores, [w / 20, 1 - w / 20]).top(1) for w in range(21))


def test_a_tie_goes_to_equal_weights() -> None:
    scores = made_scores(30)

    assert fit_weights([scores, scores, scores]) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert fit_weights([scores, scores], objective="accuracy") == (0.5, 0.5)


def test_fitted_weights_do_not_depend_on_the_order_of_samples() -> None:
    scores = [made_scores(90, noise_seed=seed, lean=1 + seed / 3) for seed in range(4)]
    order = np.random.default_rng(0).permutation(90)

    assert fit_weights(scores) == fit_weights([entry.take(order) for entry in scores])


def test_nothing_is_fitted_on_the_test_part() -> None:
    scores = made_scores(part="test")

    with pytest.raises(ScoresError, match="fusion weights must be fitted on validation scores"):
        fit_weights([scores, scores])
    with pytest.raises(ScoresError, match="a temperature must be fitted on validation scores"):
        fit_temperature(scores)


def test_an_unknown_objective_is_refused() -> None:
    with pytest.raises(ScoresError, match="unknown objective 'luck'"):
        fit_weights([made_scores()], objective="luck")


def test_the_fitted_temperature_is_where_the_log_loss_is_lowest() -> None:
    scores = made_scores(300, lean=2.0)
    loud = replace(scores, logits=scores.logits * np.float32(4))

    temperature = fit_temperature(loud)

    best = log_loss(loud.logits / temperature, loud.labels)
    for factor in (0.9, 0.98, 1.02, 1.1):
        assert best < log_loss(loud.logits / (factor * temperature), loud.labels)
    assert temperature == pytest.approx(4 * fit_temperature(scores), rel=1e-3)


def test_a_temperature_changes_confidence_and_nothing_else() -> None:
    scores = made_scores(300, lean=2.0)
    loud = replace(scores, logits=scores.logits * np.float32(4))

    scaled = apply_temperature(loud, fit_temperature(loud))

    before, after = evaluate_scores(loud), evaluate_scores(scaled)
    assert after.calibration_error < before.calibration_error
    assert after.top1 == before.top1
    np.testing.assert_array_equal(scaled.predictions, loud.predictions)


@pytest.mark.parametrize(("lean", "end"), [(50.0, 0.01), (-50.0, 100.0)])
def test_a_temperature_without_bound_stops_at_the_end(lean: float, end: float) -> None:
    scores = made_scores(30, lean=lean)

    assert fit_temperature(scores) == end


def test_calibration_is_fitted_on_validation_and_mends_other_scores() -> None:
    scores = made_scores(400)
    loud = replace(scores, logits=4 * scores.logits)
    others = made_scores(400, seed=7, part="test")
    test = replace(others, logits=4 * others.logits)

    calibration = calibrate(test, loud)

    assert calibration.temperature == fit_temperature(loud)
    scaled = apply_temperature(test, calibration.temperature)
    assert calibration.error == evaluate_scores(scaled).calibration_error
    assert calibration.error < evaluate_scores(test).calibration_error / 2
    with pytest.raises(ScoresError, match="a temperature must be fitted on validation scores"):
        calibrate(loud, test)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("inf"), float("nan")])
def test_an_impossible_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ScoresError, match="expected a finite number above 0"):
        apply_temperature(made_scores(), temperature)


def test_a_run_does_not_differ_from_itself() -> None:
    scores = made_scores()

    comparison = paired_bootstrap(scores, scores.take(np.arange(39, -1, -1)), seed=0)

    assert (comparison.difference, comparison.low, comparison.high) == (0, 0, 0)
    assert (comparison.p_value, comparison.mcnemar_p_value) == (1, 1)
    assert not comparison.significant


def test_a_clearly_better_run_is_significant() -> None:
    good, poor = made_scores(400, lean=3.0), made_scores(400, lean=0.5, noise_seed=9)

    comparison = paired_bootstrap(good, poor, seed=0)
    reverse = paired_bootstrap(poor, good, seed=0)

    assert comparison.difference == pytest.approx(good.top(1) - poor.top(1))
    assert comparison.significant
    assert reverse.significant
    assert comparison.p_value < 0.001
    assert reverse.difference == -comparison.difference


def test_the_bootstrap_agrees_with_drawing_samples_one_by_one() -> None:
    first, second = made_scores(60, lean=2.0), made_scores(60, lean=1.3, noise_seed=5)

    comparison = paired_bootstrap(first, second, seed=1, resamples=20_000)

    outcome = (first.ranks == 0).astype(int) - (second.ranks == 0).astype(int)
    rows = np.random.default_rng(2).integers(0, 60, (20_000, 60))
    low, high = np.quantile(outcome[rows].mean(axis=1), [0.025, 0.975])
    assert comparison.low == pytest.approx(low, abs=1 / 60 + 1e-9)
    assert comparison.high == pytest.approx(high, abs=1 / 60 + 1e-9)


def test_mcnemar_equals_the_binomial_tail() -> None:
    first, second = made_scores(60, lean=2.0), made_scores(60, lean=1.3, noise_seed=5)

    comparison = paired_bootstrap(first, second, seed=1)

    least = min(comparison.only_first, comparison.only_second)
    tail = binom.cdf(least, comparison.only_first + comparison.only_second, 0.5)
    assert comparison.mcnemar_p_value == pytest.approx(min(1.0, 2 * tail))


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = made_scores(lean=2.0), made_scores(noise_seed=5)

    assert paired_bootstrap(first, second, seed=3) == paired_bootstrap(first, second, seed=3)


def test_a_bootstrap_without_resamples_is_refused() -> None:
    with pytest.raises(ScoresError, match="at least one resample, found 0"):
        paired_bootstrap(made_scores(), made_scores(), seed=0, resamples=0)


def test_four_streams_are_searched_in_steps_of_a_tenth() -> None:
    scores = [made_scores(50, noise_seed=seed, lean=0.5 + seed) for seed in range(4)]

    weights = fit_weights(scores, objective="accuracy")

    tenths = [10 * weight for weight in weights]
    equal = weights == (0.25,) * 4
    assert equal or all(abs(t - round(t)) < 1e-9 for t in tenths)
    reached = fuse(scores, weights).top(1)
    grid = (w for w in itertools.product(range(11), repeat=4) if sum(w) == 10)
    assert reached >= max(fuse(scores, [w / 10 for w in weights]).top(1) for weights in grid)
