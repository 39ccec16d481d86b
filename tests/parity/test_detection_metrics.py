"""Detection and segmentation against what the authors' programs print.

- PKU-MMD: ECHO960/PKU-MMD@8c6e9a2 ``evaluate.py``, on made-up labels and on real ones.
- Segmentation: yabufarha/ms-tcn@33ed91c ``eval.py`` and lyhisme/DeST@319e1f1 ``libs/metric.py``.
- Gestures: univr-VIPS/Shrec22@026e178, run under GNU Octave 7.3; the submissions may not be passed
  on, so that they are read from the shared folder.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Int64
from numpy import ndarray
from shared_data import shared_data

from skelab.evaluation import (
    Counts,
    Detection,
    GestureDetection,
    GestureResult,
    SegmentationResult,
    SegmentRule,
    edit_score,
    evaluate_gestures,
    evaluate_pku,
    evaluate_segmentation,
    match_runs,
    runs_of,
)

GOLDEN = Path(__file__).parents[1] / "golden" / "detection"
SEGMENTED = json.loads((GOLDEN / "segmentation.json").read_text())["cases"]
PKU = json.loads((GOLDEN / "pku_made_up.json").read_text())["cases"]
PRINTED = {
    "detection_rate": "detection_rate",
    "false_alarm_rate": "fp_rate",
    "jaccard": "jaccard",
    "mean_delay": "delay",
}


def check_pku(case: dict[str, Any]) -> None:
    truths, found = (
        {name: [Detection(*line) for line in lines] for name, lines in case[side].items()}
        for side in ("ground", "detections")
    )
    for overlap, printed in case["official"].items():
        result = evaluate_pku(truths, found, float(overlap))
        expected = printed.get("by_functions", printed)
        if "error" in printed:
            assert math.isnan(result.f1)
        else:
            assert result.f1 == expected["F1"]
        figures = (result.ap, result.map_action, result.map_video, result.ap_2d)
        names = ("AP", "mAP_action", "mAP_video", "2DAP")
        assert figures == tuple(expected[name] for name in names), overlap


@pytest.mark.parametrize("case", PKU, ids=lambda case: case["name"])
def test_pku_mmd_prints_the_same_digits(case: dict[str, Any]) -> None:
    check_pku(case)


def test_pku_mmd_prints_the_same_digits_of_real_labels() -> None:
    file = shared_data("..", "golden", "detection", "pku_real_subset.json")

    cases = {case["name"]: case for case in json.loads(file.read_text())["cases"]}
    for case in cases.values():
        named = case["ground"]
        truths = named if isinstance(named, dict) else cases[named.split()[-1]]["ground"]
        check_pku({**case, "ground": truths})


def segment(case: dict[str, Any], rule: SegmentRule) -> SegmentationResult:
    truths = [frames(runs) for runs in case["truth"].values()]
    found = [frames(case["pred"][name]) for name in case["truth"]]
    return evaluate_segmentation(truths, found, rule=rule)


def frames(runs: list[list[int]]) -> Int64[ndarray, " T"]:
    return np.repeat(*np.array(runs, dtype=np.int64).T)


@pytest.mark.parametrize("rule", SegmentRule)
@pytest.mark.parametrize("case", SEGMENTED, ids=lambda case: case["name"])
def test_segmentation_prints_the_same_digits(case: dict[str, Any], rule: SegmentRule) -> None:
    printed = case["dest" if rule is SegmentRule.DEST else "mstcn"]

    result = segment(case, rule)

    if "error" in printed:  # the program stops; the lab has a value, see the next test
        return
    assert 100 * result.frame_accuracy == pytest.approx(printed["Acc"], rel=1e-15, abs=0)
    for overlap, f1 in result.f1.items():
        assert f1 * 100 == printed[f"F1@{overlap}"]
    if printed["Edit"] != "nan":
        assert 100 * result.edit == pytest.approx(printed["Edit"], rel=1e-15, abs=1e-14)


@pytest.mark.parametrize("rule", SegmentRule)
@pytest.mark.parametrize(
    ("name", "edit"),
    [("nothing_predicted_at_all", 0.0), ("truth_without_action", 0.0), ("both_empty", 1.0)],
)
def test_where_the_programs_stop_the_lab_has_a_value(
    name: str, edit: float, rule: SegmentRule
) -> None:
    (case,) = (case for case in SEGMENTED if case["name"] == name)

    result = segment(case, rule)

    assert result.edit == edit
    assert set(result.f1.values()) == {0.0}


@pytest.mark.parametrize("case", SEGMENTED, ids=lambda case: case["name"])
def test_segments_and_counts_of_each_video_are_the_same(case: dict[str, Any]) -> None:
    for name, expected in case["mstcn"].get("per_video", {}).items():
        truth, found = (runs_of(frames(case[side][name])) for side in ("truth", "pred"))

        counts = {overlap: match_runs(truth, found, overlap) for overlap in (0.1, 0.25, 0.5)}

        for runs, side in ((truth, "segments_truth"), (found, "segments_pred")):
            assert [[f"c{run.label}", run.start, run.end] for run in runs] == expected[side]
        for overlap, of in counts.items():
            assert of == Counts(*map(int, expected[f"tp_fp_fn@{overlap}"]))
        if expected["edit"] != "nan":
            assert 100 * edit_score(truth, found) == pytest.approx(expected["edit"], rel=1e-14)


def lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    for line in path.read_text().splitlines():
        name, *fields = [field for field in line.strip().split(";") if field] or [""]
        if name:
            yield name, fields


def annotations(path: Path) -> dict[str, list[GestureDetection]]:
    return {
        name: [
            GestureDetection(label, int(start), int(end), 0)
            for label, start, end in zip(*(fields[k::3] for k in range(3)), strict=True)
        ]
        for name, fields in lines(path)
    }


def submission(path: Path) -> dict[str, list[GestureDetection]]:
    return {
        name: [
            GestureDetection(label, *map(int, numbers))
            for label, *numbers in zip(*(fields[k::4] for k in range(4)), strict=True)
        ]
        for name, fields in lines(path)
    }


def check_gestures(result: GestureResult, printed: dict[str, Any]) -> None:
    for name, expected in printed["per_class"].items():
        found = result.per_class[name]
        counts = (found.total, found.correct, found.missed, found.false_alarms, found.delay)
        keys = ("total", "correct", "missed", "false_positive", "delay_sum")
        assert counts == tuple(expected[key] for key in keys), name
        for own, theirs in PRINTED.items():
            assert getattr(found, own) == pytest.approx(expected[theirs], rel=1e-15, nan_ok=True)
    for own, theirs in PRINTED.items():
        assert result.mean(own) == pytest.approx(printed["mean"][theirs], rel=1e-15, nan_ok=True)


def test_gestures_at_the_limits_are_counted_as_shrec22_counts_them() -> None:
    folder = GOLDEN / "shrec22"
    printed = json.loads((folder / "expected.json").read_text())["made_up"]["submission.txt"]

    result = evaluate_gestures(
        annotations(folder / "annotations.txt"),
        submission(folder / "submission.txt"),
        tuple(printed["per_class"]),
    )

    check_gestures(result, printed)


def test_submissions_to_shrec22_are_counted_as_the_organisers_count_them() -> None:
    folder = shared_data("..", "golden", "detection", "shrec22")
    truths = annotations(folder / "test_annotations_fixed.txt")
    expected = json.loads((folder / "expected.json").read_text())["participants"]

    for name, printed in expected.items():
        found = submission(folder / "submissions" / name)
        check_gestures(evaluate_gestures(truths, found, tuple(printed["per_class"])), printed)
