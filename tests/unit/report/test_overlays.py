"""Curves of several runs in one figure."""

import re
from typing import Any

import pytest

from skelab.report.overlays import RunCurves, _apart, _mean, overlay_figures
from skelab.report.plots import SERIES


def records(epochs: int, **columns: float) -> list[dict[str, Any]]:
    """Records whose columns fall with the epoch."""
    return [
        {"epoch": epoch, **{name: value / epoch for name, value in columns.items()}}
        for epoch in range(1, epochs + 1)
    ]


def test_only_what_was_recorded_is_drawn() -> None:
    with_loss = RunCurves("A", [records(3, train_loss=2.0)], [None])
    nothing = RunCurves("B", [], [])

    (loss,) = overlay_figures([with_loss, nothing])

    assert "Training loss by epoch: A ends at 0.6667" in loss
    assert "B ends" not in loss


def test_every_run_has_its_colour_as_a_variable_of_the_page_and_its_letter() -> None:
    runs = [RunCurves(name, [records(4, train_top1=0.9)], [None]) for name in "ABCDEFG"]

    (figure,) = overlay_figures(runs)

    for number, name in enumerate("ABCDEF", start=1):
        assert f"var(--series-{number})" in figure
        assert re.search(rf"<text[^>]*>{name}</text>", figure)
    assert "stroke-dasharray" in figure  # the seventh run, whose colour is the first's
    assert not any(colour in figure for colour in SERIES)


def test_seeds_are_pale_and_their_mean_is_strong() -> None:
    single = RunCurves("A", [records(4, train_loss=2.0)], [None])
    several = RunCurves("A", [records(4, train_loss=2.0), records(3, train_loss=4.0)], [None, None])

    (one,), (two,) = overlay_figures([single]), overlay_figures([several])

    assert "stroke-opacity" not in one
    assert two.count("stroke-opacity: 0.42") == 2
    assert "A ends at 1" in two  # the mean of 2/3 and 4/3, in the last epoch that both have


def test_the_chosen_epoch_is_marked_on_the_validation_curve() -> None:
    history = records(4, validation_top1=0.8)

    (plain,) = overlay_figures([RunCurves("A", [history], [None])])
    (marked,) = overlay_figures([RunCurves("A", [history], [2])])

    assert plain.count("var(--paper)") == 0
    assert marked.count("var(--paper)") >= 1


def test_the_mean_takes_the_epochs_that_all_seeds_have() -> None:
    curves = [([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]), ([2.0, 3.0], [4.0, 5.0])]

    assert _mean(curves) == ([2.0, 3.0], [3.0, 4.0])
    assert _mean([([1.0], [5.0]), ([2.0, 3.0], [4.0, 5.0])]) == ([2.0, 3.0], [4.0, 5.0])


@pytest.mark.parametrize(
    ("heights", "expected"),
    [
        ({0: 1.0, 1: 5.0}, {0: 1.0, 1: 5.0}),
        ({0: 5.0, 1: 5.0}, {0: 5.5, 1: 4.5}),  # the first run on top
        ({0: 5.0, 1: 5.2, 2: 5.4}, {0: 4.2, 1: 5.2, 2: 6.2}),
        ({0: 0.0, 1: 0.0}, {0: 1.0, 1: 0.0}),  # not below the axis
        ({}, {}),
    ],
)
def test_letters_keep_a_distance_and_move_as_little_as_that_takes(
    heights: dict[int, float], expected: dict[int, float]
) -> None:
    assert _apart(heights, 1.0) == pytest.approx(expected)
