import json
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_scores import made_scores

from skelab.evaluation import (
    Scores,
    evaluate_scores,
    fuse,
    paired_bootstrap,
    softmax,
    wilson_interval,
)


@st.composite
def any_scores(draw: st.DrawFn) -> Scores:
    """Scores of any size, with ties, huge and tiny logits."""
    samples, classes = draw(st.integers(1, 30)), draw(st.integers(1, 9))
    scores = made_scores(samples, classes, seed=draw(st.integers(0, 10_000)))
    scale = draw(st.sampled_from([0.0, 1e-20, 1.0, 1e4, 1e30]))
    logits = (np.round(scores.logits, draw(st.integers(0, 3))) * scale).astype(np.float32)
    return replace(scores, logits=logits)


@given(any_scores(), st.integers(0, 10_000))
def test_the_order_of_samples_changes_no_figure(scores: Scores, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(scores))

    shuffled = json.loads(evaluate_scores(scores.take(order)).to_json())

    plain = json.loads(evaluate_scores(scores).to_json())
    for name in ("top1", "top5", "confusion", "confused", "per_class", "groups"):
        assert shuffled[name] == plain[name]
    np.testing.assert_allclose(shuffled["log_loss"], plain["log_loss"], rtol=1e-9)


@given(any_scores())
def test_more_guesses_are_never_worse_and_all_classes_hit_all(scores: Scores) -> None:
    shares = [scores.top(k) for k in range(1, scores.num_classes + 1)]

    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@given(any_scores())
def test_the_figures_agree_with_each_other(scores: Scores) -> None:
    evaluation = evaluate_scores(scores)

    right = int(np.trace(evaluation.confusion))
    assert evaluation.top1.hits == right == round(scores.top(1) * len(scores))
    assert evaluation.confusion.sum() == len(scores)
    assert sum(entry.count for entry in evaluation.reliability) == len(scores)
    assert 0 <= evaluation.calibration_error <= 1
    assert evaluation.log_loss >= 0
    assert sum(result.support for result in evaluation.per_class) == len(scores)


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_the_interval_holds_the_share_and_stays_within_bounds(total: int, share: float) -> None:
    hits = round(share * total)

    low, high = wilson_interval(hits, total)

    assert 0 <= low <= hits / total <= high <= 1
    mirrored = wilson_interval(total - hits, total)
    np.testing.assert_allclose(mirrored, (1 - high, 1 - low), atol=1e-12)


@given(any_scores())
def test_probabilities_add_up_to_one(scores: Scores) -> None:
    probabilities = softmax(scores.logits)

    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-12)


@given(any_scores(), st.integers(0, 10_000), st.lists(st.floats(0.01, 5), min_size=3, max_size=3))
def test_fusion_joins_by_name_whatever_the_order(
    scores: Scores, seed: int, weights: list[float]
) -> None:
    rng = np.random.default_rng(seed)
    calm = replace(scores, logits=np.clip(scores.logits, -1e6, 1e6))
    streams = [
        replace(calm, logits=calm.logits + rng.normal(size=calm.logits.shape).astype(np.float32))
        for _ in range(3)
    ]

    shuffled = [stream.take(rng.permutation(len(stream))) for stream in streams]

    plain, joined = fuse(streams, weights), fuse(shuffled, weights)
    rows = [joined.names.index(name) for name in plain.names]
    np.testing.assert_array_equal(joined.logits[rows], plain.logits)
    np.testing.assert_array_equal(joined.labels[rows], plain.labels)


@given(any_scores(), st.integers(0, 1000))
def test_swapping_two_runs_turns_the_difference_round(scores: Scores, seed: int) -> None:
    other = replace(scores, logits=np.roll(scores.logits, 1, axis=1))

    there = paired_bootstrap(scores, other, seed=seed, resamples=200)
    back = paired_bootstrap(other, scores, seed=seed, resamples=200)

    assert there.difference == -back.difference
    assert (there.only_first, there.only_second) == (back.only_second, back.only_first)
    assert there.mcnemar_p_value == back.mcnemar_p_value
    assert 0 < there.p_value <= 1
