"""The figure of a benchmark: milliseconds per clip of each runtime, one panel a network."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skelab.bench.cases import Runtime
from skelab.bench.inference import BenchRow
from skelab.errors import OutputError
from skelab.report.plots import (
    ACCENT,
    FONT_SIZE,
    INK,
    MUTED,
    PAPER,
    RULE,
    style_axes,
)

FORMATS: Final = (".png", ".svg", ".pdf")
"""Suffixes of the files that a figure can be written to."""

_WIDTH: Final = 6.4  # inches
_BAR: Final = 0.3  # inches a bar
_TITLE: Final = 0.8  # inches for the title and the axis of a panel


def check_plot_path(path: Path) -> None:
    """Refuse a file that no figure can be written to.

    Raises:
        OutputError: The suffix is not one of ``FORMATS``, or there is no such folder.
    """
    if path.suffix.lower() not in FORMATS:
        raise OutputError(
            f"{path}: expected a name that ends with {', '.join(FORMATS)}, found {path.suffix!r}"
        )
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}")


def plot_rows(rows: Sequence[BenchRow], title: str) -> Figure:
    """Bars of the median time per clip with quartiles; the number at a bar is the speedup.

    Args:
        rows: What was measured; rows without a time are left out.
        title: The machine, in one line.
    """
    measured = [row for row in rows if row.ms_per_clip is not None]
    panels = [
        (f"{model}, {frames} frames, batch {batch}", list(group))
        for (model, frames, batch), group in groupby(
            measured, lambda row: (row.model, row.frames, row.batch)
        )
    ]
    heights = [_TITLE + _BAR * len(group) for _, group in panels] or [_TITLE]
    figure = Figure((_WIDTH, sum(heights) + 0.4), layout="constrained", facecolor=PAPER)
    figure.suptitle(title, color=MUTED, fontsize=FONT_SIZE - 2, x=0.01, ha="left", wrap=True)
    if panels:
        every = figure.subplots(len(panels), squeeze=False, height_ratios=heights)
        for axes, (name, group) in zip(every[:, 0], panels, strict=True):
            _panel(axes, name, group)
    return figure


def _panel(axes: Axes, name: str, rows: Sequence[BenchRow]) -> None:
    style_axes(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=RULE, linewidth=0.7)
    spreads = [row.ms_per_clip for row in rows if row.ms_per_clip is not None]
    middles = [spread.median for spread in spreads]
    whiskers = [
        [spread.median - spread.low for spread in spreads],
        [spread.high - spread.median for spread in spreads],
    ]
    colours = [ACCENT if row.runtime is Runtime.NATIVE else MUTED for row in rows]
    places = range(len(rows))
    axes.barh(places, middles, color=colours, height=0.62, xerr=whiskers, ecolor=INK)
    for place, row, spread in zip(places, rows, spreads, strict=True):
        if row.speedup is not None:
            text = f"  {row.speedup.median:.2f} x"
            axes.text(spread.high, place, text, va="center", color=INK, fontsize=FONT_SIZE)
    labels = [f"{row.runtime.value} {row.precision.value}" for row in rows]
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15 * max(spread.high for spread in spreads))
    axes.set_xlabel("ms per clip; quartiles as whiskers", color=MUTED, fontsize=FONT_SIZE)
    axes.set_title(name, color=INK, fontsize=FONT_SIZE + 1, loc="left", weight="bold")


def write_plot(rows: Sequence[BenchRow], title: str, path: Path) -> None:
    """Write the figure of some rows.

    Raises:
        OutputError: It cannot be written.
    """
    check_plot_path(path)
    try:
        plot_rows(rows, title).savefig(path, dpi=150)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from None
