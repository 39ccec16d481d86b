"""`skelab next` and `skelab detect`: the next action, and online detection, on sequences."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import NoAnatomyCheck, check_data, open_data
from skelab.cli.evaluate import SplitPart
from skelab.cli.output import print_json, print_pairs, print_table, progress, result, say
from skelab.cli.paths import named
from skelab.errors import SplitError

if TYPE_CHECKING:
    from skelab.runs.next_action import NextActions

Split = Annotated[str | None, typer.Option(help="Protocol; the recipe's by default.")]
Part = Annotated[SplitPart, typer.Option(help="Part of the split.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Folder for page and figures; the network's by default.", parser=named, metavar="PATH"
    ),
]
Store = Annotated[Path, typer.Option("--data", help="Store of sequences.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


def next_command(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="NETWORK|SEQUENCES",
            help="Run or checkpoint of task next-action; or a store, source or label files.",
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Store of sequences, for a network.")
    ] = None,
    split: Split = None,
    part: Part = SplitPart.TEST,
    history: Annotated[
        str | None,
        typer.Option(help="Add earlier actions: labels, or a run of task detection."),
    ] = None,
    out: Out = None,
    no_anatomy_check: NoAnatomyCheck = False,
    as_json: AsJson = False,
) -> None:
    """The next action: what a network tells at its horizons, beside guesses from labels alone.

    Without --data, only the guesses, on the test part of --split.
    """
    if data is None:
        made = _guesses(path, split)
    else:
        from skelab.inference.places import check_network

        check_data(data)
        check_network(path)

        from skelab.runs.next_action import predict_next

        store = open_data(data, None, None, None, anatomy_check=not no_anatomy_check)
        with progress("scoring") as bar:
            made = predict_next(
                path,
                store,
                split=split,
                part=part.value,
                history=history,
                out=out,
                on_scored=bar,
            )
    if as_json:
        print_json(made.to_dict())
        return
    _print_next(made)


def detect(
    network: Annotated[Path, typer.Argument(help="Run folder or checkpoint of task detection.")],
    data: Store,
    split: Split = None,
    part: Part = SplitPart.TEST,
    out: Out = None,
    no_anatomy_check: NoAnatomyCheck = False,
    as_json: AsJson = False,
) -> None:
    """Online detection: actions in sequences while they run; mAP, F1, edit score, delay."""
    from skelab.inference.places import check_network

    check_data(data)
    check_network(network)

    from skelab.report import detection_note, detection_rows, overlap_rows
    from skelab.runs.detect import detect as detect_in

    store = open_data(data, None, None, None, anatomy_check=not no_anatomy_check)
    with progress("detecting", "sequences") as bar:
        made = detect_in(network, store, split=split, part=part.value, out=out, on_scored=bar)
    if as_json:
        print_json(made.to_dict())
        return
    figures = made.figures
    label = "SYNTHETIC, " if store.info.synthetic else ""
    result(f"{label}online detection: {figures.title} {part.value}")
    print_pairs(dict(detection_rows(figures)))
    columns, rows = overlap_rows(figures)
    print_table(columns, rows, title="detections by overlap", right=",".join(columns))
    say(detection_note(figures))
    result(f"report {made.report_file}")
    result(f"segments {made.detections_file}")


def _guesses(path: Path, split: str | None) -> "NextActions":
    from skelab.data.segments import read_segments
    from skelab.runs.next_action import guess_next

    if split is None:
        raise SplitError(
            f"{path}: --split says which sequences are known and which are asked, say --split"
            " pku-xsub or subject:1,2/3; a network needs --data STORE, too"
        )
    with progress("reading labels", "recordings") as bar:
        table = read_segments(path, on_progress=bar)
    return guess_next(table, split, path)


def _print_next(made: "NextActions") -> None:
    from skelab.report import NEXT_COLUMNS, next_rows

    label = "SYNTHETIC, " if made.synthetic else ""
    result(f"{label}{made.title}")
    for block in made.blocks:
        print_table(
            list(NEXT_COLUMNS),
            next_rows(block),
            title=f"{block.title}, {block.sequences:,} sequences: {block.note}",
            right=",".join(NEXT_COLUMNS[1:]),
            whole="predictor",
        )
    if made.report_file:
        result(f"report {made.report_file}")
