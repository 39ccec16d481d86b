"""int8: which clips show it its numbers, and what becomes whole numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export_kit import family_checkpoint, needs_export, some_clips, used
from jaxtyping import Float32
from numpy import ndarray
from tiny_clips import CLASSES, SBU15, tiny_store
from torch import Tensor, nn

from skelab.data.clips.store import ClipStore
from skelab.errors import ExportError
from skelab.export.formats import to_onnx
from skelab.export.quantise import calibration_batches, quantise
from skelab.export.trace import trace_network
from skelab.inference import NetworkFile, NetworkSpec
from skelab.inference.engines import EngineOptions, get_engine


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    """24 clips of four subjects."""
    return tiny_store(tmp_path / "clips.arrow")


def trained(folder: Path, split: str) -> NetworkSpec:
    """The description of a network whose recipe names a split."""
    checkpoint = family_checkpoint(
        folder / "net.safetensors",
        "tiny",
        layout=SBU15,
        classes=CLASSES,
        options={},
        pipeline="ctrgcn",
    )
    recipe = (
        f"name: tiny\nmodel:\n  name: tiny\ndata:\n  split: {split}\n  validation_subjects: 0\n"
    )
    described = NetworkSpec.of_checkpoint(replace(checkpoint, recipe=recipe))
    return replace(described, dynamic_frames=False)


def test_calibration_clips_come_from_the_training_part(tmp_path: Path, store: ClipStore) -> None:
    spec = trained(tmp_path, "subject:1-3/4")

    batches = calibration_batches(spec, store, limit=100)

    num_training = int(np.isin(store.index.subjects, (1, 2, 3)).sum())
    assert sum(map(len, batches)) == num_training
    assert all(batch.shape[1:] == (3, 8, 15, 2) for batch in batches)


def test_all_clips_serve_where_the_store_lacks_the_split(tmp_path: Path, store: ClipStore) -> None:
    spec = trained(tmp_path, "subject:20/30")

    assert sum(map(len, calibration_batches(spec, store, limit=100))) == len(store)
    assert sum(map(len, calibration_batches(spec, store, limit=7))) == 7


def test_without_a_clip_there_is_no_calibration(tmp_path: Path, store: ClipStore) -> None:
    with pytest.raises(ExportError, match="expected clips to calibrate with, found none"):
        calibration_batches(trained(tmp_path, "subject:1-3/4"), store, limit=0)


@needs_export
def test_weights_become_int8_but_for_what_reads_the_coordinates(tmp_path: Path) -> None:
    network = used(_Layers(), (4, 3, 8, 15, 2))
    spec = trained(tmp_path, "subject:1-3/4")
    model = to_onnx(trace_network(network, spec))
    joints = some_clips((16, 3, 8, 15, 2))

    small = quantise(model, [joints])

    graph = onnx.load_model_from_string(small).graph
    sizes = {
        tuple(tensor.dims)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    }
    assert sizes == {(8, 8, 1, 1), (8, 6)}
    file = NetworkFile(tmp_path / "small.onnx", spec, content={".onnx": small})
    found = get_engine("onnxruntime").load(file, EngineOptions())(joints)
    with torch.inference_mode():
        expected = network(torch.from_numpy(joints)).numpy()
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


class _Layers(nn.Module):
    """One layer of each kind that the families have."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1)
        self.second = nn.Conv2d(8, 8, 1)
        self.mix = nn.Parameter(torch.randn(8, 6))
        self.classifier = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.second(torch.relu(self.first(x.flatten(3)))))
        mixed = torch.relu(hidden.movedim(1, -1) @ self.mix)
        logits: Tensor = self.classifier(mixed.mean(dim=(1, 2)))
        return logits


@pytest.mark.parametrize("batches", [[], [some_clips((1, 3, 8, 15, 2))]])
def test_what_is_no_graph_or_has_no_clips_cannot_be_quantised(
    batches: list[Float32[ndarray, "N C T V M"]],
) -> None:
    with pytest.raises(ExportError, match="the graph cannot be quantised to int8: "):
        quantise(b"no graph", batches)
