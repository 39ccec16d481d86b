"""The answer as a section of another report."""

from collections.abc import Sequence

from skelab.fit.outcome import FitReport
from skelab.fit.tables import SUMMARY, fit_summary_rows
from skelab.report import Section, Table


def fit_section(reports: Sequence[FitReport]) -> Section:
    """The same networks on several devices, with one row per network and device."""
    rows = tuple((_device(report), *row) for report in reports for row in fit_summary_rows(report))
    data = {model.data.title: model.data for report in reports for model in report.models}
    clips = " and ".join(f"{each.title} ({each.training_clips:,} clips)" for each in data.values())
    table = Table(("device", *SUMMARY), rows, f"Training on {clips}")
    return Section(
        "Can this machine train it?",
        text=" ".join(f"{report.device['name']}? {report.answer}" for report in reports),
        tables=(table,),
    )


def _device(report: FitReport) -> str:
    how = "measured" if report.measured else "predicted"
    return f"{report.device['name']}, {how}"
