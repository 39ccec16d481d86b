import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from made_scores import made_scores

from skelab.evaluation import evaluate_scores
from skelab.report import figure_svg, name_axes, new_figure
from skelab.report.plots import (
    ACCENT,
    FONT_SIZE,
    SCALE,
    confusion_figure,
    group_figure,
    history_figures,
    reliability_figure,
)

HISTORY = [
    {"epoch": epoch, "train_loss": 3 / epoch, "validation_loss": 4 / epoch, "learning_rate": 0.1}
    for epoch in range(1, 6)
]


def test_a_figure_is_lone_svg_that_takes_colours_and_font_from_the_page() -> None:
    figure, axes = new_figure()
    axes.plot([1, 2], [3, 4], color=ACCENT)
    name_axes(axes, x="epoch", title="Loss < 1")

    svg = figure_svg(figure, name="test", description="a <line>")

    ElementTree.fromstring(svg)  # noqa: S314
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert "var(--accent)" in svg
    assert "var(--font)" in svg
    assert "DejaVu" not in svg
    assert "<title>a &lt;line&gt;</title>" in svg
    assert "metadata" not in svg
    assert not re.search(r"20\d\d-\d\d-\d\d", svg)


def test_the_same_figure_is_the_same_text() -> None:
    first, second = history_figures(HISTORY, 3), history_figures(HISTORY, 3)

    assert first == second


def test_inner_names_of_two_figures_never_meet() -> None:
    evaluation = evaluate_scores(made_scores(100))
    figures = [
        *history_figures(HISTORY),
        reliability_figure(evaluation.reliability),
        group_figure("subject", evaluation.groups["subject"], evaluation.top1.value),
    ]

    ids = [re.findall(r' id="([^"]*)"', svg) for svg in figures]
    references = [re.findall(r'(?:url\(|href=")#([\w-]+)', svg) for svg in figures]

    flat = [name for names in ids for name in names]
    assert len(flat) == len(set(flat)) > 0
    for own, used in zip(ids, references, strict=True):
        assert set(used) == set(own)


def test_the_settings_of_matplotlib_are_left_as_they_were() -> None:
    before = dict(mpl.rcParams)

    history_figures(HISTORY)

    assert dict(mpl.rcParams) == before


def test_only_what_was_recorded_is_drawn() -> None:
    figures = history_figures(HISTORY)

    assert len(figures) == 2
    assert "Loss by epoch: training ends at 0.6; validation ends at 0.8" in figures[0]
    assert history_figures([]) == []


def test_a_diverged_loss_leaves_a_gap_and_no_error() -> None:
    history: list[dict[str, Any]] = [*HISTORY]
    history.append({"epoch": 6, "train_loss": float("nan"), "validation_loss": None})

    figures = history_figures(history)

    assert "training ends at 0.6" in figures[0]


def test_a_curve_of_zeros_is_drawn() -> None:
    figures = history_figures([{"epoch": 1, "learning_rate": 0.0}])

    assert len(figures) == 1


@pytest.mark.parametrize("classes", [2, 12, 27, 60, 120])
def test_the_heat_map_has_one_square_per_cell_that_is_not_empty(classes: int) -> None:
    evaluation = evaluate_scores(made_scores(400, classes))

    svg = confusion_figure(evaluation.confusion, evaluation.classes)

    ElementTree.fromstring(svg)  # noqa: S314
    filled = np.count_nonzero(evaluation.confusion)
    assert svg.count('<rect class="right"') + svg.count('<rect class="wrong"') == filled
    assert svg.count('<rect class="right"') == np.count_nonzero(np.diag(evaluation.confusion))
    width = float(re.search(r' width="(\d+)"', svg)[1])  # type: ignore[index]
    assert width <= (1000 if classes <= 60 else 1400)


def test_names_in_the_heat_map_are_escaped_and_long_ones_cut() -> None:
    names = ["<b>hop</b>", "a very long name of an action that nobody could read in a row"]

    svg = confusion_figure(np.array([[2, 1], [0, 3]]), names)

    assert "<b>" not in svg
    assert "&lt;b&gt;hop&lt;/b&gt; \u2192 a very long name" in svg
    assert "a very long name of an action tha\u2026" in svg


def test_the_text_of_a_figure_is_readable_on_a_phone() -> None:
    figure, _ = new_figure()

    svg = figure_svg(figure, name="plain", description="nothing")

    (wide,) = re.findall(r"--wide:(\d+)px", svg)
    smallest = FONT_SIZE * SCALE * 0.8  # the style sheet keeps figures at 80 % of that or more
    assert smallest >= 9.5
    assert 0.8 * int(wide) <= 350  # a phone of 390 px shows it whole


def test_the_heat_map_numbers_classes_by_their_labels() -> None:
    svg = confusion_figure(np.eye(3, dtype=np.int64), ["a", "b", "c"])

    assert re.findall(r'class="number column"[^>]*>(\d+)<', svg) == ["0", "1", "2"]
