"""`skelab evaluate`: a trained network becomes scores, figures and a report."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.data import Ignore, LayoutName, Names, open_data
from skelab.cli.output import print_json, print_table, progress, result


class Part(StrEnum):
    """Part of a split."""

    TEST = "test"
    VALIDATION = "validation"
    TRAIN = "train"


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder, or a checkpoint.")],
    data: Annotated[Path, typer.Option("--data", help="Clip store or npz.")],
    split: Annotated[str | None, typer.Option(help="Protocol; the recipe's by default.")] = None,
    part: Annotated[Part, typer.Option(help="Part of the split.")] = Part.TEST,
    out: Annotated[
        Path | None, typer.Option(help="Folder for scores and report; the run's by default.")
    ] = None,
    names: Names = None,
    ignore: Ignore = None,
    layout: LayoutName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Score a network on one part of a split; write scores and report, print the figures."""
    from skelab.evaluation import confused_rows, evaluate_scores, summary_rows
    from skelab.experiment.evaluate import evaluate_run

    store = open_data(data, names, ignore, layout)
    with progress("scoring") as bar:
        made = evaluate_run(run, store, split=split, part=part, out=out, on_scored=bar)
    evaluation = evaluate_scores(made.scores)
    if as_json:
        files = {"scores": str(made.scores_file), "report": str(made.report_file)}
        print_json({**evaluation.to_dict(), "files": files})
        return
    info = made.scores.info
    label = "SYNTHETIC clips, " if info.synthetic else ""
    title = f"{info.title} on {label}{info.dataset} {info.split}, {info.part} ({info.protocol})"
    print_table(["figure", "value", "95 %"], summary_rows(evaluation), title=title, right="value")
    if evaluation.confused:
        rows = confused_rows(evaluation)[:5]
        print_table(["class", "taken for", "times", "of it"], rows, right="times,of it")
    result(f"scores {made.scores_file}")
    result(f"report {made.report_file}")
