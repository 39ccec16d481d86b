import fractions
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_scores import made_info
from shared_data import shared_data

from skelab.errors import ScoresError
from skelab.evaluation import fuse, read_label_pickle, read_score_pickle, scores_from_pickle


@pytest.mark.parametrize(
    ("network", "joint", "bone", "both"),
    [
        ("msg3d", 90.93, 90.06, 92.66),
        ("stgcn", None, None, 86.18),
        ("2sagcn", None, None, 87.26),
    ],
)
def test_the_authors_scores_reach_their_published_accuracy(
    network: str, joint: float | None, bone: float | None, both: float
) -> None:
    folder = shared_data("scores", "nucla", "123")
    labels = read_label_pickle(folder / "val_label.pkl")
    info = made_info(dataset="nw-ucla", split="view3", part="test", protocol="paper")

    streams = [
        scores_from_pickle(
            folder / f"{stream}_result_{network}.pkl", labels, info=replace(info, stream=stream)
        )
        for stream in ("joint", "bone")
    ]

    assert round(100 * fuse(streams).top(1), 2) == both
    for stream, expected in zip(streams, (joint, bone), strict=True):
        assert expected is None or round(100 * stream.top(1), 2) == expected


@pytest.mark.parametrize("labels", [[2, 0], (2, 0), np.array([2, 0]), [np.int64(2), np.int64(0)]])
def test_labels_are_read_from_lists_and_arrays(tmp_path: Path, labels: Any) -> None:
    path = _pickled(tmp_path, (["b", "a"], labels))

    assert read_label_pickle(path) == {"b": 2, "a": 0}


def test_scores_and_labels_are_joined_by_name(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"b": np.array([0.0, 1.0]), "a": np.array([3.0, 2.0])})

    scores = scores_from_pickle(path, {"a": 0, "b": 1}, info=made_info())

    assert scores.names == ("a", "b")
    assert scores.top(1) == 1.0
    assert scores.classes == ("class 0", "class 1")


def test_a_pickle_that_could_run_code_is_refused(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"a": fractions.Fraction(1, 2)})

    for read in (read_score_pickle, read_label_pickle):
        with pytest.raises(ScoresError, match=r"bad\.pkl: .*fractions.Fraction, which could run"):
            read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "a dict of sample name to logits, found a list of 2 entries"),
        ({}, "a dict of sample name to logits, found a dict of 0 entries"),
        ({"a": [1, 2]}, "sample 'a': expected a row of numbers, found a list of 2"),
        ({"a": np.zeros((2, 2))}, r"found an array of float64 and shape \(2, 2\)"),
        ({"a": np.array(["x"])}, "found an array of <U1"),
        ({"a": np.zeros(2), "b": np.zeros(3)}, "found 2 or 3 classes and 2 names in 2"),
        ({"1": np.zeros(2), 1: np.zeros(2)}, "found 2 classes and 1 names in 2"),
    ],
)
def test_scores_of_another_shape_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = _pickled(tmp_path, content)

    with pytest.raises(ScoresError, match=message):
        read_score_pickle(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, r"a pair \(names, labels\), found a dict of 1 entries"),
        ((["a"], [1], [2]), "found a tuple of 3 entries"),
        ((["a"], "1"), "two lists, names and labels, found a list of 1 entries, '1'"),
        ((["a", "b"], [1]), "2 names but 1 labels"),
        ((["a"], [1.5]), "sample 'a': expected a label from 0, found 1.5"),
        ((["a"], [-1]), "expected a label from 0, found -1"),
        ((["a"], [True]), "expected a label from 0, found True"),
        ((["a", "a"], [1, 2]), "expected every sample once, found 'a' twice"),
    ],
)
def test_labels_of_another_shape_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    path = _pickled(tmp_path, content)

    with pytest.raises(ScoresError, match=message):
        read_label_pickle(path)


def test_samples_that_do_not_match_are_named(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"a": np.zeros(2), "b": np.zeros(2)})

    with pytest.raises(
        ScoresError,
        match=r"bad\.pkl: .*1 without a label \(say 'b'\), 1 without a score \(say 'c'\)",
    ):
        scores_from_pickle(path, {"a": 0, "c": 1}, info=made_info())


def test_a_score_beyond_float32_names_file_and_sample(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"a": np.array([1e300, 0.0])})

    with pytest.raises(ScoresError, match=r"bad\.pkl: scores, sample 'a': expected finite logits"):
        scores_from_pickle(path, {"a": 0}, info=made_info())


def test_a_label_beyond_the_classes_names_the_file(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"a": np.zeros(2)})

    with pytest.raises(ScoresError, match=r"bad\.pkl: scores, sample 'a': .*0..1, found 7"):
        scores_from_pickle(path, {"a": 7}, info=made_info())


def test_a_missing_or_damaged_pickle_is_named(tmp_path: Path) -> None:
    path = _pickled(tmp_path, {"a": np.zeros(20)})
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(ScoresError, match=r"bad\.pkl: .*found a damaged file"):
        read_score_pickle(path)
    with pytest.raises(ScoresError, match=r"none\.pkl: .*found: No such file"):
        read_score_pickle(tmp_path / "none.pkl")


def _pickled(folder: Path, content: Any) -> Path:
    path = folder / "bad.pkl"
    path.write_bytes(pickle.dumps(content))
    return path
