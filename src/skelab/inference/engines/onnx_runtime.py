"""ONNX Runtime, on the processor."""

from functools import partial

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from skelab.host.memory import growth_within_memory
from skelab.inference.engines.registry import Engine, EngineOptions, Forward, register_engine
from skelab.inference.extras import INSTALL, need
from skelab.inference.files import NetworkFile
from skelab.inference.spec import INPUT_NAME, OUTPUT_NAME


def _load(file: NetworkFile, options: EngineOptions) -> Forward:
    runtime = need("onnxruntime")
    settings = runtime.SessionOptions()
    settings.log_severity_level = 4
    settings.use_deterministic_compute = True
    settings.intra_op_num_threads = options.threads or 0  # 0 leaves it to the runtime
    try:  # from bytes, so that the file cannot name other files to read
        with growth_within_memory():
            session = runtime.InferenceSession(
                file.content[".onnx"], settings, providers=["CPUExecutionProvider"]
            )
    except Exception as error:  # the classes of its errors are not public
        raise file.damaged(error) from None

    def run(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        clips = np.ascontiguousarray(joints)
        try:
            with growth_within_memory():
                logits: Float32[ndarray, "N K"] = session.run([OUTPUT_NAME], {INPUT_NAME: clips})[0]
        except Exception as error:
            raise file.damaged(error) from None
        return logits

    return run


register_engine(
    Engine(
        name="onnxruntime",
        package="onnxruntime",
        install=INSTALL,
        kinds=("onnx",),
        preferred_for=("onnx",),
        precisions=("fp32",),
        prepare=partial(need, "onnxruntime"),
        load=_load,
    )
)
