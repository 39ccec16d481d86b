"""P2 against what InfoGCN++'s evaluation prints (stnoah1/infogcn2@8c44085), to the last digit.

The scores are made up; the figures are those of the authors' program, run with a stand-in network.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skelab.evaluation import RATIOS, area, at_ratios, frame_at_ratio, per_frame_accuracy

GOLDEN = Path(__file__).parents[1] / "golden" / "early"
CASES = json.loads((GOLDEN / "early.json").read_text())["cases"]
PRINTED = [
    pytest.param(case, printed, id=f"{case['name']}-{size}")
    for case in CASES
    for size, printed in case["official_by_batch_size"].items()
]


@pytest.mark.parametrize(("case", "printed"), PRINTED)
def test_the_digits_are_those_that_are_printed_in_float32(
    case: dict[str, Any], printed: dict[str, Any]
) -> None:
    labels = np.array(case["labels"])
    with np.load(GOLDEN / "logits.npz") as archive:
        logits = archive[case["name"]]

    accuracy, frames = per_frame_accuracy(logits, labels, arithmetic="float32")

    assert list(accuracy) == printed["accuracy"]
    assert area(accuracy, arithmetic="float32") == printed["AUC"]
    assert frames == printed["all_frames_accuracy"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_default_agrees_within_float32_and_reads_the_same_frames(case: dict[str, Any]) -> None:
    labels = np.array(case["labels"])
    printed = next(iter(case["official_by_batch_size"].values()))
    with np.load(GOLDEN / "logits.npz") as archive:
        logits = archive[case["name"]]

    accuracy, frames = per_frame_accuracy(logits, labels)
    read = at_ratios(logits)

    assert [frame_at_ratio(logits.shape[1], ratio) for ratio in RATIOS] == case["frames_read"]
    assert accuracy == pytest.approx(printed["accuracy"], abs=1e-6)
    assert area(accuracy) == pytest.approx(printed["AUC"], abs=1e-6)
    assert frames == pytest.approx(printed["all_frames_accuracy"], abs=1e-6)
    np.testing.assert_array_equal((read.argmax(2) == labels[:, None]).mean(0), accuracy)
