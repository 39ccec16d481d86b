import math

import numpy as np
import pytest
from made_scores import made_scores, scores_of

from skelab.evaluation import evaluate_scores
from skelab.report import class_rows, confused_rows, summary_rows
from skelab.report.tables import duration, percent


def test_the_summary_names_each_figure_once_with_its_interval() -> None:
    scores = scores_of(np.eye(6)[:4], [0, 1, 2, 0])

    rows = {name: (value, note) for name, value, note in summary_rows(evaluate_scores(scores))}

    assert rows["top-1"] == ("75.00%", "30.1 to 95.4%")
    assert rows["top-5"] == ("100.00%", "51.0 to 100.0%")
    assert rows["samples"] == ("4", "")


def test_top5_of_five_classes_is_no_figure() -> None:
    scores = scores_of(np.eye(5), [0, 1, 2, 0, 1])

    names = [name for name, _, _ in summary_rows(evaluate_scores(scores))]

    assert "top-1" in names
    assert "top-5" not in names


def test_a_class_has_a_row_and_an_undefined_figure_a_dash() -> None:
    scores = scores_of(np.array([[1.0, 0, 0], [0, 1, 0]]), [0, 0])

    rows = class_rows(evaluate_scores(scores))

    assert rows[0] == ("action 0", "2", "100.0%", "50.0%", "66.7%")
    assert rows[2] == ("action 2", "0", "\u2013", "\u2013", "\u2013")


def test_confused_pairs_have_their_share() -> None:
    evaluation = evaluate_scores(made_scores(40))

    rows = confused_rows(evaluation)

    assert len(rows) == len(evaluation.confused)
    assert rows[0][3] == percent(evaluation.confused[0].share, digits=1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (61, "1 min 01 s"), (11_220, "3 h 07 min")],
)
def test_a_duration_is_told_in_two_units(seconds: float, text: str) -> None:
    assert duration(float(seconds)) == text


def test_an_undefined_share_is_a_dash() -> None:
    assert percent(math.nan) == "\u2013"
