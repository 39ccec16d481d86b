"""A traced graph as the bytes of ONNX, OpenVINO IR and torch.export files."""

import io
from dataclasses import replace
from importlib import metadata as packages
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch

from skelab._version import __version__
from skelab.errors import ExportError
from skelab.inference.extras import need, need_openvino, without_chatter
from skelab.inference.files import MEMBER, WEIGHTS_KEY, Files, weights_digest
from skelab.inference.spec import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, NetworkSpec

OPSET: Final = 25
"""ONNX operators as of this version; the newest that PyTorch, ONNX Runtime and OpenVINO share."""

_PACKAGES: Final = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "openvino": ("torch", "onnx", "onnxscript", "openvino"),
    "torch": ("torch",),
}


def with_versions(spec: NetworkSpec) -> NetworkSpec:
    """The description with the versions of all that writes the file.

    Raises:
        ExportError: One of these packages is not installed.
    """
    names = _PACKAGES[spec.target]
    if spec.precision == "int8" and "onnxruntime" not in names:
        names = (*names, "onnxruntime")
    for name in names:
        need_openvino() if name == "openvino" else need(name)
    versions = {name: packages.version(name) for name in names}
    if spec.target != "torch":
        versions["opset"] = str(OPSET)
    return replace(spec, versions={"skelab": __version__, **versions})


def to_onnx(program: Any) -> bytes:
    """A graph of torch.export as an ONNX model, weights inside.

    Raises:
        ExportError: The extra ``export`` is not installed, or the graph cannot be translated.
    """
    for node in program.graph.nodes:  # same result, but it asks nothing of strides, which are
        if node.target is torch.ops.aten.view.default:  # others in the course of translation
            node.target = torch.ops.aten.reshape.default
    program.graph_module.recompile()
    try:
        with without_chatter(), torch.no_grad():
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                verbose=False,
            )
    except Exception as error:  # the exporter raises what its many steps raise
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"the graph cannot be translated to ONNX: {reason}") from error
    model = made.model_proto  # type: ignore[union-attr]
    for entry in (model.graph, *model.graph.node, *model.graph.value_info):
        del entry.metadata_props[:]  # lines of the code that was traced, with their paths
        entry.doc_string = ""
    content: bytes = model.SerializeToString()
    return content


def with_onnx_metadata(model: bytes, spec: NetworkSpec) -> bytes:
    """The ONNX model with its description."""
    onnx = need("onnx")
    graph = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(graph, {METADATA_KEY: spec.to_json()})
    graph.producer_name, graph.producer_version = "skelab", __version__
    graph.doc_string = f"{spec.title}, {len(spec.classes)} classes"
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString()
    return content


def to_openvino(model: bytes, spec: NetworkSpec) -> Files:
    """An ONNX model as OpenVINO's pair of files, with its description.

    The first file has a digest of the second, so that a pair that does not belong together is
    never taken for a network.

    Raises:
        ExportError: The extra ``export`` is not installed, or OpenVINO does not take the graph.
    """
    openvino = need_openvino()
    try:
        graph = openvino.Core().read_model(model=model)
        graph.set_rt_info(spec.to_json(), METADATA_KEY)
        with TemporaryDirectory() as folder:
            files = _serialised(openvino, graph, Path(folder))
            graph.set_rt_info(weights_digest(files[".bin"]), WEIGHTS_KEY)
            return _serialised(openvino, graph, Path(folder))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"OpenVINO does not take the graph: {reason}") from error


def to_torch(program: Any, spec: NetworkSpec) -> bytes:
    """A graph of torch.export as the bytes of a ``.pt2`` file, with its description."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # lines of the code that was traced, with their paths
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={MEMBER: spec.to_json()})
    return buffer.getvalue()


def _serialised(openvino: Any, graph: Any, folder: Path) -> Files:
    xml, weights = folder / "model.xml", folder / "model.bin"
    openvino.serialize(graph, str(xml), str(weights))
    return {".xml": xml.read_bytes(), ".bin": weights.read_bytes()}
