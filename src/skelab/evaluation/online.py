"""From scores of frames to segments while a sequence runs, by thresholds with hysteresis."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy import ndarray

from skelab.errors import ScoresError
from skelab.evaluation.detection import Detection
from skelab.evaluation.segmentation import evaluate_segmentation

_ENTER: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_LEAVE: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_MEMORY: Final = (0.0, 0.5, 0.8, 0.9)


@dataclass(frozen=True)
class Hysteresis:
    """When a segment begins and ends.

    Attributes:
        enter: Probability of an action from which on a segment of it begins.
        leave: Probability of its action below which a segment ends, at most ``enter``.
        memory: Share of the mean over earlier frames in the probabilities of a frame; 0 for none.

    Raises:
        ScoresError: A number is out of range.
    """

    enter: float = 0.5
    leave: float = 0.3
    memory: float = 0.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0 < self.leave <= self.enter <= 1 and 0 <= self.memory < 1):
            raise ScoresError(
                "hysteresis: expected 0 < leave <= enter <= 1 and 0 <= memory < 1, found leave"
                f" {self.leave}, enter {self.enter}, memory {self.memory}"
            )


def detect_online(probabilities: Float[ndarray, "T L"], rule: Hysteresis) -> tuple[Detection, ...]:
    """The segments of one sequence; the decision at a frame uses that frame and earlier ones.

    A segment begins where an action reaches ``enter``. It ends where its probability falls below
    ``leave``, or another action reaches ``enter`` and is likelier. Its confidence is the mean
    probability of its action.

    Args:
        probabilities: Of each action and, last, of none, at each frame.
        rule: The thresholds.
    """
    smooth = _remembered(np.asarray(probabilities, dtype=np.float64), rule.memory)
    found: list[Detection] = []
    label, start = -1, 0

    def close(end: int) -> None:
        if label >= 0:
            sure = float(smooth[start:end, label].mean())
            found.append(Detection(label, start, end, sure))

    best = smooth[:, :-1].argmax(axis=1).tolist()
    for frame, likeliest in enumerate(best):
        shares = smooth[frame]
        enters = shares[likeliest] >= rule.enter
        if label >= 0 and shares[label] >= rule.leave and not (enters and likeliest != label):
            continue
        close(frame)
        label, start = (likeliest, frame) if enters else (-1, frame)
    close(len(smooth))
    return tuple(found)


def frames_of_detections(
    detections: Sequence[Detection], *, frames: int, background: int
) -> Int64[ndarray, " T"]:
    """The label of each frame, ``background`` outside all detections."""
    labels = np.full(frames, background, dtype=np.int64)
    for each in detections:
        labels[int(each.start) : int(each.end)] = each.label
    return labels


def choose_hysteresis(
    probabilities: Sequence[Float[ndarray, "_ L"]], truths: Sequence[Int64[ndarray, " _"]]
) -> Hysteresis:
    """The thresholds of a fixed grid with the highest F1 at overlap 0.5, then edit score.

    Args:
        probabilities: Those of each validation sequence.
        truths: The label of each frame; the background is the last class.

    Raises:
        ScoresError: There is no sequence.
    """
    best: tuple[float, float] = (-1.0, -1.0)
    chosen = Hysteresis()
    for enter, leave, memory in product(_ENTER, _LEAVE, _MEMORY):
        if leave > enter:
            continue
        rule = Hysteresis(enter, leave, memory)
        background = probabilities[0].shape[1] - 1 if probabilities else 0
        found = [
            frames_of_detections(detect_online(each, rule), frames=len(each), background=background)
            for each in probabilities
        ]
        worth = evaluate_segmentation(truths, found, overlaps=(0.5,), background=background)
        if (worth.f1[0.5], worth.edit) > best:
            best, chosen = (worth.f1[0.5], worth.edit), rule
    return chosen


def _remembered(shares: Float64[ndarray, "T L"], memory: float) -> Float64[ndarray, "T L"]:
    """Exponential mean over the frames so far."""
    if not memory or not len(shares):
        return shares
    smooth = np.empty_like(shares)
    smooth[0] = shares[0]
    for frame in range(1, len(shares)):
        smooth[frame] = memory * smooth[frame - 1] + (1 - memory) * shares[frame]
    return smooth
