"""`skelab synth`: write synthetic NTU files."""

from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.output import next_command, progress, result
from skelab.cli.paths import named


def synth(
    out: Annotated[
        Path, typer.Argument(help="Folder for the .skeleton files.", parser=named, metavar="OUT")
    ],
    clips: Annotated[int, typer.Option(help="How many clips.")] = 480,
    actions: Annotated[int | None, typer.Option(help="How many actions; 14 by default.")] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
) -> None:
    """Write synthetic .skeleton files in the exact NTU RGB+D format.

    40 performers, 3 cameras, 17 setups, one and two bodies, noise and tracking faults. They show
    that a pipeline works; accuracies on them say nothing about people.
    """
    from skelab.synthetic import write_synthetic

    with progress("writing synthetic clips") as bar:
        made = write_synthetic(
            out, clips=clips, actions=actions, seed=seed, on_progress=lambda n: bar(n, clips)
        )
    result(f"{made.num_clips:,} SYNTHETIC clips of {made.num_actions} actions in {out}")
    result(next_command("ingest", out, f"{out.name}.arrow"))
