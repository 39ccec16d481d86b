"""Modules whose every number matters, so that a test sees each of them."""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from skelab.skeleton import Layout

Module = TypeVar("Module", bound=nn.Module)

# Options that make a family's network small.
SMALL: dict[str, dict[str, Any]] = {
    "aagcn": {"width": 4},
    "blockgcn": {"width": 8},
    "ctrgcn": {"width": 8},
    "dgstgcn": {"width": 8},
    "freqmixformer": {"width": 20},
    "hdgcn": {"width": 16},
    "hypergcn": {"width": 32},
    "infogcn": {"width": 8, "noise": 0.0},
    "lstc_mda": {"width": 32, "depth": 1, "attention_dropout": 0.0, "drop_path": 0.0},
    "msg3d": {"width": 6},
    "posec3d": {"width": 2, "blocks": "1-1-1", "size": 8, "dropout": 0.0},
    "protogcn": {"width": 8, "num_prototypes": 5},
    "shiftgcn": {"width": 4},
    "skateformer": {"width": 32, "depth": 1, "attention_dropout": 0.0, "drop_path": 0.0},
    "skeletonagent": {"width": 8},
    "stgcn": {"width": 4},
    "stgcn_official": {"width": 4, "temporal_dropout": 0.0},
    "stgcnpp": {"width": 6},
    "usdrl": {"width": 4, "heads": 2, "drop_path": 0.0},
}


def randomised(module: Module, seed: int = 0) -> Module:
    """The module in float64 and eval mode, with every parameter and running statistic random."""
    module.double().eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers(recurse=True)]:
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64))
        for name, tensor in module.named_buffers():
            if name.endswith("running_var"):
                tensor.abs_().add_(0.5)
    return module


def normed(norm: nn.Module, x: Tensor) -> Tensor:
    """What a batch norm in eval mode gives, written out; the channels are dimension 1."""
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    shape = (-1,) + (1,) * (x.ndim - 2)
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return (x - norm.running_mean.view(shape)) * scale.view(shape) + norm.bias.view(shape)


STICK = Layout(
    name="stick",
    title="Five joints for tests: a trunk of three, and two arms at its top",
    joints=("hip", "chest", "neck", "left hand", "right hand"),
    bones=((0, 1), (2, 1), (3, 2), (4, 2)),
    pairs=((3, 4),),
    centre=1,
    origin=1,
)
