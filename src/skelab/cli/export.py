"""`skelab export`: a checkpoint becomes a file for other programs, checked before it is written."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skelab.cli.output import next_command, print_json, print_pairs, result, say
from skelab.cli.paths import Force, named

if TYPE_CHECKING:
    from skelab.export.write import ExportReport


class ExportTarget(StrEnum):
    """Kind of file."""

    ONNX = "onnx"
    OPENVINO = "openvino"
    TORCH = "torch"


class ExportPrecision(StrEnum):
    """Numbers that the graph computes with."""

    FP32 = "fp32"
    INT8 = "int8"


class FrameLengths(StrEnum):
    """Whether clips may have any length."""

    AUTO = "auto"
    DYNAMIC = "dynamic"
    FIXED = "fixed"


def export(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint, or a run folder.")],
    out: Annotated[
        Path,
        typer.Argument(help="File to write: .onnx, .xml or .pt2.", parser=named, metavar="OUT"),
    ],
    to: Annotated[ExportTarget, typer.Option("--to", help="Kind of file.")],
    precision: Annotated[
        ExportPrecision, typer.Option(help="int8 for onnx and openvino.")
    ] = ExportPrecision.FP32,
    frames: Annotated[
        FrameLengths, typer.Option(help="Clips of any length, or of the recipe's window only.")
    ] = FrameLengths.AUTO,
    calibrate: Annotated[
        Path | None, typer.Option(help="For int8: clip store or npz like the training clips.")
    ] = None,
    calibration_clips: Annotated[
        int, typer.Option(min=1, help="How many of these clips are used at most.")
    ] = 128,
    force: Force = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write a network as ONNX, OpenVINO IR or torch.export, with all that is needed to use it.

    The graph is compared with the network on several shapes, with and without a second body; a
    file appears only if they agree.
    """
    from skelab.inference.places import check_network

    check_network(checkpoint)

    from skelab.export import export_checkpoint

    made = export_checkpoint(
        checkpoint,
        out,
        to=to.value,
        precision=precision.value,
        frames=frames.value,
        calibrate=calibrate,
        calibration_clips=calibration_clips,
        force=force,
    )
    for note in made.notes:
        say(note)
    if as_json:
        print_json(_as_dict(made))
        return
    _show(made)
    result(
        next_command(
            "predict", made.path, "FILE", *(["--trust"] if to is ExportTarget.TORCH else [])
        )
    )


def _as_dict(made: "ExportReport") -> dict[str, Any]:
    spec, check = made.spec, made.check
    return {
        "files": [str(file) for file in made.files],
        "bytes": made.num_bytes,
        "model": spec.model.name,
        "target": spec.target,
        "precision": spec.precision,
        "frames": "any" if spec.dynamic_frames else spec.window,
        "compared": check.num_inputs,
        "deviation": check.deviation,
        "agreement": check.agreement,
        "synthetic": spec.synthetic,
        "versions": dict(spec.versions),
        "notes": list(made.notes),
    }


def _show(made: "ExportReport") -> None:
    spec, check = made.spec, made.check
    limits = "" if spec.traits.takes_all else f", {spec.traits.lengths}"
    any_length = f"any number{limits}; skelab gives it {spec.window}"
    print_pairs(
        {
            "files": ", ".join(str(file) for file in made.files),
            "size": f"{made.num_bytes / 1e6:.1f} MB",
            "network": f"{spec.title}, {len(spec.classes)} classes, {spec.precision}"
            + (", trained on SYNTHETIC clips" if spec.synthetic else ""),
            "clips": "any number",
            "frames": any_length if spec.dynamic_frames else f"{spec.window} only",
            "checked": f"{check.num_inputs} inputs against eager: largest difference"
            f" {check.deviation:.1e} of the largest logit, {check.agreement:.1%} of the clips in"
            " the same class",
        }
    )
