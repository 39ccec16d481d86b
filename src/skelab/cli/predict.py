"""`skelab predict`: what does a clip show?"""

from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.data import NoAnatomyCheck
from skelab.cli.networks import EngineName, Trust
from skelab.cli.output import print_json, print_table, result
from skelab.cli.stream import print_stream


def predict(
    model: Annotated[
        Path, typer.Argument(help="Run folder, checkpoint, or .onnx, .xml, .pt2 of skelab export.")
    ],
    files: Annotated[
        list[Path],
        typer.Argument(help=".skeleton, .npy, .csv, folders of them, .npz rows, or clip stores."),
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    clip: Annotated[
        list[str] | None,
        typer.Option("--clip", help="Clip of a file that holds several; may be given again."),
    ] = None,
    engine: EngineName = None,
    trust: Trust = False,
    side_car: Annotated[
        Path | None, typer.Option("--side-car", help="Side-car store, for a fused network.")
    ] = None,
    no_anatomy_check: NoAnatomyCheck = False,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Read frames, a line of JSON each, from a file or from -."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Name the likeliest classes of clips, with their probabilities.

    Recordings go through the preprocessing that the network was trained with; clips of other
    joints, units or preprocessing are refused. Where clips are labelled, the last line says how
    many are right. With --stream a causal network answers after every frame.
    """
    from skelab.inference.places import check_network

    check_network(model)

    from skelab.inference import FASTEST, open_network
    from skelab.inference import predict as predict_clips

    if stream:
        network = open_network(model, engine=engine, trust=trust)
        print_stream(network.stream(), files, top=top, as_json=as_json)
        return
    network = open_network(model, engine=engine or FASTEST, trust=trust)
    made = [
        (file, prediction)
        for file in files
        for prediction in predict_clips(
            network,
            file,
            top=top,
            names=clip or (),
            anatomy_check=not no_anatomy_check,
            side_cars=side_car,
        )
    ]
    spec = network.spec
    labelled = [prediction for _, prediction in made if prediction.truth is not None]
    correct = sum(prediction.label == prediction.truth for prediction in labelled)
    if as_json:
        clips = [
            {
                "file": str(file),
                "clip": prediction.clip,
                "top": [{"class": name, "probability": share} for name, share in prediction.top],
                "label": prediction.truth,
            }
            for file, prediction in made
        ]
        print_json(
            {
                "model": spec.model.name,
                "engine": network.engine,
                "synthetic": spec.synthetic,
                "predictions": clips,
                "labelled": len(labelled),
                "correct": correct,
                "top1": correct / len(labelled) if labelled else None,
            }
        )
        return
    rows = []
    for _, prediction in made:
        for rank, (name, share) in enumerate(prediction.top, start=1):
            rows.append(["" if rank > 1 else prediction.clip, str(rank), name, f"{share:.1%}"])
    trained = "SYNTHETIC clips" if spec.synthetic else spec.inputs.dataset
    print_table(
        ["clip", "rank", "class", "probability"],
        rows,
        title=f"{spec.title}, trained on {trained}, {len(spec.classes)} classes",
        right="rank,probability",
    )
    if labelled:
        share = correct / len(labelled)
        result(f"top-1 {share:.2%}: {correct:,} of {len(labelled):,} labelled clips")
