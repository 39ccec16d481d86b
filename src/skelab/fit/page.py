"""The report as one self-contained HTML page."""

from pathlib import Path
from typing import Any

from skelab.fit.outcome import FitReport
from skelab.fit.plots import COLOURS, epoch_figure, memory_figures, parts_figure
from skelab.fit.tables import (
    NONE,
    OPTIONS,
    SUMMARY,
    data_rows,
    device_line,
    fit_summary_rows,
    notes,
    option_rows,
    remarks,
)
from skelab.fit.verdict import gib, lasts, recipe_file
from skelab.report.page import render_page, write_page


def write_fit_page(path: Path, report: FitReport) -> None:
    """Write a report as one HTML file, atomically.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    write_page(Path(path), render_fit_page(report))


def render_fit_page(report: FitReport) -> str:
    """The HTML of the page."""
    figures = {
        "memory": memory_figures(report),
        "epoch": epoch_figure(report),
        "parts": parts_figure(report),
    }
    compared = _compared(report)
    return render_page(
        "fit.html.jinja",
        room="skelab.fit",
        report=report,
        device=device_line(report),
        facts=_facts(report),
        remarks=remarks(report),
        notes=notes(report),
        summary=(SUMMARY, fit_summary_rows(report)),
        options=(OPTIONS, option_rows(report.models)),
        data=data_rows(report),
        figures=figures,
        precisions=_precisions(report),
        compared=compared,
        recipe=recipe_file(report),
        contents=_contents(figures, compared=bool(compared)),
    )


def _facts(report: FitReport) -> list[tuple[str, str]]:
    """Short facts below the heading."""
    machine = report.machine
    facts = [("Memory to use", gib(report.device["memory_limit"]))]
    if machine:
        facts.append(("Threads", str(report.device["threads"])))
        facts.append(("Disk free", gib(machine["disk_free"])))
        if machine["instructions"]:
            facts.append(("Instructions", ", ".join(machine["instructions"])))
        for name, unit in (("gflops", "GFLOP/s"), ("gigabytes", "GB/s")):
            if name in machine["speeds"]:
                facts.append((unit, f"{machine['speeds'][name]['typical']:.0f}"))
    facts.append(("Figures", "measured" if report.measured else "predicted"))
    facts.append(("Tried", "every option" if report.thorough else "as far as needed"))
    return facts


def _precisions(report: FitReport) -> list[tuple[str, str]]:
    """The precisions that occur, with the CSS class of their colour."""
    found = {option.precision for model in report.models for option in model.options}
    return [
        (name, f"series-{place}") for place, name in enumerate(COLOURS, start=1) if name in found
    ]


def _compared(report: FitReport) -> list[tuple[str, ...]]:
    """Rows that compare measured and predicted figures, where both exist."""
    rows: list[tuple[str, ...]] = []
    for model in report.models:
        for option in model.options:
            beside = option.predicted
            if beside is None or option.step is None or option.memory is None:
                continue
            step = beside.seconds
            inside = step.low <= option.step.typical <= step.high
            memory = beside.memory
            rows.append(
                (
                    f"{model.model}, {option.precision}, {option.activations}",
                    str(option.micro_batch),
                    gib(option.memory.total),
                    NONE if memory is None else gib(memory.total),
                    lasts(option.step.typical, short=True),
                    f"{lasts(step.low, short=True)} to {lasts(step.high, short=True)}",
                    "inside" if inside else "outside",
                )
            )
    return rows


def _contents(figures: dict[str, Any], *, compared: bool) -> list[tuple[str, str]]:
    entries = [
        ("answer", "Answer", True),
        ("memory", "Memory", bool(figures["memory"])),
        ("time", "Time", figures["epoch"] is not None),
        ("parts", "Memory by category", figures["parts"] is not None),
        ("options", "Options", True),
        ("compared", "Measured and predicted", compared),
        ("data", "Data", True),
        ("recipe", "Recipe", True),
    ]
    return [(anchor, title) for anchor, title, present in entries if present]
