"""`skelab predict`: what does a clip show?"""

from pathlib import Path
from typing import Annotated

import typer

from skelab.cli.output import print_json, print_table


def predict(
    model: Annotated[
        Path, typer.Argument(help="Run folder, checkpoint, or .onnx, .xml, .pt2 of skelab export.")
    ],
    files: Annotated[
        list[Path], typer.Argument(help=".skeleton, .npy, .npz rows, or clip stores.")
    ],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 5,
    clip: Annotated[
        list[str] | None,
        typer.Option("--clip", help="Clip of a file that holds several; may be given again."),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Open a .pt2 file, which can run its maker's code.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Name the likeliest classes of clips, with their probabilities.

    Recordings go through the preprocessing that the network was trained with; clips of other
    joints, units or preprocessing are refused.
    """
    from skelab.export import open_predictor
    from skelab.export import predict as predict_clips

    predictor = open_predictor(model, trust=trust)
    made = [
        (file, prediction)
        for file in files
        for prediction in predict_clips(predictor, file, top=top, names=clip or ())
    ]
    metadata = predictor.metadata
    if as_json:
        clips = [
            {
                "file": str(file),
                "clip": prediction.clip,
                "top": [{"class": name, "probability": share} for name, share in prediction.top],
            }
            for file, prediction in made
        ]
        print_json(
            {"model": metadata.model.name, "synthetic": metadata.synthetic, "predictions": clips}
        )
        return
    rows = []
    for _, prediction in made:
        for rank, (name, share) in enumerate(prediction.top, start=1):
            rows.append(["" if rank > 1 else prediction.clip, str(rank), name, f"{share:.1%}"])
    trained = "SYNTHETIC clips" if metadata.synthetic else metadata.inputs.dataset
    print_table(
        ["clip", "rank", "class", "probability"],
        rows,
        title=f"{metadata.title}, trained on {trained}, {len(metadata.classes)} classes",
        right="rank,probability",
    )
