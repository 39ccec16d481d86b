"""Online detection by a trained network: segments while sequences run, figures, a page."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.clips.sequence import labels_of_segments
from skelab.errors import SplitError
from skelab.evaluation import (
    DETECTION_OVERLAPS,
    Detection,
    DetectionResult,
    Hysteresis,
    SegmentationResult,
    choose_hysteresis,
    detect_online,
    evaluate_detections,
    evaluate_segmentation,
    frames_of_detections,
    softmax,
)
from skelab.files.atomic import atomic_write
from skelab.files.kinds import PAGE
from skelab.files.output import check_output
from skelab.inference.network import open_network
from skelab.report import DetectionFigures, write_detection_page
from skelab.runs.evaluate import read_files
from skelab.runs.sequences import SequenceRun, frame_logits, open_sequence_run

OnScored = Callable[[int, int], None]

_TASK: Final = "detection"
_FORMAT: Final = 1


@dataclass(frozen=True)
class DetectionReport:
    """Online detection of one part of a split.

    Attributes:
        figures: What the detections are worth.
        detections: Segments of each sequence, by name.
        classes: Name of each action.
        rule: The thresholds.
        report_file: The page.
        detections_file: The segments and figures as JSON.
    """

    figures: DetectionFigures
    detections: Mapping[str, Sequence[Detection]]
    classes: tuple[str, ...]
    rule: Hysteresis
    report_file: Path
    detections_file: Path

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts."""
        return {
            "format": _FORMAT,
            **self.figures.to_dict(),
            "thresholds": asdict(self.rule),
            "sequences": {
                name: [
                    {
                        "class": self.classes[each.label],
                        "start": int(each.start),
                        "end": int(each.end),
                        "confidence": each.confidence,
                    }
                    for each in found
                ]
                for name, found in self.detections.items()
            },
            "files": {"report": str(self.report_file), "detections": str(self.detections_file)},
        }


def detect(
    path: Path,
    store: OpenedClips,
    *,
    split: str | None = None,
    part: str = "test",
    out: Path | None = None,
    on_scored: OnScored | None = None,
) -> DetectionReport:
    """Detect actions in the sequences of a part, frame by frame, and write figures and a page.

    The thresholds are chosen on the validation sequences; without any they are fixed.

    Args:
        path: A run folder or checkpoint of the task ``detection``.
        store: The sequences.
        split: Protocol; None takes the recipe's.
        part: ``test``, ``validation`` or ``train``.
        out: Folder for page and segments; None takes the run's.
        on_scored: Called with the sequences that are done, and all.

    Raises:
        NetworkError: The network is of another task, or its stream needs later frames.
        DataError: There is no sequence with segments.
        SplitError: The clips do not fit the split.
        OutputError: The results cannot be written.
    """
    run = open_sequence_run(open_network(path), store, task=_TASK, split=split, part=part)
    folder = out or (path if path.is_dir() else path.parent)
    page, file = folder / f"detection-{part}.html", folder / f"detection-{part}.json"
    check_output(page, PAGE, inputs=(*read_files(path), store.path), force=True)
    total = len(run.test) + len(run.validation)
    tell = on_scored or (lambda done, of: None)
    scored = _shares(run, run.test, lambda done: tell(done, total))
    chosen = part != "validation" and len(run.validation) > 0
    rule = Hysteresis()
    if chosen:
        known = _shares(run, run.validation, lambda done: tell(len(run.test) + done, total))
        rule = choose_hysteresis(known, [_truth(run, row) for row in run.validation.tolist()])
    names = [store.index.names[row] for row in run.test.tolist()]
    found = {name: detect_online(each, rule) for name, each in zip(names, scored, strict=True)}
    truths = [_truth(run, row) for row in run.test.tolist()]
    figures = _figures(run, truths, scored, found, chosen=chosen)
    folder.mkdir(parents=True, exist_ok=True)
    made = DetectionReport(figures, found, store.info.classes, rule, page, file)
    with atomic_write(file) as temporary:
        text = json.dumps(_finite(made.to_dict()), indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    write_detection_page(
        page, figures, synthetic=store.info.synthetic or run.network.spec.synthetic
    )
    return made


def recognised_before(
    path: Path, store: OpenedClips, rows: Int64[ndarray, " R"]
) -> dict[int, tuple[Detection, ...]]:
    """What a network of the task ``detection`` detects in sequences, with its own thresholds.

    Raises:
        NetworkError: The network is of another task, or its stream needs later frames.
        SplitError: The network was trained on some of the sequences.
    """
    run = open_sequence_run(open_network(path), store, task=_TASK, split=None, part="test")
    refuse_trained(run, rows)
    rule = Hysteresis()
    if len(run.validation):
        known = _shares(run, run.validation, lambda done: None)
        rule = choose_hysteresis(known, [_truth(run, row) for row in run.validation.tolist()])
    shares = _shares(run, rows, lambda done: None)
    return {row: detect_online(each, rule) for row, each in zip(rows.tolist(), shares, strict=True)}


def refuse_trained(run: SequenceRun, rows: Int64[ndarray, " R"]) -> None:
    """Refuse sequences that a network was trained on or that chose its epoch.

    Raises:
        SplitError: Some of the rows are among them.
    """
    known = np.intersect1d(rows, np.concatenate([run.train, run.validation]))
    if len(known):
        raise SplitError(
            f"{run.network.path}: was trained on {len(known):,} of {len(rows):,} sequences, the"
            f" first {run.store.index.names[known[0]]!r}: what it recognises there would be no"
            " test; train it on the same split"
        )


def _shares(
    run: SequenceRun, rows: Int64[ndarray, " R"], on_scored: Callable[[int], None]
) -> list[Float64[ndarray, "_ L"]]:
    """The probabilities at each frame of sequences."""
    found = []
    for done, logits in enumerate(frame_logits(run.network, run.store, rows), start=1):
        found.append(softmax(logits))
        on_scored(done)
    return found


def _truth(run: SequenceRun, row: int) -> Int64[ndarray, " T"]:
    """The true label of each frame, the background as the last class."""
    frames = int(run.store.lengths()[row])
    labels = labels_of_segments(run.segments[row], frames).astype(np.int64)
    return np.where(labels < 0, len(run.store.info.classes), labels)


def _figures(
    run: SequenceRun,
    truths: Sequence[Int64[ndarray, " _"]],
    shares: Sequence[Float64[ndarray, "_ L"]],
    found: Mapping[str, Sequence[Detection]],
    *,
    chosen: bool,
) -> DetectionFigures:
    names = list(found)
    true = {
        name: [Detection(each.label, each.start, each.end) for each in run.segments[row]]
        for name, row in zip(names, run.test.tolist(), strict=True)
    }
    background = len(run.store.info.classes)
    labels = [
        frames_of_detections(found[name], frames=len(truth), background=background)
        for name, truth in zip(names, truths, strict=True)
    ]
    raw = sum(
        int((each.argmax(axis=1) == truth).sum())
        for each, truth in zip(shares, truths, strict=True)
    )
    overlaps: list[DetectionResult] = [
        evaluate_detections(true, found, overlap=overlap) for overlap in DETECTION_OVERLAPS
    ]
    segmentation: SegmentationResult = evaluate_segmentation(truths, labels, background=background)
    frames = sum(map(len, truths))
    most = max(
        sum(int((truth == label).sum()) for truth in truths) for label in range(background + 1)
    )
    return DetectionFigures(
        title=run.title,
        sequences=len(names),
        segments=sum(map(len, true.values())),
        frames=frames,
        likeliest_frame_accuracy=raw / frames,
        commonest_share=most / frames,
        segmentation=segmentation,
        overlaps=tuple(overlaps),
        thresholds_chosen=chosen,
    )


def _finite(value: Any) -> Any:
    """The same with None for what is no number."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
