"""Plots of a report: memory by micro-batch, time per epoch, memory by category."""

from collections.abc import Mapping, Sequence
from typing import Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from skelab.fit.figures import Span
from skelab.fit.outcome import FitReport, ModelFit, OptionFit
from skelab.fit.tables import PARTS, parts_of
from skelab.fit.verdict import DAY, gib, lasts, own_batch
from skelab.report.plots import (
    ACCENT,
    CONTRAST,
    FONT_SIZE,
    MUTED,
    PAPER,
    RULE,
    SERIES,
    figure_svg,
    name_axes,
    new_figure,
    value_ticks,
)

GIB: Final = 2**30
COLOURS: Final = {"fp32": SERIES[0], "fp16": SERIES[1], "bf16": SERIES[2]}
DASHES: Final = {"keep": "solid", "recompute": (0, (4, 2))}
PART_COLOURS: Final = dict(zip(PARTS, (*SERIES, MUTED), strict=False))
_ROUND_TIMES: Final = (
    *(1.0, 3.0, 10.0, 30.0),
    *(60.0, 180.0, 600.0, 1800.0),
    *(3600.0, 3 * 3600.0, 8 * 3600.0),
    *(DAY, 3 * DAY, 10 * DAY, 30 * DAY),
)


def memory_figures(report: FitReport) -> list[Markup]:
    """One plot per network: memory by micro-batch, one line per option, with the limit."""
    limit = report.device["memory_limit"]
    return [
        _memory_figure(model, limit)
        for model in report.models
        if any(option.points for option in model.options)
    ]


def epoch_figure(report: FitReport) -> Markup | None:
    """Time per epoch of each network with the recommended settings; None if none is known."""
    rows = [(model, option) for model, option in _chosen(report.models) if option.epoch]
    if not rows:
        return None
    figure, axes = new_figure(width=7.4, height=0.9 + 0.36 * len(rows))
    told, lowest, highest = [], [], []
    for place, (model, option) in enumerate(rows):
        span = option.epoch
        if span is None:
            continue
        _draw_span(axes, place, span)
        told.append(f"{model.model} {lasts(span.typical)}")
        lowest.append(span.low)
        highest.append(span.high)
    axes.set_xscale("log")
    axes.set_xlim(min(lowest) / 1.6, max(highest) * 2.6)
    axes.xaxis.set_major_locator(FixedLocator(list(_ROUND_TIMES)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_time(value)))
    _name_rows(axes, [model.model for model, _ in rows])
    name_axes(axes, x="", title="Time per epoch")
    return figure_svg(
        figure,
        name="epoch",
        description=f"Time per epoch: {'; '.join(told)}",
    )


def _draw_span(axes: Axes, place: int, span: Span) -> None:
    """Draw the range of a time as a bar, with its typical value as a dot and as text."""
    axes.plot(
        [span.low, span.high],
        [place, place],
        color=ACCENT,
        linewidth=6,
        alpha=0.3,
        solid_capstyle="round",
    )
    axes.plot(span.typical, place, "o", color=ACCENT, markersize=5.5)
    axes.annotate(
        lasts(span.typical, short=True),
        (span.high, place),
        xytext=(10, 0),
        textcoords="offset points",
        color=MUTED,
        fontsize=FONT_SIZE,
        verticalalignment="center",
    )


def parts_figure(report: FitReport) -> Markup | None:
    """Memory by category of each network with the recommended settings; None if none is known."""
    rows = [(model, option) for model, option in _chosen(report.models) if option.memory]
    if not rows:
        return None
    limit = report.device["memory_limit"] / GIB
    figure, axes = new_figure(width=7.4, height=1.25 + 0.36 * len(rows))
    widest, told = 0.0, []
    for place, (model, option) in enumerate(rows):
        left = _stack_parts(axes, place, parts_of(option.memory) if option.memory else {})
        widest = max(widest, left)
        told.append(f"{model.model} {left:.1f} GiB")
    shown = limit <= 3 * widest
    axes.set_xlim(0, 1.08 * max(widest, limit if shown else 0.0))
    if shown:
        _draw_limit(axes, limit, upright=True)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    _name_rows(axes, [model.model for model, _ in rows])
    axes.legend(
        frameon=False,
        fontsize=FONT_SIZE,
        labelcolor=MUTED,
        ncols=len(PARTS),
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        handlelength=0.9,
        columnspacing=1.2,
        borderaxespad=0.1,
    )
    name_axes(axes, x="GiB", title="Memory by category")
    return figure_svg(
        figure,
        name="parts",
        description=f"Memory with the recommended settings: {'; '.join(told)}",
    )


def _stack_parts(axes: Axes, place: int, sizes: Mapping[str, float]) -> float:
    """Draw the memory of a network as one stacked bar; returns its length, GiB."""
    left = 0.0
    for name, size in sizes.items():
        axes.barh(
            place,
            size / GIB,
            left=left,
            height=0.55,
            color=PART_COLOURS[name],
            edgecolor=PAPER,
            linewidth=0.6,
            label=name if place == 0 else None,
        )
        left += size / GIB
    return left


def _memory_figure(model: ModelFit, limit: int) -> Markup:
    figure, axes = new_figure(width=3.3, height=2.5)
    batch = own_batch(model.recipe)
    top = 1.6 * limit / GIB
    drawn = [option for option in model.options if option.points]
    widest = max([batch, *(clips for option in drawn for clips, _ in option.points)])
    highest = 0.0
    for option in drawn:
        clips, sizes = _line(option, widest)
        axes.plot(
            clips,
            sizes,
            color=COLOURS.get(option.precision, MUTED),
            linestyle=DASHES[option.activations],
            linewidth=1.7,
        )
        highest = max(highest, sizes[-1])
    _mark_recommended(axes, model.chosen)
    if highest > 0.25 * limit / GIB:
        _draw_limit(axes, limit / GIB)
        axes.set_ylim(0, min(top, 1.12 * max(highest, limit / GIB)))
    else:
        axes.set_ylim(0, 1.12 * highest)
    axes.set_xlim(0, 1.02 * widest)
    axes.axvline(batch, color=RULE, linewidth=1.0, zorder=0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 4, 8, 10], integer=True))
    axes.yaxis.set_major_locator(value_ticks())
    name_axes(axes, x="clips at once", title=f"{model.model}, GiB")
    told = "; ".join(
        f"{option.precision} {option.activations} {option.points[-1][0]} clips take"
        f" {gib(option.points[-1][1])}"
        for option in drawn
    )
    return figure_svg(
        figure, name=f"memory-{model.model}", description=f"Memory by micro-batch: {told}"
    )


def _mark_recommended(axes: Axes, option: OptionFit | None) -> None:
    if option is None or option.memory is None or not option.micro_batch:
        return
    axes.plot(
        option.micro_batch,
        option.memory.total / GIB,
        "o",
        color=COLOURS.get(option.precision, MUTED),
        markersize=6.5,
        markerfacecolor=PAPER,
        markeredgewidth=1.8,
        zorder=4,
    )


def _line(option: OptionFit, widest: int) -> tuple[list[float], list[float]]:
    """The points, extrapolated by the line through the first and the last."""
    clips = [float(count) for count, _ in option.points]
    sizes = [size / GIB for _, size in option.points]
    if len(clips) > 1:
        slope = (sizes[-1] - sizes[0]) / (clips[-1] - clips[0])
        if clips[-1] < widest:
            sizes.append(sizes[-1] + slope * (widest - clips[-1]))
            clips.append(float(widest))
    return clips, sizes


def _draw_limit(axes: Axes, limit: float, *, upright: bool = False) -> None:
    """A labelled line at the memory limit."""
    line = axes.axvline if upright else axes.axhline
    line(limit, color=CONTRAST, linewidth=1.3, linestyle=(0, (5, 2.5)), zorder=3)
    axes.annotate(
        f"{limit:.3g} GiB",
        (limit, 0.0) if upright else (0.0, limit),
        xycoords=("data", "axes fraction") if upright else ("axes fraction", "data"),
        xytext=(-4, 4) if upright else (4, 4),
        textcoords="offset points",
        color=CONTRAST,
        fontsize=FONT_SIZE,
        weight="bold",
        horizontalalignment="right" if upright else "left",
    )


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a bar plot, the first on top."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=RULE, linewidth=0.7)


def _chosen(models: Sequence[ModelFit]) -> list[tuple[ModelFit, OptionFit]]:
    return [(model, model.chosen) for model in models if model.chosen is not None]


def _round_time(seconds: float) -> str:
    for unit, length in (("d", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
