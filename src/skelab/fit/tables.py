"""A report as tables of text, for the terminal and the page."""

import math
from collections.abc import Sequence

from skelab.fit.figures import MemoryParts, Span
from skelab.fit.outcome import (
    FRAMES_PER_SECOND,
    FitReport,
    InferenceFit,
    ModelFit,
    OptionFit,
    is_real_time,
)
from skelab.fit.verdict import gib, lasts, settings_in_words

SUMMARY = (
    *("network", "training", "settings", "memory"),
    *("epoch", "full training", "latency", "30/s"),
)
SHORT = ("network", "training", "settings", "clips", "GiB", "epoch", "full", "30/s")
OPTIONS = (
    "network",
    "precision",
    "activations",
    "largest micro-batch",
    "micro-batch",
    "memory",
    "step",
    "clips/s",
    "full training",
)
PARTS = ("weights", "gradients", "optimiser", "activations", "workspace", "context")
NONE = "\u2013"


def fit_summary_rows(report: FitReport) -> list[tuple[str, ...]]:
    """One row per network, under the headings of ``SUMMARY``."""
    return [_summary(model, measured=report.measured) for model in report.models]


def short_rows(report: FitReport) -> list[tuple[str, ...]]:
    """One row per network for a terminal of 80 columns, under the headings of ``SHORT``."""
    rows: list[tuple[str, ...]] = []
    for model, row in zip(report.models, fit_summary_rows(report), strict=True):
        name, verdict, _, memory, epoch, recipe, _, real_time = row
        settings, way, clips = model.settings, NONE, NONE
        if settings is not None:
            recomputes = ", recompute" if settings.activations == "recompute" else ""
            way, clips = f"{settings.precision}{recomputes}", str(settings.micro_batch)
        in_gib = memory.removesuffix(" GiB")
        rows.append((name, verdict, way, clips, in_gib, epoch, recipe, real_time))
    return rows


def option_rows(models: Sequence[ModelFit]) -> list[tuple[str, ...]]:
    """One row per option of each network, under the headings of ``OPTIONS``."""
    return [_option(model, option) for model in models for option in model.options]


def notes(report: FitReport) -> list[str]:
    """The caveats of the figures, each once with the networks that it concerns."""
    found: dict[str, list[str]] = {}
    for model in report.models:
        for option in model.options:
            if option.note:
                where = f"{model.model} {option.precision} {option.activations}"
                found.setdefault(option.note, []).append(where)
        if model.inference.note:
            found.setdefault(model.inference.note, []).append(f"{model.model}, inference")
    everywhere = sum(len(model.options) for model in report.models)
    return [
        text if len(places) >= everywhere else f"{_listed(places)}: {text}"
        for text, places in found.items()
    ]


def device_line(report: FitReport) -> str:
    """The device in one line: name, memory, and whether its figures are measured."""
    device, machine = report.device, report.machine
    pieces = [str(device["name"]), f"{gib(report.device['memory_limit'])} of memory to use"]
    if machine:
        pieces.append(_threads(device["threads"]))
        pieces += [", ".join(machine["instructions"])] if machine["instructions"] else []
        speeds = machine["speeds"]
        if speeds:
            flops, moved = speeds["gflops"]["typical"], speeds["gigabytes"]["typical"]
            pieces.append(f"{flops:.0f} GFLOP/s, {moved:.0f} GB/s")
    pieces.append("measured" if report.measured else "predicted, nothing was run")
    return "; ".join(pieces)


def remarks(report: FitReport) -> list[str]:
    """Remarks on the machine: other load on it, and its limits."""
    said = [report.device["remark"]] if report.device.get("remark") else []
    machine = report.machine
    if machine:
        threads, cores = report.device["threads"], machine["usable_cores"]
        if threads < cores:
            said.append(
                f"other programs kept {machine['busy_cores']:.1f} of {machine['cores']} cores busy,"
                f" so {_threads(threads)} computed: times are longer than on an idle machine"
            )
        limit = machine["container"]["memory_limit"]
        if limit is not None:
            said.append(f"the container may use {gib(limit)} of memory")
        if machine["container"]["cpus"] is not None:
            said.append(f"the container is limited to {machine['container']['cpus']:g} cores")
        for model in report.models:
            mapped = report.address_space(model)
            if machine["address_space"] is not None and mapped is not None:
                said.append(f"{model.model}: it needs {gib(mapped)} of address space (ulimit -v)")
    for model in report.models:
        loading = model.loading
        if loading is not None and loading.enough_shared is False:
            said.append(
                f"{model.model}: {loading.workers} loader workers need {gib(loading.shared_memory)}"
                " of /dev/shm, more than there is: --set data.workers=0, or a larger --shm-size"
            )
    if not report.thorough and report.measured:
        said.append("larger micro-batches are extrapolated from small ones; --thorough runs them")
    return said


def data_rows(report: FitReport) -> list[tuple[str, ...]]:
    """Data set, training clips, disk, loading speed and source of the counts, per network."""
    rows: list[tuple[str, ...]] = []
    for model in report.models:
        data, loading = model.data, model.loading
        speed = NONE if loading is None else f"{loading.clips_per_second.typical:,.0f}"
        rows.append(
            (
                model.model,
                data.title,
                f"{data.training_clips:,}",
                gib(data.disk),
                speed,
                data.source,
            )
        )
    return rows


def span_text(span: Span | None, *, measured: bool) -> str:
    """A time as text; a prediction as a range."""
    if span is None:
        return NONE
    if measured:
        return lasts(span.typical, short=True)
    low, high = lasts(span.low, short=True), lasts(span.high, short=True)
    same = low.split()[1:] == high.split()[1:]
    return f"{low.split()[0] if same else low}\u2013{high}"


def parts_of(memory: MemoryParts) -> dict[str, int]:
    """Memory by category in the order of the page, bytes."""
    return {name: getattr(memory, name) for name in PARTS}


def _summary(model: ModelFit, *, measured: bool) -> tuple[str, ...]:
    option = model.chosen
    return (
        model.model,
        model.verdict.value,
        settings_in_words(model.recipe, model.settings) if model.settings else NONE,
        NONE if option is None or option.memory is None else gib(option.memory.total),
        NONE if option is None else span_text(option.epoch, measured=measured),
        NONE if option is None else span_text(option.recipe, measured=measured),
        _answer_time(model.inference),
        _real_time(model.inference),
    )


def _answer_time(use: InferenceFit) -> str:
    spans = [span for span in (use.one_person, use.two_people) if span is not None]
    if not spans:
        return NONE
    return " / ".join(f"{_three(1000 * span.typical)}" for span in spans) + " ms"


def _real_time(use: InferenceFit) -> str:
    if use.two_people is None:
        return NONE
    if is_real_time(use.two_people):
        return "yes"
    if use.one_person is not None and is_real_time(use.one_person):
        return "1 person"
    every = max(2, math.ceil(use.two_people.high * FRAMES_PER_SECOND))
    return f"1 in {every}"


def _option(model: ModelFit, option: OptionFit) -> tuple[str, ...]:
    speed = option.clips_per_second
    most = NONE if option.largest_micro_batch is None else str(option.largest_micro_batch)
    return (
        model.model,
        option.precision,
        option.activations,
        most,
        NONE if option.micro_batch is None else str(option.micro_batch),
        NONE if option.memory is None else gib(option.memory.total),
        NONE if option.step is None else f"{_three(1000 * option.step.typical)} ms",
        NONE if speed is None else _three(speed.typical),
        NONE if option.recipe is None else lasts(option.recipe.typical, short=True),
    )


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"


def _three(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _listed(places: Sequence[str]) -> str:
    return ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
