"""The temporal convolutions that families share, folded."""

from typing import cast

import numpy as np
from torch import nn

from skelab.inference.folding.builder import Activation, Builder
from skelab.inference.folding.norms import Linear, linear_of, norm_of, side_by_side
from skelab.nn import MultiBranchTemporalConv


def projection_of(residual: nn.Module, channels: int, *, is_same: bool) -> Linear | None:
    """What carries a block's input past it; None where it can be added as it is.

    Args:
        residual: The identity, or a 1x1 with its norm.
        channels: Of the input.
        is_same: The input's channels lie in the same lanes as the output's.
    """
    if not isinstance(residual, nn.Identity):
        return linear_of(cast(nn.Module, residual.conv), cast(nn.Module, residual.norm))
    return None if is_same else Linear(np.eye(channels)[None], np.zeros(channels))


def add_residual(
    builder: Builder, residual: nn.Module | None, source: Activation, target: Activation
) -> Activation | None:
    """The tensor to add to ``target``: the source, or ``target``, where the projection now lies."""
    if residual is None:
        return None
    is_same = source.lanes == target.lanes and source.stride == target.stride
    projection = projection_of(residual, source.lanes.channels, is_same=is_same)
    if projection is None:
        return source
    builder.convolve(source, target, projection)
    return target


def multi_branch(
    builder: Builder,
    module: MultiBranchTemporalConv,
    source: Activation,
    target: Activation,
    *,
    residual: Activation | None,
    rectify: bool,
) -> None:
    """Branches over time, one a part of ``target``: dilated convolutions, maximum, pointwise."""
    *over_time, pointwise = cast(list[nn.Sequential], list(module.branches))
    *dilated, pooled = over_time
    reduced = side_by_side([_pointwise(each) for each in over_time])
    convs = [cast(nn.Conv2d, each.dilated) for each in dilated]
    hidden = builder.tensor(
        builder.lanes(*target.lanes.parts[:-1]),
        stride=source.stride,
        halo=max(int(conv.padding[0]) for conv in convs),
    )
    builder.convolve(source, hidden, reduced, rectify=True)

    def added(part: int) -> Activation | None:
        return None if residual is None else residual.only(part)

    for part, (branch, conv) in enumerate(zip(dilated, convs, strict=True)):
        builder.convolve(
            hidden.only(part),
            target.only(part),
            linear_of(conv, cast(nn.Module, branch.dilated_norm)),
            dilation=int(conv.dilation[0]),
            residual=added(part),
            rectify=rectify,
        )
    part = len(dilated)
    norm = norm_of(cast(nn.Module, pooled.pool_norm))
    builder.maximum(
        hidden.only(part), target.only(part), norm, residual=added(part), rectify=rectify
    )
    last = len(over_time)
    builder.convolve(
        source,
        target.only(last),
        _pointwise(pointwise),
        residual=added(last),
        rectify=rectify,
    )


def _pointwise(branch: nn.Module) -> Linear:
    """The 1x1 that a branch begins with, its norm folded."""
    return linear_of(cast(nn.Module, branch.reduce), cast(nn.Module, branch.reduce_norm))
