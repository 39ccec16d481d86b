"""Scores without classes: kept, read, and refused where they contradict themselves."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_scores import made_scores

from skelab.errors import ScoresError
from skelab.evaluation import (
    OutputScores,
    Scores,
    ScoresInfo,
    evaluate_scores,
    headline_figures,
    load_any_scores,
)

INFO = ScoresInfo("made-up", "xsub", "test", "honest", "tiny", "joint")
GOOD = OutputScores(
    names=("a", "b"),
    outputs=np.array([[0.5], [1.5]], dtype=np.float32),
    targets=np.array([0.25, 1.0]),
    metrics={"error": 0.375, "loss": 0.15625},
    task="height",
    info=INFO,
)


def test_they_come_back_as_they_were_and_the_same_scores_are_the_same_bytes(tmp_path: Path) -> None:
    GOOD.save(tmp_path / "one.npz")
    GOOD.save(tmp_path / "two.npz")

    found = load_any_scores(tmp_path / "one.npz")

    assert isinstance(found, OutputScores)
    assert (found.names, found.metrics, found.task, found.info) == (
        GOOD.names,
        GOOD.metrics,
        "height",
        INFO,
    )
    np.testing.assert_array_equal(found.outputs, GOOD.outputs)
    np.testing.assert_array_equal(found.targets, GOOD.targets)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize("load", [load_any_scores, OutputScores.load])
def test_a_pipe_is_refused_at_once(tmp_path: Path, load: Callable[[Path], object]) -> None:
    os.mkfifo(tmp_path / "scores.npz")

    with pytest.raises(ScoresError, match="expected a score file, found a named pipe"):
        load(tmp_path / "scores.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": (), "outputs": GOOD.outputs[:0]}, "expected at least one sample"),
        ({"names": ("a", "a")}, "expected every sample name once"),
        ({"targets": np.zeros(3)}, "expected outputs and targets of 2 samples, found 2 and 3"),
        (
            {"outputs": np.array([[0.0], [np.nan]], dtype=np.float32)},
            "sample 'b': expected finite outputs",
        ),
    ],
)
def test_scores_that_contradict_themselves_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ScoresError, match=message):
        replace(GOOD, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_a_damaged_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    if content is None:
        np.savez(path, format="skelab-outputs-1")
    else:
        path.write_bytes(content)

    with pytest.raises(ScoresError, match=r"scores\.npz: ") as caught:
        OutputScores.load(path)
    with pytest.raises(ScoresError, match=r"scores\.npz: "):
        load_any_scores(path)

    assert "\n" not in str(caught.value)


def test_the_kind_of_a_file_decides_what_is_read(tmp_path: Path) -> None:
    made_scores().save(tmp_path / "classes.npz")

    found = load_any_scores(tmp_path / "classes.npz")

    assert isinstance(found, Scores)


def test_headline_figures_are_metrics_or_accuracies() -> None:
    scores = made_scores()
    evaluation = evaluate_scores(scores)

    found, others = headline_figures(scores), headline_figures(GOOD)

    assert list(found) == ["top1", "top5", "macro_f1", "calibration_error"]
    assert (found["top1"].value, found["top1"].low) == (evaluation.top1.value, evaluation.top1.low)
    assert {name: figure.value for name, figure in others.items()} == dict(GOOD.metrics)
    assert not any(figure.is_share for figure in others.values())
