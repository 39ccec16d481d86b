"""Metrics: what scores are worth, each with the formula it follows."""

import itertools
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np
import sklearn.metrics
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray
from scipy.special import log_softmax as scipy_log_softmax
from scipy.stats import binomtest

from skelab.errors import ScoresError
from skelab.evaluation.scores import GROUPS, Scores, ScoresInfo

CALIBRATION_BINS = 15
"""Equal bins of confidence, as in Guo et al. 2017."""


@dataclass(frozen=True)
class Proportion:
    """A share of samples with its 95 % interval.

    Attributes:
        hits: Samples that count.
        total: All samples, at least one.
        low: Lower end of the interval, 0..1.
        high: Upper end of the interval, 0..1.
    """

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share, 0..1."""
        return self.hits / self.total


@dataclass(frozen=True)
class ClassResult:
    """How one class fared. A figure whose denominator is zero is NaN.

    Attributes:
        name: Class.
        support: Samples of the class.
        predicted: Samples that were predicted as the class.
        precision: Share of ``predicted`` that are of the class.
        recall: Share of ``support`` that was found; the accuracy of the class.
        f1: Harmonic mean of precision and recall.
    """

    name: str
    support: int
    predicted: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class ConfusedPair:
    """Samples of one class that were predicted as another.

    Attributes:
        truth: The right class.
        prediction: The predicted class.
        count: How many.
        share: ``count`` divided by the samples of ``truth``.
    """

    truth: str
    prediction: str
    count: int
    share: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Samples whose confidence lies in (low, high], and how often they were right.

    Attributes:
        low: Lower end, exclusive (the first bin includes 0).
        high: Upper end, inclusive.
        count: Samples in the bin.
        confidence: Their mean confidence; NaN in an empty bin.
        accuracy: Their top-1 accuracy; NaN in an empty bin.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class GroupResult:
    """Top-1 accuracy on the samples of one subject, camera or setup.

    Attributes:
        number: Number of the subject, camera or setup.
        top1: Accuracy with interval.
    """

    number: int
    top1: Proportion


@dataclass(frozen=True)
class Evaluation:
    """Everything that is reported of one set of scores.

    Attributes:
        info: Where the scores come from.
        classes: Name of each of the K classes.
        samples: Samples scored.
        top1: Accuracy.
        top5: Share of samples with the right class among the five best.
        mean_class_accuracy: Mean recall of the classes that occur.
        macro_f1: Mean F1 of the classes that occur or were predicted.
        log_loss: Mean negative log-likelihood of the right class, nats.
        calibration_error: Expected calibration error, 0..1.
        per_class: One entry per class, in class order.
        confusion: Row true class, column predicted class.
        confused: Most confused pairs, worst first.
        reliability: The calibration error's bins.
        groups: Accuracy per subject, camera and setup, where they are known.
    """

    info: ScoresInfo
    classes: tuple[str, ...]
    samples: int
    top1: Proportion
    top5: Proportion
    mean_class_accuracy: float
    macro_f1: float
    log_loss: float
    calibration_error: float
    per_class: tuple[ClassResult, ...]
    confusion: Int64[ndarray, "K K"]
    confused: tuple[ConfusedPair, ...]
    reliability: tuple[ReliabilityBin, ...]
    groups: Mapping[str, tuple[GroupResult, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts; None where a figure is not defined."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def to_json(self) -> str:
        """The same as one line of strict JSON (no NaN)."""
        return json.dumps(self.to_dict(), allow_nan=False)


def evaluate_scores(scores: Scores) -> Evaluation:
    """Work out every figure of the report from ``scores``."""
    confusion = confusion_matrix(scores.labels, scores.predictions, scores.num_classes)
    per_class = class_results(scores)
    bins = reliability(scores.logits, scores.labels)
    return Evaluation(
        info=scores.info,
        classes=scores.classes,
        samples=len(scores),
        top1=topk_accuracy(scores, 1),
        top5=topk_accuracy(scores, 5),
        mean_class_accuracy=_mean([result.recall for result in per_class]),
        macro_f1=_mean([result.f1 for result in per_class]),
        log_loss=log_loss(scores.logits, scores.labels),
        calibration_error=calibration_error(bins),
        per_class=per_class,
        confusion=confusion,
        confused=confused_pairs(confusion, scores.classes),
        reliability=bins,
        groups={name: found for name in GROUPS if (found := accuracy_by_group(scores, name))},
    )


def wilson_interval(hits: int, total: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a proportion, 0..1.

    It assumes independent samples. Clips of one performer are not, so that the truth for unseen
    performers is somewhat wider.

    Raises:
        ScoresError: ``total`` is below 1, or ``hits`` is not in 0..total.

    Source: E. B. Wilson, JASA 22 (1927) 209-212; formula (4) of Brown, Cai and DasGupta,
    Statistical Science 16 (2001) 101-133.
    """
    if total < 1 or not 0 <= hits <= total:
        raise ScoresError(f"interval: expected hits in 0..total, found {hits} of {total}")
    interval = binomtest(hits, total).proportion_ci(confidence, method="wilson")
    # At the ends the interval begins at exactly 0 and 1; rounding must not move it.
    low = 0.0 if hits == 0 else float(interval.low)
    return low, 1.0 if hits == total else float(interval.high)


def topk_accuracy(scores: Scores, k: int) -> Proportion:
    """The share of samples whose label is among their ``k`` highest logits, with its interval.

    Raises:
        ScoresError: ``k`` is below 1.
    """
    if k < 1:
        raise ScoresError(f"top-k accuracy: expected k of at least 1, found {k}")
    return proportion(scores.ranks < k)


def proportion(hits: Bool[ndarray, " ..."]) -> Proportion:
    """Count the true entries of a non-empty boolean array.

    Raises:
        ScoresError: The array is empty.
    """
    count, total = int(np.count_nonzero(hits)), int(hits.size)
    return Proportion(count, total, *wilson_interval(count, total))


def log_softmax(logits: Float[ndarray, "N K"]) -> Float64[ndarray, "N K"]:
    """The logarithm of each class's probability, in float64; safe for logits of any size."""
    result: ndarray = scipy_log_softmax(logits.astype(np.float64), axis=1)
    return result


def softmax(logits: Float[ndarray, "N K"]) -> Float64[ndarray, "N K"]:
    """Each class's probability, in float64; every row adds up to 1."""
    result: ndarray = np.exp(log_softmax(logits))
    return result


def log_loss(logits: Float[ndarray, "N K"], labels: Int64[ndarray, " N"]) -> float:
    """The cross entropy: mean negative log-likelihood of the true class, nats."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def confusion_matrix(
    labels: Int64[ndarray, " N"], predictions: Int64[ndarray, " N"], num_classes: int
) -> Int64[ndarray, "K K"]:
    """The confusion matrix: rows are true classes, columns predicted ones."""
    known = np.arange(num_classes)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A single label was found")  # though all are named
        counts: ndarray = sklearn.metrics.confusion_matrix(labels, predictions, labels=known)
    return counts.astype(np.int64)


def class_results(scores: Scores) -> tuple[ClassResult, ...]:
    """Precision, recall and F1 of every class, in class order.

    Source: scikit-learn's ``precision_recall_fscore_support``; undefined figures are NaN.
    """
    predictions = scores.predictions
    precision, recall, f1, support = sklearn.metrics.precision_recall_fscore_support(
        scores.labels, predictions, labels=np.arange(scores.num_classes), zero_division=np.nan
    )
    predicted = np.bincount(predictions, minlength=scores.num_classes)
    return tuple(
        ClassResult(name, int(support[k]), int(predicted[k]), *map(float, (p, r, f)))
        for k, (name, p, r, f) in enumerate(zip(scores.classes, precision, recall, f1, strict=True))
    )


def confused_pairs(
    confusion: Int64[ndarray, "K K"], classes: Sequence[str], *, limit: int = 15
) -> tuple[ConfusedPair, ...]:
    """The pairs of different classes with most errors, worst first; at most ``limit``.

    Of pairs with as many errors, the one that costs its class the larger share stands first.
    """
    support = confusion.sum(axis=1)
    pairs = [
        ConfusedPair(
            classes[truth],
            classes[prediction],
            int(confusion[truth, prediction]),
            float(confusion[truth, prediction] / support[truth]),
        )
        for truth, prediction in np.argwhere(confusion).tolist()
        if truth != prediction
    ]
    return tuple(sorted(pairs, key=lambda pair: (-pair.count, -pair.share))[:limit])


def reliability(
    logits: Float[ndarray, "N K"], labels: Int64[ndarray, " N"], *, bins: int = CALIBRATION_BINS
) -> tuple[ReliabilityBin, ...]:
    """Accuracy against confidence (the highest probability) in ``bins`` bins of equal width.

    Source: Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599, section 2.
    """
    confidence = softmax(logits).max(axis=1)
    right = logits.argmax(axis=1) == labels
    edges = np.linspace(0, 1, bins + 1)
    index = np.searchsorted(edges[1:-1], confidence, side="left")
    found = []
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = index == number
        count = int(inside.sum())
        mean = float(confidence[inside].mean()) if count else math.nan
        share = float(right[inside].mean()) if count else math.nan
        found.append(ReliabilityBin(float(low), float(high), count, mean, share))
    return tuple(found)


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The expected calibration error: mean gap between accuracy and confidence, by count, 0..1.

    Source: Naeini, Cooper and Hauskrecht, AAAI 2015; equation (3) of arXiv:1706.04599.
    """
    total = sum(entry.count for entry in bins)
    gaps = [entry.count * abs(entry.accuracy - entry.confidence) for entry in bins if entry.count]
    return math.fsum(gaps) / total


def accuracy_by_group(scores: Scores, name: str) -> tuple[GroupResult, ...]:
    """Top-1 accuracy per subject, camera or setup, by number; empty where none is known.

    Raises:
        ScoresError: ``name`` is not one of `skelab.evaluation.scores.GROUPS`.
    """
    column, right = scores.group(name), scores.ranks == 0
    numbers = np.unique(column[column >= 0])
    return tuple(GroupResult(int(n), proportion(right[column == n])) for n in numbers)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return math.fsum(known) / len(known)


def _plain(value: Any) -> Any:
    """Turn dataclasses and arrays into JSON's own types."""
    if isinstance(value, Proportion):
        return {"value": value.value, **asdict(value)}
    if is_dataclass(value):
        return {name: _plain(entry) for name, entry in vars(value).items()}
    if isinstance(value, ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
