"""`skelab anticipate`: evaluates how early networks recognise actions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, check_data, open_data
from skelab.cli.evaluate import SplitPart
from skelab.cli.networks import EngineName, Trust
from skelab.cli.output import print_json, print_table, progress, result, say
from skelab.cli.paths import named

if TYPE_CHECKING:
    from skelab.evaluation import EarlyProtocol
    from skelab.report import EarlyCurve
    from skelab.runs.anticipate import Anticipation


def anticipate(
    networks: Annotated[
        list[Path],
        typer.Argument(help="Run folders, checkpoints or exported files; compared with the first."),
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Clip store or npz; without it, saved scores are read."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Protocol; the recipe's by default.")] = None,
    part: Annotated[SplitPart, typer.Option(help="Part of the split.")] = SplitPart.TEST,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for scores and page; beside the networks by default.",
            parser=named,
            metavar="PATH",
        ),
    ] = None,
    engine: EngineName = None,
    trust: Trust = False,
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Early recognition: accuracy at 10 to 100 % of each clip, calibration, early exits, curves."""
    from skelab.inference.places import check_network

    if data is not None:
        check_data(data)
    for network in networks:
        check_network(network)

    from skelab.evaluation import EarlyProtocol
    from skelab.report import EXPLANATIONS
    from skelab.runs.anticipate import anticipate as anticipate_runs

    store = None if data is None else open_data(data, names, ignore, layout)
    with progress("scoring") as bar:
        made = anticipate_runs(
            networks,
            store,
            split=split,
            part=part.value,
            engine=engine,
            trust=trust,
            out=out,
            on_scored=bar,
        )
    for note in made.notes:
        say(note)
    if as_json:
        print_json(made.to_dict())
        return
    for protocol in EarlyProtocol:
        if made.curves[protocol]:
            print_accuracy(made, protocol)
            _print_details(made.curves[protocol])
            say(EXPLANATIONS[protocol])
    result(f"report {made.report_file}")


def print_accuracy(made: "Anticipation", protocol: "EarlyProtocol") -> None:
    """Print the accuracy of the networks by what was observed, and how they differ."""
    from skelab.report import accuracy_rows, change_lines

    info, curves = made.info, made.curves[protocol]
    label = "SYNTHETIC clips, " if info.synthetic else ""
    asked = f"{info.dataset} {info.split}, {info.part} ({info.chosen_by})"
    where = f"{protocol.value} on {label}{asked}"
    columns, rows = accuracy_rows(curves)
    title = f"{where}: top-1 by what was observed, %"
    print_table(columns, rows, title=title, right=_right(columns), whole=_right(columns))
    for line in change_lines(curves):
        result(line)


def _print_details(curves: "tuple[EarlyCurve, ...]") -> None:
    """Print calibration, settling and early exits."""
    from skelab.report import calibration_rows, exit_note, exit_rows, settling_rows

    columns, rows = calibration_rows(curves)
    print_table(
        columns, rows, title="calibration error, %", right=_right(columns), whole=_right(columns)
    )
    columns, rows = settling_rows(curves)
    print_table(
        columns, rows, title="from which share on the answer stays right", right=_right(columns)
    )
    for curve in curves:
        columns, rows = exit_rows(curve)
        title = f"early exit of {curve.name}; {exit_note(curve)}"
        print_table(columns, rows, title=title, right=_right(columns))


def _right(columns: list[str]) -> str:
    """All columns but the name."""
    return ",".join(column for column in columns if column != "network")
