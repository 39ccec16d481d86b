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
    sequences: Annotated[
        int | None,
        typer.Option(help="Write so many untrimmed sequences from a grammar, instead of clips."),
    ] = None,
    actions: Annotated[
        int | None, typer.Option(help="How many actions; 14 by default, 6 in sequences.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
) -> None:
    """Write synthetic .skeleton files in the exact NTU RGB+D format.

    40 performers, 3 cameras, 17 setups, one and two bodies, noise and tracking faults. They show
    that a pipeline works; accuracies on them say nothing about people.

    With --sequences, a folder of untrimmed sequences of seven actions in the order of a grammar;
    grammar.json says how well the next action can be known at best.
    """
    if sequences is not None:
        _write_sequences(out, sequences, 6 if actions is None else actions, seed)
        return
    from skelab.synthetic import write_synthetic

    with progress("writing synthetic clips") as bar:
        made = write_synthetic(
            out, clips=clips, actions=actions, seed=seed, on_progress=lambda n: bar(n, clips)
        )
    result(f"{made.num_clips:,} SYNTHETIC clips of {made.num_actions} actions in {out}")
    result(next_command("ingest", out, f"{out.name}.arrow"))


def _write_sequences(out: Path, sequences: int, actions: int, seed: int) -> None:
    from skelab.synthetic import write_sequences

    with progress("writing synthetic sequences") as bar:
        grammar = write_sequences(
            out,
            sequences=sequences,
            actions=actions,
            seed=seed,
            on_progress=lambda done: bar(done, sequences),
        )
    result(f"{sequences:,} SYNTHETIC sequences of {actions} actions in {out}")
    result(
        f"the next action, known from the last one at best: top-1 {grammar.best_top1:.1%},"
        f" log-loss {grammar.best_log_loss:.3f}"
    )
    result(next_command("ingest", out, f"{out.name}.arrow"))
