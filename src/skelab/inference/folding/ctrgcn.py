"""CTR-GCN as a program."""

from typing import cast

from torch import nn

from skelab.inference.folding.builder import Activation, Builder, ChannelGraphParts
from skelab.inference.folding.norms import Linear, as_float64, linear_of, norm_of, side_by_side
from skelab.inference.folding.temporal import add_residual, multi_branch, projection_of
from skelab.models.families.ctrgcn import CTRGCNBackbone, CTRGCNBlock
from skelab.nn import ChannelTopologyConv, ChannelTopologyUnit


def fold_ctrgcn(builder: Builder, backbone: CTRGCNBackbone, x: Activation) -> Activation:
    """Ten blocks: the joints' mixture, refined channel by channel, then branches over time."""
    for module in backbone:
        block = cast(CTRGCNBlock, module)
        branches = len(block.temporal.branches)
        channels = cast(nn.Conv2d, block.spatial.subsets[0].value).out_channels
        lanes = builder.lanes(*[channels // branches] * branches)
        mixed = builder.tensor(lanes, stride=x.stride)
        builder.channel_graph(x, mixed, _parts(block.spatial, is_same=x.lanes == lanes))
        stride = _stride(block.temporal)
        y = builder.tensor(lanes, stride=x.stride * stride)
        residual = add_residual(builder, block.residual, x, y)
        multi_branch(builder, block.temporal, mixed, y, residual=residual, rectify=True)
        x = y
    return x


def _stride(temporal: nn.Module) -> int:
    pointwise = cast(nn.Sequential, temporal.branches[-1])  # type: ignore[index]
    return int(cast(nn.Conv2d, pointwise.reduce).stride[0])


def _parts(unit: ChannelTopologyUnit, *, is_same: bool) -> ChannelGraphParts:
    subsets = [cast(ChannelTopologyConv, each) for each in unit.subsets]
    norm = norm_of(unit.norm)
    strength = float(unit.strength.detach())
    queries = [linear_of(each.query) for each in subsets]
    keys = [linear_of(each.key) for each in subsets]
    values = [linear_of(each.value) for each in subsets]
    refine = [linear_of(each.refine) for each in subsets]
    return ChannelGraphParts(
        relations=side_by_side([*queries, *keys]),
        values=[Linear(each.weight * norm.factor, each.bias * norm.factor) for each in values],
        refine=[Linear(each.weight * strength, each.bias * strength) for each in refine],
        topology=as_float64(unit.topology),
        offset=norm.offset,
        projection=projection_of(unit.residual, queries[0].weight.shape[1], is_same=is_same),
    )
