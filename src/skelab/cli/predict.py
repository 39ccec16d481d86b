"""`skelab predict`: what does a clip show?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skelab.cli.data import NoAnatomyCheck
from skelab.cli.networks import EngineName, Trust
from skelab.cli.output import print_json, print_table, result
from skelab.cli.paths import Force, named
from skelab.cli.stream import print_stream
from skelab.cli.timeline import VideoQuestion, is_film, predict_video
from skelab.cli.videos import Mirrored, PoseModel
from skelab.errors import SourceError

if TYPE_CHECKING:
    from skelab.inference.spec import NetworkSpec


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
        typer.Option(
            "--stream",
            help="Frame by frame, by a causal network: a video, or lines of JSON from a file or -.",
        ),
    ] = False,
    mirrored: Mirrored = None,
    pose_model: PoseModel = "full",
    window: Annotated[
        float, typer.Option(help="Of a video: seconds that the network sees at once.")
    ] = 2.0,
    step: Annotated[
        float, typer.Option(help="Of a video: seconds from one answer to the next.")
    ] = 0.5,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Of a video: .mp4 of it with people and actions drawn over it.",
            parser=named,
            metavar="FILE",
        ),
    ] = None,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Name the likeliest classes of clips, with their probabilities.

    Recordings go through the preprocessing that the network was trained with; clips of other
    joints, units or preprocessing are refused. Where clips are labelled, the last line says how
    many are right. With --stream a causal network answers after every frame. A video becomes a
    timeline of actions for each person in it.
    """
    if any(is_film(file) for file in files):
        predict_video(
            model,
            files,
            VideoQuestion(mirrored, pose_model, window, step, top, stream, out, force),
            engine=engine,
            trust=trust,
            as_json=as_json,
        )
        return
    if mirrored is not None or out is not None:
        option = "--out" if mirrored is None else "--mirrored"
        raise SourceError(f"{files[0]}: expected a video for {option}, found another file")
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
                "protocol": spec.protocol,
                "training_part_known": spec.knows_training_part,
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
        title=f"{spec.title}, trained on {trained}, {len(spec.classes)} classes{_how(spec)}",
        right="rank,probability",
    )
    if labelled:
        share = correct / len(labelled)
        result(f"top-1 {share:.2%}: {correct:,} of {len(labelled):,} labelled clips")
        if spec.training_note:
            result(spec.training_note)


def _how(spec: "NetworkSpec") -> str:
    """That the epoch was chosen on the test part, where it was."""
    return ", protocol paper: the test part chose the epoch" if spec.protocol == "paper" else ""
