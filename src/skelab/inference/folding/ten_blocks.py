"""The families of ten blocks whose topology is the same for all clips, as programs."""

from typing import Any, cast

import numpy as np
from torch import Tensor, nn

from skelab.inference.folding.builder import Activation, Builder, GraphParts
from skelab.inference.folding.norms import (
    Affine,
    as_float64,
    linear_of,
    norm_of,
    side_by_side,
)
from skelab.inference.folding.temporal import add_residual
from skelab.models.families.stgcn import EdgeImportanceUnit, STGCNBlock
from skelab.models.families.stgcnpp import LearnedTopologyUnit, STGCNppBlock
from skelab.models.plan import TenBlocks
from skelab.nn import MergingTemporalConv, PartitionedGraphConv, PlainTemporalConv


def fold_ten_blocks(builder: Builder, backbone: TenBlocks, x: Activation) -> Activation:
    """Ten blocks: the joints' mixture, then convolutions over time, and the block's input."""
    for module in backbone:
        block = cast(Any, module)
        is_plain = isinstance(block.temporal, PlainTemporalConv)
        halo = int(block.temporal.conv.padding[0]) if is_plain else 0
        mixed = _spatial(builder, block.spatial, x, halo=halo)
        temporal = _plain if is_plain else _merging
        x = temporal(builder, block.temporal, mixed, x, block.residual)
    return x


def is_ten_blocks(backbone: nn.Module) -> bool:
    """Whether ``fold_ten_blocks`` knows all blocks of a backbone."""
    return type(backbone) is TenBlocks and all(
        type(block) in (STGCNBlock, STGCNppBlock) for block in backbone
    )


def _spatial(
    builder: Builder,
    unit: EdgeImportanceUnit | LearnedTopologyUnit,
    x: Activation,
    *,
    halo: int,
) -> Activation:
    """The mixture over a fixed topology, normalised, plus the input if the unit adds it; ReLU."""
    topology, norm = unit.topology, norm_of(unit.norm)
    if isinstance(unit, EdgeImportanceUnit):
        topology, residual = topology * unit.importance, None
    else:
        residual = unit.residual
    parts = _graph_parts(unit.mix, topology, norm)
    y = builder.tensor(builder.lanes(parts.weight.shape[2]), stride=x.stride, halo=halo)
    added = add_residual(builder, residual, x, y)
    builder.frame_graph(x, y, parts, residual=added, rectify=True)
    return y


def _graph_parts(mix: PartitionedGraphConv, topology: Tensor, norm: Affine) -> GraphParts:
    """To joint w goes, of each joint v, ``topology[k, v, w]`` of its k-th transform."""
    linear, reaches = linear_of(mix.conv), as_float64(topology).transpose(0, 2, 1)  # K w v
    channels = linear.matrix.shape[0]
    weight = linear.matrix.reshape(channels, mix.num_subsets, -1).transpose(1, 0, 2)  # K C D
    # a joint that hears more of the others gets more of their biases
    bias = reaches.sum(axis=2).T @ linear.bias.reshape(mix.num_subsets, -1)  # V D
    return GraphParts(1, reaches, weight * norm.factor, bias * norm.factor + norm.offset)


def _plain(
    builder: Builder,
    temporal: PlainTemporalConv,
    mixed: Activation,
    x: Activation,
    residual: nn.Module | None,
) -> Activation:
    """One convolution over time."""
    conv = cast(nn.Conv2d, temporal.conv)
    stride = x.stride * int(conv.stride[0])
    y = builder.tensor(builder.lanes(conv.out_channels), stride=stride)
    added = add_residual(builder, residual, x, y)
    linear = linear_of(conv, cast(nn.Module, temporal.norm))
    builder.convolve(mixed, y, linear, residual=added, rectify=True)
    return y


def _merging(
    builder: Builder,
    temporal: MergingTemporalConv,
    mixed: Activation,
    x: Activation,
    residual: nn.Module | None,
) -> Activation:
    """Branches over time, normalised together, rectified and merged."""
    over_time, pointwise = list[Any](temporal.branches[:-1]), cast(Any, temporal.branches[-1])
    *dilated, _pooled = over_time
    reduced = [linear_of(branch.reduce, branch.reduce_norm) for branch in over_time]
    shares = [len(each.bias) for each in reduced]
    stride = x.stride * int(pointwise.stride[0])
    halo = max(int(branch.dilated.padding[0]) for branch in dilated)
    hidden = builder.tensor(builder.lanes(*shares), stride=x.stride, halo=halo)
    builder.convolve(mixed, hidden, side_by_side(reduced), rectify=True)
    branches = builder.tensor(builder.lanes(*shares, pointwise.out_channels), stride=stride)
    norms = _split(norm_of(temporal.branch_norm), branches.lanes.parts)
    for part, branch in enumerate(dilated):
        linear, dilation = linear_of(branch.dilated).then(norms[part]), branch.dilated.dilation[0]
        source, target = hidden.only(part), branches.only(part)
        builder.convolve(source, target, linear, dilation=int(dilation), rectify=True)
    part = len(dilated)
    builder.maximum(hidden.only(part), branches.only(part), norms[part], rectify=True)
    point = linear_of(pointwise).then(norms[-1])
    builder.convolve(mixed, branches.only(part + 1), point, rectify=True)
    y = builder.tensor(builder.lanes(temporal.merge.out_channels), stride=stride)
    added = add_residual(builder, residual, x, y)
    merge = linear_of(temporal.merge, temporal.norm)
    builder.convolve(branches, y, merge, residual=added, rectify=True)
    return y


def _split(norm: Affine, parts: tuple[int, ...]) -> list[Affine]:
    """The norm of each of several parts of the channels."""
    cuts = np.cumsum(parts)[:-1]
    pairs = zip(np.split(norm.factor, cuts), np.split(norm.offset, cuts), strict=True)
    return [Affine(factor, offset) for factor, offset in pairs]
