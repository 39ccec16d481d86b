"""The few figures by which runs are compared, of whatever task."""

import math
from dataclasses import dataclass

from skelab.evaluation.metrics import evaluate_scores
from skelab.evaluation.output_scores import OutputScores
from skelab.evaluation.scores import Scores


@dataclass(frozen=True)
class HeadlineFigure:
    """A figure of a run.

    Attributes:
        value: The figure.
        low: Lower end of its 95 % interval; nan where there is none.
        high: Upper end.
        is_share: It lies between 0 and 1.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    is_share: bool = True


def headline_figures(scores: Scores | OutputScores) -> dict[str, HeadlineFigure]:
    """The figures of some scores by name; of classification the accuracies and the calibration."""
    if isinstance(scores, OutputScores):
        return {
            name: HeadlineFigure(value, is_share=False) for name, value in scores.metrics.items()
        }
    found = evaluate_scores(scores)
    top5 = {"top5": HeadlineFigure(found.top5.value)} if len(found.classes) > 5 else {}
    return {
        "top1": HeadlineFigure(found.top1.value, found.top1.low, found.top1.high),
        **top5,  # of five classes or fewer it is always 1
        "macro_f1": HeadlineFigure(found.macro_f1),
        "calibration_error": HeadlineFigure(found.calibration_error),
    }
