"""Frame-wise segmentation: frame accuracy, edit score, and F1 of segments at overlaps.

Labels are numbers a frame; one of them is the background. A segment is a run of one label, ends
exclusive. Two segments of one label stay two if background lies between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from skelab.errors import ScoresError

OVERLAPS = (0.1, 0.25, 0.5)
"""The overlaps at which F1 is printed."""

_DEST_EPSILON = 1e-7


class SegmentRule(StrEnum):
    """Whose program segments and F1 are computed as.

    ``usual`` is that of MS-TCN. ``dest`` is that of DeST, and of older copies of MS-TCN: a segment
    that reaches the last frame ends one frame early, in truth and prediction alike, and the
    denominator of F1 has 1e-7 added. Figures of both are no measure of one another.
    """

    USUAL = "usual"
    DEST = "dest"


class LabelRun(NamedTuple):
    """A run of frames with one label, ``end`` exclusive."""

    label: int
    start: int
    end: int


class Counts(NamedTuple):
    """Hits, false alarms and missed segments."""

    hits: int
    false_alarms: int
    missed: int


@dataclass(frozen=True)
class SegmentationResult:
    """What a segmentation of several sequences is worth.

    Attributes:
        frame_accuracy: Share of frames with the right label, background included, 0..1.
        edit: Mean over sequences of the edit score, 0..1.
        f1: F1 by overlap, 0..1; hits and misses are counted over all sequences.
        counts: What these are made of, by overlap.
    """

    frame_accuracy: float
    edit: float
    f1: dict[float, float]
    counts: dict[float, Counts]


def runs_of(
    labels: Int64[ndarray, " T"], *, background: int = 0, rule: SegmentRule = SegmentRule.USUAL
) -> tuple[LabelRun, ...]:
    """The segments of a sequence, in order, without the background."""
    if not len(labels):
        return ()
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    ends = np.append(starts[1:], len(labels))
    if rule is SegmentRule.DEST:
        ends[-1] -= 1
    found = zip(labels[starts].tolist(), starts.tolist(), ends.tolist(), strict=True)
    return tuple(LabelRun(*run) for run in found if run[0] != background)


def evaluate_segmentation(
    truths: Sequence[Int64[ndarray, " _"]],
    predictions: Sequence[Int64[ndarray, " _"]],
    *,
    overlaps: Sequence[float] = OVERLAPS,
    background: int = 0,
    rule: SegmentRule = SegmentRule.USUAL,
) -> SegmentationResult:
    """Compare predicted labels with true ones, frame by frame and segment by segment.

    Where the published programs stop or print nan, this has a value: a sequence without segments
    in truth and prediction has the edit score 1, one with segments in only one of them 0; F1 of
    nothing at all is 0.

    Args:
        truths: Label of each frame, one array a sequence.
        predictions: The same, as predicted.
        overlaps: Shares of intersection over union from which on a segment is a hit.
        background: The label that is no action.
        rule: Whose program segments and F1 are computed as.

    Raises:
        ScoresError: There is no sequence, or numbers of sequences or frames differ.

    Source: yabufarha/ms-tcn@33ed91c and lyhisme/DeST@319e1f1, from a description of both.
    """
    if not truths or len(truths) != len(predictions):
        raise ScoresError(
            f"segmentation: expected as many predicted sequences as true ones, from 1, found"
            f" {len(predictions)} and {len(truths)}"
        )
    for place, (true, predicted) in enumerate(zip(truths, predictions, strict=True)):
        if len(true) != len(predicted) or not len(true):
            raise ScoresError(
                f"segmentation, sequence {place}: expected a predicted label for each of"
                f" {len(true)} frames, found {len(predicted)}"
            )
    pairs = [
        (
            runs_of(true, background=background, rule=rule),
            runs_of(predicted, background=background, rule=rule),
        )
        for true, predicted in zip(truths, predictions, strict=True)
    ]
    counts = {
        overlap: _added([match_runs(*pair, overlap) for pair in pairs]) for overlap in overlaps
    }
    right = sum(int((a == b).sum()) for a, b in zip(truths, predictions, strict=True))
    return SegmentationResult(
        frame_accuracy=right / sum(map(len, truths)),
        edit=math.fsum(edit_score(*pair) for pair in pairs) / len(pairs),
        f1={overlap: f1_of(found, rule=rule) for overlap, found in counts.items()},
        counts=counts,
    )


def edit_score(truth: Sequence[LabelRun], predicted: Sequence[LabelRun]) -> float:
    """1 minus the Levenshtein distance of the labels over the longer length, 0..1."""
    true, found = [run.label for run in truth], [run.label for run in predicted]
    if not true and not found:
        return 1.0
    row = list(range(len(found) + 1))
    for label in true:
        before, row[0] = row[0], row[0] + 1
        for place, other in enumerate(found, start=1):
            change = before + (label != other)
            before = row[place]
            row[place] = min(change, row[place] + 1, row[place - 1] + 1)
    return 1 - row[-1] / max(len(true), len(found))


def match_runs(truth: Sequence[LabelRun], predicted: Sequence[LabelRun], overlap: float) -> Counts:
    """Each prediction, in order, takes the true segment of its label with the largest overlap.

    If that one was taken before, the prediction is a false alarm, even if another would do.
    """
    taken = [False] * len(truth)
    hits = 0
    for run in predicted:
        shares = [_overlap(run, true) if true.label == run.label else 0.0 for true in truth]
        best = max(range(len(truth)), key=shares.__getitem__, default=-1)
        if best >= 0 and shares[best] >= overlap and not taken[best]:
            taken[best] = True
            hits += 1
    return Counts(hits, len(predicted) - hits, len(truth) - hits)


def f1_of(counts: Counts, *, rule: SegmentRule = SegmentRule.USUAL) -> float:
    """F1 of hits, false alarms and misses; 0 where there is nothing."""
    hits, false_alarms, missed = counts
    precision, recall = (
        hits / whole if whole else 0.0 for whole in (hits + false_alarms, hits + missed)
    )
    total = precision + recall + (_DEST_EPSILON if rule is SegmentRule.DEST else 0.0)
    return 2 * (precision * recall) / total if total else 0.0


def _overlap(run: LabelRun, other: LabelRun) -> float:
    """Intersection over the hull of both, as the published programs have it; below 0 if apart."""
    hull = max(run.end, other.end) - min(run.start, other.start)
    return (min(run.end, other.end) - max(run.start, other.start)) / hull if hull else 0.0


def _added(counts: Sequence[Counts]) -> Counts:
    return Counts(*(sum(column) for column in zip(*counts, strict=True)))
