"""Figures of the report: reproducible SVG that takes colours and font from the page."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from jaxtyping import Int64
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy import ndarray

from skelab.evaluation.metrics import GroupResult, ReliabilityBin

# Each colour stands for a variable of the page's style sheet, which has a light and a dark set;
# these values are the light one, and what a figure shows outside the page.
INK, MUTED, RULE = "#1c2126", "#646c75", "#dcdfe2"
ACCENT, CONTRAST, PAPER = "#0f6b78", "#b8521b", "#fefefd"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    RULE: "var(--rule)",
    ACCENT: "var(--accent)",
    CONTRAST: "var(--contrast)",
    PAPER: "var(--paper)",
}
SERIES = ("#0072b2", "#b8430a", "#00876a", "#a63f86", "#c99700", "#4a5560")
"""Colours of runs, distinguishable with colour blindness; after Okabe and Ito."""
_VARIABLES |= {colour: f"var(--series-{k})" for k, colour in enumerate(SERIES, start=1)}
FONT_SIZE = 9.5
"""Points."""
SCALE = 1.28
"""Pixels of the page per point of the figure."""
_PAGE = 1000  # maximum width of a figure, pixels
_LABEL_STEP = (1, 2, 5, 10, 20)


def new_figure(*, width: float = 4.6, height: float = 2.6) -> tuple[Figure, Axes]:
    """An empty figure in the report's style, with one set of axes; sizes in inches.

    Draw with the colours of this module, then turn it into text with `figure_svg`.
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    style_axes(axes)
    return figure, axes


def style_axes(axes: Axes) -> None:
    """Give ``axes`` the report's style: no box, light horizontal rules, small muted figures."""
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.grid(axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelsize=FONT_SIZE, length=0, pad=5)


def name_axes(axes: Axes, *, x: str, title: str) -> None:
    """Name the horizontal axis below it and what is shown above the figure, at the left."""
    axes.set_xlabel(x, color=MUTED, fontsize=FONT_SIZE)
    axes.set_title(title, color=INK, fontsize=FONT_SIZE + 1, loc="left", pad=12, weight="bold")


def figure_svg(figure: Figure, *, name: str, description: str) -> Markup:
    """Turn a figure into inline SVG: text stays text, colours follow the page, no date.

    Args:
        figure: A figure of `new_figure`.
        name: A name unique within the page; it prefixes inner ids.
        description: Alternative text.
    """
    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
    }
    buffer = io.StringIO()
    with mpl.rc_context(settings):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing, transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = _own_ids(svg, name)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    # Older matplotlib writes the shorthand property, newer versions each property.
    svg = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", svg)
    svg = re.sub(r"(font: [^;\"']*?px) [^;\"]*", r"\1 var(--font)", svg)
    width, height = (SCALE * 72 * size for size in figure.get_size_inches())
    box = re.search(r'viewBox="[^"]*"', svg)
    opening = Markup(
        '<svg class="plot" role="img" {} width="{:.0f}" height="{:.0f}" style="--wide:{:.0f}px"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink"><title>{}</title>'
    ).format(Markup(box[0] if box else ""), width, height, width, description)  # noqa: S704
    return opening + Markup(svg[svg.index(">") + 1 :])  # noqa: S704


def history_figures(
    history: Sequence[Mapping[str, Any]], chosen_epoch: int | None = None
) -> list[Markup]:
    """Curves of a training run: loss, accuracy, learning rate, speed; those that were recorded.

    Args:
        history: Records of ``metrics.jsonl``: ``epoch`` and any of ``train_loss``,
            ``validation_loss``, ``train_top1``, ``validation_top1`` (0..1),
            ``learning_rate``, ``clips_per_second``, and other metrics ``train_…`` and
            ``validation_…``.
        chosen_epoch: The epoch whose weights were kept; marked by a line.
    """
    panels: tuple[_Panel, ...] = (
        ("loss", "Loss", {"train_loss": "training", "validation_loss": "validation"}, 1.0),
        (
            "accuracy",
            "Top-1 accuracy, %",
            {"train_top1": "training", "validation_top1": "validation"},
            100.0,
        ),
        *_other_metrics(history),
        ("rate", "Learning rate", {"learning_rate": ""}, 1.0),
        ("speed", "Clips per second in training", {"clips_per_second": ""}, 1.0),
    )
    figures = []
    for name, title, columns, factor in panels:
        curves = {
            label: curve
            for column, label in columns.items()
            if len((curve := curve_points(history, column, factor))[0])
        }
        if curves:
            figures.append(_curve_figure(name, title, curves, chosen_epoch))
    return figures


_Panel = tuple[str, str, Mapping[str, str], float]


def _other_metrics(history: Sequence[Mapping[str, Any]]) -> list[_Panel]:
    """A panel for each metric of a task other than loss and top-1."""
    kinds = {"train_": "training", "validation_": "validation"}
    columns = dict.fromkeys(column for record in history for column in record)
    panels: dict[str, dict[str, str]] = {}
    for column in columns:
        for prefix, kind in kinds.items():
            metric = column.removeprefix(prefix)
            if column.startswith(prefix) and metric not in ("loss", "top1"):
                panels.setdefault(metric, {})[column] = kind
    return [
        (f"metric-{name}", name.replace("_", " ").capitalize(), shown, 1.0)
        for name, shown in panels.items()
    ]


def group_figure(name: str, groups: Sequence[GroupResult], overall: float) -> Markup:
    """Top-1 accuracy with its interval per subject, camera or setup, beside the overall one.

    Args:
        name: ``"subject"``, ``"camera"`` or ``"setup"``.
        groups: At least one result.
        overall: Top-1 accuracy of all samples, 0..1.
    """
    # The width depends on the number of groups, so that marks have the same size.
    figure, axes = new_figure(width=min(11.2, 2.1 + 0.27 * max(len(groups), 4)), height=2.7)
    place = np.arange(len(groups))
    value = np.array([100 * group.top1.value for group in groups])
    low = np.array([100 * group.top1.low for group in groups])
    high = np.array([100 * group.top1.high for group in groups])
    axes.axhline(100 * overall, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.vlines(place, low, high, color=ACCENT, linewidth=2.4, alpha=0.35, capstyle="round")
    axes.plot(place, value, "o", color=ACCENT, markersize=5)
    step = next((s for s in _LABEL_STEP if len(groups) / s <= 40), _LABEL_STEP[-1])
    axes.set_xticks(place[::step], [str(group.number) for group in groups[::step]])
    axes.set_xlim(-0.7, len(groups) - 0.3)
    axes.set_ylim(max(0.0, 10 * math.floor(low.min() / 10)), 101.5)
    axes.yaxis.set_major_locator(value_ticks())
    name_axes(axes, x=name, title=f"Top-1 by {name}, %")
    worst = min(groups, key=lambda group: group.top1.value)
    return figure_svg(
        figure,
        name=f"group-{name}",
        description=f"Top-1 accuracy by {name}: lowest {worst.top1.value:.1%} at {worst.number}",
    )


def reliability_figure(bins: Sequence[ReliabilityBin]) -> Markup:
    """Accuracy against confidence, with the share of samples in each bin below."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained", facecolor="none")
    FigureCanvasSVG(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    _plot_accuracy(upper, bins)
    _plot_shares(lower, bins)
    return figure_svg(
        figure, name="reliability", description="Accuracy of the samples in each confidence bin"
    )


def _plot_accuracy(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    filled = [entry for entry in bins if entry.count]
    style_axes(axes)
    axes.plot([0, 1], [0, 100], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.bar(
        [(entry.low + entry.high) / 2 for entry in filled],
        [100 * entry.accuracy for entry in filled],
        width=0.82 / len(bins),
        color=ACCENT,
        alpha=0.28,
    )
    axes.plot(
        [entry.confidence for entry in filled],
        [100 * entry.accuracy for entry in filled],
        "o",
        color=ACCENT,
        markersize=4.5,
    )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 102)
    name_axes(axes, x="", title="Accuracy against confidence, %")


def _plot_shares(axes: Axes, bins: Sequence[ReliabilityBin]) -> None:
    filled = [entry for entry in bins if entry.count]
    total = sum(entry.count for entry in bins)
    style_axes(axes)
    axes.bar(
        [(entry.low + entry.high) / 2 for entry in filled],
        [100 * entry.count / total for entry in filled],
        width=0.82 / len(bins),
        color=MUTED,
        alpha=0.55,
    )
    axes.yaxis.set_major_locator(MaxNLocator(2))
    name_axes(axes, x="confidence", title="Samples, %")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}"))


def confusion_figure(confusion: Int64[ndarray, "K K"], classes: Sequence[str]) -> Markup:
    """A heat map: rows are true classes, columns predicted ones; hovering shows the count.

    Diagonal (correct) and errors have different hues; the shade is the share of the
    row. Written directly as one square per non-empty cell: a plot library would draw all
    cells, or an image without names.
    """
    count = len(classes)
    longest = min(max(map(len, classes)), 34)
    cell = next((c for c in range(38, 9, -1) if _names_width(longest, c) + c * count < _PAGE), 9)
    font = _confusion_font(cell)
    left = _names_width(longest, cell)
    top = math.ceil(font * 2.2)
    side = cell * count
    width, height = left + side + 2, top + side + 2
    parts = [
        Markup(
            '<svg class="confusion" role="img" viewBox="0 0 {} {}" width="{}" height="{}"'
            ' font-size="{:.1f}"><title>Confusion matrix of {} classes</title>'
        ).format(width, height, width, height, font, count),
        Markup('<rect class="ground" x="{}" y="{}" width="{}" height="{}"/>').format(
            left, top, side, side
        ),
    ]
    parts += _class_names(classes, longest=longest, cell=cell, left=left, top=top)
    for true, predicted in np.argwhere(confusion).tolist():
        place = left + predicted * cell, top + true * cell
        parts += _confusion_cell(confusion, classes, true, predicted, place=place, cell=cell)
    return Markup("").join([*parts, Markup("</svg>")])


def _class_names(
    classes: Sequence[str], *, longest: int, cell: int, left: int, top: int
) -> list[Markup]:
    """The names and numbers of the rows, and the numbers of the columns that have room."""
    font = _confusion_font(cell)
    every = 1 if cell > 1.25 * font else 2 if 2 * cell > 1.7 * font else 5
    parts = []
    for k, name in enumerate(classes):
        middle = top + (k + 0.5) * cell
        short = name if len(name) <= longest else name[: longest - 1] + "\u2026"
        parts.append(
            Markup(
                '<g class="row"><text class="name" x="{}" y="{:.1f}">{}</text>'
                '<text class="number" x="{}" y="{:.1f}">{}</text></g>'
            ).format(left - 30, middle, short, left - 6, middle, k)
        )
        if k % every == 0:
            parts.append(
                Markup('<text class="number column" x="{:.1f}" y="{}">{}</text>').format(
                    left + (k + 0.5) * cell, top - 7, k
                )
            )
    return parts


def _confusion_cell(
    confusion: Int64[ndarray, "K K"],
    classes: Sequence[str],
    true: int,
    predicted: int,
    *,
    place: tuple[int, int],
    cell: int,
) -> list[Markup]:
    """A square whose shade is the share of the row, and its count where there is room."""
    count, support = int(confusion[true, predicted]), int(confusion[true].sum())
    share, right = count / support, true == predicted
    # Errors are rarely above a tenth of a row: the root makes them visible.
    shade = 0.12 + 0.88 * share if right else 0.06 + 0.94 * math.sqrt(share)
    x, y = place
    square = Markup(
        '<rect class="{}" data-pair="{}-{}" x="{}" y="{}" width="{}" height="{}"'
        ' fill-opacity="{:.2f}">'
        "<title>{} \u2192 {}: {} of {} ({})</title></rect>"
    ).format(
        "right" if right else "wrong",
        *(true, predicted, x + 0.5, y + 0.5, cell - 1, cell - 1, shade),
        *(classes[true], classes[predicted], count, support, f"{share:.1%}"),
    )
    if cell < 24:
        return [square]
    number = Markup('<text class="count {}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        "strong" if shade > 0.6 else "", x + cell / 2, y + cell / 2, count
    )
    return [square, number]


def _confusion_font(cell: int) -> float:
    return min(12.5, max(9.5, 0.72 * cell))


def _names_width(longest: int, cell: int) -> int:
    """Width left of the heat map for names of ``longest`` letters and their numbers, pixels."""
    return math.ceil(longest * _confusion_font(cell) * 0.56) + 34


def value_ticks() -> MaxNLocator:
    """Round numbers for a vertical axis."""
    return MaxNLocator(5, steps=[1, 2, 2.5, 5, 10])


def curve_points(
    history: Sequence[Mapping[str, Any]], column: str, factor: float
) -> tuple[list[float], list[float]]:
    """Epochs and values of a column, times ``factor``, where both were recorded and finite."""
    points = [
        (float(record["epoch"]), factor * float(record[column]))
        for record in history
        if record.get("epoch") is not None and record.get(column) is not None
    ]
    kept = [point for point in points if math.isfinite(point[1])]
    return [x for x, _ in kept], [y for _, y in kept]


def _curve_figure(
    name: str,
    title: str,
    curves: Mapping[str, tuple[list[float], list[float]]],
    chosen_epoch: int | None,
) -> Markup:
    figure, axes = new_figure()
    if chosen_epoch is not None:
        axes.axvline(chosen_epoch, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    for label, (x, y) in curves.items():
        colour = CONTRAST if label == "validation" else ACCENT
        marker = "o" if len(x) < 12 else None
        axes.plot(x, y, color=colour, linewidth=1.7, marker=marker, markersize=3.5, label=label)
    if any(curves):
        axes.legend(
            frameon=False,
            fontsize=FONT_SIZE,
            labelcolor="linecolor",
            ncols=2,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.1,
            handlelength=1.2,
        )
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    axes.yaxis.set_major_locator(value_ticks())
    highest = max(max(y) for _, y in curves.values())
    axes.set_ylim(0, 101.5 if name == "accuracy" else 1.06 * highest or 1)
    name_axes(axes, x="epoch", title=title)
    final = "; ".join(f"{label or title} ends at {y[-1]:.4g}" for label, (_, y) in curves.items())
    return figure_svg(figure, name=f"curve-{name}", description=f"{title} by epoch: {final}")


def _own_ids(svg: str, name: str) -> str:
    """Drop unused ids and prefix the others, so that figures can share a page."""
    used = set(re.findall(r"#([\w-]+)", svg))

    def keep(match: re.Match[str]) -> str:
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    svg = re.sub(r' id="([^"]*)"', keep, svg)
    svg = re.sub(r"url\(#([\w-]+)\)", rf"url(#{name}-\1)", svg)
    return re.sub(r'xlink:href="#([\w-]+)"', rf'xlink:href="#{name}-\1"', svg)
