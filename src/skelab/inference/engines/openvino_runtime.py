"""OpenVINO, on the processor: its own files, and ONNX files."""

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.inference.engines.registry import Engine, EngineOptions, Forward, register_engine
from skelab.inference.extras import INSTALL, need_openvino
from skelab.inference.files import NetworkFile

_HINTS = {"fp32": "f32", "bf16": "bf16"}


def _load(file: NetworkFile, options: EngineOptions) -> Forward:
    core = need_openvino().Core()
    settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": _HINTS[options.precision]}
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    try:
        if file.kind == "onnx":
            graph = core.read_model(model=file.content[".onnx"])
        else:
            graph = core.read_model(model=file.content[".xml"], weights=file.content[".bin"])
        compiled = core.compile_model(graph, "CPU", settings)
    except RuntimeError as error:
        raise file.damaged(error) from None

    def run(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        logits: Float32[ndarray, "N K"] = np.array(
            compiled([np.ascontiguousarray(joints)])[0], dtype=np.float32
        )
        return logits

    return run


register_engine(
    Engine(
        name="openvino",
        package="openvino",
        install=INSTALL,
        kinds=("openvino", "onnx"),
        preferred_for=("openvino",),
        precisions=("fp32", "bf16"),
        prepare=need_openvino,
        load=_load,
    )
)
