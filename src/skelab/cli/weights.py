"""`skelab import-weights`, `skelab export-weights`: weights of the authors' code, in and out."""

from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.output import next_command, print_json, print_pairs, result, say
from skelab.cli.paths import Force, named
from skelab.errors import WeightsError


def import_weights(
    model: Annotated[str, typer.Argument(help="Network family, as in skelab models.")],
    file: Annotated[Path, typer.Argument(help="The authors' weights: .pt, .pth or .safetensors.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="Checkpoint to write, say net.safetensors.", parser=named, metavar="OUT"
        ),
    ],
    layout: Annotated[
        str | None, typer.Option(help="The joints' order; ntu25 for 25 joints.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Whose class names, say ntu60 (skelab datasets); by their number."),
    ] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Text file with the class names, one a line.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Preprocessing trained on; the authors' by default.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="Stream trained on; the recipe's by default, joint.")
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Frames of an input; the recipe's by default.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split trained on, say xsub; without it the training part is unknown."),
    ] = None,
    bodies: Annotated[int | None, typer.Option(help="Bodies of a clip; read off, or 2.")] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Turn weights that the authors' code has trained into a checkpoint of ours.

    A file whose keys or shapes do not fit is refused; no code in it is run.
    """
    from skelab.files.kinds import CHECKPOINT
    from skelab.files.output import check_output
    from skelab.models import get_card

    get_card(model)
    if not file.exists():
        raise WeightsError(f"{file}: cannot be read: No such file or directory")
    check_output(out, CHECKPOINT, inputs=[file, *([classes] if classes else [])], force=force)

    from skelab.runs.weights import import_weights_file, read_class_names

    made = import_weights_file(
        model,
        file,
        out,
        layout=layout,
        dataset=dataset,
        classes=read_class_names(classes) if classes else None,
        pipeline=pipeline,
        stream=stream,
        window=window,
        max_bodies=bodies,
        split=split,
        force=force,
    )
    spec, inputs = made.checkpoint.model, made.checkpoint.inputs
    facts = {
        "checkpoint": str(made.path),
        "model": spec.name,
        "layout": spec.layout.name,
        "classes": spec.num_classes,
        "bodies": spec.max_bodies,
        "pipeline": inputs.pipeline,
        "stream": inputs.feeder.stream.value,
        "window": inputs.feeder.window,
        "trained on split": inputs.split or "unknown",
    }
    if not inputs.split:
        say("which clips trained these weights is unknown, and every figure says so; --split NAME")
    for note in made.notes:
        say(note)
    if as_json:
        print_json({**facts, "notes": list(made.notes)})
        return
    print_pairs({name: str(value) for name, value in facts.items()})
    result(next_command("evaluate", out, "--data", "STORE"))


def export_weights(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint, or a run folder.")],
    out: Annotated[
        Path,
        typer.Argument(
            help="File to write: .pt, .pth or .safetensors.", parser=named, metavar="OUT"
        ),
    ],
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the weights of a checkpoint under the names that the authors' code gives them."""
    from skelab.inference.places import check_network

    check_network(checkpoint)

    from skelab.runs.weights import export_weights_file

    tensors = export_weights_file(checkpoint, out, force=force)
    if as_json:
        print_json({"file": str(out), "tensors": tensors})
        return
    result(f"{tensors:,} tensors in {out}")
