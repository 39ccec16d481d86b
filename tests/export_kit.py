"""Checkpoints of small networks to export, and the files that come of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import Float32
from module_kit import SMALL, STICK
from numpy import ndarray
from torch import nn

from skelab.data.feeding.feeder import FeederConfig
from skelab.export.trace import OLDEST_TORCH
from skelab.inference.checkpoint import Checkpoint, InputSpec, read_checkpoint
from skelab.models import create_model, model_spec
from skelab.skeleton import Layout

TORCH = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
TOO_OLD = f"exporting needs PyTorch {'.'.join(map(str, OLDEST_TORCH))} or newer"

needs_export = pytest.mark.skipif(TORCH < OLDEST_TORCH, reason=TOO_OLD)

CLASSES = ("wave", "sit", "fall", "clap")


def used(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The network as if it had been trained a little: no number is what it was at the start."""
    torch.manual_seed(0)
    norms = [
        layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for norm in norms:
            norm.momentum = None  # so that three batches are enough to know the statistics
        model.train()
        for _ in range(3):
            model(torch.randn(shape))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def family_checkpoint(
    path: Path,
    name: str,
    *,
    layout: Layout = STICK,
    classes: tuple[str, ...] = CLASSES,
    window: int = 8,
    max_bodies: int = 2,
    options: dict[str, Any] | None = None,
    **inputs: Any,
) -> Checkpoint:
    """Write a checkpoint of a small network of a family; returns it as it is read."""
    torch.manual_seed(0)
    chosen = SMALL.get(name, {}) if options is None else options
    model = create_model(
        name,
        num_classes=len(classes),
        layout=layout,
        in_channels=len(layout.axes),
        max_bodies=max_bodies,
        **chosen,
    )
    used(model, (4, len(layout.axes), window, layout.num_joints, max_bodies))
    described: dict[str, Any] = {
        "pipeline": "as-given",
        "units": "metres",
        "dataset": "made-up",
        "classes": classes,
        "feeder": FeederConfig(window=window),
        "synthetic": True,
    }
    checkpoint = Checkpoint(
        model=model_spec(model),
        inputs=InputSpec(**{**described, **inputs}),
        recipe=f"name: {name}\nmodel:\n  name: {name}\n",
        weights=model.state_dict(),
        epoch=3,
        protocol="honest",
    )
    checkpoint.save(path)
    return read_checkpoint(path)


def some_clips(shape: tuple[int, ...], seed: int = 0) -> Float32[ndarray, "..."]:
    """Clips of a shape N C T V M."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def skip_without_export() -> None:
    """For fixtures: skip the tests that ask for them where PyTorch is too old to export."""
    if TORCH < OLDEST_TORCH:
        pytest.skip(TOO_OLD)
