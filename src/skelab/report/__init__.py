"""HTML pages, tables and plots of runs and of comparisons between them."""

from skelab.report.comparison import (
    ComparedRun,
    Figure,
    RunComparison,
    compare_runs,
    render_comparison,
    write_comparison,
)
from skelab.report.plots import figure_svg, name_axes, new_figure
from skelab.report.report import Report, Section, Table, render_report, write_report
from skelab.report.tables import class_rows, confused_rows, percent, summary_rows

__all__ = [
    "ComparedRun",
    "Figure",
    "Report",
    "RunComparison",
    "Section",
    "Table",
    "class_rows",
    "compare_runs",
    "confused_rows",
    "figure_svg",
    "name_axes",
    "new_figure",
    "percent",
    "render_comparison",
    "render_report",
    "summary_rows",
    "write_comparison",
    "write_report",
]
