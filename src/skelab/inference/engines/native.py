"""Compiled kernels: checkpoints of the families that were folded for them, on the processor."""

import os
from typing import Final, cast

import numpy as np
import torch
from jaxtyping import Float32
from numpy import ndarray

from skelab.errors import NetworkError
from skelab.inference.engines.registry import Engine, EngineOptions, Forward, register_engine
from skelab.inference.files import NetworkFile
from skelab.inference.folding import FoldedNetwork, can_fold, fold, foldable_families
from skelab.models import SkeletonModel
from skelab.native.networks import (
    FEWEST_LANES_TO_GAIN,
    VARIABLE,
    Kernels,
    Program,
    get_kernels,
)
from skelab.tasks import DEFAULT_TASK

_MOST_LENGTHS: Final = 64  # of clips, for which the features of absent bodies are kept


class NativeForward:
    """A folded network, ready to compute; several threads may use it at once.

    Absent bodies are spared: what comes out for a body of zeros depends on its slot and the
    clip's length alone, and is computed once.

    Args:
        network: The network.
        kernels: What computes it.
        options: Threads, where not PyTorch's number, and precision.
    """

    def __init__(self, network: FoldedNetwork, kernels: Kernels, options: EngineOptions) -> None:
        self._network = network
        self._program: Program = kernels.assemble(network.plan, options.precision)
        self._threads = options.threads
        self._absent: dict[tuple[int, int], Float32[ndarray, "M L"]] = {}

    def __call__(self, joints: Float32[ndarray, "N C T V M"]) -> Float32[ndarray, "N K"]:
        """Logits of the clips.

        Raises:
            NetworkError: The clips do not fit the network.
        """
        present = self._program.present(joints)  # N M
        outputs = np.empty((present.size, self._program.outputs(joints.shape[2])), np.float32)
        rows = np.flatnonzero(present)
        outputs[rows] = self._run(joints, rows)
        if len(rows) < present.size:
            gone = np.flatnonzero(~present)
            outputs[gone] = self._of_absent(joints.shape)[gone % present.shape[1]]
        return self._network.head(outputs.reshape(*present.shape, -1))

    def _run(self, joints: ndarray, rows: ndarray) -> Float32[ndarray, "B L"]:
        threads = torch.get_num_threads() if self._threads is None else self._threads
        return self._program.run(joints, rows, threads)

    def _of_absent(self, shape: tuple[int, ...]) -> Float32[ndarray, "M L"]:
        """What comes out for an absent body in each slot of clips of such a shape."""
        key = (shape[2], shape[4])
        if key not in self._absent:
            if len(self._absent) >= _MOST_LENGTHS:
                self._absent.clear()
            zeros = np.zeros((1, *shape[1:]), dtype=np.float32)
            self._absent[key] = self._run(zeros, np.arange(shape[4]))
        return self._absent[key]


def _refusal(file: NetworkFile) -> str | None:
    """Why there is no program for a checkpoint; None if there is one. Builds no network."""
    checkpoint, name = file.checkpoint, file.spec.model.name
    if checkpoint is None or name not in foldable_families():
        return f"it computes {', '.join(foldable_families())}, found {name}"
    if file.spec.model.options.get("causal"):
        return "it computes networks of whole clips, found a causal one"
    if checkpoint.task.name != DEFAULT_TASK:
        return f"it computes task {DEFAULT_TASK}, found {checkpoint.task.name}"
    if not all(bool(torch.isfinite(each).all()) for each in checkpoint.weights.values()):
        return "expected finite weights, found NaN or infinity"
    return None


def _load(file: NetworkFile, options: EngineOptions) -> Forward:
    kernels = get_kernels()
    reason = _refusal(file)
    model = None if reason or file.checkpoint is None else file.checkpoint.build()
    if model is None or not can_fold(model):
        why = reason or f"there is no program for this form of {file.spec.model.name}"
        raise NetworkError(f"{file.path}: engine native: {why}; use --engine torch")
    return NativeForward(fold(cast(SkeletonModel, model), kernels.lanes), kernels, options)


def _is_fastest_for(file: NetworkFile) -> bool:
    if _refusal(file):
        return False
    return bool(os.environ.get(VARIABLE)) or get_kernels().lanes >= FEWEST_LANES_TO_GAIN


register_engine(
    Engine(
        name="native",
        package="skelab.native._networks_baseline",
        install="a C++17 compiler, and then the package again from its source",
        kinds=("checkpoint",),
        preferred_for=(),
        precisions=("fp32", "bf16"),
        prepare=get_kernels,
        load=_load,
        is_fastest_for=_is_fastest_for,
    )
)
