"""Several scores made one: fusion by sample name, fitted weights, temperature, significance."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray
from scipy.optimize import brentq
from scipy.stats import binomtest

from skelab.errors import ScoresError, unknown_name
from skelab.evaluation.metrics import evaluate_scores, log_softmax
from skelab.evaluation.scores import Scores, ScoresInfo, check_same_classes

_FOUR_STREAMS = ("joint", "bone", "joint-motion", "bone-motion")
_SIX_STREAMS = ("joint", "bone", "k-bone", "joint-motion", "bone-motion", "k-bone-motion")


def _of_two(*weights: float) -> Mapping[str, float]:
    return dict(zip(_FOUR_STREAMS[:2], weights, strict=True))


def _of_four(*weights: float) -> Mapping[str, float]:
    return dict(zip(_FOUR_STREAMS, weights, strict=True))


def _of_six(*weights: float) -> Mapping[str, float]:
    return dict(zip(_SIX_STREAMS, weights, strict=True))


OBJECTIVES = ("log-likelihood", "accuracy")
"""What `fit_weights` can make as good as possible."""

AUTHORS_WEIGHTS = (
    {"joint": 1.0, "bone": 1.0},
    {"joint": 0.6, "bone": 0.6, "joint-motion": 0.4, "bone-motion": 0.4},
)
"""The weight of each stream, by its name, for two and for four streams.

Source: the ensemble scripts of MS-G3D and CTR-GCN.
"""

ENSEMBLE_PRESETS: Mapping[str, tuple[Mapping[str, float], ...]] = {
    "authors": AUTHORS_WEIGHTS,
    "ctrgcn": AUTHORS_WEIGHTS,
    "shiftgcn": (_of_four(0.6, 0.6, 0.4, 0.4),),
    "pyskl": (_of_two(1, 1), _of_four(2, 2, 1, 1)),
    "dgstgcn": (_of_two(1, 1), _of_four(2, 2, 1, 1)),
    "protogcn": (_of_two(1, 1), _of_four(2, 2, 1, 1), _of_six(2, 2, 2, 1, 1, 1)),
    "skeletonagent": (_of_two(1, 1), _of_four(2, 2, 1, 1), _of_six(2, 2, 2, 1, 1, 1)),
    "hypergcn-xsub": (_of_four(1, 1.4, 1.1, 0.3),),
    "hypergcn-xview": (_of_four(1, 1.4, 1.1, 0.6),),
    "hypergcn-ntu120": (_of_four(1, 1.5, 0.7, 0.3),),
}
"""The weights of the papers, by name; each for as many streams as its authors fuse.

``k-bone`` is the bone that leads from a joint some joints further up.

Source: the ensemble scripts of Uason-Chen/CTR-GCN@e13d758 and kenziyuliu/MS-G3D@2f927f4
(``authors``, ``ctrgcn``), kchengiva/Shift-GCN@20276b6, kennymckormick/pyskl@3f6795f (``pyskl``,
``dgstgcn``), firework8/ProtoGCN@ddf7f27, firework8/SkeletonAgent@2440fda, and
6UOOON9/Hyper-GCN@cefe70b, whose weights differ by benchmark. PYSKL and its descendants add
probabilities, not logits.
"""

TEMPERATURE_RANGE = (0.01, 100.0)
"""Temperatures that `fit_temperature` looks among."""

_MAX_CANDIDATES = 300
_MAX_STEPS = 20
_TIE = 1e-6  # nats, or hits: gains below it are rounding


@dataclass(frozen=True)
class Calibration:
    """What mends the confidence of scores.

    Attributes:
        temperature: The logits are divided by it.
        error: Expected calibration error that is then left, 0 to 1.
    """

    temperature: float
    error: float


@dataclass(frozen=True)
class Comparison:
    """How two runs differ on the same samples.

    Attributes:
        difference: Top-1 accuracy of the first minus that of the second, -1..1.
        low: Lower end of the bootstrap's 95 % interval.
        high: Upper end of the bootstrap's 95 % interval.
        p_value: Two-sided bootstrap p-value of "no difference".
        mcnemar_p_value: The same by McNemar's exact test.
        only_first: Samples that only the first run gets right.
        only_second: Samples that only the second run gets right.
        samples: Samples compared.
        resamples: Bootstrap resamples drawn.
    """

    difference: float
    low: float
    high: float
    p_value: float
    mcnemar_p_value: float
    only_first: int
    only_second: int
    samples: int
    resamples: int

    @property
    def significant(self) -> bool:
        """Whether the bootstrap's interval leaves zero out."""
        return self.low > 0 or self.high < 0


def fuse(scores: Sequence[Scores], weights: Sequence[float] | None = None) -> Scores:
    """Add up the logits of several runs, joined by sample name whatever the order of each.

    The samples stay in the order of the first. The result is ``"paper"`` if any of the scores
    is, and synthetic if any is.

    Args:
        scores: One per stream or model, all of the same samples.
        weights: One finite weight of at least 0 each; equal ones if None.

    Raises:
        ScoresError: Samples, labels, classes, data set, split or part differ, which the message
            names; or the weights do not fit.

    Source: the sum of raw logits, without softmax, of CTR-GCN's and MS-G3D's ensembles.
    """
    aligned = align(scores)
    used = _checked_weights(weights, len(aligned))
    total = np.zeros(aligned[0].logits.shape)
    for weight, entry in zip(used, aligned, strict=True):
        total += weight * entry.logits.astype(np.float64)
    known = {name: column for entry in reversed(aligned) for name, column in entry.groups.items()}
    with np.errstate(over="ignore"):  # an overflow is refused, with its sample, by Scores
        logits = total.astype(np.float32)
    info = _joint_info([entry.info for entry in aligned])
    return replace(aligned[0], logits=logits, info=info, groups=known)


def align(scores: Sequence[Scores]) -> tuple[Scores, ...]:
    """Bring scores of the same samples into the order of the first.

    Raises:
        ScoresError: There is none, or samples, labels, classes, data set, split or part differ.
    """
    if not scores:
        raise ScoresError("ensemble: expected at least one score file, found none")
    first = scores[0]
    return (first, *(_in_order_of(first, other) for other in scores[1:]))


def authors_weights(streams: Sequence[str], preset: str = "authors") -> tuple[float, ...]:
    """The weight of each stream in a preset, by the stream's name and in whatever order.

    Args:
        streams: What the scores are of.
        preset: One of ``ENSEMBLE_PRESETS``.

    Raises:
        ScoresError: There is no such preset, or the streams are not those that its authors fuse,
            each once.

    Source: ``ENSEMBLE_PRESETS``.
    """
    if preset not in ENSEMBLE_PRESETS:
        raise ScoresError(unknown_name("preset of weights", preset, ENSEMBLE_PRESETS))
    for weights in ENSEMBLE_PRESETS[preset]:
        if sorted(streams) == sorted(weights):
            return tuple(weights[stream] for stream in streams)
    wanted = " or ".join(", ".join(weights) for weights in ENSEMBLE_PRESETS[preset])
    whose = "authors' weights" if preset == "authors" else f"weights {preset}"
    raise ScoresError(
        f"{whose} go by stream: expected {wanted}, each once, found {len(streams)}"
        f" ({', '.join(stream or 'one without a name' for stream in streams)})"
    )


def check_validation_of(scores: Scores, validation: Scores) -> None:
    """Refuse validation scores of another network than the one whose test scores they go with.

    Raises:
        ScoresError: They come from other checkpoints.
    """
    if scores.info.checkpoint != validation.info.checkpoint:
        raise ScoresError(
            f"{scores.info.title!r}: the validation scores are of another checkpoint"
            f" ({validation.info.checkpoint[:12] or 'unknown'}) than the test scores"
            f" ({scores.info.checkpoint[:12] or 'unknown'}); `skelab evaluate RUN --part"
            " validation` makes those that fit"
        )


def fit_weights(
    validation: Sequence[Scores], *, objective: str = "log-likelihood"
) -> tuple[float, ...]:
    """Choose fusion weights on validation scores; they add up to 1.

    A plain grid over all weightings: at most 300 of them (steps of 0.05 for two streams, 0.1 for
    four), so that the answer is the same each time and no corner is missed. Of equally good
    ones the nearest to equal weights wins. By ``"log-likelihood"`` each weighting is evaluated at
    its own best temperature, so that only the proportions count; ``"accuracy"`` counts hits and
    needs many samples to tell weightings apart.

    Raises:
        ScoresError: The scores do not fit each other, the objective is unknown, or some are of
            the test part, on which nothing may be fitted.
    """
    if objective not in OBJECTIVES:
        raise ScoresError(f"ensemble: {unknown_name('objective', objective, OBJECTIVES)}")
    aligned = align(validation)
    for entry in aligned:
        _refuse_test_part(entry, "fusion weights")
    stacked = np.stack([entry.logits.astype(np.float64) for entry in aligned])
    labels, count = aligned[0].labels, len(aligned)
    equal = np.full(count, 1 / count)
    best, best_value = equal, -math.inf
    for weights in sorted(_simplex(count), key=lambda w: (float(((w - equal) ** 2).sum()), *w)):
        fused = np.tensordot(weights, stacked, axes=1)
        value = _quality(fused, labels, objective)
        if value > best_value + _TIE:
            best, best_value = weights, value
    return tuple(float(weight) for weight in best)


def fit_temperature(validation: Scores) -> float:
    """The temperature T that makes softmax(logits / T) likeliest on validation scores.

    The likelihood is convex in 1/T, so that there is one answer; it is sought in
    `TEMPERATURE_RANGE`, whose end is returned if it lies outside. Dividing by T changes no
    prediction, only the confidence.

    Raises:
        ScoresError: The scores are of the test part, on which nothing may be fitted.

    Source: Guo et al., arXiv:1706.04599, section 4.2.
    """
    _refuse_test_part(validation, "a temperature")
    return _best_temperature(validation.logits.astype(np.float64), validation.labels)


def apply_temperature(scores: Scores, temperature: float) -> Scores:
    """The same scores with logits divided by ``temperature``.

    Raises:
        ScoresError: ``temperature`` is not a finite number above 0.

    Source: Guo et al., arXiv:1706.04599, section 4.2.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ScoresError(f"temperature: expected a finite number above 0, found {temperature}")
    with np.errstate(over="ignore"):  # an overflow is refused, with its sample, by Scores
        scaled = (scores.logits.astype(np.float64) / temperature).astype(np.float32)
    return replace(scores, logits=scaled)


def calibrate(scores: Scores, validation: Scores) -> Calibration:
    """What a temperature fitted on validation scores would do to the calibration error of others.

    Raises:
        ScoresError: The validation scores are of the test part, or have other classes.

    Source: Guo et al., arXiv:1706.04599, section 4.2.
    """
    check_same_classes(scores, validation)
    temperature = fit_temperature(validation)
    scaled = apply_temperature(scores, temperature)
    error = evaluate_scores(scaled).calibration_error
    return Calibration(temperature, error)


def paired_bootstrap(
    first: Scores, second: Scores, *, seed: int, resamples: int = 10_000
) -> Comparison:
    """Say whether two runs differ by more than the choice of samples explains.

    Samples are drawn with replacement, each with both runs' answers. As only the counts of
    "first alone right", "second alone right" and "neither or both" matter, the counts are drawn,
    from the multinomial distribution that they have; that is the same experiment, but cheap.

    Args:
        first: One run.
        second: The other, of the same samples in any order.
        seed: Seed of the draws.
        resamples: How many draws.

    Raises:
        ScoresError: The scores do not fit each other, or ``resamples`` is below 1.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15;
    McNemar, Psychometrika 12 (1947) 153-157, in its exact binomial form.
    """
    if resamples < 1:
        raise ScoresError(f"bootstrap: expected at least one resample, found {resamples}")
    a, b = align([first, second])
    right_a, right_b = a.ranks == 0, b.ranks == 0
    only_a = int((right_a & ~right_b).sum())
    only_b = int((right_b & ~right_a).sum())
    samples = len(a)
    shares = np.array([only_a, only_b, samples - only_a - only_b]) / samples
    draws = np.random.default_rng(seed).multinomial(samples, shares, size=resamples)
    differences = (draws[:, 0] - draws[:, 1]) / samples
    low, high = np.quantile(differences, [0.025, 0.975])
    below, above = int((differences <= 0).sum()), int((differences >= 0).sum())
    p_value = min(1.0, 2 * (min(below, above) + 1) / (resamples + 1))
    exact = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return Comparison(
        difference=(only_a - only_b) / samples,
        low=float(low),
        high=float(high),
        p_value=p_value,
        mcnemar_p_value=float(exact),
        only_first=only_a,
        only_second=only_b,
        samples=samples,
        resamples=resamples,
    )


def _in_order_of(first: Scores, other: Scores) -> Scores:
    titles = f"{first.info.title!r} and {other.info.title!r}"
    for name in ("dataset", "split", "part"):
        a, b = getattr(first.info, name), getattr(other.info, name)
        if a != b:
            raise ScoresError(f"{titles} cannot be joined: {name} {a!r} and {b!r}")
    check_same_classes(first, other)
    rows = {name: row for row, name in enumerate(other.names)}
    absent = [name for name in first.names if name not in rows]
    extra = sorted(rows.keys() - set(first.names))
    if absent or extra:
        told = [
            f"{len(names):,} only in the {where} (say {names[0]!r})"
            for names, where in ((absent, "first"), (extra, "second"))
            if names
        ]
        raise ScoresError(f"{titles} cover different samples: {', '.join(told)}")
    ordered = other.take(np.array([rows[name] for name in first.names], dtype=np.int64))
    wrong = np.flatnonzero(ordered.labels != first.labels)
    if wrong.size:
        row = wrong[0]
        raise ScoresError(
            f"{titles} disagree about the label of {wrong.size:,} samples: {first.names[row]!r}"
            f" is {first.classes[first.labels[row]]!r} and {first.classes[ordered.labels[row]]!r}"
        )
    return ordered


def _checked_weights(weights: Sequence[float] | None, count: int) -> Sequence[float]:
    if weights is None:
        return (1.0,) * count
    if len(weights) != count:
        raise ScoresError(f"ensemble: expected {count} weights, one each, found {len(weights)}")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        told = ", ".join(f"{weight:g}" for weight in weights)
        raise ScoresError(
            f"ensemble: expected finite weights of at least 0, not all 0, found {told}"
        )
    return weights


def _joint_info(infos: Sequence[ScoresInfo]) -> ScoresInfo:
    return replace(
        infos[0],
        model=_joined(info.model for info in infos),
        stream=_joined(info.stream for info in infos),
        checkpoint=_joined(info.checkpoint for info in infos),
        protocol="paper" if any(info.protocol == "paper" for info in infos) else "honest",
        synthetic=any(info.synthetic for info in infos),
        unknown_training=any(info.unknown_training for info in infos),
        engine=_joined(info.engine for info in infos),
    )


def _joined(words: Iterator[str]) -> str:
    return "+".join(dict.fromkeys(word for word in words if word))


def _refuse_test_part(scores: Scores, what: str) -> None:
    if scores.info.part == "test":
        raise ScoresError(
            f"{scores.info.title!r}: {what} must be fitted on validation scores, found the test"
            " part; give the scores-validation.npz of the runs"
        )
    if scores.info.protocol == "paper":
        raise ScoresError(
            f"{scores.info.title!r}: {what} cannot be fitted under protocol paper, whose validation"
            " part is the test part; train with --set protocol=honest, or give the weights"
        )


def _simplex(count: int) -> list[Float64[ndarray, " S"]]:
    """All weightings of ``count`` streams on a grid as fine as `_MAX_CANDIDATES` allows."""
    steps = max(
        (s for s in range(1, _MAX_STEPS + 1) if math.comb(s + count - 1, s) <= _MAX_CANDIDATES),
        default=1,
    )
    grid = [np.full(count, 1 / count)]
    for bars in itertools.combinations(range(steps + count - 1), count - 1):
        edges = np.array([-1, *bars, steps + count - 1])
        grid.append((np.diff(edges) - 1) / steps)
    return grid


def _quality(
    logits: Float64[ndarray, "N K"], labels: Int64[ndarray, " N"], objective: str
) -> float:
    if objective == "accuracy":
        return float((logits.argmax(axis=1) == labels).sum())
    scaled = logits / _best_temperature(logits, labels)
    return float(log_softmax(scaled)[np.arange(len(labels)), labels].mean())


def _best_temperature(logits: Float64[ndarray, "N K"], labels: Int64[ndarray, " N"]) -> float:
    own = logits[np.arange(len(labels)), labels]
    highest = logits.max(axis=1, keepdims=True)
    below = (logits - highest).astype(np.float32)  # float32 halves the time of a fit
    own_below = own - highest[:, 0]

    def slope(log_temperature: float) -> float:
        """The derivative of the log-loss by 1/T, which never falls as 1/T grows."""
        likelihood = np.exp(below * np.float32(math.exp(-log_temperature)))  # up to a factor
        expected = np.einsum("nk,nk->n", likelihood, below) / likelihood.sum(axis=1)
        return float((expected - own_below).mean())

    coldest, hottest = (math.log(end) for end in TEMPERATURE_RANGE)
    if slope(coldest) <= 0:
        return TEMPERATURE_RANGE[0]
    if slope(hottest) >= 0:
        return TEMPERATURE_RANGE[1]
    return math.exp(brentq(slope, coldest, hottest, xtol=1e-4))
