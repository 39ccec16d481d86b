"""What stands in an exported file, as other programs see it."""

import json
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest

from skelab.export import OPSET, TARGETS, ExportReport
from skelab.inference.extras import need_openvino


@pytest.fixture
def graph(exports: dict[str, ExportReport]) -> Any:
    """The ONNX model as the onnx package reads it."""
    return onnx.load(exports["onnx"].path)


def test_onnx_has_named_axes_a_current_opset_and_its_weights_inside(graph: Any) -> None:
    (clips,), (logits,) = graph.graph.input, graph.graph.output
    axes = [axis.dim_param or axis.dim_value for axis in clips.type.tensor_type.shape.dim]

    assert (clips.name, logits.name) == ("clips", "logits")
    assert isinstance(axes[0], str)
    assert isinstance(axes[2], str)
    assert (axes[1], axes[3], axes[4]) == (3, 15, 2)
    assert {entry.domain: entry.version for entry in graph.opset_import}[""] == OPSET
    assert not any(tensor.external_data for tensor in graph.graph.initializer)


def test_onnx_has_the_description_and_its_maker(
    graph: Any, exports: dict[str, ExportReport]
) -> None:
    entries = {entry.key: entry.value for entry in graph.metadata_props}

    assert entries == {"skelab": exports["onnx"].spec.to_json()}
    assert graph.producer_name == "skelab"


def test_openvino_has_the_description_in_its_run_time_info(
    exports: dict[str, ExportReport],
) -> None:
    model = need_openvino().Core().read_model(str(exports["openvino"].path))

    content = json.loads(model.get_rt_info("skelab").value)

    assert content["inputs"]["classes"] == list(exports["openvino"].spec.classes)
    assert content["target"] == "openvino"


def test_pt2_has_the_description_as_an_extra_file(exports: dict[str, ExportReport]) -> None:
    with zipfile.ZipFile(exports["torch"].path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/extra/skelab.json")]
        text = archive.read(name).decode()

    assert text == exports["torch"].spec.to_json()


@pytest.mark.parametrize("to", TARGETS)
def test_a_file_has_nothing_of_the_machine_that_wrote_it(
    to: str, exports: dict[str, ExportReport], repository: Path
) -> None:
    data = b"".join(file.read_bytes() for file in exports[to].files)

    assert b"site-packages" not in data
    assert str(repository).encode() not in data
    assert b"tiny_run.py" not in data
