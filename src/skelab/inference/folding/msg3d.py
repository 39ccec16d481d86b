"""MS-G3D as a program."""

from typing import cast

from torch import nn

from skelab.inference.folding.builder import Activation, Builder, GraphParts
from skelab.inference.folding.norms import Affine, as_float64, linear_of, norm_of
from skelab.inference.folding.temporal import add_residual, multi_branch
from skelab.models.families.msg3d import (
    FrameUnit,
    MSG3DBackbone,
    MSG3DStage,
    TemporalUnit,
    WindowUnit,
)
from skelab.nn import MultiScaleGraphConv


def fold_msg3d(builder: Builder, backbone: MSG3DBackbone, x: Activation) -> Activation:
    """Three stages: frame by frame and in windows of frames, then over time."""
    for module in backbone:
        x = _stage(builder, cast(MSG3DStage, module), x)
    return x


def _stage(builder: Builder, stage: MSG3DStage, x: Activation) -> Activation:
    frame_unit, first, second = stage.frames
    windows = [cast(WindowUnit, each) for each in stage.windows]
    branches = len(stage.temporal.mix.branches)
    mixed = _frame_unit(builder, cast(FrameUnit, frame_unit), x, branches=branches)
    mixed = _temporal_unit(builder, cast(TemporalUnit, first), mixed)
    mixed = _temporal_unit(builder, cast(TemporalUnit, second), mixed)
    for number, window in enumerate(windows, start=1):
        _window_unit(builder, window, x, mixed, rectify=number == len(windows))
    halo = max(window.window for window in windows) // 2
    return _temporal_unit(builder, stage.temporal, mixed, halo=halo)


def _frame_unit(builder: Builder, unit: FrameUnit, x: Activation, *, branches: int) -> Activation:
    parts = _graph_parts(unit.mix, norm_of(unit.norm))
    channels = parts.weight.shape[2]
    even = channels % branches == 0  # then its lanes are those of the temporal unit that follows
    lanes = builder.lanes(*[channels // branches] * branches) if even else builder.lanes(channels)
    target = builder.tensor(lanes, stride=x.stride)
    builder.frame_graph(x, target, parts, rectify=True)
    return target


def _window_unit(
    builder: Builder, unit: WindowUnit, x: Activation, target: Activation, *, rectify: bool
) -> None:
    parts = _graph_parts(unit.mix, norm_of(unit.norm))
    collapse = linear_of(unit.collapse, unit.collapse_norm)
    weight = collapse.matrix.reshape(-1, unit.window, collapse.matrix.shape[1])  # D w E
    builder.window_graph(
        x, target, parts, weight.transpose(1, 0, 2), collapse.bias, rectify=rectify
    )


def _temporal_unit(
    builder: Builder, unit: TemporalUnit, x: Activation, *, halo: int = 0
) -> Activation:
    branches = cast(list[nn.Module], list(unit.mix.branches))
    point = cast(nn.Conv2d, branches[-1].reduce)
    lanes = builder.lanes(*[point.out_channels] * len(branches))
    y = builder.tensor(lanes, stride=x.stride * int(point.stride[0]), halo=halo)
    residual = add_residual(builder, unit.residual, x, y)
    multi_branch(builder, unit.mix, x, y, residual=residual, rectify=unit.rectify)
    return y


def _graph_parts(mix: MultiScaleGraphConv, norm: Affine) -> GraphParts:
    topology = as_float64(mix.adjacency + mix.refinement)
    linear = linear_of(mix.transform).then(norm)
    weight = linear.matrix.reshape(len(topology), -1, linear.matrix.shape[1])
    return GraphParts(mix.window, topology, weight, linear.bias)
