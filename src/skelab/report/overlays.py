"""Curves of several runs in one figure: a colour and a letter per run, pale lines for seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from skelab.report.plots import (
    FONT_SIZE,
    PAPER,
    SERIES,
    curve_points,
    figure_svg,
    name_axes,
    new_figure,
    value_ticks,
)

DASHES = ("solid", (0, (4, 2)), (0, (1, 1.6)))
"""Line styles, cycled once the colours repeat."""

_PANELS = (
    ("loss", "Training loss", "train_loss", 1.0),
    ("top1", "Training top-1, %", "train_top1", 100.0),
    ("validation", "Validation top-1, %", "validation_top1", 100.0),
    ("rate", "Learning rate", "learning_rate", 1.0),
)
_LABEL_GAP = 0.085  # of the height of the axes, between two letters
_PALE = 0.42

_Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class RunCurves:
    """The curves of a run.

    Attributes:
        letter: The run's letter on the page, at the end of its curve.
        histories: Records of ``metrics.jsonl`` of each seed, epochs counted from 1.
        chosen_epochs: The chosen epoch of each seed; None without one.
    """

    letter: str
    histories: Sequence[Sequence[Mapping[str, Any]]]
    chosen_epochs: Sequence[int | None]


def overlay_figures(runs: Sequence[RunCurves]) -> list[Markup]:
    """Training loss, training and validation top-1, learning rate; those that were recorded.

    The index of a run determines its colour. Seeds are drawn pale with their mean on top, over
    the epochs that all have. A dot marks the chosen epoch.
    """
    figures = []
    for name, title, column, factor in _PANELS:
        curves = {
            place: [curve_points(history, column, factor) for history in run.histories]
            for place, run in enumerate(runs)
        }
        drawn = {
            place: kept
            for place, found in curves.items()
            if (kept := [curve for curve in found if curve[0]])
        }
        if drawn:
            figures.append(_figure(name, title, runs, drawn))
    return figures


def _figure(
    name: str, title: str, runs: Sequence[RunCurves], drawn: Mapping[int, Sequence[_Curve]]
) -> Markup:
    figure, axes = new_figure()
    highest = max(max(y) for curves in drawn.values() for _, y in curves)
    top = 101.5 if title.endswith("%") else 1.06 * highest or 1.0
    axes.set_ylim(0, top)
    ends = {}
    for place, curves in drawn.items():
        colour, dashes = SERIES[place % len(SERIES)], DASHES[place // len(SERIES) % len(DASHES)]
        x, y = _mean(curves)
        if len(curves) > 1:
            for pale in curves:
                axes.plot(*pale, color=colour, linewidth=1.0, alpha=_PALE)
        marker = "o" if len(x) == 1 else None
        axes.plot(x, y, color=colour, linewidth=1.8, linestyle=dashes, marker=marker, markersize=4)
        if name == "validation":
            _mark_chosen(axes, colour, runs[place], curves)
        ends[place] = (x[-1], y[-1])
    _mark_ends(axes, runs, ends, top)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_locator(value_ticks())
    name_axes(axes, x="epoch", title=title)
    told = "; ".join(f"{runs[place].letter} ends at {y:.4g}" for place, (_, y) in ends.items())
    return figure_svg(figure, name=f"overlay-{name}", description=f"{title} by epoch: {told}")


def _mark_ends(
    axes: Axes, runs: Sequence[RunCurves], ends: Mapping[int, tuple[float, float]], top: float
) -> None:
    """Write each run's letter at the end of its curve.

    Letters at the same epoch are moved apart; those of shorter runs are placed above their curves.
    """
    last = max(x_end for x_end, _ in ends.values())
    heights: dict[int, float] = {}
    for x_end in {x_end for x_end, _ in ends.values()}:
        alike = {place: y for place, (x, y) in ends.items() if x == x_end}
        placed = _apart(alike, _LABEL_GAP * top)
        lift = 0.0 if x_end == last else max(alike.values()) - min(placed.values())
        lift = min(lift, (len(alike) - 1) * _LABEL_GAP * top / 2)
        heights |= {place: y + lift for place, y in placed.items()}
    for place, (x_end, _) in ends.items():
        axes.annotate(
            runs[place].letter,
            (x_end, heights[place]),
            xytext=(6, 0) if x_end == last else (2, 7),
            textcoords="offset points",
            color=SERIES[place % len(SERIES)],
            fontsize=FONT_SIZE + 0.5,
            weight="bold",
            verticalalignment="center",
            annotation_clip=False,
        )


def _mean(curves: Sequence[_Curve]) -> _Curve:
    """The mean over the epochs that all curves have; the longest curve where there are none."""
    points = [dict(zip(x, y, strict=True)) for x, y in curves]
    shared = sorted(set(points[0]).intersection(*points[1:]))
    if not shared:
        return max(curves, key=lambda curve: len(curve[0]))
    return shared, [sum(each[x] for each in points) / len(points) for x in shared]


def _mark_chosen(axes: Axes, colour: str, run: RunCurves, curves: Sequence[_Curve]) -> None:
    if len(curves) != len(run.chosen_epochs):
        return
    for (x, y), chosen in zip(curves, run.chosen_epochs, strict=True):
        if chosen in x:
            value = y[x.index(chosen)]
            axes.plot(chosen, value, "o", markersize=5, markerfacecolor=PAPER, color=colour)


def _apart(heights: Mapping[int, float], gap: float) -> dict[int, float]:
    """The heights moved as little as possible so that they are ``gap`` apart.

    Neighbours that are too close become a block around their mean, as in isotonic regression.
    """
    order = sorted(heights, key=lambda place: (heights[place], -place))
    blocks: list[list[int]] = []
    starts: list[float] = []
    for place in order:
        blocks.append([place])
        starts.append(heights[place])
        while len(blocks) > 1 and starts[-2] + gap * len(blocks[-2]) > starts[-1]:
            last = blocks.pop()
            blocks[-1] += last
            starts.pop()
            middle = sum(heights[each] for each in blocks[-1]) / len(blocks[-1])
            starts[-1] = max(0.0, middle - gap * (len(blocks[-1]) - 1) / 2)
    return {
        place: start + gap * number
        for block, start in zip(blocks, starts, strict=True)
        for number, place in enumerate(block)
    }
