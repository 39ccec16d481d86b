"""The page of a study: its table with intervals as bars, failures, and a reading guide."""

import math
from pathlib import Path
from typing import Any, Final

from skelab.report.page import render_page, write_page
from skelab.studies.table import StudyRow, StudyTable, table_cells

PAGE: Final = "study.html"
"""The page in the folder of a study."""


def write_study_page(table: StudyTable, folder: Path) -> Path:
    """Write the page of a study, whole or not at all; the same table, the same bytes.

    Raises:
        OutputError: The file cannot be written; what was there before is untouched.
    """
    path = folder / PAGE
    write_page(path, render_study(table))
    return path


def render_study(table: StudyTable) -> str:
    """The self-contained page as text."""
    columns, rows = table_cells(table)
    scale = _scale(table)
    remarks = [(row.name, row.remark) for row in table.rows if row.remark]
    contents = [("result", "Result")] + ([("remarks", "Remarks")] if remarks else [])
    return render_page(
        "study.html.jinja",
        room="skelab.studies",
        table=table,
        columns=columns,
        rows=[
            {"cells": cells, "bar": _bar(row, scale), "significant": _is_significant(row)}
            for row, cells in zip(table.rows, rows, strict=True)
        ],
        scale=scale,
        numbers=frozenset(("clips", "seeds", "minutes", "memory", "p", "top-1")),
        remarks=remarks,
        contents=contents,
    )


def _is_significant(row: StudyRow) -> bool:
    return row.difference is not None and row.difference.significant


def _scale(table: StudyTable) -> tuple[int, int]:
    """Per cent at the left and right end of the bars."""
    ends = [
        100 * end
        for row in table.rows
        if row.run and (top1 := row.run.figures.get("top1"))
        for end in (top1.value, top1.low, top1.high)
        if not math.isnan(end)
    ]
    if not ends:
        return 0, 100
    low = max(0, 10 * math.floor(min(ends) / 10))
    return low, max(min(100, 10 * math.ceil(max(ends) / 10)), low + 10)


def _bar(row: StudyRow, scale: tuple[int, int]) -> dict[str, Any] | None:
    """Where the value and the ends of its interval lie on the scale, per cent."""
    top1 = row.run.figures.get("top1") if row.run else None
    if top1 is None:
        return None
    low, high = scale

    def place(share: float) -> float:
        return min(100.0, max(0.0, 100 * (100 * share - low) / (high - low)))

    known = not math.isnan(top1.low)
    return {
        "value": place(top1.value),
        "left": place(top1.low) if known else None,
        "right": 100 - place(top1.high) if known else None,
    }
