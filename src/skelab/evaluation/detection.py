"""Detection in untrimmed sequences: average precision at overlaps, and the protocols of papers.

The lab's own average precision is the usual one: each truth is matched once, and precision is the
envelope of the curve. ``Ranking.PKU`` is what the evaluator of PKU-MMD computes, which is another
figure. SHREC'22 counts in a third way, see :func:`evaluate_gestures`.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from skelab.errors import ScoresError

DETECTION_OVERLAPS: Final = tuple(share / 10 for share in range(1, 10))
"""The overlaps at which mAP is printed: 0.1 to 0.9."""

_PKU_CLASSES: Final = 51
_PKU_STEPS: Final = 20


class Detection(NamedTuple):
    """A stretch of a sequence that is said to show a class; as a truth its confidence is ignored.

    Attributes:
        label: The class.
        start: First frame.
        end: Frame behind the last, or the last: the overlap counts their difference.
        confidence: How sure the detector is.
    """

    label: int
    start: float
    end: float
    confidence: float = 1.0


Detections = Mapping[str, Sequence[Detection]]
"""What was detected, or is true, in each sequence by its name."""


class Ranking(StrEnum):
    """How average precision is computed; see :func:`average_precision`."""

    USUAL = "usual"
    PKU = "pku"


@dataclass(frozen=True)
class DetectionResult:
    """What detections are worth at one overlap.

    Attributes:
        overlap: Intersection over union from which on a detection is right.
        mean_ap: Mean average precision over the classes that occur in the truth.
        per_class: Average precision of each of these classes.
        precision: Hits over detections, 0 without any.
        recall: Hits over truths.
        f1: Their harmonic mean; 0 where both are.
        mean_delay: Mean frames from the true start to the start of the detection that is right,
            negative where it comes before; NaN without a hit.
    """

    overlap: float
    mean_ap: float
    per_class: Mapping[int, float]
    precision: float
    recall: float
    f1: float
    mean_delay: float


@dataclass(frozen=True)
class PkuResult:
    """The figures of PKU-MMD's evaluator at one overlap.

    Attributes:
        f1: Harmonic mean over all detections; NaN where nothing matches, at which the evaluator
            divides by zero.
        ap: Average precision of everything in one ranking.
        map_action: The average precisions of labels 1 to 51, added and divided by 51 always.
        map_video: Mean over result files of the average precision of one video.
        ap_2d: Mean of ``ap`` at the overlaps 0.05, 0.10, … 1.00.
    """

    f1: float
    ap: float
    map_action: float
    map_video: float
    ap_2d: float


class PlacedDetection(NamedTuple):
    """A detection or a truth with the sequence in which it is.

    Attributes:
        sequence: Name of the sequence.
        found: The stretch.
    """

    sequence: str
    found: Detection


def evaluate_detections(
    truths: Detections, detections: Detections, *, overlap: float = 0.5
) -> DetectionResult:
    """The usual figures of detection at one overlap.

    Detections are taken by falling confidence, over all sequences; each takes the truth of its
    label and sequence with the largest overlap that none has taken before, if that suffices.

    Raises:
        ScoresError: There is no truth, a detection is of a sequence that has none, ends before it
            starts, or has a confidence that is not finite; or the overlap is out of range.
    """
    _check(truths, detections, overlap)
    true, found = _placed(truths), _placed(detections)
    labels = sorted({each.found.label for each in true})
    per_class = {
        label: average_precision(
            [each for each in true if each.found.label == label],
            [each for each in found if each.found.label == label],
            overlap,
        )
        for label in labels
    }
    matches = _match_usual(true, found, overlap)
    hits = [(found[place], true[match]) for place, match in matches.items() if match is not None]
    precision = len(hits) / len(found) if found else 0.0
    recall = len(hits) / len(true)
    delays = [hit.found.start - each.found.start for hit, each in hits]
    return DetectionResult(
        overlap=overlap,
        mean_ap=math.fsum(per_class.values()) / len(per_class),
        per_class=per_class,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if hits else 0.0,
        mean_delay=math.fsum(delays) / len(delays) if delays else math.nan,
    )


def average_precision(
    truths: Sequence[PlacedDetection],
    detections: Sequence[PlacedDetection],
    overlap: float,
    *,
    ranking: Ranking = Ranking.USUAL,
) -> float:
    """The area below precision over recall of one ranking.

    ``usual`` ranks by falling confidence, matches each truth once, and takes at each recall the
    highest precision at that recall or a higher one. ``pku`` lets several detections match a truth
    and counts all but one as false alarms; it takes detections away from the least confident on,
    and never reads the precision after a false alarm has gone but before the next hit goes, so
    that one hit and one weaker false alarm give 0.5 and not 1.

    Args:
        truths: What is right, of one class or of all.
        detections: What was found; of equal confidence the earlier one stands first.
        overlap: From which on a detection is right.
        ranking: Which of both.

    Source: ECHO960/PKU-MMD@8c6e9a2, from a description of it; Everingham et al., IJCV 88 (2010),
    for the usual one.
    """
    if ranking is Ranking.PKU:
        return _pku_precision(truths, detections, overlap)
    if not truths:
        return 0.0
    matches = _match_usual(truths, detections, overlap)
    hits, points = 0, []
    for rank, match in enumerate(matches.values(), start=1):
        if match is not None:
            hits += 1
            points.append(hits / rank)
    best, area = 0.0, 0.0
    for precision in reversed(points):
        best = max(best, precision)
        area += best / len(truths)
    return area


def evaluate_pku(truths: Detections, detections: Detections, overlap: float) -> PkuResult:
    """The figures that PKU-MMD's evaluator prints at one overlap, oddities included.

    Only sequences with an entry in ``detections``, be it empty, exist: truths of others are not
    counted. Labels 0 and above 51 are in the figures over everything, and not in ``map_action``.

    Raises:
        ScoresError: There is no entry in ``detections``.

    Source: ECHO960/PKU-MMD@8c6e9a2 ``evaluate.py``, from a description of it.
    """
    if not detections:
        raise ScoresError("detections: expected at least one sequence, found none")
    names = sorted(detections)
    known = {name: truths.get(name, ()) for name in names}
    true, found = _by_label(known), _by_label(detections)

    def precision(
        own: Sequence[PlacedDetection], others: Sequence[PlacedDetection], at: float = overlap
    ) -> float:
        return average_precision(own, others, at, ranking=Ranking.PKU)

    actions = [
        precision(
            [each for each in true if each.found.label == label],
            [each for each in found if each.found.label == label],
        )
        for label in range(1, _PKU_CLASSES + 1)
    ]
    videos = [
        precision(_placed({name: known[name]}), _placed({name: detections[name]})) for name in names
    ]
    hits = len(set(_match_pku(true, found, overlap)) - {None})
    share, recall = (hits / len(each) if each else 0.0 for each in (found, true))
    return PkuResult(
        f1=2 * share * recall / (share + recall) if hits else math.nan,
        ap=precision(true, found),
        map_action=sum(actions) / _PKU_CLASSES,
        map_video=sum(videos) / len(videos),
        ap_2d=sum(precision(true, found, step * 0.05) for step in range(1, _PKU_STEPS + 1))
        / _PKU_STEPS,
    )


class GestureDetection(NamedTuple):
    """A detection of SHREC'22.

    Attributes:
        label: The class.
        start: First frame.
        end: Last frame.
        seen: Last frame that was used to tell.
    """

    label: str
    start: int
    end: int
    seen: int


@dataclass(frozen=True)
class GestureCounts:
    """What became of one class of SHREC'22.

    Attributes:
        total: Truths.
        correct: Truths that were found.
        missed: Truths that were not.
        false_alarms: Detections that match no truth.
        delay: Frames from the detected start to the last frame used, added up over the correct.
    """

    total: int
    correct: int
    missed: int
    false_alarms: int
    delay: int

    @property
    def detection_rate(self) -> float:
        """Correct over truths; NaN without any."""
        return self.correct / self.total if self.total else math.nan

    @property
    def false_alarm_rate(self) -> float:
        """False alarms over truths; NaN without any."""
        return self.false_alarms / self.total if self.total else math.nan

    @property
    def jaccard(self) -> float:
        """Correct over correct, missed and false alarms; NaN if there is none of these."""
        whole = self.correct + self.missed + self.false_alarms
        return self.correct / whole if whole else math.nan

    @property
    def mean_delay(self) -> float:
        """Mean delay of the correct ones; 0 without any."""
        return self.delay / self.correct if self.correct else 0.0


@dataclass(frozen=True)
class GestureResult:
    """The figures of SHREC'22: plain means over the classes.

    Attributes:
        per_class: Counts of each class.
    """

    per_class: Mapping[str, GestureCounts]

    def mean(self, figure: str) -> float:
        """The mean of one of the figures of :class:`GestureCounts` over the classes."""
        values = [float(getattr(counts, figure)) for counts in self.per_class.values()]
        return sum(values) / len(values)


def evaluate_gestures(
    truths: Mapping[str, Sequence[GestureDetection]],
    detections: Mapping[str, Sequence[GestureDetection]],
    classes: Sequence[str],
) -> GestureResult:
    """The counts of SHREC'22's program, oddities included.

    Each detection, in order, looks through the truths of its sequence that none has taken, in
    order. One of its label is found if the detection is at most twice as long and covers half of
    the truth. If label and length fit and they overlap by less, the detection is dropped: it is
    neither right nor a false alarm. The delay counts from the detected start, and not from the true
    one.

    Args:
        truths: Gestures of each sequence; ``seen`` is ignored.
        detections: What was found in them.
        classes: The classes that count; detections of others are ignored.

    Source: univr-VIPS/Shrec22@026e178, from a description of it.
    """
    correct, missed, false, delay = (Counter[str]() for _ in range(4))
    for name, true in truths.items():
        left = list(true)
        for each in detections.get(name, ()):
            match, overlaps = _gesture_match(each, left)
            if match is not None:
                correct[each.label] += 1
                delay[each.label] += each.seen - each.start
                left.remove(match)
            elif not overlaps:
                false[each.label] += 1
        missed.update(gesture.label for gesture in left)
    total = Counter(gesture.label for each in truths.values() for gesture in each)
    return GestureResult(
        {
            label: GestureCounts(
                total[label], correct[label], missed[label], false[label], delay[label]
            )
            for label in classes
        }
    )


def _gesture_match(
    found: GestureDetection, left: Sequence[GestureDetection]
) -> tuple[GestureDetection | None, bool]:
    """The truth that a detection finds, or whether it is dropped for overlapping one too little."""
    for true in left:
        length, own = true.end - true.start, found.end - found.start
        if true.label != found.label or own > 2 * length:
            continue
        shared = min(true.end, found.end) - max(true.start, found.start)
        if shared >= 0.5 * length:
            return true, True
        if shared > 0:
            return None, True
    return None, False


def _match_usual(
    truths: Sequence[PlacedDetection], detections: Sequence[PlacedDetection], overlap: float
) -> dict[int, int | None]:
    """By place, in falling confidence, the truth that each detection takes; None for none."""
    order = sorted(range(len(detections)), key=lambda place: -detections[place].found.confidence)
    taken: set[int] = set()
    matches: dict[int, int | None] = {}
    places = _places(truths)
    for place in order:
        each = detections[place]
        shares = {
            number: share
            for number in places.get((each.sequence, each.found.label), ())
            if number not in taken
            and (share := _overlap(each.found, truths[number].found)) >= overlap
        }
        best = max(shares, key=shares.__getitem__, default=None)
        if best is not None:
            taken.add(best)
        matches[place] = best
    return matches


def _match_pku(
    truths: Sequence[PlacedDetection], detections: Sequence[PlacedDetection], overlap: float
) -> list[int | None]:
    """The truth that each detection takes, whether others take it or not; of equals the later."""
    matches: list[int | None] = []
    places = _places(truths)
    for each in detections:
        best, best_share = None, overlap
        for number in places.get((each.sequence, each.found.label), ()):
            share = _overlap(each.found, truths[number].found)
            if share >= best_share:
                best, best_share = number, share
        matches.append(best)
    return matches


def _pku_precision(
    truths: Sequence[PlacedDetection], detections: Sequence[PlacedDetection], overlap: float
) -> float:
    ranked = sorted(detections, key=lambda each: each.found.confidence)
    matches = _match_pku(truths, ranked, overlap)
    holders = Counter(match for match in matches if match is not None)
    hits, left, all_truths = len(holders), len(ranked), len(truths)

    def figures() -> tuple[float, float]:
        if not hits or not left or not all_truths:
            return 0.0, 0.0
        return hits / left, hits / all_truths

    best, recall = figures()
    area = 0.0
    for match in matches:
        left -= 1
        if match is None:
            continue
        holders[match] -= 1
        hits -= holders[match] == 0
        precision, now = figures()
        best = max(best, precision)
        area += best * (recall - now)
        recall = now
    return area


def _overlap(a: Detection, b: Detection) -> float:
    """Intersection over the hull of two stretches; below 0 if they are apart."""
    hull = max(a.end, b.end) - min(a.start, b.start)
    return (min(a.end, b.end) - max(a.start, b.start)) / hull if hull else -1.0


def _places(truths: Sequence[PlacedDetection]) -> dict[tuple[str, int], list[int]]:
    """Where the truths of each sequence and label stand."""
    places: dict[tuple[str, int], list[int]] = {}
    for number, true in enumerate(truths):
        places.setdefault((true.sequence, true.found.label), []).append(number)
    return places


def _placed(detections: Detections) -> list[PlacedDetection]:
    return [PlacedDetection(name, each) for name, listed in detections.items() for each in listed]


def _by_label(detections: Detections) -> list[PlacedDetection]:
    """By label, then name of the sequence, then place in its list, as PKU-MMD has it."""
    placed = [
        PlacedDetection(name, each) for name in sorted(detections) for each in detections[name]
    ]
    return sorted(placed, key=lambda each: each.found.label)


def _check(truths: Detections, detections: Detections, overlap: float) -> None:
    if not 0 < overlap <= 1:
        raise ScoresError(f"overlap: expected a number above 0 and up to 1, found {overlap!r}")
    if not any(truths.values()):
        raise ScoresError("detections: expected at least one true segment, found none")
    for name, listed in detections.items():
        if name not in truths:
            raise ScoresError(f"detections: sequence {name!r} is not among the true ones")
        for each in listed:
            if not (math.isfinite(each.confidence) and each.start <= each.end):
                raise ScoresError(
                    f"detections, sequence {name!r}: expected a start before the end and a finite"
                    f" confidence, found {tuple(each)}"
                )
