"""A checkpoint becomes a file that is its network, or no file at all."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from export_kit import CLASSES, family_checkpoint, needs_export, some_clips
from tiny_clips import SBU15, tiny_clip, tiny_info, tiny_store
from torch import Tensor, nn

from skelab.data.clips.store import open_store
from skelab.data.clips.write import write_store
from skelab.errors import CheckpointError, ExportError, NetworkError, OutputError
from skelab.export import TARGETS, ExportReport, export_checkpoint
from skelab.export import write as write_module
from skelab.export.trace import trace_network
from skelab.export.write import write_files
from skelab.inference import open_network, read_checkpoint
from skelab.models import FamilyTraits, get_card, list_models
from skelab.skeleton import get_layout

FAMILIES = [card.name for card in list_models()]
# Made for clips of one length, or traced with the shortest that they take.
ONE_LENGTH = ("freqmixformer", "lstc_mda", "skateformer", "usdrl")
QUICKEST_FIRST = [
    "stgcn",
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in FAMILIES
        if name not in ("stgcn", *ONE_LENGTH)
    ),
]


@pytest.mark.parametrize("to", TARGETS)
def test_an_exported_network_gives_the_logits_of_its_checkpoint(
    to: str, checkpoint: Path, exports: dict[str, ExportReport]
) -> None:
    joints = some_clips((3, 3, 8, 15, 2))
    joints[1, ..., 1] = 0.0
    expected = open_network(checkpoint).logits(joints)

    exported = open_network(exports[to].path, trust=True)

    np.testing.assert_allclose(exported.logits(joints), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("to", TARGETS)
def test_an_export_takes_clips_of_any_number_and_length_and_says_how_well_it_was_checked(
    to: str, exports: dict[str, ExportReport]
) -> None:
    report = exports[to]

    exported = open_network(report.path, trust=True)

    assert report.spec.dynamic_frames
    assert not report.notes
    assert {shape[0] for shape in report.check.shapes} == {1, 2, 5}
    assert len({shape[1] for shape in report.check.shapes}) >= 2
    assert report.check.deviation < 1e-4
    assert exported.logits(some_clips((7, 3, 21, 15, 2))).shape == (7, len(CLASSES))


def test_openvino_has_both_of_its_files(exports: dict[str, ExportReport]) -> None:
    report = exports["openvino"]

    assert [file.suffix for file in report.files] == [".xml", ".bin"]
    assert report.num_bytes == sum(file.stat().st_size for file in report.files)


@needs_export
def test_clips_of_one_length_only_where_that_is_asked(checkpoint: Path, tmp_path: Path) -> None:
    made = export_checkpoint(checkpoint, tmp_path / "net.pt2", to="torch", frames="fixed")

    exported = open_network(made.path, trust=True)

    assert exported.logits(some_clips((3, 3, 8, 15, 2))).shape == (3, 4)
    with pytest.raises(
        NetworkError, match=r"expected N x 3 x 8 x 15 x 2 .*found 3 x 3 x 9 x 15 x 2"
    ):
        exported.logits(some_clips((3, 3, 9, 15, 2)))


class _OneLength(nn.Module):
    """A layer over time: there is no other length that it could take."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.mix = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.model(self.mix(x.movedim(2, -1)).movedim(-1, 2))
        return mixed


@needs_export
def test_a_network_of_one_length_is_exported_as_such_and_that_is_said(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _OneLength(read_checkpoint(checkpoint).build()).eval()
    monkeypatch.setattr("skelab.inference.checkpoint.Checkpoint.build", lambda self: network)

    made = export_checkpoint(checkpoint, tmp_path / "net.pt2", to="torch")

    assert not made.spec.dynamic_frames
    assert "the graph takes clips of 8 frames only" in made.notes[0]
    with pytest.raises(
        ExportError, match=r"tiny: torch.export cannot trace a graph for clips of any"
    ):
        export_checkpoint(checkpoint, tmp_path / "dynamic.pt2", to="torch", frames="dynamic")
    assert not (tmp_path / "dynamic.pt2").exists()


class _Constant(nn.Module):
    """Logits that were frozen; the input is read and then thrown away."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor([0.3, -1.0, 2.0, 0.1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits + 0.0 * x.flatten(1).sum(dim=1, keepdim=True)


@needs_export
@pytest.mark.parametrize("to", TARGETS)
def test_a_constant_graph_is_refused_and_no_file_appears(
    to: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = _Constant().eval()
    monkeypatch.setattr(write_module, "trace_network", _tracing(constant))
    out = tmp_path / {"onnx": "net.onnx", "openvino": "net.xml", "torch": "net.pt2"}[to]

    with pytest.raises(ExportError, match="the graph is constant: different clips give logits"):
        export_checkpoint(checkpoint, out, to=to)

    assert list(tmp_path.iterdir()) == []


@needs_export
def test_a_graph_that_deviates_is_refused_and_what_was_there_stays(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = read_checkpoint(checkpoint).build()
    with torch.no_grad():
        next(iter(other.parameters())).mul_(1.01)
    monkeypatch.setattr(write_module, "trace_network", _tracing(other))
    out = tmp_path / "net.pt2"
    out.write_bytes(b"PK\x03\x04 an older export")

    with pytest.raises(ExportError, match=r"tiny as torch: expected logits within 0.0001 of eager"):
        export_checkpoint(checkpoint, out, to="torch", force=True)

    assert out.read_bytes() == b"PK\x03\x04 an older export"
    assert list(tmp_path.iterdir()) == [out]


def _tracing(network: nn.Module) -> Any:
    """A tracer that traces another network than the one it is given."""
    return lambda model, spec: trace_network(network, spec)


@needs_export
@pytest.mark.parametrize("name", QUICKEST_FIRST)
def test_every_family_becomes_a_graph_for_any_number_and_length_of_clips(
    name: str, tmp_path: Path
) -> None:
    multiple = get_card(name).traits.frames_multiple_of
    window = 4 * multiple if multiple > 1 else 12
    family_checkpoint(tmp_path / "net.safetensors", name, window=window)

    made = export_checkpoint(tmp_path / "net.safetensors", tmp_path / "net.pt2", to="torch")

    assert made.spec.dynamic_frames, made.notes
    assert made.check.num_inputs == 13


@needs_export
def test_a_family_of_one_length_becomes_a_graph_of_that_length(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    traits = FamilyTraits(min_frames=8, max_frames=8)
    monkeypatch.setattr(
        "skelab.inference.spec.get_card", lambda name: replace(get_card(name), traits=traits)
    )

    made = export_checkpoint(checkpoint, tmp_path / "net.pt2", to="torch")

    assert not made.spec.dynamic_frames
    assert "tiny: its family takes clips of no other length than 8 frames" in made.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_becomes_onnx_and_openvino(name: str, to: str, tmp_path: Path) -> None:
    traits = get_card(name).traits
    family_checkpoint(tmp_path / "net.safetensors", name, window=traits.nearest(16))
    out = tmp_path / ("net.onnx" if to == "onnx" else "net.xml")

    made = export_checkpoint(tmp_path / "net.safetensors", out, to=to)

    assert made.spec.dynamic_frames == (name not in ONE_LENGTH), made.notes
    assert made.check.deviation < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_in_full_size_becomes_openvino_by_way_of_onnx(
    name: str, tmp_path: Path
) -> None:
    classes = tuple(f"A{number:03d}" for number in range(1, 61))
    frames = "fixed" if name in ONE_LENGTH else "dynamic"
    family_checkpoint(
        tmp_path / "net.safetensors",
        name,
        layout=get_layout("ntu25"),
        classes=classes,
        window=64,
        options={},
    )

    made = export_checkpoint(
        tmp_path / "net.safetensors", tmp_path / "net.xml", to="openvino", frames=frames
    )

    assert made.check.deviation < 1e-4
    assert made.check.agreement == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"to": "tflite"}, "unknown target 'tflite'. Known: onnx, openvino, torch"),
        ({"precision": "int4"}, "unknown precision 'int4', did you mean 'int8'"),
        ({"frames": "some"}, "unknown frames 'some'. Known: auto, dynamic, fixed"),
        ({"to": "torch"}, "net.onnx: expected a name that ends with .pt2 for torch, found '.onnx'"),
        ({"precision": "int8"}, "int8 needs calibration clips: --calibrate STORE"),
        ({"calibrate": Path("clips.arrow")}, "--calibrate is for --precision int8, found"),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(
    arguments: dict[str, Any], message: str, checkpoint: Path, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=message):
        export_checkpoint(checkpoint, tmp_path / "net.onnx", **arguments)


def test_int8_is_not_offered_for_torch(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="int8 is available for onnx and openvino"):
        export_checkpoint(checkpoint, tmp_path / "net.pt2", to="torch", precision="int8")


@pytest.mark.parametrize(
    ("to", "suffix", "package"),
    [
        ("onnx", "onnx", "onnxscript"),
        ("onnx", "onnx", "onnxruntime"),
        ("openvino", "xml", "onnx"),
        ("openvino", "xml", "openvino"),
    ],
)
def test_a_missing_package_is_one_line_before_any_work(
    to: str,
    suffix: str,
    package: str,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(write_module, "trace_network", _never)

    with pytest.raises(ExportError, match=rf"needs the package {package},.*\[export\]'"):
        export_checkpoint(checkpoint, tmp_path / f"net.{suffix}", to=to)


def _never(model: nn.Module, spec: object) -> Any:
    raise AssertionError("nothing should have been traced")


def test_a_path_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="expected a run folder or a checkpoint"):
        export_checkpoint(tmp_path / "nothing", tmp_path / "net.onnx")


def test_a_pair_of_files_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "net.bin").mkdir()

    with pytest.raises(OutputError, match=r"net.bin: expected the name of a file, found a folder"):
        write_files(tmp_path / "net.xml", {".xml": b"graph", ".bin": b"weights"})

    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]


@needs_export
def test_int8_is_calibrated_on_clips_and_says_on_which(tmp_path: Path) -> None:
    write_store(
        tmp_path / "clips.arrow",
        [tiny_clip(row, label=row % 4) for row in range(24)],
        tiny_info(classes=CLASSES),
    )
    store = open_store(tmp_path / "clips.arrow")
    family_checkpoint(
        tmp_path / "net.safetensors", "tiny", layout=SBU15, options={}, pipeline="ctrgcn"
    )

    made = export_checkpoint(
        tmp_path / "net.safetensors",
        tmp_path / "net.onnx",
        precision="int8",
        calibrate=store,
        calibration_clips=10,
    )

    assert made.spec.precision == "int8"
    assert made.spec.calibration == {"store": store.info.digest, "clips": 10}
    assert made.check.agreement >= 0.9
    assert open_network(made.path).spec == made.spec


def test_int8_refuses_clips_of_another_kind(checkpoint: Path, tmp_path: Path) -> None:
    store = tiny_store(tmp_path / "clips.arrow")

    with pytest.raises(CheckpointError, match=r"was trained on pipeline as-given, but .* ctrgcn"):
        export_checkpoint(checkpoint, tmp_path / "net.onnx", precision="int8", calibrate=store)


def test_an_exported_file_is_replaced_by_force_only_and_nothing_else_is(
    checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "net.pt2"
    export_checkpoint(checkpoint, out, to="torch")
    (tmp_path / "notes.pt2").write_text("twelve notes")
    (tmp_path / "net.bin").write_text("twelve notes")

    with pytest.raises(OutputError, match=r"net\.pt2: there is a file of torch\.export .* --force"):
        export_checkpoint(checkpoint, out, to="torch")
    with pytest.raises(
        OutputError, match=r"notes\.pt2: expected a file of torch\.export or nothing"
    ):
        export_checkpoint(checkpoint, tmp_path / "notes.pt2", to="torch", force=True)
    with pytest.raises(
        OutputError, match=r"net\.bin: expected nothing under this name, or a model"
    ):
        export_checkpoint(checkpoint, tmp_path / "net.xml", to="openvino", force=True)

    export_checkpoint(checkpoint, out, to="torch", force=True)
