"""The report: one self-contained HTML file."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from skelab.errors import ScoresError
from skelab.evaluation.ensemble import Calibration, calibrate
from skelab.evaluation.metrics import Evaluation, Proportion, evaluate_scores
from skelab.evaluation.output_scores import OutputScores
from skelab.evaluation.scores import Scores, check_same_classes
from skelab.report.confused_clips import confused_data
from skelab.report.page import render_page, verbatim, write_page
from skelab.report.plots import (
    confusion_figure,
    group_figure,
    history_figures,
    reliability_figure,
)
from skelab.report.tables import duration, interval, percent, top5_says_something
from skelab.viewer import Scene, json_text, player_script, player_style

Cell = str | int | float
"""A cell of a section's table; texts are escaped."""

_PROTOCOLS = {
    "honest": "Nothing was chosen by looking at the test part.",
    "paper": (
        "The epoch, or more, was chosen by looking at the test part, as the papers do."
        " Such figures flatter; compare them only with their like."
    ),
}
_FORBIDDEN = re.compile(
    r"<\s*(script|foreignObject|iframe|image|object|embed|link)\b|\bon\w+\s*=|javascript:"
    r"|href\s*=\s*[\"'](?!#)|url\((?!#)|@import",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Table:
    """A table of a section; numbers are right-aligned, and a click sorts the rows.

    Attributes:
        columns: Heading of each column.
        rows: Cells, as many as there are columns.
        caption: A line above the table.

    Raises:
        ScoresError: A row has another number of cells.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        """Check that every row is as wide as the heading."""
        for number, row in enumerate(self.rows, start=1):
            if len(row) != len(self.columns):
                raise ScoresError(
                    f"table {self.caption!r}, row {number}: expected {len(self.columns)} cells,"
                    f" found {len(row)}"
                )


@dataclass(frozen=True)
class Section:
    """A section of the report added by another package, such as early recognition.

    Attributes:
        title: Heading.
        text: A paragraph below it; escaped.
        figures: Inline SVG, as `skelab.report.plots.figure_svg` makes it.
        tables: Tables, below the figures.

    Raises:
        ScoresError: A figure is not SVG, or contains scripts or external references.
    """

    title: str
    text: str = ""
    figures: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()

    def __post_init__(self) -> None:
        """Refuse figures with scripts or external references."""
        for figure in self.figures:
            if not figure.startswith("<svg") or not figure.endswith("</svg>"):
                raise ScoresError(
                    f"section {self.title!r}: expected a figure as inline SVG, found {figure!r:.40}"
                )
            if found := _FORBIDDEN.search(figure):
                raise ScoresError(
                    f"section {self.title!r}: expected a figure that neither acts nor fetches,"
                    f" found {found[0]!r}"
                )


@dataclass(frozen=True)
class Report:
    """Everything that a report shows.

    Attributes:
        title: Heading of the page.
        scores: Scores of the evaluated part; for a task other than
            classification its outputs, and the page then has no sections about classes.
        history: Records of ``metrics.jsonl``, one per epoch: ``epoch`` and any of
            ``train_loss``, ``train_top1``, ``learning_rate``, ``validation_loss``,
            ``validation_top1``, ``seconds``, ``data_seconds``, ``clips_per_second``,
            ``peak_memory_bytes``; shares are 0..1. Other metrics ``train_…`` and
            ``validation_…`` have a curve each.
        recipe: The resolved recipe, YAML.
        environment: Versions, device, commit; nested mappings are flattened.
        notes: Remarks above the figures.
        validation: Scores of the validation part, shown beside the headline.
        chosen_epoch: The epoch whose weights were scored.
        sections: Further parts, between calibration and cost.
        clips: Clips to look at, by name: those that :func:`clips_to_show` names.
        clips_source: The clips as an argument of ``skelab view``.

    Raises:
        ScoresError: The validation scores have other classes.
    """

    title: str
    scores: Scores | OutputScores
    history: Sequence[Mapping[str, Any]] = ()
    recipe: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    validation: Scores | OutputScores | None = None
    chosen_epoch: int | None = None
    sections: Sequence[Section] = ()
    clips: Mapping[str, Scene] = field(default_factory=dict)
    clips_source: str = "STORE"

    def __post_init__(self) -> None:
        """Check that both sets of scores have the same classes."""
        if isinstance(self.scores, Scores) and isinstance(self.validation, Scores):
            check_same_classes(self.scores, self.validation)

    @property
    def synthetic(self) -> bool:
        """Whether any figure comes from clips that a program made."""
        validation = self.validation is not None and self.validation.info.synthetic
        return self.scores.info.synthetic or validation

    @property
    def calibration(self) -> Calibration | None:
        """The effect of temperature scaling; None without validation scores."""
        if not isinstance(self.scores, Scores) or not isinstance(self.validation, Scores):
            return None
        if self.validation.info.part != "validation":
            return None
        return calibrate(self.scores, self.validation)


def write_report(path: Path, report: Report) -> None:
    """Write the report as one HTML file, whole or not at all; the same input, the same bytes.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    write_page(Path(path), render_report(report))


def render_report(report: Report) -> str:
    """The self-contained page as text, with style, figures and one script."""
    info = report.scores.info
    shown = (
        _classification(report, report.scores)
        if isinstance(report.scores, Scores)
        else {
            "evaluation": None,
            "headline": _metrics(report, report.scores),
            "groups": {},
            "clips": None,
        }
    )
    held = shown["clips"] is not None
    return render_page(
        "report.html.jinja",
        more_scripts=[player_script(), verbatim("clips.js")] if held else [],
        more_styles=[player_style()] if held else [],
        report=report,
        info=info,
        protocol=_PROTOCOLS[info.protocol],
        curves=history_figures(report.history, report.chosen_epoch),
        cost=cost_rows(report.history),
        environment=_flat(report.environment),
        sections=[
            {"section": section, "figures": [Markup(svg) for svg in section.figures]}  # noqa: S704
            for section in report.sections
        ],
        contents=_contents(report, bool(shown["groups"])),
        **shown,
    )


def _classification(report: Report, scores: Scores) -> dict[str, Any]:
    """Variables of the sections about classes: headline, confusion, groups and calibration."""
    evaluation = evaluate_scores(scores)
    clips = confused_data(scores, report.clips, f"skelab view {report.clips_source} --clip")
    number = {name: place for place, name in enumerate(evaluation.classes)}
    return {
        "evaluation": evaluation,
        "clips": None if clips is None else json_text(clips),
        "pairs": [
            f"{number[pair.truth]}-{number[pair.prediction]}" for pair in evaluation.confused
        ],
        "headline": _headline(report, evaluation),
        "confusion": confusion_figure(evaluation.confusion, evaluation.classes),
        "reliability": reliability_figure(evaluation.reliability),
        "groups": {
            name: group_figure(name, results, evaluation.top1.value)
            for name, results in evaluation.groups.items()
            if len(results) > 1
        },
    }


def cost_rows(history: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Training costs recorded in ``history``: name and value."""
    seconds, waits = _recorded(history, "seconds"), _recorded(history, "data_seconds")
    speeds, peaks = _recorded(history, "clips_per_second"), _recorded(history, "peak_memory_bytes")
    rows = []
    if history:
        rows.append(("epochs", f"{len(history):,}"))
    if seconds:
        rows.append(("time in all", duration(math.fsum(seconds))))
        rows.append(("time per epoch, mean", duration(math.fsum(seconds) / len(seconds))))
    if seconds and waits:
        rows.append(
            (
                "share spent waiting for data",
                percent(math.fsum(waits) / max(math.fsum(seconds), 1e-9)),
            )
        )
    if speeds:
        rows.append(("clips per second, median", f"{sorted(speeds)[len(speeds) // 2]:,.1f}"))
    if peaks:
        rows.append(("peak memory", f"{max(peaks) / 2**20:,.0f} MiB"))
    return rows


@dataclass(frozen=True)
class _Figure:
    """A headline figure: name, text, and the interval as text and as positions."""

    name: str
    value: str
    note: str
    interval: Proportion | None = None


def _headline(report: Report, evaluation: Evaluation) -> list[_Figure]:
    top5 = _Figure(
        "Top-5", percent(evaluation.top5.value), interval(evaluation.top5), evaluation.top5
    )
    figures = [
        _Figure(
            "Top-1", percent(evaluation.top1.value), interval(evaluation.top1), evaluation.top1
        ),
        *([top5] if top5_says_something(evaluation) else []),
        _Figure(
            "Mean class accuracy",
            percent(evaluation.mean_class_accuracy),
            f"macro F1 {percent(evaluation.macro_f1)}",
        ),
        _Figure(
            "Calibration error",
            percent(evaluation.calibration_error),
            f"log-loss {evaluation.log_loss:.3f} nats",
        ),
    ]
    if isinstance(report.validation, Scores):
        beside = evaluate_scores(report.validation)
        figures.insert(
            2,
            _Figure(
                f"{report.validation.info.part.capitalize()} top-1",
                percent(beside.top1.value),
                f"{interval(beside.top1)}, {beside.samples:,} clips",
                beside.top1,
            ),
        )
    return figures


def _metrics(report: Report, scores: OutputScores) -> list[_Figure]:
    """The headline of a task other than classification: its metrics, and those of validation."""
    beside = report.validation.metrics if isinstance(report.validation, OutputScores) else {}
    return [
        _Figure(
            name.replace("_", " ").capitalize(),
            f"{value:.4g}",
            f"validation {beside[name]:.4g}" if name in beside else scores.task,
        )
        for name, value in scores.metrics.items()
    ]


def _contents(report: Report, groups: bool) -> list[tuple[str, str]]:
    """Anchor and title of each section of the page, in order."""
    classes = isinstance(report.scores, Scores)
    entries = [
        ("result", "Result", True),
        ("training", "Training", bool(report.history)),
        ("classes", "Classes", classes),
        ("confusion", "Confusion", classes),
        ("groups", "Groups", groups),
        ("calibration", "Calibration", classes),
        *((f"section-{k}", part.title, True) for k, part in enumerate(report.sections, start=1)),
        ("cost", "Cost", bool(report.history)),
        ("environment", "Environment", bool(report.environment)),
        ("recipe", "Recipe", bool(report.recipe)),
    ]
    return [(anchor, title) for anchor, title, present in entries if present]


def _recorded(history: Sequence[Mapping[str, Any]], column: str) -> list[float]:
    values = [float(record[column]) for record in history if record.get(column) is not None]
    return [value for value in values if math.isfinite(value)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            rows.append((f"{prefix}{name}", text))
    return rows
