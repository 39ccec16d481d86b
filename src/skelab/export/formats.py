"""Converts a traced graph to the bytes of ONNX, OpenVINO IR and torch.export files."""

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
"""ONNX opset; the newest that PyTorch, ONNX Runtime and OpenVINO share."""

_PACKAGES: Final = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "openvino": ("torch", "onnx", "onnxscript", "openvino"),
    "torch": ("torch",),
}


def with_versions(spec: NetworkSpec) -> NetworkSpec:
    """The description with the versions of the packages that write the file.

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
    """Convert a graph of torch.export to an ONNX model with its weights.

    Raises:
        ExportError: The extra ``export`` is not installed, or the graph cannot be translated.
    """
    for node in program.graph.nodes:  # same result, but without a check of strides, which are
        if node.target is torch.ops.aten.view.default:  # different during translation
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
    except Exception as error:  # the exporter raises errors of many kinds
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"the graph cannot be translated to ONNX: {reason}") from error
    model = made.model_proto  # type: ignore[union-attr]
    for entry in (model.graph, *model.graph.node, *model.graph.value_info):
        del entry.metadata_props[:]  # stack traces of the traced code, with paths
        entry.doc_string = ""
    content: bytes = model.SerializeToString()
    return content


def with_onnx_metadata(model: bytes, spec: NetworkSpec) -> bytes:
    """Add the description to an ONNX model."""
    onnx = need("onnx")
    graph = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(graph, {METADATA_KEY: spec.to_json()})
    graph.producer_name, graph.producer_version = "skelab", __version__
    graph.doc_string = f"{spec.title}, {len(spec.classes)} classes"
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString()
    return content


def to_openvino(model: bytes, spec: NetworkSpec) -> Files:
    """Convert an ONNX model to OpenVINO's pair of files, with its description.

    The first file has a digest of the second, so that a mismatched pair is rejected.

    Raises:
        ExportError: The extra ``export`` is not installed, or OpenVINO rejects the graph.
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
        raise ExportError(f"OpenVINO rejects the graph: {reason}") from error


def to_torch(program: Any, spec: NetworkSpec) -> bytes:
    """Serialise a graph of torch.export as a ``.pt2`` file with its description."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # stack traces of the traced code, with paths
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={MEMBER: spec.to_json()})
    return buffer.getvalue()


def _serialised(openvino: Any, graph: Any, folder: Path) -> Files:
    xml, weights = folder / "model.xml", folder / "model.bin"
    openvino.serialize(graph, str(xml), str(weights))
    return {".xml": xml.read_bytes(), ".bin": weights.read_bytes()}
