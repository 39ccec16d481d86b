"""Compares runs: metrics, significance, classes, recipes, and the comparison page."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from skelab.errors import ScoresError
from skelab.evaluation.ensemble import align, paired_bootstrap
from skelab.evaluation.metrics import confusion_matrix
from skelab.evaluation.scores import Scores, check_same_classes
from skelab.report.overlays import DASHES, RunCurves, overlay_figures
from skelab.report.page import render_page, write_page
from skelab.report.plots import SERIES
from skelab.report.tables import duration, percent

FACTS = ("model", "stream", "dataset", "split", "protocol")
"""The facts that must agree for two runs to be comparable."""

NOTHING = "\u2013"
"""Placeholder for a missing figure."""

_SHOWN_CLASSES = 6
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Figure:
    """A figure of a run with its 95 % interval.

    Attributes:
        value: The figure; with several seeds their mean.
        low: Lower end; nan where there is no interval.
        high: Upper end.
    """

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class ComparedRun:
    """A run, or a file of scores, as a comparison shows it.

    Attributes:
        name: Its name in tables.
        model: Name of the model; this and the next four are "" where unknown.
        stream: Input stream.
        dataset: Name of the data set.
        split: Benchmark split.
        protocol: ``honest`` or ``paper``.
        synthetic: The clips were made by a program.
        seeds: Runs of it, each with a seed of its own.
        scores: Scores of the test part, one per seed that was evaluated.
        figures: ``top1``, ``top5``, ``macro_f1`` and ``calibration_error``, 0..1; empty if it was
            never evaluated.
        histories: Records of ``metrics.jsonl`` of each seed, epochs counted from 1.
        chosen_epochs: The chosen epoch of each history.
        planned_epochs: Epochs of the recipe; None for scores without a run.
        cost: ``seconds``, ``clips_per_second``, ``data_share`` (0..1) and ``peak_memory_bytes``;
            means over the seeds, but the maximum for memory.
        recipe: Settings by dotted key; empty for scores without a run.
        remedy: The command that computes missing scores; "" if none are missing.
    """

    name: str
    model: str = ""
    stream: str = ""
    dataset: str = ""
    split: str = ""
    protocol: str = ""
    synthetic: bool = False
    seeds: int = 1
    scores: tuple[Scores, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    histories: tuple[Sequence[Mapping[str, Any]], ...] = ()
    chosen_epochs: tuple[int | None, ...] = ()
    planned_epochs: int | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    remedy: str = ""


@dataclass(frozen=True)
class Difference:
    """Difference of top-1 between a run and the first one, on the same samples.

    Attributes:
        name: The run.
        reason: Why they cannot be compared; "" if they can, and only then the other fields count.
        difference: Top-1 of the run minus that of the first, -1..1.
        low: Lower end of the 95 % interval of a bootstrap over samples.
        high: Upper end.
        p_value: Two-sided bootstrap p-value of "no difference".
        samples: Samples compared.
    """

    name: str
    reason: str = ""
    difference: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p_value: float = math.nan
    samples: int = 0

    @property
    def significant(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class ClassChange:
    """Recall of one class in a run and in the first run.

    Attributes:
        name: The class.
        support: Test clips of it in the run.
        first: Recall of the first run, 0..1, mean over its seeds.
        other: Recall of the run.
    """

    name: str
    support: int
    first: float
    other: float

    @property
    def change(self) -> float:
        """Gain in recall over the first run, -1..1."""
        return self.other - self.first


@dataclass(frozen=True)
class ClassChanges:
    """Differences in recall per class between a run and the first one.

    Attributes:
        name: The run.
        reason: Why they cannot be compared; "" if they can.
        changes: Every class with clips in both, the largest gain first.
    """

    name: str
    reason: str = ""
    changes: tuple[ClassChange, ...] = ()

    @property
    def gains(self) -> tuple[ClassChange, ...]:
        """The classes that gain most, at most six."""
        return tuple(entry for entry in self.changes if entry.change > 0)[:_SHOWN_CLASSES]

    @property
    def losses(self) -> tuple[ClassChange, ...]:
        """The classes that lose most, the largest loss first, at most six."""
        lost = [entry for entry in reversed(self.changes) if entry.change < 0]
        return tuple(lost[:_SHOWN_CLASSES])


@dataclass(frozen=True)
class RunComparison:
    """A comparison of runs with the first of them.

    Attributes:
        runs: At least one, under different names.
        differences: Top-1 of each other run against the first.
        classes: Recall per class against the first.
        settings: Recipe keys that differ, with the value of each run; None where it has none.

    Raises:
        ScoresError: There is no run, or two have the same name.
    """

    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]
    classes: tuple[ClassChanges, ...]
    settings: Mapping[str, tuple[Any, ...]]

    @property
    def synthetic(self) -> bool:
        """Whether any figure comes from clips that a program made."""
        return any(run.synthetic for run in self.runs)

    @property
    def shared_facts(self) -> dict[str, str]:
        """The ``FACTS`` that are known and equal in all runs."""
        facts = {}
        for name in FACTS:
            values = {getattr(run, name) for run in self.runs}
            if len(values) == 1 and (value := values.pop()):
                facts[name] = value
        return facts

    @property
    def other_facts(self) -> tuple[str, ...]:
        """The ``FACTS`` in which the runs differ."""
        return tuple(name for name in FACTS if len({getattr(run, name) for run in self.runs}) > 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, texts, lists and dicts; None where a figure is not defined."""
        plain: dict[str, Any] = _plain(
            {
                "synthetic": self.synthetic,
                "runs": [_run_entry(run) for run in self.runs],
                "against": self.runs[0].name,
                "differences": [
                    {**asdict(entry), "significant": entry.significant}
                    for entry in self.differences
                ],
                "classes": [
                    {
                        "name": entry.name,
                        "reason": entry.reason,
                        "changes": [
                            {**asdict(change), "change": change.change} for change in entry.changes
                        ],
                    }
                    for entry in self.classes
                ],
                "settings": {
                    key: dict(zip((run.name for run in self.runs), values, strict=True))
                    for key, values in self.settings.items()
                },
            }
        )
        return plain


def compare_runs(runs: Sequence[ComparedRun]) -> RunComparison:
    """Compare every run with the first.

    Raises:
        ScoresError: There is no run, or two have the same name.
    """
    if not runs:
        raise ScoresError("comparison: expected at least one run, found none")
    names = [run.name for run in runs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ScoresError(f"comparison: expected every run once, found {twice!r} twice")
    first, *others = runs
    return RunComparison(
        runs=tuple(runs),
        differences=tuple(_difference(first, other) for other in others),
        classes=tuple(_class_changes(first, other) for other in others),
        settings=_settings(runs),
    )


def write_comparison(path: Path, comparison: RunComparison) -> None:
    """Write the comparison as one HTML file, whole or not at all; the same input, the same bytes.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    write_page(Path(path), render_comparison(comparison))


def render_comparison(comparison: RunComparison) -> str:
    """The self-contained page as text, with style, figures and one script."""
    runs = comparison.runs
    curves = overlay_figures(
        [
            RunCurves(letter(place), run.histories, run.chosen_epochs)
            for place, run in enumerate(runs)
        ]
    )
    trained = [place for place, run in enumerate(runs) if run.recipe]
    sections = [
        ("result", "Result", True),
        ("significance", "Significance", bool(comparison.differences)),
        ("training", "Training", bool(curves)),
        ("classes", "Classes", bool(comparison.classes)),
        ("settings", "Settings", len(trained) > 1),
        ("cost", "Cost", any(run.histories for run in runs)),
    ]
    return render_page(
        "comparison.html.jinja",
        comparison=comparison,
        title=_title(comparison),
        letters=[letter(place) for place in range(len(runs))],
        styles=[_style(place) for place in range(len(runs))],
        scale=_scale(runs),
        rows=[dict(_row(run)) for run in runs],
        facts=FACTS,
        fact_names=FACT_NAMES,
        curves=curves,
        trained=trained,
        largest=max(
            (abs(c.change) for entry in comparison.classes for c in entry.changes), default=1
        )
        or 1.0,
        points=points,
        p_value=p_value,
        setting=setting,
        figures=[name for name in _shown_results(comparison) if name not in ("top-1", "95 %")],
        contents=[(anchor, name) for anchor, name, present in sections if present],
    )


def result_rows(comparison: RunComparison) -> tuple[list[str], list[tuple[str, ...]]]:
    """The figures of each run as text: columns (with the ``FACTS`` that differ) and rows."""
    facts, shown = comparison.other_facts, _shown_results(comparison)
    columns = ["", "run", *(FACT_NAMES[name] for name in facts), *shown]
    rows = []
    for place, run in enumerate(comparison.runs):
        row = _row(run)
        label = f"{run.name} SYNTHETIC" if run.synthetic else run.name
        known = [getattr(run, name) or NOTHING for name in facts]
        rows.append((letter(place), label, *known, *(row[name] for name in shown)))
    return columns, rows


def _shown_results(comparison: RunComparison) -> tuple[str, ...]:
    """The figures of a comparison; top-5 where some run has more than five classes."""
    some = any("top5" in run.figures for run in comparison.runs)
    return tuple(name for name in _RESULTS if some or name != "top-5")


def cost_rows(comparison: RunComparison) -> tuple[list[str], list[tuple[str, ...]]]:
    """Training costs as text: columns, and a row for each run with records."""
    rows = []
    for place, run in enumerate(comparison.runs):
        if run.histories:
            row = _row(run)
            rows.append((letter(place), *(row[name] for name in _COSTS)))
    return ["", *_COSTS], rows


def setting_rows(comparison: RunComparison) -> tuple[list[str], list[tuple[str, ...]]]:
    """The differing settings as text: columns, and a row per key."""
    trained = [place for place, run in enumerate(comparison.runs) if run.recipe]
    rows = [
        (key, *(setting(values[place]) for place in trained))
        for key, values in comparison.settings.items()
    ]
    return ["setting", *map(letter, trained)], rows


def letter(place: int) -> str:
    """The letter of the run at a place: A to Z, then AA, AB and so on."""
    more, rest = divmod(place, 26)
    return (letter(more - 1) if more else "") + chr(ord("A") + rest)


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign: ``+3.21``."""
    text = f"{100 * share:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text.replace("-", "\u2212")


def p_value(value: float) -> str:
    """A p-value as text, such as ``p = 0.031`` or ``p < 0.001``."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def setting(value: Any) -> str:
    """A value of a recipe as text; a dash where there is none."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


FACT_NAMES = {
    "model": "model",
    "stream": "stream",
    "dataset": "data set",
    "split": "split",
    "protocol": "protocol",
}
_RESULTS = ("top-1", "95 %", "top-5", "macro F1", "calibration error")
_COSTS = (
    "epochs",
    "chosen epoch",
    "training time",
    "clips/s",
    "waiting for data",
    "peak memory",
)


def _row(run: ComparedRun) -> dict[str, str]:
    """Every figure of a run as text, by the name of its column."""
    figures, cost = run.figures, run.cost
    top1 = figures.get("top1")
    has_interval = top1 is not None and not math.isnan(top1.low)
    done = sorted({len(history) for history in run.histories})
    epochs = f"{done[0]}" if len(done) == 1 else f"{done[0]}\u2013{done[-1]}" if done else NOTHING
    if done and run.planned_epochs and done[0] < run.planned_epochs:
        epochs += f" of {run.planned_epochs}"
    chosen = [str(epoch) for epoch in run.chosen_epochs if epoch is not None]
    return {
        "top-1": percent(top1.value) if top1 else NOTHING,
        "95 %": f"{100 * top1.low:.1f} to {100 * top1.high:.1f}%"
        if top1 and has_interval
        else NOTHING,
        "top-5": _told(figures, "top5"),
        "macro F1": _told(figures, "macro_f1"),
        "calibration error": _told(figures, "calibration_error"),
        "epochs": epochs,
        "chosen epoch": ", ".join(chosen) or NOTHING,
        "training time": _cost(cost, "seconds", duration),
        "clips/s": _cost(cost, "clips_per_second", lambda value: f"{value:,.1f}"),
        "waiting for data": _cost(cost, "data_share", lambda value: percent(value, digits=1)),
        "peak memory": _cost(cost, "peak_memory_bytes", lambda value: f"{value / 2**20:,.0f} MiB"),
    }


def _told(figures: Mapping[str, Figure], name: str) -> str:
    return percent(figures[name].value) if name in figures else NOTHING


def _cost(cost: Mapping[str, float], name: str, told: Callable[[float], str]) -> str:
    return told(cost[name]) if name in cost else NOTHING


def _difference(first: ComparedRun, other: ComparedRun) -> Difference:
    missing = [run.name for run in (first, other) if not run.scores]
    if missing:
        return Difference(other.name, f"{' and '.join(missing)} has no scores of the test part")
    try:
        aligned = align([first.scores[0], *first.scores[1:], *other.scores])
    except ScoresError as error:
        return Difference(other.name, str(error))
    if len(aligned) == 2:
        found = paired_bootstrap(aligned[1], aligned[0], seed=0, resamples=_RESAMPLES)
        return Difference(
            other.name,
            difference=found.difference,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            samples=found.samples,
        )
    before = np.mean([scores.ranks == 0 for scores in aligned[: len(first.scores)]], axis=0)
    after = np.mean([scores.ranks == 0 for scores in aligned[len(first.scores) :]], axis=0)
    return _bootstrap(other.name, after - before)


def _bootstrap(name: str, gains: Float64[ndarray, " N"]) -> Difference:
    """Bootstrap over samples of the gain per sample, averaged over seeds.

    The gains have few distinct values, so their counts are drawn from a multinomial.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 15.
    """
    values, counts = np.unique(np.round(gains, 9), return_counts=True)
    samples = len(gains)
    draws = np.random.default_rng(0).multinomial(samples, counts / samples, size=_RESAMPLES)
    means = draws @ values / samples
    low, high = np.quantile(means, [0.025, 0.975])
    below, above = int((means <= 0).sum()), int((means >= 0).sum())
    return Difference(
        name,
        difference=float(gains.mean()),
        low=float(low),
        high=float(high),
        p_value=min(1.0, 2 * (min(below, above) + 1) / (_RESAMPLES + 1)),
        samples=samples,
    )


def _class_changes(first: ComparedRun, other: ComparedRun) -> ClassChanges:
    missing = [run.name for run in (first, other) if not run.scores]
    if missing:
        return ClassChanges(other.name, f"{' and '.join(missing)} has no scores of the test part")
    try:
        check_same_classes(first.scores[0], other.scores[0])
    except ScoresError as error:
        return ClassChanges(other.name, str(error))
    before, after = _recall(first.scores), _recall(other.scores)
    support = np.bincount(other.scores[0].labels, minlength=len(after))
    changes = [
        ClassChange(name, int(support[k]), float(before[k]), float(after[k]))
        for k, name in enumerate(other.scores[0].classes)
        if not math.isnan(before[k]) and not math.isnan(after[k])
    ]
    return ClassChanges(other.name, changes=tuple(sorted(changes, key=lambda entry: -entry.change)))


def _recall(scores: Sequence[Scores]) -> Float64[ndarray, " K"]:
    """Recall of each class, mean over the seeds; nan for a class without clips."""
    found = []
    for each in scores:
        confusion = confusion_matrix(each.labels, each.predictions, each.num_classes)
        support = confusion.sum(axis=1)
        right = confusion.diagonal() / np.maximum(support, 1)
        found.append(np.where(support > 0, right, np.nan))
    mean: ndarray = np.mean(found, axis=0)
    return mean


def _settings(runs: Sequence[ComparedRun]) -> dict[str, tuple[Any, ...]]:
    """The recipe keys in which runs with a recipe differ."""
    trained = [run.recipe for run in runs if run.recipe]
    keys = dict.fromkeys(key for recipe in trained for key in recipe if key != "summary")
    absent = object()
    return {
        key: tuple(run.recipe.get(key) for run in runs)
        for key in keys
        if any(recipe.get(key, absent) != trained[0].get(key, absent) for recipe in trained)
    }


def _title(comparison: RunComparison) -> str:
    names = [run.name for run in comparison.runs]
    return " against ".join(names) if len(names) < 3 else f"{len(names)} runs side by side"


def _style(place: int) -> str:
    """The CSS classes of a run: colour, and line style once the colours repeat."""
    line = ("", " second", " third")[place // len(SERIES) % len(DASHES)]
    return f"series-{place % len(SERIES) + 1}{line}"


def _scale(runs: Sequence[ComparedRun]) -> tuple[int, int]:
    """Per cent at the left and right end of the bars, which cover all intervals."""
    ends = [
        100 * end
        for run in runs
        if (top1 := run.figures.get("top1"))
        for end in (top1.value, top1.low, top1.high)
        if not math.isnan(end)
    ]
    if not ends:
        return 0, 100
    low = max(0, 10 * math.floor(min(ends) / 10))
    return low, max(min(100, 10 * math.ceil(max(ends) / 10)), low + 10)


def _run_entry(run: ComparedRun) -> dict[str, Any]:
    entry = {
        name: getattr(run, name)
        for name in ("name", *FACTS, "synthetic", "seeds", "planned_epochs", "remedy")
    }
    top1 = run.figures.get("top1", Figure(math.nan))
    return {
        **entry,
        "epochs": [len(history) for history in run.histories],
        "chosen_epochs": list(run.chosen_epochs),
        "samples": len(run.scores[0]) if run.scores else None,
        "top1": top1.value,
        "top1_low": top1.low,
        "top1_high": top1.high,
        **{
            name: run.figures[name].value if name in run.figures else None
            for name in ("top5", "macro_f1", "calibration_error")
        },
        **{
            name: run.cost.get(name)
            for name in ("seconds", "clips_per_second", "data_share", "peak_memory_bytes")
        },
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
