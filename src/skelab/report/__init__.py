"""HTML pages, tables and plots of runs and of comparisons between them."""

from skelab.report.comparison import (
    ComparedRun,
    Figure,
    RunComparison,
    compare_runs,
    render_comparison,
    write_comparison,
)
from skelab.report.early import (
    EXPLANATIONS,
    EarlyCurve,
    accuracy_rows,
    calibration_rows,
    change_lines,
    early_sections,
    exit_note,
    exit_rows,
    settling_rows,
    write_early_page,
)
from skelab.report.plots import figure_svg, name_axes, new_figure
from skelab.report.report import Report, Section, Table, render_report, write_report
from skelab.report.tables import class_rows, confused_rows, percent, summary_rows

__all__ = [
    "EXPLANATIONS",
    "ComparedRun",
    "EarlyCurve",
    "Figure",
    "Report",
    "RunComparison",
    "Section",
    "Table",
    "accuracy_rows",
    "calibration_rows",
    "change_lines",
    "class_rows",
    "compare_runs",
    "confused_rows",
    "early_sections",
    "exit_note",
    "exit_rows",
    "figure_svg",
    "name_axes",
    "new_figure",
    "percent",
    "render_comparison",
    "render_report",
    "settling_rows",
    "summary_rows",
    "write_comparison",
    "write_early_page",
    "write_report",
]
