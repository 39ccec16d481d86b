"""An evaluation as rows of text, for the terminal and the report alike."""

import math

from skelab.evaluation.metrics import Evaluation, Proportion


def percent(share: float, *, digits: int = 2) -> str:
    """A share of 0..1 as a percentage; an en dash where it is not defined."""
    return "\u2013" if math.isnan(share) else f"{100 * share:.{digits}f}%"


def interval(proportion: Proportion, *, digits: int = 1) -> str:
    """The 95 % interval of a proportion, such as ``89.6 to 92.2%``."""
    low, high = 100 * proportion.low, 100 * proportion.high
    return f"{low:.{digits}f} to {high:.{digits}f}%"


def top5_says_something(evaluation: Evaluation) -> bool:
    """Whether top-5 is informative: with five classes or fewer it is always 100 %."""
    return len(evaluation.classes) > 5


def summary_rows(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    """The headline figures: name, value, and 95 % interval or unit ("" where there is none)."""
    top5 = ("top-5", percent(evaluation.top5.value), interval(evaluation.top5))
    return [
        ("top-1", percent(evaluation.top1.value), interval(evaluation.top1)),
        *([top5] if top5_says_something(evaluation) else []),
        ("mean class accuracy", percent(evaluation.mean_class_accuracy), ""),
        ("macro F1", percent(evaluation.macro_f1), ""),
        ("log-loss", f"{evaluation.log_loss:.4f}", "nats"),
        ("calibration error", percent(evaluation.calibration_error), ""),
        ("samples", f"{evaluation.samples:,}", ""),
    ]


def class_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str, str]]:
    """Name, samples, precision, recall and F1 of every class, in class order."""
    return [
        (
            result.name,
            f"{result.support:,}",
            percent(result.precision, digits=1),
            percent(result.recall, digits=1),
            percent(result.f1, digits=1),
        )
        for result in evaluation.per_class
    ]


def confused_rows(evaluation: Evaluation) -> list[tuple[str, str, str, str]]:
    """Right class, predicted class, errors and share of the class, worst first."""
    return [
        (pair.truth, pair.prediction, f"{pair.count:,}", percent(pair.share, digits=1))
        for pair in evaluation.confused
    ]


def duration(seconds: float) -> str:
    """A duration in its two largest units, such as ``3 h 07 min`` or ``42.0 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
