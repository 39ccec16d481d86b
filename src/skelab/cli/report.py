"""`skelab report`: runs side by side, in the terminal and as one page."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.output import print_json, print_table, result, say
from skelab.cli.paths import Force, named

if TYPE_CHECKING:
    from skelab.report import RunComparison

PAGE_NAME = "compare.html"


def report(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders or score files; the first is the measure.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The page; compare.html by default.", parser=named, metavar="FILE"
        ),
    ] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare runs: figures, curves, classes, settings, significance; write one HTML page."""
    from skelab.files.kinds import PAGE
    from skelab.files.output import check_output
    from skelab.runs.places import check_comparable

    # The default is a page for now, and made anew every time; a name that was given is not.
    out = check_output(out or Path(PAGE_NAME), PAGE, inputs=runs, force=force or out is None)
    for path in runs:
        check_comparable(path)

    from skelab.report import write_comparison
    from skelab.runs.compare import compare_paths

    comparison = compare_paths(runs)
    write_comparison(out, comparison)
    if as_json:
        print_json({**comparison.to_dict(), "files": {"report": str(out)}})
        return
    _print_comparison(comparison)
    for run in comparison.runs:
        if run.remedy:
            say(f"{run.name}: {run.remedy}")
    result(f"report {out}")


def _print_comparison(comparison: "RunComparison") -> None:
    from skelab.report.comparison import (
        cost_rows,
        letter,
        p_value,
        points,
        result_rows,
        setting_rows,
    )

    columns, rows = result_rows(comparison)
    title = ", ".join(f"{name} {value}" for name, value in comparison.shared_facts.items())
    print_table(columns, rows, title=title, right="top-1,top-5,macro F1,calibration error")
    columns, rows = cost_rows(comparison)
    if rows:
        print_table(columns, rows, right=",".join(columns[1:]))
    columns, rows = setting_rows(comparison)
    if rows and len(columns) > 2:
        print_table(columns, rows, title="settings that differ")
    for place, entry in enumerate(comparison.differences, start=1):
        against = f"{letter(place)} against A"
        if entry.reason:
            result(f"{against}: not compared, {entry.reason}")
            continue
        verdict = "" if entry.significant else ", not shown to differ"
        result(
            f"{against}: {points(entry.difference)} points ({points(entry.low)} to"
            f" {points(entry.high)}, {p_value(entry.p_value)}){verdict}"
        )
