"""Early recognition as tables, curves and a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from skelab.evaluation import AreaDifference, EarlyEvaluation, EarlyProtocol
from skelab.report.page import render_page, write_page
from skelab.report.plots import (
    FONT_SIZE,
    INK,
    MUTED,
    SERIES,
    figure_svg,
    name_axes,
    new_figure,
    value_ticks,
)
from skelab.report.report import Section, Table
from skelab.report.tables import percent

EXPLANATIONS: Final[Mapping[EarlyProtocol, str]] = {
    EarlyProtocol.P1: (
        "P1: the first part of each clip is cut off and then shaped as a clip of its own. What"
        " follows, and for how long, changes nothing of what the network gets."
    ),
    EarlyProtocol.P2: (
        "P2: each clip is resized to the window first, and a causal network is read at a share of"
        " the window. The network sees how fast the clip was squeezed, so that it knows how long"
        " the clip goes on: figures of P2 and P1 are no measure of one another."
    ),
}
"""The input of a network under each protocol."""


@dataclass(frozen=True)
class EarlyCurve:
    """One network in a table of early recognition.

    Attributes:
        name: Its name in the table.
        evaluation: Its figures.
        change: Difference to the first network of the table; None for the first, or if
            they do not share their clips.
    """

    name: str
    evaluation: EarlyEvaluation
    change: AreaDifference | None = None


def accuracy_rows(curves: Sequence[EarlyCurve]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: top-1 at each observed share, and the AUC."""
    ratios = curves[0].evaluation.ratios
    columns = ["network", *(f"{ratio:.0%}" for ratio in ratios), "AUC"]
    rows = [
        [
            curve.name,
            *(f"{100 * each.value:.1f}" for each in curve.evaluation.accuracy),
            f"{100 * curve.evaluation.auc:.2f}",
        ]
        for curve in curves
    ]
    return columns, rows


def calibration_rows(curves: Sequence[EarlyCurve]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: expected calibration error at each observed share, in per cent."""
    ratios = curves[0].evaluation.ratios
    columns = ["network", *(f"{ratio:.0%}" for ratio in ratios)]
    rows = [
        [curve.name, *(f"{100 * each:.1f}" for each in curve.evaluation.calibration_error)]
        for curve in curves
    ]
    return columns, rows


def settling_rows(curves: Sequence[EarlyCurve]) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: clips that end up correct, and the share from which on they stay so."""
    rows = []
    for curve in curves:
        time = curve.evaluation.time_to_correct
        rows.append(
            [
                curve.name,
                f"{time.settled:,} of {time.total:,}",
                percent(time.mean, digits=0),
                percent(time.median, digits=0),
            ]
        )
    return ["network", "settled", "mean, of the settled", "median, of all"], rows


def exit_rows(curve: EarlyCurve) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: the early-exit curve of one network."""
    rows = [
        [f"{point.threshold:.3f}", percent(point.observed, digits=1), percent(point.accuracy)]
        for point in curve.evaluation.exits
    ]
    return ["confidence", "observed, mean", "top-1"], rows


def exit_note(curve: EarlyCurve) -> str:
    """Where the thresholds of the early exit come from."""
    if curve.evaluation.thresholds_chosen:
        return "the thresholds were chosen on the validation part"
    return (
        "fixed thresholds, since the recipe has no validation part to choose them on"
        " (data.validation_subjects)"
    )


def change_lines(curves: Sequence[EarlyCurve]) -> list[str]:
    """The difference of each network to the first, in percentage points with intervals."""
    lines = []
    for curve in curves:
        change = curve.change
        if change is not None:
            lines.append(
                f"{curve.name} against {curves[0].name}:"
                f" AUC {_points(change.difference)} ({_points(change.low)} to"
                f" {_points(change.high)}), whole clips {_points(change.full_difference)}"
                f" ({_points(change.full_low)} to {_points(change.full_high)})"
            )
    return lines


def accuracy_figure(curves: Sequence[EarlyCurve], *, name: str = "early-accuracy") -> Markup:
    """Top-1 against the observed share: one line per network, with its interval as a band."""
    figure, axes = new_figure(width=6.4, height=3.2)
    for place, curve in enumerate(curves):
        colour = SERIES[place % len(SERIES)]
        found = curve.evaluation
        shares = 100 * np.array(found.ratios)
        value = [100 * each.value for each in found.accuracy]
        low, high = (
            [100 * getattr(each, end) for each in found.accuracy] for end in ("low", "high")
        )
        axes.fill_between(shares, low, high, color=colour, alpha=0.12, linewidth=0)
        axes.plot(shares, value, "o-", color=colour, markersize=3.5, label=curve.name)
    axes.set_ylim(0, 101.5)
    axes.yaxis.set_major_locator(value_ticks())
    _legend(axes, len(curves))
    name_axes(axes, x="observed, % of the clip", title="Top-1 by what was observed, %")
    return figure_svg(
        figure, name=name, description="Top-1 accuracy against the observed share of the clip"
    )


def exit_figure(curves: Sequence[EarlyCurve], *, name: str = "early-exit") -> Markup:
    """Top-1 against the mean observed share of answering as soon as the network is sure."""
    figure, axes = new_figure(width=6.4, height=3.2)
    for place, curve in enumerate(curves):
        colour = SERIES[place % len(SERIES)]
        points = curve.evaluation.exits
        axes.plot(
            [100 * point.observed for point in points],
            [100 * point.accuracy for point in points],
            "o-",
            color=colour,
            markersize=3.5,
            label=curve.name,
        )
    axes.set_xlim(0, 101.5)
    axes.set_ylim(0, 101.5)
    axes.yaxis.set_major_locator(value_ticks())
    _legend(axes, len(curves))
    name_axes(axes, x="observed on average, %", title="Top-1 when answering once sure, %")
    return figure_svg(
        figure, name=name, description="Accuracy of early exits against the mean observed share"
    )


def early_sections(curves: Mapping[EarlyProtocol, Sequence[EarlyCurve]]) -> list[Section]:
    """A section of a report for each protocol that has networks."""
    sections = []
    for protocol, listed in curves.items():
        if not listed:
            continue
        exits = [
            _table(exit_rows(curve), f"Early exit of {curve.name}: {exit_note(curve)}")
            for curve in listed
        ]
        sections.append(
            Section(
                title=f"Early recognition, {protocol.value}",
                text=" ".join([EXPLANATIONS[protocol], *(f"{x}." for x in change_lines(listed))]),
                figures=(
                    accuracy_figure(listed, name=f"early-accuracy-{protocol.value}"),
                    exit_figure(listed, name=f"early-exit-{protocol.value}"),
                ),
                tables=(
                    _table(accuracy_rows(listed), "Top-1 by observed share, and AUC, %"),
                    _table(calibration_rows(listed), "Calibration error by observed share, %"),
                    _table(settling_rows(listed), "From which share on the answer stays right"),
                    *exits,
                ),
            )
        )
    return sections


def write_early_page(
    path: Path,
    title: str,
    curves: Mapping[EarlyProtocol, Sequence[EarlyCurve]],
    *,
    notes: Sequence[str] = (),
    synthetic: bool = False,
) -> None:
    """Write the page of early recognition as one HTML file, whole or not at all.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    sections = [
        {"section": section, "figures": [Markup(svg) for svg in section.figures]}  # noqa: S704
        for section in early_sections(curves)
    ]
    html = render_page(
        "sections.html.jinja",
        title=title,
        overline="Early recognition",
        sections=sections,
        notes=list(notes),
        synthetic=synthetic,
    )
    write_page(path, html)


def _table(content: tuple[list[str], list[list[str]]], caption: str) -> Table:
    columns, rows = content
    return Table(tuple(columns), tuple(tuple(row) for row in rows), caption)


def _legend(axes: Axes, count: int) -> None:
    if count > 1:
        axes.legend(frameon=False, fontsize=FONT_SIZE, labelcolor=INK, loc="lower right")
    axes.tick_params(colors=MUTED)


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
