"""A traced graph as the bytes of ONNX, OpenVINO IR and torch.export files, and back."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata as packages
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from skelab._version import __version__
from skelab.errors import ExportError
from skelab.export.check import Network
from skelab.export.extras import need, need_openvino, without_chatter
from skelab.export.metadata import INPUT_NAME, METADATA_KEY, OUTPUT_NAME, ExportMetadata

OPSET: Final = 25
"""ONNX operators as of this version; the newest that PyTorch, ONNX Runtime and OpenVINO share."""

SUFFIXES: Final = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "torch": (".pt2",)}
"""The files of each target, the one that is named first."""

_PACKAGES: Final = {
    "onnx": ("torch", "onnx", "onnxscript", "onnxruntime"),
    "openvino": ("torch", "onnx", "onnxscript", "openvino"),
    "torch": ("torch",),
}
_WEIGHTS_KEY: Final = "skelab_weights"
_MEMBER: Final = f"{METADATA_KEY}.json"

Files = Mapping[str, bytes]
"""Content of each file, by its suffix."""


def with_versions(metadata: ExportMetadata) -> ExportMetadata:
    """The description with the versions of all that writes the file.

    Raises:
        ExportError: One of these packages is not installed.
    """
    names = _PACKAGES[metadata.target]
    if metadata.precision == "int8" and "onnxruntime" not in names:
        names = (*names, "onnxruntime")
    for name in names:
        need_openvino() if name == "openvino" else need(name)
    versions = {name: packages.version(name) for name in names}
    if metadata.target != "torch":
        versions["opset"] = str(OPSET)
    return replace(metadata, versions={"skelab": __version__, **versions})


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


def with_onnx_metadata(model: bytes, metadata: ExportMetadata) -> bytes:
    """The ONNX model with its description."""
    onnx = need("onnx")
    graph = onnx.load_model_from_string(model)
    onnx.helper.set_model_props(graph, {METADATA_KEY: metadata.to_json()})
    graph.producer_name, graph.producer_version = "skelab", __version__
    graph.doc_string = f"{metadata.title}, {len(metadata.classes)} classes"
    onnx.checker.check_model(graph)
    content: bytes = graph.SerializeToString()
    return content


def to_openvino(model: bytes, metadata: ExportMetadata) -> Files:
    """An ONNX model as OpenVINO's pair of files, with its description.

    The first file has a digest of the second, so that a pair that does not belong together is
    never taken for a network.

    Raises:
        ExportError: The extra ``export`` is not installed, or OpenVINO does not take the graph.
    """
    openvino = need_openvino()
    try:
        graph = openvino.Core().read_model(model=model)
        graph.set_rt_info(metadata.to_json(), METADATA_KEY)
        with TemporaryDirectory() as folder:
            files = _serialised(openvino, graph, Path(folder))
            graph.set_rt_info(_digest(files[".bin"]), _WEIGHTS_KEY)
            return _serialised(openvino, graph, Path(folder))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"OpenVINO does not take the graph: {reason}") from error


def to_torch(program: Any, metadata: ExportMetadata) -> bytes:
    """A graph of torch.export as the bytes of a ``.pt2`` file, with its description."""
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # lines of the code that was traced, with their paths
    buffer = io.BytesIO()
    torch.export.save(program, buffer, extra_files={_MEMBER: metadata.to_json()})
    return buffer.getvalue()


def read_metadata(files: Files, where: str) -> ExportMetadata:
    """The description in an exported file; runs nothing of it.

    Raises:
        ExportError: The file is damaged, or was not written by ``skelab export``.
    """
    suffix = next(iter(files))
    read = {".onnx": _onnx_metadata, ".xml": _openvino_metadata, ".pt2": _torch_metadata}[suffix]
    text = read(files, where)
    if text is None:
        raise ExportError(
            f"{where}: expected a file of `skelab export`, found one without the description that"
            " says which joints and classes it is for"
        )
    return ExportMetadata.from_json(text, where)


def open_network(files: Files, where: str) -> Network:
    """The graph of an exported file, ready to run on the CPU in float32.

    A ``.pt2`` file may run code of its maker's choice here.

    Raises:
        ExportError: The file is damaged, or a package that runs it is not installed.
    """
    suffix = next(iter(files))
    opened = {".onnx": _open_onnx, ".xml": _open_openvino, ".pt2": _open_torch}[suffix]
    return opened(files, where)


def _serialised(openvino: Any, graph: Any, folder: Path) -> Files:
    xml, weights = folder / "model.xml", folder / "model.bin"
    openvino.serialize(graph, str(xml), str(weights))
    return {".xml": xml.read_bytes(), ".bin": weights.read_bytes()}


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _damaged(where: str, error: Exception) -> ExportError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return ExportError(
        f"{where}: expected a file of `skelab export`, found one that is damaged or of another"
        f" kind: {reason}"
    )


def _onnx_session(files: Files, where: str) -> Any:
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.use_deterministic_compute = True
    try:  # from bytes, so that the file cannot name other files to read
        return runtime.InferenceSession(files[".onnx"], options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of its errors are not public
        raise _damaged(where, error) from None


def _onnx_metadata(files: Files, where: str) -> str | None:
    props: Mapping[str, str] = _onnx_session(files, where).get_modelmeta().custom_metadata_map
    return props.get(METADATA_KEY)


def _open_onnx(files: Files, where: str) -> Network:
    session = _onnx_session(files, where)

    def run(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        logits: Float32[ndarray, "N K"] = session.run([OUTPUT_NAME], {INPUT_NAME: joints})[0]
        return logits

    return run


def _openvino_graph(files: Files, where: str) -> tuple[Any, Any]:
    core = need_openvino().Core()
    try:
        graph = core.read_model(model=files[".xml"], weights=files[".bin"])
        written = _rt_info(graph, _WEIGHTS_KEY)
    except RuntimeError as error:
        raise _damaged(where, error) from None
    if written is not None and written != _digest(files[".bin"]):
        raise ExportError(
            f"{where}: the .bin file beside it is of another export, or damaged; copy both files of"
            " an export together"
        )
    return core, graph


def _rt_info(graph: Any, key: str) -> str | None:
    return str(graph.get_rt_info(key).value) if graph.has_rt_info(key) else None


def _openvino_metadata(files: Files, where: str) -> str | None:
    return _rt_info(_openvino_graph(files, where)[1], METADATA_KEY)


def _open_openvino(files: Files, where: str) -> Network:
    core, graph = _openvino_graph(files, where)
    compiled = core.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        logits: Float32[ndarray, "N K"] = np.array(compiled([joints])[0], dtype=np.float32)
        return logits

    return run


def _torch_metadata(files: Files, where: str) -> str | None:
    """Read out of the archive without PyTorch, whose loader would run what is pickled in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(files[".pt2"])) as archive:
            for name in archive.namelist():
                if name.endswith(f"/extra/{_MEMBER}"):
                    return archive.read(name).decode()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged(where, error) from None
    return None


def _open_torch(files: Files, where: str) -> Network:
    try:
        with without_chatter():
            module: Any = torch.export.load(io.BytesIO(files[".pt2"])).module()
    except Exception as error:  # of unpickling, of the archive, of its JSON
        raise _damaged(where, error) from None

    def run(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        with torch.inference_mode():
            logits: Float32[ndarray, "N K"] = module(torch.from_numpy(joints)).numpy()
        return logits

    return run
