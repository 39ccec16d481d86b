"""PyTorch: checkpoints as they were trained, and graphs of ``torch.export``."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray
from torch import Tensor

from skelab.inference.engines.registry import Engine, EngineOptions, Forward, register_engine
from skelab.inference.extras import without_chatter
from skelab.inference.files import NetworkFile


def _load(file: NetworkFile, options: EngineOptions) -> Forward:
    """A ``.pt2`` file may run code of its maker's choice here."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    model = _module(file)
    halved = torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bf16")

    def run(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N ..."]:
        clips = torch.from_numpy(_shareable(joints))
        with torch.inference_mode(), halved:
            logits: Float32[ndarray, "N ..."] = model(clips).float().numpy()
        return logits

    return run


def _module(file: NetworkFile) -> Callable[[Tensor], Tensor]:
    if file.checkpoint is not None:
        return file.checkpoint.build()
    try:
        with without_chatter():
            graph: Any = torch.export.load(io.BytesIO(file.content[".pt2"])).module()
    except Exception as error:  # of unpickling, of the archive, of its JSON
        raise file.damaged(error) from None
    return graph  # type: ignore[no-any-return]


def _shareable(joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N C T V M"]:
    """The array itself, or a copy where torch cannot use its memory."""
    usable = joints.flags.writeable and min(joints.strides) >= 0
    return joints if usable else np.array(joints)


register_engine(
    Engine(
        name="torch",
        package="torch",
        install="pip install torch",
        kinds=("checkpoint", "torch"),
        preferred_for=("checkpoint", "torch"),
        precisions=("fp32", "bf16"),
        prepare=lambda: None,
        load=_load,
    )
)
