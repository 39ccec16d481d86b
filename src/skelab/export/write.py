"""Exports a checkpoint to a file, checked before it appears under its name."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from jaxtyping import Float32
from numpy import ndarray

from skelab.data.clips.opened_clips import OpenedClips
from skelab.data.opened import open_clips
from skelab.errors import ExportError, OutputError, unknown_name
from skelab.export.check import CheckReport, check_export, check_quantised
from skelab.export.formats import to_onnx, to_openvino, to_torch, with_onnx_metadata, with_versions
from skelab.export.quantise import calibration_batches, quantise
from skelab.export.trace import trace_network
from skelab.files.atomic import atomic_write
from skelab.files.kinds import ONNX, OPENVINO, TORCH_EXPORT
from skelab.files.output import check_output
from skelab.inference.checkpoint import Checkpoint, read_checkpoint
from skelab.inference.files import Files, exported_file
from skelab.inference.network import open_network
from skelab.inference.places import SUFFIXES, chosen_checkpoint
from skelab.inference.spec import FEWEST_FRAMES, NetworkSpec

TARGETS: Final = tuple(SUFFIXES)
PRECISIONS: Final = ("fp32", "int8")
_KINDS: Final = {"onnx": ONNX, "openvino": OPENVINO, "torch": TORCH_EXPORT}
FRAMES: Final = ("auto", "dynamic", "fixed")


@dataclass(frozen=True)
class ExportReport:
    """The result of an export.

    Attributes:
        path: The file, for OpenVINO the ``.xml``.
        files: All files.
        spec: The description in the file.
        check: The comparison with the network.
        notes: Deviations from the request, with reasons.
    """

    path: Path
    files: tuple[Path, ...]
    spec: NetworkSpec
    check: CheckReport
    notes: tuple[str, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Size of all files, bytes."""
        return sum(file.stat().st_size for file in self.files)


def export_checkpoint(
    checkpoint_path: Path | str,
    out: Path | str,
    *,
    to: str = "onnx",
    precision: str = "fp32",
    frames: str = "auto",
    calibrate: Path | OpenedClips | None = None,
    calibration_clips: int = 128,
    force: bool = False,
) -> ExportReport:
    """Export the network of a checkpoint to a self-contained file.

    The graph takes any number of clips. It is compared with the network on several shapes, with
    and without a second body, before the file appears under its name; labels, joints,
    preprocessing and versions are stored in the file.

    Args:
        checkpoint_path: A checkpoint, or a run folder.
        out: The file; for OpenVINO the ``.xml``, with its ``.bin`` written beside it.
        to: ``onnx``, ``openvino`` or ``torch``.
        precision: ``fp32``, or ``int8`` for ONNX and OpenVINO.
        frames: Whether clips may have any length: ``dynamic``, ``fixed`` (the recipe's window), or
            ``auto`` for dynamic if the network allows it.
        calibrate: For int8, clips like the training clips.
        calibration_clips: Maximum number of calibration clips.
        force: Replace an existing exported file.

    Raises:
        CheckpointError: There is no checkpoint, it is damaged, or the calibration clips differ
            from those that it was trained on.
        ExportError: The network cannot be traced, the graph is constant, or deviates from the
            network; a package is missing; or the arguments contradict each other.
        OutputError: The file cannot be written, or exists and may not be overwritten.
    """
    out = Path(out)
    _check_arguments(out, to, precision, frames, calibrate)
    file = chosen_checkpoint(Path(checkpoint_path))
    _check_out(out, to, [file, *_paths_of(calibrate)], force)
    checkpoint = read_checkpoint(file)
    if checkpoint.fusion is not None:
        raise ExportError(
            f"{file}: is fused with side-cars, which exported networks do not take; export the"
            " skeleton network, in the folder controls/skeleton of its run"
        )
    described = replace(
        NetworkSpec.of_checkpoint(checkpoint), target=to, precision=precision, dynamic_frames=False
    )
    batches = None
    if calibrate is not None:
        store = calibrate if isinstance(calibrate, OpenedClips) else open_clips(Path(calibrate))
        batches = calibration_batches(described, store, limit=calibration_clips)
        count = sum(map(len, batches))
        described = replace(described, calibration={"store": store.info.digest, "clips": count})
    described = with_versions(described)
    content, spec, report, notes = _make(checkpoint, described, frames, batches)
    files = write_files(out, content)
    return ExportReport(files[0], files, spec, report, notes)


def write_files(out: Path, content: Files) -> tuple[Path, ...]:
    """Write all files of an export or none; the named one is put in place last.

    Raises:
        OutputError: A file cannot be written; what was there before is untouched.
    """
    paths = tuple(out.with_suffix(suffix) for suffix in content)
    for path in paths:
        if path.is_dir():
            raise OutputError(f"{path}: expected the name of a file, found a folder")
    with ExitStack() as stack:
        for path, data in zip(paths, content.values(), strict=True):
            stack.enter_context(atomic_write(path)).write_bytes(data)
    return paths


def _check_arguments(
    out: Path, to: str, precision: str, frames: str, calibrate: Path | OpenedClips | None
) -> None:
    for kind, given, known in (
        ("target", to, TARGETS),
        ("precision", precision, PRECISIONS),
        ("frames", frames, FRAMES),
    ):
        if given not in known:
            raise ExportError(unknown_name(kind, given, known))
    if out.suffix != SUFFIXES[to][0]:
        raise ExportError(
            f"{out}: expected a name that ends with {SUFFIXES[to][0]} for {to}, found"
            f" {out.suffix or 'none of it'!r}"
        )
    if precision == "int8" and to == "torch":
        raise ExportError("int8 is available for onnx and openvino; torch.export files are fp32")
    if precision == "int8" and calibrate is None:
        raise ExportError("int8 needs calibration clips: --calibrate STORE")
    if precision != "int8" and calibrate is not None:
        raise ExportError(f"--calibrate is for --precision int8, found --precision {precision}")


def _paths_of(calibrate: Path | OpenedClips | None) -> list[Path]:
    if calibrate is None:
        return []
    return [calibrate.path if isinstance(calibrate, OpenedClips) else Path(calibrate)]


def _check_out(out: Path, to: str, inputs: list[Path], force: bool) -> None:
    """Refuse to overwrite other files; OpenVINO's weights are recognised by their ``.xml``."""
    check_output(out, _KINDS[to], inputs=inputs, force=force)
    weights = out.with_suffix(".bin")
    if to == "openvino" and weights.exists() and not out.exists():
        raise OutputError(
            f"{weights}: expected nothing under this name, or a model {out.name} that it belongs"
            " to; choose another name, or remove it"
        )


def _make(
    checkpoint: Checkpoint,
    spec: NetworkSpec,
    frames: str,
    batches: list[Float32[ndarray, "_ C T V M"]] | None,
) -> tuple[Files, NetworkSpec, CheckReport, tuple[str, ...]]:
    """The checked content of the files; with dynamic length if requested and possible."""
    if frames == "fixed":
        program = trace_network(checkpoint.build(), spec)
        return *_checked(program, checkpoint, spec, batches), ()
    dynamic = replace(spec, dynamic_frames=True)
    try:
        if spec.window < FEWEST_FRAMES:
            raise ExportError(
                f"{spec.model.name}: its window of {spec.window} frames is shorter than"
                f" {FEWEST_FRAMES}, from where on a graph can take clips of any length"
            )
        lengths = dynamic.lengths if spec.traits.takes(spec.window) else None
        if lengths is not None and lengths.shortest == lengths.longest:
            raise ExportError(
                f"{spec.model.name}: its family takes clips of no other length than"
                f" {spec.window} frames"
            )
        program = trace_network(checkpoint.build(), dynamic)
        if batches is None:
            return *_checked(program, checkpoint, dynamic, None), ()
    except ExportError as error:
        if frames == "dynamic":
            raise
        note = f"the graph takes clips of {spec.window} frames only: {error}"
        program = trace_network(checkpoint.build(), spec)
        return *_checked(program, checkpoint, spec, batches), (note,)
    return *_checked(program, checkpoint, dynamic, batches), ()  # int8 fails at any length


def _checked(
    program: object,
    checkpoint: Checkpoint,
    spec: NetworkSpec,
    batches: list[Float32[ndarray, "_ C T V M"]] | None,
) -> tuple[Files, NetworkSpec, CheckReport]:
    content = _content(program, spec, batches)
    name = Path(f"{spec.model.name}{SUFFIXES[spec.target][0]}")
    eager = open_network(checkpoint).logits
    graph = open_network(exported_file(name, content), trust=True).logits
    if batches is None:
        return content, spec, check_export(eager, graph, spec)
    return content, spec, check_quantised(eager, graph, spec, batches)


def _content(
    program: object,
    spec: NetworkSpec,
    batches: list[Float32[ndarray, "_ C T V M"]] | None,
) -> Mapping[str, bytes]:
    if spec.target == "torch":
        return {".pt2": to_torch(program, spec)}
    model = to_onnx(program)
    if batches is not None:
        model = quantise(model, batches)
    if spec.target == "onnx":
        return {".onnx": with_onnx_metadata(model, spec)}
    return to_openvino(model, spec)
