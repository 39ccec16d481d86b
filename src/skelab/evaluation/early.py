"""Metrics of early action recognition: accuracy by observed share, calibration and early exit.

The two protocols cannot be compared. **P1** truncates the clip before all transforms, so that later
frames and their number have no effect. **P2** resizes the whole clip to a fixed length and reads
the output of a causal network at a share of that length, so that the speed reveals the length.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy import ndarray
from pydantic import Strict, TypeAdapter

from skelab.errors import ScoresError
from skelab.evaluation.metrics import (
    Proportion,
    calibration_error,
    proportion,
    reliability,
    softmax,
)
from skelab.evaluation.score_arrays import name_faults, read_arrays, write_arrays
from skelab.evaluation.scores import ScoresInfo, read_info
from skelab.files.description import read_description

RATIOS: Final = tuple(share / 10 for share in range(1, 11))
"""The observed shares at which accuracy is printed: 10 to 100 %."""

FIXED_THRESHOLDS: Final = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Confidence thresholds of the early exit without a validation part to choose them."""

_FORMAT: Final = "skelab-early-1"
_ARRAYS: Final = ("format", "info", "protocol", "names", "labels", "logits", "ratios", "classes")
_ROUNDING: Final = 1e-9


class EarlyProtocol(StrEnum):
    """How a share of a clip is observed; see the head of this module."""

    P1 = "P1"
    P2 = "P2"


@dataclass(frozen=True)
class _About:
    """What a file of scores says of its protocol."""

    name: EarlyProtocol
    frame_accuracy: Annotated[float, Strict()] | None


_ABOUT: Final = TypeAdapter(_About)


class Area(StrEnum):
    """How accuracies at several shares are combined.

    ``mean`` is their mean, which papers call AUC; ``trapezoid`` is the area under the curve,
    divided by its width.
    """

    MEAN = "mean"
    TRAPEZOID = "trapezoid"


@dataclass(frozen=True, eq=False)
class EarlyScores:
    """Logits of N clips at R observed shares.

    Attributes:
        names: Unique name of each clip.
        labels: True class of each, 0..K-1.
        logits: Score of each class at each share; finite.
        ratios: The shares, rising, the last of them 1.
        classes: Name of each class.
        info: Where the scores come from.
        protocol: The protocol of observation.
        frame_accuracy: P2: accuracy over all frames of all clips; None for P1.

    Raises:
        ScoresError: Lengths disagree, a label or a share is out of range, or a logit is not finite.
    """

    names: tuple[str, ...]
    labels: Int64[ndarray, " _"]
    logits: Float32[ndarray, "_ _ _"]
    ratios: tuple[float, ...]
    classes: tuple[str, ...]
    info: ScoresInfo
    protocol: EarlyProtocol = EarlyProtocol.P1
    frame_accuracy: float | None = None

    def __post_init__(self) -> None:
        """Check everything once."""
        expected = (len(self.names), len(self.ratios), len(self.classes))
        if self.logits.shape != expected or self.labels.shape != expected[:1] or 0 in expected:
            raise ScoresError(
                f"early scores: expected logits of shape {expected} and as many labels, found"
                f" {self.logits.shape} and {self.labels.shape}"
            )
        rising = all(a < b for a, b in zip(self.ratios, self.ratios[1:], strict=False))
        if not (rising and self.ratios[0] > 0 and self.ratios[-1] == 1):
            raise ScoresError(
                "early scores: expected observed shares that rise from above 0 to 1, found"
                f" {list(self.ratios)}"
            )
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= len(self.classes)))
        if wrong.size:
            raise ScoresError(
                f"early scores, clip {self.names[wrong[0]]!r}: expected a label in"
                f" 0..{len(self.classes) - 1}, found {self.labels[wrong[0]]}"
            )
        bad = np.flatnonzero(~np.isfinite(self.logits).all(axis=(1, 2)))
        if bad.size:
            raise ScoresError(
                f"early scores, clip {self.names[bad[0]]!r}: expected finite logits, found NaN or"
                " infinity; the training probably diverged"
            )

    def __len__(self) -> int:
        """The number of clips, N."""
        return len(self.names)

    @property
    def right(self) -> Bool[ndarray, "N R"]:
        """Whether the class with the highest logit is correct; the lowest class wins a tie."""
        found: ndarray = self.logits.argmax(axis=2) == self.labels[:, None]
        return found

    def save(self, path: Path) -> None:
        """Write an npz without pickles, atomically.

        Raises:
            OutputError: The file cannot be written; what was there before is untouched.
        """
        about = {"name": self.protocol.value, "frame_accuracy": self.frame_accuracy}
        arrays: dict[str, ndarray] = {
            "format": np.array(_FORMAT),
            "info": np.array(self.info.to_json()),
            "protocol": np.array(json.dumps(about)),
            "names": np.array(self.names),
            "labels": self.labels,
            "logits": self.logits,
            "ratios": np.array(self.ratios),
            "classes": np.array(self.classes),
        }
        write_arrays(Path(path), arrays)

    @classmethod
    def load(cls, path: Path) -> "EarlyScores":
        """Read what :meth:`save` wrote; nothing in the file can run code.

        Raises:
            ScoresError: The file is missing, damaged or of another kind; the message names it.
        """
        with name_faults(path, "anticipate"):
            arrays = read_arrays(path, _ARRAYS)
            if str(arrays["format"]) != _FORMAT:
                raise ValueError(f"format {str(arrays['format'])!r}")
            about = read_description(str(arrays["protocol"]), _ABOUT, "its protocol", ScoresError)
            return cls(
                names=tuple(arrays["names"].tolist()),
                labels=arrays["labels"],
                logits=arrays["logits"],
                ratios=tuple(arrays["ratios"].tolist()),
                classes=tuple(arrays["classes"].tolist()),
                info=read_info(str(arrays["info"])),
                protocol=about.name,
                frame_accuracy=about.frame_accuracy,
            )


@dataclass(frozen=True)
class TimeToCorrect:
    """The observed share from which on the prediction stays correct.

    Attributes:
        settled: Clips whose last prediction is correct.
        total: All clips.
        mean: Mean share over the settled clips; NaN if there is none.
        median: Median over all clips, one that never settles counting as later than all; NaN if
            it is one of these.
    """

    settled: int
    total: int
    mean: float
    median: float


@dataclass(frozen=True)
class ExitPoint:
    """Accuracy and observed share of an early exit at a confidence threshold.

    A clip is classified at the first share at which the highest probability reaches the threshold,
    and at the last share if none does.

    Attributes:
        threshold: The confidence.
        observed: Mean share observed at the exit.
        accuracy: Share of correct predictions.
    """

    threshold: float
    observed: float
    accuracy: float


@dataclass(frozen=True)
class EarlyEvaluation:
    """All early-recognition metrics of a network under one protocol.

    Attributes:
        protocol: The protocol of observation.
        info: Where the scores come from.
        ratios: The observed shares.
        accuracy: Top-1 at each, with its interval.
        auc: The plain mean of these accuracies.
        calibration_error: Expected calibration error at each share.
        time_to_correct: When the prediction settles.
        exits: The early-exit curve, by rising observed share.
        thresholds_chosen: The thresholds were chosen on the validation part; otherwise they are
            :data:`FIXED_THRESHOLDS`.
        frame_accuracy: P2: accuracy over all frames; None for P1.
    """

    protocol: EarlyProtocol
    info: ScoresInfo
    ratios: tuple[float, ...]
    accuracy: tuple[Proportion, ...]
    auc: float
    calibration_error: tuple[float, ...]
    time_to_correct: TimeToCorrect
    exits: tuple[ExitPoint, ...]
    thresholds_chosen: bool
    frame_accuracy: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts; None where a figure is not defined."""
        time = self.time_to_correct
        return {
            "protocol": self.protocol.value,
            "ratios": list(self.ratios),
            "accuracy": [{"value": each.value, **asdict(each)} for each in self.accuracy],
            "auc": self.auc,
            "calibration_error": list(self.calibration_error),
            "time_to_correct": {
                "settled": time.settled,
                "total": time.total,
                "mean": _or_none(time.mean),
                "median": _or_none(time.median),
            },
            "exits": [asdict(point) for point in self.exits],
            "thresholds": "validation" if self.thresholds_chosen else "fixed",
            "frame_accuracy": self.frame_accuracy,
        }


@dataclass(frozen=True)
class AreaDifference:
    """Difference in AUC between two networks on the same clips.

    Attributes:
        difference: AUC of the one minus that of the other, -1..1.
        low: Lower end of the paired bootstrap's 95 % interval over clips.
        high: Upper end.
        full_difference: The same of the accuracy on whole clips.
        full_low: Lower end of its interval.
        full_high: Upper end.
    """

    difference: float
    low: float
    high: float
    full_difference: float
    full_low: float
    full_high: float


def frame_at_ratio(frames: int, ratio: float) -> int:
    """Index of the frame that is read at an observed share of ``frames`` frames: ceil(T r) - 1.

    Source: stnoah1/infogcn2@8c44085, from a description of it.

    Raises:
        ScoresError: The share is not in (0, 1].
    """
    if not 0 < ratio <= 1 or frames < 1:
        raise ScoresError(
            f"observed share: expected a number in (0, 1] of at least one frame, found {ratio!r}"
            f" of {frames}"
        )
    return max(math.ceil(frames * ratio - _ROUNDING), 1) - 1


def at_ratios(
    per_frame: Float32[ndarray, "N T K"], ratios: Sequence[float] = RATIOS
) -> Float32[ndarray, "N R K"]:
    """Logits of the frames that P2 reads at the observed shares."""
    frames = [frame_at_ratio(per_frame.shape[1], ratio) for ratio in ratios]
    return per_frame[:, frames]


def area(
    accuracy: Sequence[float],
    ratios: Sequence[float] = RATIOS,
    *,
    rule: Area = Area.MEAN,
    arithmetic: str = "float64",
) -> float:
    """Combine the accuracies at several observed shares into an AUC.

    Args:
        accuracy: The accuracies.
        ratios: The shares; only the trapezoid rule needs them.
        rule: How they are combined.
        arithmetic: ``float64``, or ``float32`` for the mean as InfoGCN++ computes it.

    Raises:
        ScoresError: There is no accuracy, lengths disagree, or the arithmetic is unknown.
    """
    if not accuracy or len(accuracy) != len(ratios):
        raise ScoresError(
            f"area: expected one accuracy for each of {len(ratios)} shares, found {len(accuracy)}"
        )
    if arithmetic not in ("float64", "float32"):
        raise ScoresError(f"area: expected arithmetic float64 or float32, found {arithmetic!r}")
    values = np.asarray(accuracy, dtype=arithmetic)
    if rule is Area.MEAN:
        return float(values.mean(dtype=values.dtype))
    widths = np.diff(np.asarray(ratios))
    if not len(widths):
        raise ScoresError("area: expected at least two shares for the trapezoid rule, found one")
    return float((widths * (values[1:] + values[:-1]) / 2).sum() / widths.sum())


def per_frame_accuracy(
    per_frame: Float32[ndarray, "N T K"],
    labels: Int64[ndarray, " N"],
    ratios: Sequence[float] = RATIOS,
    *,
    arithmetic: str = "float64",
) -> tuple[tuple[float, ...], float]:
    """Accuracy at each observed share, as P2 reads it, and over all frames.

    Args:
        per_frame: Logits of each frame.
        labels: True class of each clip.
        ratios: The shares.
        arithmetic: ``float64``, or ``float32`` for the digits that InfoGCN++ prints.

    Source: stnoah1/infogcn2@8c44085, from a description of it.
    """
    right = per_frame.argmax(axis=2) == labels[:, None]  # N T
    frames = [frame_at_ratio(per_frame.shape[1], ratio) for ratio in ratios]
    number = np.dtype(arithmetic).type
    shares = [number(right[:, frame].sum()) / number(len(labels)) for frame in frames]
    return tuple(float(share) for share in shares), float(number(right.mean()))


def evaluate_early(scores: EarlyScores, validation: EarlyScores | None = None) -> EarlyEvaluation:
    """Compute all early-recognition metrics.

    Args:
        scores: The part that is reported.
        validation: The validation part of the same network, which chooses the thresholds of the
            early exit; None takes fixed ones.

    Raises:
        ScoresError: The validation scores are of other classes, shares or another protocol.
    """
    if validation is not None and (
        (validation.classes, validation.ratios, validation.protocol)
        != (scores.classes, scores.ratios, scores.protocol)
    ):
        raise ScoresError(
            "early scores: expected validation scores of the same classes, shares and protocol,"
            " found others"
        )
    accuracy = tuple(proportion(column) for column in scores.right.T)
    thresholds = FIXED_THRESHOLDS if validation is None else choose_thresholds(validation)
    return EarlyEvaluation(
        protocol=scores.protocol,
        info=scores.info,
        ratios=scores.ratios,
        accuracy=accuracy,
        auc=area([each.value for each in accuracy], scores.ratios),
        calibration_error=tuple(
            calibration_error(reliability(scores.logits[:, place], scores.labels))
            for place in range(len(scores.ratios))
        ),
        time_to_correct=time_to_correct(scores),
        exits=early_exits(scores, thresholds),
        thresholds_chosen=validation is not None,
        frame_accuracy=scores.frame_accuracy,
    )


def time_to_correct(scores: EarlyScores) -> TimeToCorrect:
    """From which observed share on the answers are right and stay right."""
    right = scores.right
    stays = np.logical_and.accumulate(right[:, ::-1], axis=1)[:, ::-1]  # right from here to the end
    settled = stays[:, -1]
    first = np.asarray(scores.ratios)[stays.argmax(axis=1)]
    shares = np.where(settled, first, np.inf)
    middle = float(np.median(shares))
    return TimeToCorrect(
        settled=int(settled.sum()),
        total=len(scores),
        mean=float(first[settled].mean()) if settled.any() else math.nan,
        median=middle if math.isfinite(middle) else math.nan,
    )


def early_exits(scores: EarlyScores, thresholds: Sequence[float]) -> tuple[ExitPoint, ...]:
    """What comes of answering at each of the thresholds, by rising observed share."""
    confidence = _confidence(scores)
    points = [
        ExitPoint(float(threshold), *_exit(scores, confidence, threshold))
        for threshold in thresholds
    ]
    return tuple(sorted(points, key=lambda point: (point.observed, point.threshold)))


def choose_thresholds(validation: EarlyScores) -> tuple[float, ...]:
    """For each observed share the most accurate threshold that observes no more on average.

    Of thresholds as accurate as one another the lowest is taken, which observes least.
    """
    confidence = _confidence(validation)
    candidates = np.unique(np.quantile(confidence, np.linspace(0, 1, 101)))
    found = [(float(each), *_exit(validation, confidence, float(each))) for each in candidates]
    chosen = []
    for budget in validation.ratios:
        within = [entry for entry in found if entry[1] <= budget + _ROUNDING]
        if within:
            chosen.append(max(within, key=lambda entry: (entry[2], -entry[0]))[0])
    return tuple(dict.fromkeys(chosen))


def compare_areas(
    first: EarlyScores, other: EarlyScores, *, resamples: int = 10_000, seed: int = 0
) -> AreaDifference:
    """AUC of the other network minus that of the first on the same clips, with its interval.

    Args:
        first: The network that is the measure.
        other: The one that is compared with it.
        resamples: Draws of the paired bootstrap over clips.
        seed: Of these draws.

    Raises:
        ScoresError: The clips, the shares or the protocols are others.
    """
    if first.protocol is not other.protocol:
        raise ScoresError(
            f"early scores: {first.protocol} and {other.protocol} are no measure of one another:"
            " under P2 a network sees how long a clip is"
        )
    if first.ratios != other.ratios or set(first.names) != set(other.names):
        raise ScoresError("early scores: expected the same clips and shares, found others")
    places = {name: place for place, name in enumerate(other.names)}
    order = [places[name] for name in first.names]
    change = other.right[order].astype(np.float64) - first.right
    per_clip = np.stack([change.mean(axis=1), change[:, -1]], axis=1)  # N 2
    rng = np.random.default_rng(seed)
    drawn = np.stack(
        [per_clip[rng.integers(0, len(per_clip), len(per_clip))].mean(0) for _ in range(resamples)]
    )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    auc, full = per_clip.mean(axis=0)
    return AreaDifference(
        float(auc), float(low[0]), float(high[0]), float(full), float(low[1]), float(high[1])
    )


def _confidence(scores: EarlyScores) -> Float64[ndarray, "N R"]:
    clips, shares, classes = scores.logits.shape
    found: ndarray = softmax(scores.logits.reshape(-1, classes)).max(axis=1)
    return found.reshape(clips, shares)


def _exit(
    scores: EarlyScores, confidence: Float64[ndarray, "N R"], threshold: float
) -> tuple[float, float]:
    """Mean observed share and accuracy of answering at a threshold."""
    sure = confidence >= threshold
    place = np.where(sure.any(axis=1), sure.argmax(axis=1), len(scores.ratios) - 1)
    observed = np.asarray(scores.ratios)[place]
    return float(observed.mean()), float(scores.right[np.arange(len(scores)), place].mean())


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
